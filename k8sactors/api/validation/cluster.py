"""Rules for the kinds that govern a cluster: nodes, leases, quotas, limits, roles, webhooks."""

from __future__ import annotations

from fractions import Fraction
from ipaddress import ip_interface

from k8sactors.api import quantity
from k8sactors.api.errors import QuantityError
from k8sactors.api.validation import names
from k8sactors.api.validation.fields import (
    NOT_NEGATIVE,
    POSITIVE,
    Causes,
    Object,
    check_immutable,
    check_one_of,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from k8sactors.api.validation.metadata import check_selector
from k8sactors.api.validation.placement import EFFECTS
from k8sactors.api.validation.resources import check_amount

_RBAC_GROUP = "rbac.authorization.k8s.io"
_SCOPES = {"BestEffort", "CrossNamespacePodAffinity", "NotBestEffort", "NotTerminating"} | {
    "PriorityClass",
    "Terminating",
    "VolumeAttributesClass",
}
_COUNTED = {
    "configmaps",
    "cpu",
    "ephemeral-storage",
    "memory",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
    "storage",
}


def check_node(obj: Object, causes: Causes) -> None:
    """A Node."""
    seen: dict[tuple[object, object], None] = {}
    for index, taint in enumerate((obj.get("spec") or {}).get("taints") or ()):
        at = f"spec.taints[{index}]"
        key, effect = taint.get("key") or "", taint.get("effect")
        for complaint in names.qualified_name(key):
            causes.append(invalid(f"{at}.key", key, complaint))
        for complaint in names.label_value(taint.get("value") or ""):
            causes.append(invalid(f"{at}.value", taint.get("value"), complaint))
        if not effect:
            causes.append(required(f"{at}.effect"))
        elif effect not in EFFECTS:
            causes.append(not_supported(f"{at}.effect", effect, EFFECTS))
        if (key, effect) in seen:
            causes.append(duplicate(at, taint))
        seen[key, effect] = None
    spec = obj.get("spec") or {}
    ranges = spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else [])
    for index, cidr in enumerate(ranges):
        try:
            ip_interface(cidr)
        except ValueError:
            detail = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
            causes.append(invalid(f"spec.podCIDRs[{index}]", cidr, detail))
    status = obj.get("status") or {}
    for field in ("capacity", "allocatable"):
        for name, value in (status.get(field) or {}).items():
            check_amount(value, f"status.{field}[{name}]", causes)


def check_node_update(old: Object, new: Object, causes: Causes) -> None:
    """A node's pod range and provider identity are given once."""
    before, after = old.get("spec") or {}, new.get("spec") or {}
    if before.get("podCIDR") and before["podCIDR"] != after.get("podCIDR"):
        detail = 'node updates may not change podCIDR except from "" to valid'
        causes.append(forbidden("spec.podCIDRs", detail))
    if before.get("providerID") and before["providerID"] != after.get("providerID"):
        detail = 'node updates may not change providerID except from "" to valid'
        causes.append(forbidden("spec.providerID", detail))


def check_lease(obj: Object, causes: Causes) -> None:
    """A Lease."""
    spec = obj.get("spec") or {}
    duration = spec.get("leaseDurationSeconds")
    if duration is not None and duration <= 0:
        causes.append(invalid("spec.leaseDurationSeconds", duration, POSITIVE))
    transitions = spec.get("leaseTransitions")
    if transitions is not None and transitions < 0:
        causes.append(invalid("spec.leaseTransitions", transitions, NOT_NEGATIVE))
    if spec.get("holderIdentity") == "":
        causes.append(invalid("spec.holderIdentity", "", "must not be empty"))


def _is_countable(name: str) -> bool:
    plain = name.removeprefix("requests.").removeprefix("limits.")
    return plain in _COUNTED or "/" in name or plain.startswith("hugepages-")


