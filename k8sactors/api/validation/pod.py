"""Rules for pods and pod templates, and what of a pod may change once it exists."""

from __future__ import annotations

import re

from k8sactors.api.validation import names
from k8sactors.api.validation.containers import check_containers, check_host_ports, check_user_ids
from k8sactors.api.validation.fields import (
    NOT_NEGATIVE,
    Causes,
    Object,
    forbidden,
    invalid,
    not_supported,
    required,
)
from k8sactors.api.validation.metadata import check_annotations, check_labels
from k8sactors.api.validation.placement import check_affinity, check_spread, check_tolerations
from k8sactors.api.validation.volumes import check_volumes

RESTART_POLICIES = ("Always", "Never", "OnFailure")
_DNS_POLICIES = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
_DEADLINE_MAX = 2**31 - 1
_SYSCTL = re.compile(r"[a-z0-9]([-_a-z0-9]*[a-z0-9])?([./][a-z0-9]([-_a-z0-9]*[a-z0-9])?)*")
_UPDATABLE = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
    "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set "
    "to 1 if it was previously negative)"
)
# Set only once by the server itself, through subresources or admission.
_NAMES = (
    ("nodeName", names.dns1123_subdomain),
    ("serviceAccountName", names.dns1123_subdomain),
    ("hostname", names.dns1123_label),
    ("subdomain", names.dns1123_label),
    ("priorityClassName", names.dns1123_subdomain),
)


def _check_pod_security(context: Object, path: str, causes: Causes) -> None:
    check_user_ids(context, path, causes)
    for index, sysctl in enumerate(context.get("sysctls") or ()):
        at, name = f"{path}.sysctls[{index}]", sysctl.get("name") or ""
        if not name:
            causes.append(required(f"{at}.name"))
        elif not _SYSCTL.fullmatch(name):
            detail = f"must have at most 253 characters and match regex ^{_SYSCTL.pattern}$"
            causes.append(invalid(f"{at}.name", name, detail))


def _check_times(spec: Object, path: str, causes: Causes) -> None:
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= _DEADLINE_MAX:
        detail = f"must be between 1 and {_DEADLINE_MAX}, inclusive"
        causes.append(invalid(f"{path}.activeDeadlineSeconds", deadline, detail))
    grace = spec.get("terminationGracePeriodSeconds")
    if grace is None:
        causes.append(required(f"{path}.terminationGracePeriodSeconds"))
    elif grace < 0:
        causes.append(invalid(f"{path}.terminationGracePeriodSeconds", grace, NOT_NEGATIVE))


def _check_policies(spec: Object, path: str, causes: Causes) -> None:
    for field, allowed in (("restartPolicy", RESTART_POLICIES), ("dnsPolicy", _DNS_POLICIES)):
        value = spec.get(field)
        if not value:
            causes.append(required(f"{path}.{field}"))
        elif value not in allowed:
            causes.append(not_supported(f"{path}.{field}", value, allowed))
    for field, rule in _NAMES:
        if text := spec.get(field):
            for complaint in rule(text):
                causes.append(invalid(f"{path}.{field}", text, complaint))


def _check_all_containers(spec: Object, path: str, causes: Causes) -> None:
    if volumes := spec.get("volumes"):
        mountable = check_volumes(volumes, f"{path}.volumes", causes)
    else:
        mountable = {}
    taken: set[str] = set()
    containers = spec.get("containers")
    if not containers:
        causes.append(required(f"{path}.containers"))
    else:
        check_containers(containers, mountable, f"{path}.containers", causes, taken=taken)
    if starters := spec.get("initContainers"):
        check_containers(starters, mountable, f"{path}.initContainers", causes, taken=taken)
    check_host_ports(spec, path, causes)


def check_pod_spec(spec: Object, path: str, causes: Causes) -> None:
    """A (defaulted) PodSpec, in a pod or a template."""
    _check_all_containers(spec, path, causes)
    _check_policies(spec, path, causes)
    _check_times(spec, path, causes)
    if selector := spec.get("nodeSelector"):
        check_labels(selector, f"{path}.nodeSelector", causes)
    if context := spec.get("securityContext"):
        _check_pod_security(context, f"{path}.securityContext", causes)
    if tolerations := spec.get("tolerations"):
        check_tolerations(tolerations, f"{path}.tolerations", causes)
    if affinity := spec.get("affinity"):
        check_affinity(affinity, f"{path}.affinity", causes)
    if constraints := spec.get("topologySpreadConstraints"):
        check_spread(constraints, f"{path}.topologySpreadConstraints", causes)


def check_pod(obj: Object, causes: Causes) -> None:
    """A Pod."""
    check_pod_spec(obj.get("spec") or {}, "spec", causes)


def check_template(template: Object, path: str, causes: Causes) -> None:
    """A workload's pod template."""
    metadata = template.get("metadata") or {}
    check_labels(metadata.get("labels"), f"{path}.metadata.labels", causes)
    check_annotations(metadata.get("annotations"), f"{path}.metadata.annotations", causes)
    check_pod_spec(template.get("spec") or {}, f"{path}.spec", causes)


def _without_images(spec: Object, field: str) -> list[Object]:
    return [
        {key: value for key, value in container.items() if key != "image"}
        for container in spec.get(field) or ()
    ]


def _check_deadline_update(before: Object, after: Object, causes: Causes) -> None:
    old, new = before.get("activeDeadlineSeconds"), after.get("activeDeadlineSeconds")
    if new is None and old is not None:
        detail = "must not update from a positive integer to nil value"
        causes.append(invalid("spec.activeDeadlineSeconds", new, detail))
    elif new is not None and old is not None and new > old:
        detail = "must be less than or equal to previous value"
        causes.append(invalid("spec.activeDeadlineSeconds", new, detail))


def _without_seconds(toleration: Object) -> Object:
    return {key: value for key, value in toleration.items() if key != "tolerationSeconds"}


def check_pod_update(old: Object, new: Object, causes: Causes) -> None:
    """A Pod that exists: little of its spec may change."""
    before, after = old.get("spec") or {}, new.get("spec") or {}
    if before is after or before == after:
        return
    for field in ("containers", "initContainers"):
        if len(before.get(field) or ()) != len(after.get(field) or ()):
            detail = "pod updates may not add or remove containers"
            causes.append(forbidden(f"spec.{field}", detail))
            return
    _check_deadline_update(before, after, causes)
    kept = [_without_seconds(toleration) for toleration in after.get("tolerations") or ()]
    if any(_without_seconds(item) not in kept for item in before.get("tolerations") or ()):
        detail = "existing toleration can not be modified except its tolerationSeconds"
        causes.append(forbidden("spec.tolerations", detail))
    free = {"containers", "initContainers", "activeDeadlineSeconds", "tolerations"}
    if before.get("schedulingGates"):
        # While a pod waits at its gates, it may still be told where to go (KEP-3838).
        free |= {"schedulingGates", "nodeSelector", "affinity"}
    grace = before.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0 and after.get("terminationGracePeriodSeconds") == 1:
        free.add("terminationGracePeriodSeconds")
    fields = dict.fromkeys([*before, *after])
    fixed = all(before.get(key) == after.get(key) for key in fields if key not in free)
    if not fixed or any(
        _without_images(before, field) != _without_images(after, field)
        for field in ("containers", "initContainers")
    ):
        causes.append(forbidden("spec", _UPDATABLE))


def check_pod_template(obj: Object, causes: Causes) -> None:
    """A PodTemplate."""
    check_template(obj.get("template") or {}, "template", causes)
