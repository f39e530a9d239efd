"""What objects use up of a ResourceQuota, and which quotas they count for.

Sources: documentation of resource quotas, and the evaluators of the real server. Every object
counts as `count/RESOURCE[.GROUP]`; pods, services and claims use up more. Both the admission plugin
that charges new objects and the controller that counts all of them again follow these rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any, Final

from k8sactors.api import quantity
from k8sactors.api.defaulting.pod import qos_class
from k8sactors.api.meta import parse_time
from k8sactors.api.pod_references import CONTAINERS
from k8sactors.api.pod_resources import pod_limits, pod_requests
from k8sactors.api.quantity import Format, Quantity
from k8sactors.simulation import SECOND

Fields = Mapping[str, Any]
Amounts = dict[str, Quantity]

PODS: Final = "pods"
SERVICES: Final = "services"
CLAIMS: Final = "persistentvolumeclaims"
# What is counted under its plain name too.
_PLAIN: Final = frozenset(
    {"configmaps", CLAIMS, PODS, "replicationcontrollers", "resourcequotas", "secrets", SERVICES}
)
_COMPUTE: Final = ("cpu", "memory", "ephemeral-storage")
_POD_NAMES: Final = frozenset(
    {PODS, *_COMPUTE, *(f"{kind}.{name}" for kind in ("requests", "limits") for name in _COMPUTE)}
)
# For these, every container of a pod must say what it needs.
_MUST_SPECIFY: Final = frozenset(
    {f"{prefix}{name}" for prefix in ("", "requests.", "limits.") for name in ("cpu", "memory")}
)
_REQUESTS: Final = "requests."
_HUGE_PAGES: Final = ("hugepages-", "requests.hugepages-")
_CLASS: Final = ".storageclass.storage.k8s.io/"
_BETA_CLASS: Final = "volume.beta.kubernetes.io/storage-class"
_ONE: Final = Quantity(Fraction(1))
_ZERO: Final = Quantity(Fraction(0))


# arithmetic


def parse(amounts: Mapping[str, str] | None) -> Amounts:
    """The amounts of `spec.hard` and the like."""
    return {name: quantity.parse_quantity(str(text)) for name, text in (amounts or {}).items()}


def texts(amounts: Amounts) -> dict[str, str]:
    """The form in which objects carry amounts, sorted by name."""
    return {name: str(amounts[name]) for name in sorted(amounts)}


def add(one: Amounts, other: Amounts) -> Amounts:
    """The sums by name; the first amount that is not zero gives the form of the text."""
    total = dict(one)
    for name, amount in other.items():
        before = total.get(name, _ZERO)
        total[name] = Quantity(
            before.value + amount.value, before.format if before.value else amount.format
        )
    return total


def subtract(one: Amounts, other: Amounts) -> Amounts:
    """The differences by name."""
    return add(one, {name: Quantity(-each.value, each.format) for name, each in other.items()})


def describe(amounts: Amounts) -> str:
    """`name=amount,...`, as refusals say it."""
    return ",".join(f"{name}={text}" for name, text in texts(amounts).items())


# what quotas say


def hard_limits(quota: Fields) -> Amounts:
    """The limits that the quota controller has taken over: those that hold."""
    return parse((quota.get("status") or {}).get("hard"))


def used_amounts(quota: Fields) -> Amounts:
    """What was counted so far."""
    return parse((quota.get("status") or {}).get("used"))


def tracked(resource: str, names: Iterable[str]) -> list[str]:
    """Those names in a quota for which objects of a resource count."""
    return [name for name in names if is_tracked(resource, name)]


def is_tracked(resource: str, name: str) -> bool:
    """Whether objects of a resource (by its unique name) count for a name in a quota."""
    if name == f"count/{resource}":
        return True
    if resource == PODS:
        if name in _POD_NAMES or name.startswith(_HUGE_PAGES):
            return True
        return name.startswith(_REQUESTS) and "/" in name
    if resource == SERVICES:
        return name in {SERVICES, "services.loadbalancers", "services.nodeports"}
    if resource == CLAIMS:
        return name in {CLAIMS, "requests.storage"} or _CLASS in name
    return name == resource and name in _PLAIN


def counted_resources(names: Iterable[str]) -> list[str]:
    """The resources whose objects count for names in a quota, sorted."""
    found: dict[str, None] = {}
    for name in names:
        if name.startswith("count/"):
            found[name.removeprefix("count/")] = None
            continue
        for resource in sorted(_PLAIN):
            if is_tracked(resource, name):
                found[resource] = None
    return sorted(found)


def matches(quota: Fields, resource: str, obj: Fields) -> bool:
    """Whether an object is in the scopes of a quota."""
    spec = quota.get("spec") or {}
    scopes = [{"scopeName": name, "operator": "Exists"} for name in spec.get("scopes") or ()]
    scopes += (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    return all(_in_scope(scope, resource, obj) for scope in scopes)


def _in_scope(scope: Fields, resource: str, obj: Fields) -> bool:
    name = scope.get("scopeName")
    if resource == CLAIMS and name == "VolumeAttributesClass":
        found = (obj.get("spec") or {}).get("volumeAttributesClassName")
        return _selects(scope, found or None)
    if resource != PODS:
        return False
    spec = obj["spec"]
    if name == "PriorityClass":
        return _selects(scope, spec.get("priorityClassName") or None)
    deadline = spec.get("activeDeadlineSeconds")
    terminating = deadline is not None and deadline >= 0
    best_effort = qos_class(dict(obj)) == "BestEffort"
    scopes = {
        "Terminating": terminating,
        "NotTerminating": not terminating,
        "BestEffort": best_effort,
        "NotBestEffort": not best_effort,
        "CrossNamespacePodAffinity": _crosses_namespaces(spec),
    }
    return scopes.get(str(name), False)


def _selects(scope: Fields, value: str | None) -> bool:
    values = scope.get("values") or ()
    decisions: dict[str, Callable[[], bool]] = {
        "In": lambda: value is not None and value in values,
        "NotIn": lambda: value not in values,
        "Exists": lambda: value is not None,
        "DoesNotExist": lambda: value is None,
    }
    decide = decisions.get(str(scope.get("operator")))
    return decide is not None and decide()


def _crosses_namespaces(spec: Fields) -> bool:
    affinity = spec.get("affinity") or {}
    for kind in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(kind) or {}
        terms = list(rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ())
        preferred = rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        terms += [weighted.get("podAffinityTerm") or {} for weighted in preferred]
        if any(term.get("namespaces") or "namespaceSelector" in term for term in terms):
            return True
    return False


# what objects use


def usage(resource: str, obj: Fields, wall_ns: int) -> Amounts:
    """What an object uses up; a pod that has ended is only counted as an object."""
    used: Amounts = {f"count/{resource}": _ONE}
    if resource in _PLAIN and resource != PODS:
        used[resource] = _ONE
    if resource == PODS:
        if not has_ended(obj, wall_ns):
            used.update(_pod_usage(obj["spec"]))
    elif resource == SERVICES:
        used.update(_service_usage(obj.get("spec") or {}))
    elif resource == CLAIMS:
        used.update(_claim_usage(obj))
    return used


def has_ended(pod: Fields, wall_ns: int) -> bool:
    """Whether a pod no longer counts: it has finished, or its time to go is over."""
    if (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}:
        return True
    metadata = pod["metadata"]
    deleted = metadata.get("deletionTimestamp")
    if not deleted or metadata.get("deletionGracePeriodSeconds") is None:
        return False
    return wall_ns > parse_time(deleted) + SECOND


def _pod_usage(spec: Fields) -> Amounts:
    used = {PODS: _ONE}
    requests, limits = parse(pod_requests(spec)), parse(pod_limits(spec))
    used.update(_compute_usage(requests, limits))
    return used


def _compute_usage(requests: Amounts, limits: Amounts) -> Amounts:
    used: Amounts = {}
    for name, amount in requests.items():
        if name in _COMPUTE or name.startswith("hugepages-"):
            used[name] = used[f"{_REQUESTS}{name}"] = amount
        elif "/" in name:
            used[f"{_REQUESTS}{name}"] = amount
    for name in _COMPUTE:
        if name in limits:
            used[f"limits.{name}"] = limits[name]
    return used


def unspecified(resource: str, names: Iterable[str], obj: Fields) -> str:
    """Which of the quota's names the containers of a pod leave open; "": none."""
    if resource != PODS:
        return ""
    spec = obj["spec"]
    wanted = sorted(_MUST_SPECIFY & set(names))
    if not wanted or spec.get("resources"):
        return ""
    missing: dict[str, set[str]] = {}
    for field in CONTAINERS[:2]:
        for container in spec.get(field) or ():
            resources = container.get("resources") or {}
            given = _compute_usage(parse(resources.get("requests")), parse(resources.get("limits")))
            for name in wanted:
                if name not in given:
                    missing.setdefault(name, set()).add(container["name"])
    return "; ".join(f"{name} for: {','.join(sorted(missing[name]))}" for name in sorted(missing))


