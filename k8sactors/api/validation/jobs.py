"""Rules for the specification of Jobs.

Source: the API reference of `batch/v1` and the server's field errors. Limits keep the status of a
Job small enough for one object of the store.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from k8sactors.api import selectors
from k8sactors.api.errors import SelectorError
from k8sactors.api.validation.fields import (
    Causes,
    Object,
    check_immutable,
    check_not_negative,
    invalid,
    not_supported,
    required,
    too_long,
)
from k8sactors.api.validation.job_policies import check_failure_policy, check_success_policy
from k8sactors.api.validation.metadata import check_selector
from k8sactors.api.validation.names import dns1123_label
from k8sactors.api.validation.pod import check_template

CONTROLLER_UID: Final = "batch.kubernetes.io/controller-uid"
JOB_NAME: Final = "batch.kubernetes.io/job-name"
INDEXED: Final = "Indexed"

_COUNTS = (
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
)
_INDEXED_MAX = 100_000
_COMPLETIONS_SOFT_MAX = 100_000
_HIGH_COMPLETIONS_MAX = 10_000
_MANAGER_MAX = 63
_MANAGER = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9/_.~-]+")


def check_job_spec(spec: Object, path: str, causes: Causes) -> None:
    """The specification of a Job, also inside of a CronJob; the selector is not part of it."""
    check_not_negative(spec, _COUNTS, path, causes)
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        detail = "when maxFailedIndexes is specified"
        causes.append(required(f"{path}.backoffLimitPerIndex", detail))
    _check_manager(spec.get("managedBy"), f"{path}.managedBy", causes)
    _check_completion_mode(spec, path, causes)
    template = spec.get("template") or {}
    if spec.get("podFailurePolicy") is not None:
        check_failure_policy(spec, f"{path}.podFailurePolicy", causes)
    policy = spec.get("successPolicy")
    if policy is not None:
        if spec.get("completionMode") == INDEXED:
            check_success_policy(spec, policy, f"{path}.successPolicy", causes)
        else:
            detail = "requires indexed completion mode"
            causes.append(invalid(f"{path}.successPolicy", policy, detail))
    _check_replacement_policy(spec, f"{path}.podReplacementPolicy", causes)
    check_template(template, f"{path}.template", causes)
    _check_restart_policy(spec, f"{path}.template.spec.restartPolicy", causes)


def _check_manager(manager: str | None, path: str, causes: Causes) -> None:
    if manager is None:
        return
    if not _MANAGER.fullmatch(manager):
        detail = 'must be a domain-prefixed path (such as "acme.io/foo")'
        causes.append(invalid(path, manager, detail))
    if len(manager) > _MANAGER_MAX:
        causes.append(too_long(path, _MANAGER_MAX))


def _check_completion_mode(spec: Object, path: str, causes: Causes) -> None:
    mode, completions = spec.get("completionMode"), spec.get("completions")
    parallelism, most = spec.get("parallelism"), spec.get("maxFailedIndexes")
    if mode not in {None, INDEXED, "NonIndexed"}:
        causes.append(not_supported(f"{path}.completionMode", mode, (INDEXED, "NonIndexed")))
    if mode == INDEXED:
        if completions is None:
            causes.append(required(f"{path}.completions", "when completion mode is Indexed"))
        if parallelism is not None and parallelism > _INDEXED_MAX:
            detail = f"must be less than or equal to {_INDEXED_MAX} when completion mode is Indexed"
            causes.append(invalid(f"{path}.parallelism", parallelism, detail))
        if completions is not None and most is not None and most > completions:
            detail = "must be less than or equal to completions"
            causes.append(invalid(f"{path}.maxFailedIndexes", most, detail))
        if most is not None and most > _INDEXED_MAX:
            detail = f"must be less than or equal to {_INDEXED_MAX}"
            causes.append(invalid(f"{path}.maxFailedIndexes", most, detail))
        high = completions is not None and completions > _COMPLETIONS_SOFT_MAX
        if high and spec.get("backoffLimitPerIndex") is not None:
            _check_high_completions(spec, path, causes)
    elif mode in {None, "NonIndexed"}:
        for field in ("backoffLimitPerIndex", "maxFailedIndexes"):
            if spec.get(field) is not None:
                detail = "requires indexed completion mode"
                causes.append(invalid(f"{path}.{field}", spec[field], detail))


def _check_high_completions(spec: Object, path: str, causes: Causes) -> None:
    """The text of the failed indexes must stay short when there are that many."""
    if spec.get("maxFailedIndexes") is None:
        detail = f"must be specified when completions is above {_COMPLETIONS_SOFT_MAX}"
        causes.append(required(f"{path}.maxFailedIndexes", detail))
    detail = (
        f"must be less than or equal to {_HIGH_COMPLETIONS_MAX} when completions are above "
        f"{_COMPLETIONS_SOFT_MAX} and used with backoff limit per index"
    )
    for field in ("parallelism", "maxFailedIndexes"):
        value = spec.get(field)
        if value is not None and value > _HIGH_COMPLETIONS_MAX:
            causes.append(invalid(f"{path}.{field}", value, detail))


def _check_restart_policy(spec: Object, path: str, causes: Causes) -> None:
    policy = ((spec.get("template") or {}).get("spec") or {}).get("restartPolicy")
    if policy in {None, "", "Always"}:
        causes.append(required(path, 'valid values: "OnFailure", "Never"'))
    elif policy not in {"OnFailure", "Never"}:
        if not any(cause.field == path for cause in causes):
            causes.append(not_supported(path, policy, ("OnFailure", "Never")))
    elif spec.get("podFailurePolicy") is not None and policy != "Never":
        detail = 'only "Never" is supported when podFailurePolicy is specified'
        causes.append(invalid(path, policy, detail))


def _check_replacement_policy(spec: Object, path: str, causes: Causes) -> None:
    policy = spec.get("podReplacementPolicy")
    chosen = spec.get("podFailurePolicy") is not None
    allowed = ("Failed",) if chosen else ("Failed", "TerminatingOrFailed")
    if policy is not None and policy not in allowed:
        causes.append(not_supported(path, policy, allowed))


def check_job(obj: Object, causes: Causes) -> None:
    """A Job. Its selector is the server's own, unless `manualSelector` says otherwise."""
    spec, metadata = obj.get("spec") or {}, obj.get("metadata") or {}
    check_job_spec(spec, "spec", causes)
    completions = spec.get("completions")
    if spec.get("completionMode") == INDEXED and completions:
        hostname = f"{metadata.get('name')}-{completions - 1}"
        if dns1123_label(hostname):
            detail = f"will not able to create pod with invalid DNS label: {hostname}"
            causes.append(invalid("metadata.name", metadata.get("name"), detail))
    selector = spec.get("selector")
    if selector is None:
        if "uid" in metadata:
            causes.append(required("spec.selector"))
        return
    check_selector(selector, "spec.selector", causes)
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    try:
        matches = selectors.parse_label_selector(selector).matches
    except SelectorError:
        # Then it matches nothing, and `check_selector` has said why.
        return
    if not spec.get("manualSelector"):
        _check_generated(metadata, labels, causes)
        if not matches(_generated(metadata)):
            detail = "`selector` not auto-generated"
            causes.append(invalid("spec.selector", selector, detail))
    if not matches(labels):
        detail = "`selector` does not match template `labels`"
        causes.append(invalid("spec.template.metadata.labels", labels, detail))


