"""Rules for the policies of a Job: which failures count, and which successes are enough."""

from __future__ import annotations

from typing import Any

from k8sactors.api.validation.fields import (
    Causes,
    Object,
    check_not_negative,
    duplicate,
    invalid,
    invalid_without_value,
    not_supported,
    required,
    too_many,
)
from k8sactors.api.validation.job_indexes import check_indexes
from k8sactors.api.validation.names import qualified_name

_RULES_MAX = 20
_EXIT_CODES_MAX = 255
_CONDITIONS_MAX = 20
_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_STATUSES = ("False", "True", "Unknown")
_OPERATORS = ("In", "NotIn")


def _listed(names: tuple[str, ...]) -> str:
    return "valid values: [" + " ".join(f'"{name}"' for name in names) + "]"


def check_failure_policy(spec: Object, path: str, causes: Causes) -> None:
    """`podFailurePolicy`: each rule has an action, and either exit codes or conditions."""
    rules = (spec["podFailurePolicy"] or {}).get("rules") or ()
    if len(rules) > _RULES_MAX:
        causes.append(too_many(f"{path}.rules", len(rules), _RULES_MAX))
    pod = (spec.get("template") or {}).get("spec") or {}
    names = [
        container.get("name")
        for container in [*(pod.get("containers") or ()), *(pod.get("initContainers") or ())]
    ]
    for number, rule in enumerate(rules):
        at = f"{path}.rules[{number}]"
        _check_action(spec, rule.get("action"), f"{at}.action", causes)
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions") or ()
        if codes is not None:
            _check_exit_codes(codes, names, f"{at}.onExitCodes", causes)
        _check_patterns(conditions, f"{at}.onPodConditions", causes)
        if codes is not None and conditions:
            detail = "specifying both OnExitCodes and OnPodConditions is not supported"
            causes.append(invalid_without_value(at, detail))
        if codes is None and not conditions:
            detail = "specifying one of OnExitCodes and OnPodConditions is required"
            causes.append(invalid_without_value(at, detail))


def _check_action(spec: Object, action: str | None, path: str, causes: Causes) -> None:
    if not action:
        causes.append(required(path, _listed(_ACTIONS)))
    elif action == "FailIndex":
        if spec.get("backoffLimitPerIndex") is None:
            causes.append(invalid(path, action, "requires the backoffLimitPerIndex to be set"))
    elif action not in _ACTIONS:
        causes.append(not_supported(path, action, _ACTIONS))


def _check_exit_codes(codes: Object, names: list[Any], path: str, causes: Causes) -> None:
    operator, values = codes.get("operator"), codes.get("values") or []
    if not operator:
        causes.append(required(f"{path}.operator", _listed(_OPERATORS)))
    elif operator not in _OPERATORS:
        causes.append(not_supported(f"{path}.operator", operator, _OPERATORS))
    name = codes.get("containerName")
    if name is not None and name not in names:
        detail = "must be one of the container or initContainer names in the pod template"
        causes.append(invalid(f"{path}.containerName", name, detail))
    if not values:
        causes.append(invalid(f"{path}.values", values, "at least one value is required"))
    elif len(values) > _EXIT_CODES_MAX:
        causes.append(too_many(f"{path}.values", len(values), _EXIT_CODES_MAX))
    for number, value in enumerate(values):
        at = f"{path}.values[{number}]"
        if operator == "In" and value == 0:
            causes.append(invalid(at, value, "must not be 0 for the In operator"))
        if value in values[:number]:
            causes.append(duplicate(at, value))
    if values != sorted(values):
        causes.append(invalid(f"{path}.values", values, "must be ordered"))


def _check_patterns(patterns: Any, path: str, causes: Causes) -> None:
    if len(patterns) > _CONDITIONS_MAX:
        causes.append(too_many(path, len(patterns), _CONDITIONS_MAX))
    for number, pattern in enumerate(patterns):
        at, kind, status = f"{path}[{number}]", pattern.get("type") or "", pattern.get("status")
        causes.extend(invalid(f"{at}.type", kind, text) for text in qualified_name(kind))
        if not status:
            causes.append(required(f"{at}.status", _listed(_STATUSES)))
        elif status not in _STATUSES:
            causes.append(not_supported(f"{at}.status", status, _STATUSES))


def check_success_policy(spec: Object, policy: Object, path: str, causes: Causes) -> None:
    """`successPolicy`: each rule names indexes, a number of them, or both."""
    rules, completions = policy.get("rules") or (), spec.get("completions") or 0
    if not rules:
        detail = "at least one rules must be specified when the successPolicy is specified"
        causes.append(required(f"{path}.rules", detail))
    if len(rules) > _RULES_MAX:
        causes.append(too_many(f"{path}.rules", len(rules), _RULES_MAX))
    for number, rule in enumerate(rules):
        at = f"{path}.rules[{number}]"
        indexes, count, total = rule.get("succeededIndexes"), rule.get("succeededCount"), 0
        if indexes is None and count is None:
            detail = "at least one of succeededCount or succeededIndexes must be specified"
            causes.append(required(at, detail))
        if indexes is not None:
            total = check_indexes(indexes, completions, f"{at}.succeededIndexes", causes)
        if count is not None:
            field = f"{at}.succeededCount"
            check_not_negative(rule, ("succeededCount",), at, causes)
            if count > completions:
                detail = f"{completions} (the number of specified completions)"
                causes.append(invalid(field, count, f"must be less than or equal to {detail}"))
            if indexes is not None and count > total:
                detail = f"{total} (the number of indexes in the specified succeededIndexes field)"
                causes.append(invalid(field, count, f"must be less than or equal to {detail}"))