def check_resource_quota(obj: Object, causes: Causes) -> None:
    """A ResourceQuota."""
    spec = obj.get("spec") or {}
    for name, value in (spec.get("hard") or {}).items():
        at = f"spec.hard[{name}]"
        if not _is_countable(name):
            detail = "must be a standard resource for quota"
            causes.append(invalid(at, name, detail))
        check_amount(value, at, causes)
    scopes = spec.get("scopes") or []
    for scope in scopes:
        if scope not in _SCOPES:
            causes.append(invalid("spec.scopes", scope, "unsupported scope"))
    for one, other in (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating")):
        if one in scopes and other in scopes:
            causes.append(invalid("spec.scopes", scopes, "conflicting scopes"))


def check_resource_quota_update(old: Object, new: Object, causes: Causes) -> None:
    """What a quota is about cannot change."""
    check_immutable(old.get("spec") or {}, new.get("spec") or {}, ("scopes",), "spec", causes)


def _amounts(item: Object, field: str) -> dict[str, Fraction]:
    found: dict[str, Fraction] = {}
    for name, value in (item.get(field) or {}).items():
        try:
            found[name] = quantity.parse(value)
        except QuantityError:
            continue
    return found


# Of each pair, the first may not exceed the second.
_ORDERED = (
    ("defaultRequest", "max"),
    ("defaultRequest", "default"),
    ("default", "max"),
    ("min", "max"),
    ("min", "default"),
    ("min", "defaultRequest"),
)


def _wording(low: str, high: str) -> str:
    names_of = {"defaultRequest": "default request", "default": "default"}
    return f"{names_of.get(low, low)} value %s is greater than {names_of.get(high, high)} value %s"


def check_limit_range(obj: Object, causes: Causes) -> None:
    """A LimitRange: minima, defaults and maxima in this order."""
    seen: dict[object, None] = {}
    for index, item in enumerate((obj.get("spec") or {}).get("limits") or ()):
        at = f"spec.limits[{index}]"
        kind = item.get("type")
        if kind in seen:
            causes.append(duplicate(f"{at}.type", kind))
        seen[kind] = None
        for field in ("max", "min", "default", "defaultRequest"):
            for name, value in (item.get(field) or {}).items():
                check_amount(value, f"{at}.{field}[{name}]", causes)
        blamed: dict[tuple[str, str], None] = {}
        for low, high in _ORDERED:
            lows, highs = _amounts(item, low), _amounts(item, high)
            for name in lows:
                if name not in highs or lows[name] <= highs[name]:
                    continue
                # A default that follows from a wrong pair is named once, at the default.
                field = high if low == "min" and high != "max" else low
                if (field, name) in blamed:
                    continue
                blamed[field, name] = None
                detail = _wording(low, high) % (item[low][name], item[high][name])
                causes.append(invalid(f"{at}.{field}[{name}]", item[field][name], detail))


def check_priority_class(obj: Object, causes: Causes) -> None:
    """A PriorityClass."""
    value = obj.get("value") or 0
    name = (obj.get("metadata") or {}).get("name") or ""
    if value > 1_000_000_000 and not name.startswith("system-"):  # noqa: PLR2004 - reserved above
        detail = "maximum allowed value of a user defined priority is 1000000000"
        causes.append(forbidden("value", detail))
    check_one_of(obj, "preemptionPolicy", ("Never", "PreemptLowerPriority"), "", causes)


def check_priority_class_update(old: Object, new: Object, causes: Causes) -> None:
    """Pods have copied the value: it cannot change."""
    if (old.get("value") or 0) != (new.get("value") or 0):
        causes.append(forbidden("value", "may not be changed in an update."))


def check_runtime_class(obj: Object, causes: Causes) -> None:
    """A RuntimeClass."""
    for complaint in names.dns1123_label(obj.get("handler") or ""):
        causes.append(invalid("handler", obj.get("handler"), complaint))


def check_runtime_class_update(old: Object, new: Object, causes: Causes) -> None:
    """The handler cannot change."""
    check_immutable(old, new, ("handler",), "", causes)


def check_role(obj: Object, causes: Causes) -> None:
    """A Role or ClusterRole."""
    namespaced = obj.get("kind") == "Role"
    for index, selector in enumerate(
        (obj.get("aggregationRule") or {}).get("clusterRoleSelectors") or ()
    ):
        check_selector(selector, f"aggregationRule.clusterRoleSelectors[{index}]", causes)
    for index, rule in enumerate(obj.get("rules") or ()):
        at = f"rules[{index}]"
        if not rule.get("verbs"):
            causes.append(required(f"{at}.verbs", "verbs must contain at least one value"))
        urls = rule.get("nonResourceURLs")
        if urls:
            if namespaced:
                detail = "namespaced rules cannot apply to non-resource URLs"
                causes.append(invalid(f"{at}.nonResourceURLs", urls, detail))
            elif rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
                detail = "rules cannot apply to both regular resources and non-resource URLs"
                causes.append(invalid(f"{at}.nonResourceURLs", urls, detail))
            continue
        if not rule.get("apiGroups"):
            detail = "resource rules must supply at least one api group"
            causes.append(required(f"{at}.apiGroups", detail))
        if not rule.get("resources"):
            detail = "resource rules must supply at least one resource"
            causes.append(required(f"{at}.resources", detail))


def check_role_binding(obj: Object, causes: Causes) -> None:
    """A RoleBinding or ClusterRoleBinding."""
    reference = obj.get("roleRef") or {}
    cluster_only = obj.get("kind") == "ClusterRoleBinding"
    kinds = ("ClusterRole",) if cluster_only else ("ClusterRole", "Role")
    if reference.get("apiGroup") != _RBAC_GROUP:
        causes.append(not_supported("roleRef.apiGroup", reference.get("apiGroup"), (_RBAC_GROUP,)))
    if reference.get("kind") not in kinds:
        causes.append(not_supported("roleRef.kind", reference.get("kind"), kinds))
    if not reference.get("name"):
        causes.append(required("roleRef.name"))
    for index, subject in enumerate(obj.get("subjects") or ()):
        at = f"subjects[{index}]"
        kind = subject.get("kind")
        if not subject.get("name"):
            causes.append(required(f"{at}.name"))
        if kind == "ServiceAccount":
            if not subject.get("namespace") and cluster_only:
                causes.append(required(f"{at}.namespace"))
        elif kind not in {"User", "Group"}:
            causes.append(not_supported(f"{at}.kind", kind, ("Group", "ServiceAccount", "User")))


def check_role_binding_update(old: Object, new: Object, causes: Causes) -> None:
    """What a binding grants cannot change, only to whom."""
    if old.get("roleRef") != new.get("roleRef"):
        causes.append(invalid("roleRef", new.get("roleRef"), "cannot change roleRef"))


def check_webhooks(obj: Object, causes: Causes) -> None:
    """A mutating or validating webhook configuration."""
    for index, webhook in enumerate(obj.get("webhooks") or ()):
        at = f"webhooks[{index}]"
        check_one_of(webhook, "failurePolicy", ("Fail", "Ignore"), at, causes)
        check_one_of(webhook, "matchPolicy", ("Equivalent", "Exact"), at, causes)
        versions = webhook.get("admissionReviewVersions")
        if not versions:
            detail = "must specify one of v1, v1beta1"
            causes.append(required(f"{at}.admissionReviewVersions", detail))
        elif not {"v1", "v1beta1"} & set(versions):
            detail = "must include at least one of v1, v1beta1"
            causes.append(invalid(f"{at}.admissionReviewVersions", versions, detail))
        timeout = webhook.get("timeoutSeconds")
        if timeout is not None and not 1 <= timeout <= 30:  # noqa: PLR2004 - the API's limits
            detail = "the timeout value must be between 1 and 30 seconds"
            causes.append(invalid(f"{at}.timeoutSeconds", timeout, detail))
        effects = webhook.get("sideEffects")
        if effects not in {"None", "NoneOnDryRun"}:
            field = f"{at}.sideEffects"
            causes.append(
                not_supported(field, effects, ("None", "NoneOnDryRun"))
                if effects
                else required(field, "must specify one of None, NoneOnDryRun")
            )