def _generated(metadata: Object) -> dict[str, str]:
    uid, name = metadata.get("uid") or "", metadata.get("name") or ""
    return {
        "controller-uid": uid,
        "job-name": name,
        CONTROLLER_UID: uid,
        JOB_NAME: name,
    }


def _check_generated(metadata: Object, labels: Mapping[str, str], causes: Causes) -> None:
    """The labels of the pods are those that the server has made, if the client let it."""
    for name, value in _generated(metadata).items():
        if value and name in labels and labels[name] != value:
            detail = f"must be '{value}'"
            causes.append(invalid("spec.template.metadata.labels", dict(labels), detail))


_FIXED = (
    "selector",
    "completionMode",
    "podFailurePolicy",
    "backoffLimitPerIndex",
    "managedBy",
    "successPolicy",
)
# Where pods go may still change while none has ever been made.
_PLACEMENT = ("nodeSelector", "tolerations", "schedulingGates")


def check_job_update(old: Object, new: Object, causes: Causes) -> None:
    """The work of a Job cannot change, only how it is driven."""
    before, after = old.get("spec") or {}, new.get("spec") or {}
    _check_completions_update(before, after, causes)
    check_immutable(before, after, _FIXED, "spec", causes)
    was, template = before.get("template") or {}, after.get("template") or {}
    if before.get("suspend") and not (old.get("status") or {}).get("startTime"):
        was = _with_placement(was, template)
    check_immutable({"template": was}, {"template": template}, ("template",), "spec", causes)


def _check_completions_update(before: Object, after: Object, causes: Causes) -> None:
    completions = after.get("completions")
    if before.get("completions") == completions:
        return
    if after.get("completionMode") != INDEXED:
        check_immutable(before, after, ("completions",), "spec", causes)
    elif completions is not None and completions != after.get("parallelism"):
        detail = "can only be modified in tandem with spec.parallelism"
        causes.append(invalid("spec.completions", completions, detail))


def _with_placement(template: Object, source: Object) -> Object:
    """A template with the labels, annotations and scheduling directives of another."""
    metadata, pod = dict(template.get("metadata") or {}), dict(template.get("spec") or {})
    given = source.get("spec") or {}
    _take(metadata, source.get("metadata") or {}, ("labels", "annotations"))
    _take(pod, given, _PLACEMENT)
    affinity = dict(pod.get("affinity") or {})
    _take(affinity, given.get("affinity") or {}, ("nodeAffinity",))
    if affinity or given.get("affinity") is not None:
        pod["affinity"] = affinity
    else:
        pod.pop("affinity", None)
    return {**template, "metadata": metadata, "spec": pod}


def _take(target: Object, source: Object, fields: tuple[str, ...]) -> None:
    for field in fields:
        if field in source:
            target[field] = source[field]
        else:
            target.pop(field, None)