def _service_usage(spec: Fields) -> Amounts:
    ports = spec.get("ports") or ()
    kind = spec.get("type")
    node_ports = 0
    if kind == "NodePort":
        node_ports = len(ports)
    elif kind == "LoadBalancer":
        if spec.get("allocateLoadBalancerNodePorts") is False:
            node_ports = sum(1 for port in ports if port.get("nodePort"))
        else:
            node_ports = len(ports)
    balancers = 1 if kind == "LoadBalancer" else 0
    return {
        "services.nodeports": Quantity(Fraction(node_ports)),
        "services.loadbalancers": Quantity(Fraction(balancers)),
    }


def _claim_usage(claim: Fields) -> Amounts:
    spec = claim.get("spec") or {}
    annotations = claim["metadata"].get("annotations") or {}
    name = annotations.get(_BETA_CLASS) or spec.get("storageClassName") or ""
    used: Amounts = {}
    if name:
        used[f"{name}{_CLASS}{CLAIMS}"] = _ONE
    asked = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if asked is not None:
        amount = quantity.parse_quantity(str(asked))
        allocated = ((claim.get("status") or {}).get("allocatedResources") or {}).get("storage")
        if allocated is not None:
            amount = max(
                amount, quantity.parse_quantity(str(allocated)), key=lambda each: each.value
            )
        used["requests.storage"] = amount
        if name:
            used[f"{name}{_CLASS}requests.storage"] = amount
    return used


def zero(names: Iterable[str], limits: Amounts) -> Amounts:
    """Nothing used, in the form of the limits."""
    return {
        name: Quantity(Fraction(0), limits[name].format if name in limits else Format.DECIMAL_SI)
        for name in names
    }
