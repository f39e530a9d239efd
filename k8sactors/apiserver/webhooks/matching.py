"""Which writes a rule of a webhook or policy means.

Sources: documentation of dynamic admission control, "Matching requests", and of validating
admission policies, "Match constraints". A rule for one version of a kind matches requests for the
others too when the match policy is `Equivalent`; the object is then converted to that version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from k8sactors.api import selectors
from k8sactors.api.kind import ResourceInfo
from k8sactors.apiserver.admission_chain import Attributes, Cluster

Object = dict[str, Any]

GROUP: Final = "admissionregistration.k8s.io"
ALL: Final = "*"
# A webhook or policy must not lock out those who repair it.
EXEMPT: Final = frozenset(
    f"{plural}.{GROUP}"
    for plural in (
        "mutatingadmissionpolicies",
        "mutatingadmissionpolicybindings",
        "mutatingwebhookconfigurations",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
        "validatingwebhookconfigurations",
    )
)


def matched_version(
    rules: Iterable[Object], policy: str | None, attributes: Attributes
) -> ResourceInfo | None:
    """The version in which a write is shown, None when no rule means it.

    Each rule has the fields of RuleWithOperations, perhaps with `resourceNames`.
    """
    info = attributes.info
    rules = list(rules)
    if any(_matches(rule, info, attributes) for rule in rules):
        return info
    if policy == "Exact":
        return None
    for rule in rules:
        for other in info.record.infos():
            if other.api_version != info.api_version and _matches(rule, other, attributes):
                return other
    return None


def is_excluded(rules: Iterable[Object], policy: str | None, attributes: Attributes) -> bool:
    """Whether an exclusion means a write."""
    return matched_version(rules, policy, attributes) is not None


def _matches(rule: Object, info: ResourceInfo, attributes: Attributes) -> bool:
    names = rule.get("resourceNames")
    return (
        _has(rule.get("operations"), attributes.operation)
        and _has(rule.get("apiGroups"), info.group)
        and _has(rule.get("apiVersions"), info.version)
        and _has_resource(rule.get("resources") or (), info.plural, attributes.subresource)
        and _in_scope(rule.get("scope") or ALL, attributes)
        and (not names or attributes.name in names)
    )


def _has(values: Any, value: str) -> bool:
    return bool(values) and (ALL in values or value in values)


def _has_resource(patterns: Iterable[str], resource: str, subresource: str) -> bool:
    for pattern in patterns:
        wanted, slash, part = pattern.partition("/")
        if pattern == "*/*" or (
            wanted in {ALL, resource} and (part in {ALL, subresource} if slash else not subresource)
        ):
            return True
    return False


def _in_scope(scope: str, attributes: Attributes) -> bool:
    if scope == ALL:
        return True
    namespaced = attributes.info.namespaced and attributes.resource != "namespaces"
    return namespaced == (scope == "Namespaced")


def selected(cluster: Cluster, holder: Object, attributes: Attributes) -> bool:
    """Whether the selectors for namespaces and objects mean the write.

    Raises:
        LookupNeededError: the namespace must be read first.
    """
    selector = holder.get("objectSelector")
    if selector and not any(
        obj is not None and _selects(selector, obj) for obj in (attributes.obj, attributes.old)
    ):
        return False
    selector = holder.get("namespaceSelector")
    if not selector:
        return True
    if attributes.resource == "namespaces":
        subject = attributes.obj if attributes.obj is not None else attributes.old
    elif attributes.info.namespaced:
        subject = cluster.get(attributes, "namespaces", None, attributes.namespace)
    else:
        return True
    return subject is not None and _selects(selector, subject)


def _selects(selector: Mapping[str, Any], obj: Object) -> bool:
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        return True
    return selectors.parse_label_selector(selector).matches(obj["metadata"].get("labels"))


Evaluate = Callable[[Mapping[str, Any]], Any]


@lru_cache(maxsize=4096)
def compiled(expression: str) -> Evaluate:
    """What evaluates an expression over the variables of an admission request.

    Raises:
        CompileError: it is invalid.
    """
    # Loads native code: only a cluster that has expressions pays for it.
    from k8sactors.apiserver.webhooks.expressions import compile_expression  # noqa: PLC0415

    return compile_expression(expression)


def expression_errors() -> type[Exception]:
    """The class of everything that an expression can fail with."""
    from k8sactors.cel.errors import CelError  # noqa: PLC0415 - as above

    return CelError


def authorizer_of(cluster: Cluster, attributes: Attributes) -> tuple[Any, dict[str, str], Any]:
    """What expressions ask as `authorizer`: for whom, about which resource, and what decides."""
    info = attributes.info
    resource = {
        "group": info.group,
        "resource": info.plural,
        "subresource": attributes.subresource,
        "namespace": attributes.namespace,
        "name": attributes.name,
    }
    return attributes.user, resource, cluster.environment.authorizer.decide
