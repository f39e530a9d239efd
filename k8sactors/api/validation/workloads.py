"""Rules for the kinds that make pods: selectors fit templates, strategies make sense."""

from __future__ import annotations

import re

from k8sactors.api import selectors
from k8sactors.api.errors import SelectorError
from k8sactors.api.validation.fields import (
    NOT_NEGATIVE,
    Causes,
    Object,
    check_immutable,
    check_not_negative,
    check_one_of,
    forbidden,
    invalid,
    not_supported,
    required,
)
from k8sactors.api.validation.metadata import check_annotations, check_labels, check_selector
from k8sactors.api.validation.pod import check_template

_PERCENT = re.compile(r"[0-9]+%")
_PERCENT_MESSAGE = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or "
    "'93%', regex used for validation is '[0-9]+%')"
)


def _check_selector_and_template(spec: Object, causes: Causes) -> None:
    _check_pod_selector(spec, causes)
    template = spec.get("template") or {}
    check_template(template, "spec.template", causes)
    _check_always(template, causes)


def _check_pod_selector(spec: Object, causes: Causes) -> None:
    selector, template = spec.get("selector"), spec.get("template") or {}
    if selector is None:
        causes.append(required("spec.selector"))
    else:
        check_selector(selector, "spec.selector", causes)
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            detail = "empty selector is invalid for deployment"
            causes.append(invalid("spec.selector", selector, detail))
        else:
            labels = (template.get("metadata") or {}).get("labels") or {}
            try:
                fits = selectors.parse_label_selector(selector).matches(labels)
            except SelectorError as error:
                causes.append(invalid("spec.selector", selector, str(error)))
            else:
                if not fits:
                    detail = "`selector` does not match template `labels`"
                    causes.append(invalid("spec.template.metadata.labels", labels, detail))


def _check_always(template: Object, causes: Causes) -> None:
    spec = template.get("spec") or {}
    policy = spec.get("restartPolicy")
    if policy and policy != "Always":
        field = "spec.template.spec.restartPolicy"
        if not any(cause.field == field for cause in causes):
            causes.append(not_supported(field, policy, ("Always",)))
    if spec.get("activeDeadlineSeconds") is not None:
        detail = "activeDeadlineSeconds in ReplicaSet is not Supported"
        causes.append(forbidden("spec.template.spec.activeDeadlineSeconds", detail))


def check_int_or_percent(value: object, path: str, causes: Causes) -> None:
    """A count, or a percentage as text."""
    if isinstance(value, str):
        if not _PERCENT.fullmatch(value):
            causes.append(invalid(path, value, _PERCENT_MESSAGE))
    elif isinstance(value, int) and value < 0:
        causes.append(invalid(path, value, NOT_NEGATIVE))


def _is_zero(value: object) -> bool:
    return value in {0, "0%"}


def _check_rolling(rolling: Object, path: str, causes: Causes) -> None:
    unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
    check_int_or_percent(unavailable, f"{path}.maxUnavailable", causes)
    check_int_or_percent(surge, f"{path}.maxSurge", causes)
    if _is_zero(unavailable) and _is_zero(surge):
        detail = "may not be 0 when `maxSurge` is 0"
        causes.append(invalid(f"{path}.maxUnavailable", unavailable, detail))
    percent = isinstance(unavailable, str) and _PERCENT.fullmatch(unavailable)
    if percent and int(percent.group()[:-1]) > 100:  # noqa: PLR2004 - per cent
        detail = "must not be greater than 100%"
        causes.append(invalid(f"{path}.maxUnavailable", unavailable, detail))


def check_deployment(obj: Object, causes: Causes) -> None:
    """A Deployment."""
    spec = obj.get("spec") or {}
    numbers = ("replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds")
    check_not_negative(spec, numbers, "spec", causes)
    _check_selector_and_template(spec, causes)
    strategy = spec.get("strategy") or {}
    kind = strategy.get("type")
    if kind == "Recreate":
        if strategy.get("rollingUpdate") is not None:
            detail = "may not be specified when strategy `type` is 'Recreate'"
            causes.append(forbidden("spec.strategy.rollingUpdate", detail))
    elif kind == "RollingUpdate":
        rolling = strategy.get("rollingUpdate")
        if rolling is None:
            causes.append(required("spec.strategy.rollingUpdate"))
        else:
            _check_rolling(rolling, "spec.strategy.rollingUpdate", causes)
    else:
        allowed = ("Recreate", "RollingUpdate")
        causes.append(not_supported("spec.strategy", kind, allowed))
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None and deadline <= (spec.get("minReadySeconds") or 0):
        detail = "must be greater than minReadySeconds"
        causes.append(invalid("spec.progressDeadlineSeconds", deadline, detail))


def check_selector_update(old: Object, new: Object, causes: Causes) -> None:
    """The selector of a Deployment, ReplicaSet or DaemonSet cannot change."""
    check_immutable(old.get("spec") or {}, new.get("spec") or {}, ("selector",), "spec", causes)


def check_replica_set(obj: Object, causes: Causes) -> None:
    """A ReplicaSet."""
    spec = obj.get("spec") or {}
    check_not_negative(spec, ("replicas", "minReadySeconds"), "spec", causes)
    _check_selector_and_template(spec, causes)


