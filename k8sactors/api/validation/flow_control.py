"""FlowSchemas and PriorityLevelConfigurations: what their rules may be.

The API server itself follows these objects, so it relies on what is checked here. The texts are
those of `pkg/apis/flowcontrol/validation`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from k8sactors.api.errors import Cause
from k8sactors.api.validation.fields import forbidden, invalid, not_supported, required

Object = dict[str, Any]
Causes = list[Cause]

PRECEDENCE_MAX: Final = 10_000
QUEUES_MAX: Final = 10_000_000
ENTROPY_BITS_MAX: Final = 60
_SUBJECTS: Final = {"Group": "group", "ServiceAccount": "serviceAccount", "User": "user"}
_PERCENT: Final = 100


def check_flow_schema(obj: Object, causes: Causes) -> None:
    """Why a FlowSchema is refused."""
    spec = obj.get("spec") or {}
    precedence = spec.get("matchingPrecedence") or 0
    if precedence <= 0:
        causes.append(invalid("spec.matchingPrecedence", precedence, "must be a positive value"))
    elif precedence > PRECEDENCE_MAX:
        text = f"must not be greater than {PRECEDENCE_MAX}"
        causes.append(invalid("spec.matchingPrecedence", precedence, text))
    method = spec.get("distinguisherMethod")
    if method is not None and method.get("type") not in {"ByNamespace", "ByUser"}:
        allowed = ("ByNamespace", "ByUser")
        causes.append(not_supported("spec.distinguisherMethod", method, allowed))
    if not (spec.get("priorityLevelConfiguration") or {}).get("name"):
        text = "must reference a priority level"
        causes.append(required("spec.priorityLevelConfiguration.name", text))
    for place, rule in enumerate(spec.get("rules") or ()):
        _check_rule(rule, f"spec.rules[{place}]", causes)


def _check_rule(rule: Object, path: str, causes: Causes) -> None:
    subjects = rule.get("subjects") or ()
    if not subjects:
        causes.append(required(f"{path}.subjects", "subjects must contain at least one value"))
    for place, subject in enumerate(subjects):
        _check_subject(subject, f"{path}.subjects[{place}]", causes)
    resources, paths = rule.get("resourceRules") or (), rule.get("nonResourceRules") or ()
    if not resources and not paths:
        text = "at least one of resourceRules and nonResourceRules has to be non-empty"
        causes.append(required(path, text))
    for place, each in enumerate(resources):
        where = f"{path}.resourceRules[{place}]"
        _check_filled(each, ("verbs", "apiGroups", "resources"), where, causes)
        if not each.get("namespaces") and not each.get("clusterScope"):
            text = "resource rules that are not cluster scoped must supply at least one namespace"
            causes.append(required(f"{where}.namespaces", text))
    for place, each in enumerate(paths):
        where = f"{path}.nonResourceRules[{place}]"
        _check_filled(each, ("verbs", "nonResourceURLs"), where, causes)


def _check_filled(rule: Object, names: tuple[str, ...], path: str, causes: Causes) -> None:
    for name in names:
        values = rule.get(name) or []
        if not values:
            causes.append(required(f"{path}.{name}", f"{name} must contain at least one value"))
        elif len(values) > 1 and "*" in values:
            text = f"if '*' is present, must not specify other {name}"
            causes.append(invalid(f"{path}.{name}", values, text))


def _check_subject(subject: Object, path: str, causes: Causes) -> None:
    kind = subject.get("kind")
    if kind not in _SUBJECTS:
        causes.append(not_supported(f"{path}.kind", kind, tuple(_SUBJECTS)))
        return
    for other, field in _SUBJECTS.items():
        if other != kind and subject.get(field) is not None:
            text = f"{field} is forbidden when subject kind is not '{other}'"
            causes.append(forbidden(f"{path}.{field}", text))
    field = _SUBJECTS[kind]
    given: Mapping[str, Any] | None = subject.get(field)
    if given is None:
        text = f"{field} is required when subject kind is '{kind}'"
        causes.append(required(f"{path}.{field}", text))
        return
    needed = ("name", "namespace") if kind == "ServiceAccount" else ("name",)
    for name in needed:
        if not given.get(name):
            causes.append(required(f"{path}.{field}.{name}"))


def check_priority_level(obj: Object, causes: Causes) -> None:
    """Why a PriorityLevelConfiguration is refused."""
    spec = obj.get("spec") or {}
    kind, limited, exempt = spec.get("type"), spec.get("limited"), spec.get("exempt")
    if kind == "Exempt":
        if limited is not None:
            text = "must be nil if the type is not Limited"
            causes.append(forbidden("spec.limited", text))
        _check_shares(exempt or {}, "spec.exempt", causes)
    elif kind == "Limited":
        if exempt is not None:
            causes.append(forbidden("spec.exempt", "must be nil if the type is Limited"))
        if limited is None:
            causes.append(required("spec.limited", "must not be empty when type is Limited"))
        else:
            _check_limited(limited, "spec.limited", causes)
    else:
        causes.append(not_supported("spec.type", kind, ("Exempt", "Limited")))


def _check_shares(part: Object, path: str, causes: Causes) -> None:
    shares = part.get("nominalConcurrencyShares")
    if shares is not None and shares < 0:
        text = "must be a non-negative integer"
        causes.append(invalid(f"{path}.nominalConcurrencyShares", shares, text))
    lendable = part.get("lendablePercent")
    if lendable is not None and not 0 <= lendable <= _PERCENT:
        text = "must be between 0 and 100, inclusive"
        causes.append(invalid(f"{path}.lendablePercent", lendable, text))


def _check_limited(limited: Object, path: str, causes: Causes) -> None:
    _check_shares(limited, path, causes)
    borrowing = limited.get("borrowingLimitPercent")
    if borrowing is not None and borrowing < 0:
        text = "if specified, must be a non-negative integer"
        causes.append(invalid(f"{path}.borrowingLimitPercent", borrowing, text))
    response = limited.get("limitResponse") or {}
    kind, queuing = response.get("type"), response.get("queuing")
    path = f"{path}.limitResponse"
    where = f"{path}.queuing"
    if kind == "Reject":
        if queuing is not None:
            text = "must be nil if limited.limitResponse.type is not Limited"
            causes.append(forbidden(where, text))
    elif kind == "Queue":
        if queuing is None:
            text = "must not be empty if limited.limitResponse.type is Limited"
            causes.append(required(where, text))
        else:
            _check_queuing(queuing, where, causes)
    else:
        causes.append(not_supported(f"{path}.type", kind, ("Queue", "Reject")))


def _check_queuing(queuing: Object, path: str, causes: Causes) -> None:
    queues, hand_size = queuing["queues"], queuing["handSize"]
    for name in ("queueLengthLimit", "queues", "handSize"):
        if queuing[name] <= 0:
            causes.append(invalid(f"{path}.{name}", queuing[name], "must be positive"))
    if queues > QUEUES_MAX:
        causes.append(invalid(f"{path}.queues", queues, "must not be greater than 10,000,000"))
    elif hand_size > queues > 0:
        text = f"should not be greater than queues ({queues})"
        causes.append(invalid(f"{path}.handSize", hand_size, text))
    elif 0 < hand_size <= queues:
        # Each of the dealt queues is one of those that are left.
        bits = sum(math.log2(queues - dealt) for dealt in range(min(hand_size, _PERCENT)))
        if math.ceil(bits) > ENTROPY_BITS_MAX:
            text = (
                f"required entropy bits of deckSize {queues} and handSize {hand_size} should not "
                f"be greater than {ENTROPY_BITS_MAX}"
            )
            causes.append(invalid(f"{path}.handSize", hand_size, text))
