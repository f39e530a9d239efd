"""Rules for the fields that decide where a pod may run: tolerations, affinity, spreading."""

from __future__ import annotations

from k8sactors.api.validation import names
from k8sactors.api.validation.fields import (
    POSITIVE,
    Causes,
    Object,
    duplicate,
    invalid,
    not_supported,
    required,
)
from k8sactors.api.validation.metadata import check_selector, check_set_operator

EFFECTS = ("NoExecute", "NoSchedule", "PreferNoSchedule")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_NODE_OPERATORS = ("DoesNotExist", "Exists", "Gt", "In", "Lt", "NotIn")
_WEIGHT_MAX = 100


def check_tolerations(tolerations: list[Object], path: str, causes: Causes) -> None:
    """Tolerations of a pod."""
    for index, toleration in enumerate(tolerations):
        at = f"{path}[{index}]"
        key, operator = toleration.get("key"), toleration.get("operator")
        effect = toleration.get("effect")
        if key:
            for complaint in names.qualified_name(key):
                causes.append(invalid(f"{at}.key", key, complaint))
        elif operator != "Exists":
            detail = (
                "operator must be Exists when `key` is empty, which means "
                '"match all values and all keys"'
            )
            causes.append(invalid(f"{at}.operator", operator, detail))
        if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
            detail = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            causes.append(invalid(f"{at}.effect", effect, detail))
        if operator == "Exists":
            if toleration.get("value"):
                detail = "value must be empty when `operator` is 'Exists'"
                causes.append(invalid(f"{at}.operator", toleration, detail))
        elif operator in {None, "", "Equal"}:
            for complaint in names.label_value(toleration.get("value") or ""):
                causes.append(invalid(f"{at}.operator", toleration.get("value"), complaint))
        else:
            causes.append(not_supported(f"{at}.operator", operator, ("Equal", "Exists")))
        if effect and effect not in EFFECTS:
            causes.append(not_supported(f"{at}.effect", effect, EFFECTS))


def _check_node_requirement(requirement: Object, at: str, causes: Causes) -> None:
    operator, values = requirement.get("operator"), requirement.get("values")
    if operator in {"Gt", "Lt"}:
        if len(values or ()) != 1:
            detail = "must be specified single value when `operator` is 'Lt' or 'Gt'"
            causes.append(required(f"{at}.values", detail))
    elif not check_set_operator(operator, values, at, causes):
        causes.append(invalid(f"{at}.operator", operator, "not a valid selector operator"))
    for complaint in names.qualified_name(requirement.get("key") or ""):
        causes.append(invalid(f"{at}.key", requirement.get("key"), complaint))


def check_node_term(term: Object, path: str, causes: Causes) -> None:
    """One NodeSelectorTerm."""
    for field in ("matchExpressions", "matchFields"):
        for index, requirement in enumerate(term.get(field) or ()):
            _check_node_requirement(requirement, f"{path}.{field}[{index}]", causes)


def _check_weight(term: Object, path: str, causes: Causes) -> None:
    weight = term.get("weight")
    if weight is None or not 1 <= weight <= _WEIGHT_MAX:
        causes.append(invalid(f"{path}.weight", weight or 0, "must be in the range 1-100"))


def _check_node_affinity(affinity: Object, path: str, causes: Causes) -> None:
    needed = affinity.get(_REQUIRED)
    if needed is not None:
        terms = needed.get("nodeSelectorTerms")
        at = f"{path}.{_REQUIRED}.nodeSelectorTerms"
        if not terms:
            causes.append(required(at, "must have at least one node selector term"))
        for index, term in enumerate(terms or ()):
            check_node_term(term, f"{at}[{index}]", causes)
    for index, wish in enumerate(affinity.get(_PREFERRED) or ()):
        at = f"{path}.{_PREFERRED}[{index}]"
        _check_weight(wish, at, causes)
        check_node_term(wish.get("preference") or {}, f"{at}.preference", causes)


def _check_pod_term(term: Object, path: str, causes: Causes) -> None:
    check_selector(term.get("labelSelector"), f"{path}.labelSelector", causes)
    check_selector(term.get("namespaceSelector"), f"{path}.namespaceSelector", causes)
    key = term.get("topologyKey") or ""
    if not key:
        causes.append(required(f"{path}.topologyKey", "can not be empty"))
    for complaint in names.qualified_name(key):
        causes.append(invalid(f"{path}.topologyKey", key, complaint))


def _check_pod_affinity(affinity: Object, path: str, causes: Causes) -> None:
    for index, term in enumerate(affinity.get(_REQUIRED) or ()):
        _check_pod_term(term, f"{path}.{_REQUIRED}[{index}]", causes)
    for index, wish in enumerate(affinity.get(_PREFERRED) or ()):
        at = f"{path}.{_PREFERRED}[{index}]"
        _check_weight(wish, at, causes)
        _check_pod_term(wish.get("podAffinityTerm") or {}, f"{at}.podAffinityTerm", causes)


def check_affinity(affinity: Object, path: str, causes: Causes) -> None:
    """A pod's Affinity."""
    if node := affinity.get("nodeAffinity"):
        _check_node_affinity(node, f"{path}.nodeAffinity", causes)
    for field in ("podAffinity", "podAntiAffinity"):
        if terms := affinity.get(field):
            _check_pod_affinity(terms, f"{path}.{field}", causes)


def check_spread(constraints: list[Object], path: str, causes: Causes) -> None:
    """Topology spread constraints."""
    seen: set[tuple[object, object]] = set()
    for index, constraint in enumerate(constraints):
        at = f"{path}[{index}]"
        skew = constraint.get("maxSkew") or 0
        if skew <= 0:
            causes.append(invalid(f"{at}.maxSkew", skew, POSITIVE))
        key, action = constraint.get("topologyKey"), constraint.get("whenUnsatisfiable")
        if not key:
            causes.append(required(f"{at}.topologyKey", "can not be empty"))
        actions = ("DoNotSchedule", "ScheduleAnyway")
        if action not in actions:
            causes.append(not_supported(f"{at}.whenUnsatisfiable", action, actions))
        if (key, action) in seen:
            text = f"{{{key}, {action}}}"
            causes.append(duplicate(f"{at}.{{topologyKey, whenUnsatisfiable}}", text))
        seen.add((key, action))
        check_selector(constraint.get("labelSelector"), f"{at}.labelSelector", causes)
        domains = constraint.get("minDomains")
        if domains is not None:
            if domains <= 0:
                causes.append(invalid(f"{at}.minDomains", domains, POSITIVE))
            if action != "DoNotSchedule":
                detail = "can only use minDomains if whenUnsatisfiable=DoNotSchedule"
                causes.append(invalid(f"{at}.minDomains", domains, detail))