def check_stateful_set(obj: Object, causes: Causes) -> None:
    """A StatefulSet."""
    spec = obj.get("spec") or {}
    policies = ("OrderedReady", "Parallel")
    check_one_of(spec, "podManagementPolicy", policies, "spec", causes)
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") not in {"RollingUpdate", "OnDelete"}:
        detail = "must be 'RollingUpdate' or 'OnDelete'"
        causes.append(invalid("spec.updateStrategy", strategy, detail))
    rolling = strategy.get("rollingUpdate") or {}
    check_not_negative(rolling, ("partition",), "spec.updateStrategy.rollingUpdate", causes)
    check_not_negative(
        spec, ("replicas", "minReadySeconds", "revisionHistoryLimit"), "spec", causes
    )
    check_not_negative(spec.get("ordinals") or {}, ("start",), "spec.ordinals", causes)
    retention = spec.get("persistentVolumeClaimRetentionPolicy") or {}
    for field in ("whenDeleted", "whenScaled"):
        path = "spec.persistentVolumeClaimRetentionPolicy"
        check_one_of(retention, field, ("Retain", "Delete"), path, causes)
    _check_pod_selector(spec, causes)
    # As the real server, which leaves the pod's own rules to the creation of each pod: only then
    # are the volumes of the claim templates part of it.
    template = spec.get("template") or {}
    metadata = template.get("metadata") or {}
    check_labels(metadata.get("labels"), "spec.template.labels", causes)
    check_annotations(metadata.get("annotations"), "spec.template.annotations", causes)
    _check_always(template, causes)


_STATEFUL_SET_FREE = {
    "replicas",
    "template",
    "updateStrategy",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
    "ordinals",
    "revisionHistoryLimit",
}


def check_stateful_set_update(old: Object, new: Object, causes: Causes) -> None:
    """Most of a StatefulSet's spec is its pods' identity, and cannot change."""
    before, after = old.get("spec") or {}, new.get("spec") or {}
    fields = dict.fromkeys([*before, *after])
    if any(before.get(key) != after.get(key) for key in fields if key not in _STATEFUL_SET_FREE):
        detail = (
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', "
            "'template', 'updateStrategy', 'revisionHistoryLimit', "
            "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
        )
        causes.append(forbidden("spec", detail))


def check_daemon_set(obj: Object, causes: Causes) -> None:
    """A DaemonSet."""
    spec = obj.get("spec") or {}
    check_not_negative(spec, ("minReadySeconds", "revisionHistoryLimit"), "spec", causes)
    _check_selector_and_template(spec, causes)
    strategy = spec.get("updateStrategy") or {}
    kind = strategy.get("type")
    if kind == "RollingUpdate":
        path = "spec.updateStrategy.rollingUpdate"
        rolling = strategy.get("rollingUpdate") or {}
        _check_rolling(rolling, path, causes)
    elif kind != "OnDelete":
        causes.append(not_supported("spec.updateStrategy", kind, ("OnDelete", "RollingUpdate")))


def check_replication_controller(obj: Object, causes: Causes) -> None:
    """A ReplicationController: its selector is a plain map."""
    spec = obj.get("spec") or {}
    check_not_negative(spec, ("replicas", "minReadySeconds"), "spec", causes)
    if not spec.get("selector"):
        causes.append(required("spec.selector"))
    if spec.get("template") is None:
        causes.append(required("spec.template"))
        return
    template = spec["template"]
    labels = (template.get("metadata") or {}).get("labels")
    if not selectors.match_labels(spec.get("selector")).matches(labels):
        detail = "`selector` does not match template `labels`"
        causes.append(invalid("spec.template.metadata.labels", labels, detail))
    check_template(template, "spec.template", causes)
    _check_always(template, causes)


def check_autoscaler(obj: Object, causes: Causes) -> None:
    """A HorizontalPodAutoscaler."""
    spec = obj.get("spec") or {}
    lowest, highest = spec.get("minReplicas"), spec.get("maxReplicas") or 0
    if lowest is not None and lowest < 1:
        detail = "must be greater than or equal to 1"
        causes.append(invalid("spec.minReplicas", lowest, detail))
    if highest < 1:
        causes.append(invalid("spec.maxReplicas", highest, "must be greater than 0"))
    elif lowest is not None and highest < lowest:
        detail = "must be greater than or equal to `minReplicas`"
        causes.append(invalid("spec.maxReplicas", highest, detail))
    target = spec.get("scaleTargetRef") or {}
    for field in ("kind", "name"):
        if not target.get(field):
            causes.append(required(f"spec.scaleTargetRef.{field}"))
    for index, metric in enumerate(spec.get("metrics") or ()):
        percent = ((metric.get("resource") or {}).get("target") or {}).get("averageUtilization")
        if percent is not None and percent < 1:
            field = f"spec.metrics[{index}].resource.target.averageUtilization"
            causes.append(invalid(field, percent, "must be greater than 0"))


def check_disruption_budget(obj: Object, causes: Causes) -> None:
    """A PodDisruptionBudget."""
    spec = obj.get("spec") or {}
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        detail = "minAvailable and maxUnavailable cannot be both set"
        causes.append(invalid("spec", spec, detail))
    for field in ("minAvailable", "maxUnavailable"):
        check_int_or_percent(spec.get(field), f"spec.{field}", causes)
    check_selector(spec.get("selector"), "spec.selector", causes)
