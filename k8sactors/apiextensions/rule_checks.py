"""Are the rules of a schema well formed, and do they compile?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from k8sactors.api.errors import Cause
from k8sactors.api.validation import fields
from k8sactors.apiextensions import json_path
from k8sactors.apiextensions.structural import VALIDATIONS, Node, has_rules

Causes = list[Cause]
MESSAGE_CHARACTERS_MAX: Final = 2048
_REASONS: Final = (
    "FieldValueDuplicate",
    "FieldValueForbidden",
    "FieldValueInvalid",
    "FieldValueRequired",
)


def check_rule_syntax(schema: Node, path: str, causes: Causes) -> None:
    """Add what is wrong with the rules of the schema of a version."""
    total = _check_node(schema, path, causes, 1, root=True)
    if total:
        from k8sactors.apiextensions import rule_cost  # noqa: PLC0415 - loads native code

        what = f"{VALIDATIONS} estimated rule cost total for entire OpenAPIv3 schema"
        text = rule_cost.over_budget(total, rule_cost.SCHEMA_COST_MAX, what)
        if text:
            causes.append(fields.forbidden(path, text))


def _check_node(schema: Node, path: str, causes: Causes, places: float, *, root: bool) -> float:
    """The cost of all rules of a schema, which stands in so many places of one object."""
    total = 0.0
    for place, rule in enumerate(schema.get(VALIDATIONS) or ()):
        where = f"{path}.{VALIDATIONS}[{place}]"
        total += _check_rule(schema, rule, where, causes, places, root=root)
    for name, part in (schema.get("properties") or {}).items():
        where = f"{path}.properties[{name}]"
        total += _check_node(part, where, causes, places, root=False)
    for name in ("items", "additionalProperties"):
        part = schema.get(name)
        if isinstance(part, Mapping) and has_rules(part):
            from k8sactors.apiextensions import rule_cost  # noqa: PLC0415 - loads native code

            inner = places * rule_cost.most_items(schema, part)
            total += _check_node(part, f"{path}.{name}", causes, inner, root=False)
    return total


def _check_rule(
    schema: Node, rule: Mapping[str, Any], path: str, causes: Causes, places: float, *, root: bool
) -> float:
    source = str(rule.get("rule") or "").strip()
    if not source:
        causes.append(fields.required(f"{path}.rule", "rule is not specified"))
    message = rule.get("message")
    if message is not None:
        _check_message(message, source, path, causes)
    reason = rule.get("reason")
    if reason is not None and reason not in _REASONS:
        causes.append(fields.not_supported(f"{path}.reason", reason, _REASONS))
    field = rule.get("fieldPath")
    if field and not _is_field(schema, field):
        text = "fieldPath must be a valid path: does not refer to a valid field"
        causes.append(fields.invalid(f"{path}.fieldPath", field, text))
    if source:
        return _check_compiles(schema, rule, path, causes, places, root=root)
    return 0


def _check_message(message: str, source: str, path: str, causes: Causes) -> None:
    where = f"{path}.message"
    if not message.strip():
        text = "message must be non-empty if specified"
        causes.append(fields.invalid(where, message, text))
    elif len(message) > MESSAGE_CHARACTERS_MAX:
        text = f"must have a maximum length of {MESSAGE_CHARACTERS_MAX} characters"
        causes.append(fields.invalid(where, f"{message[:10]}...", text))
    elif "\n" in message.strip():
        causes.append(fields.invalid(where, message, "message must not contain line breaks"))
    if "\n" in source and not message.strip():
        text = "message must be specified if rule contains line breaks"
        causes.append(fields.required(where, text))


def _is_field(schema: Node, text: str) -> bool:
    names = json_path.names_of(text)
    if names is None:
        return False
    place: Any = schema
    for name in names:
        place = (place.get("properties") or {}).get(name) or place.get("additionalProperties")
        if not isinstance(place, Mapping):
            return False
    return True


def _check_compiles(
    schema: Node, rule: Mapping[str, Any], path: str, causes: Causes, places: float, *, root: bool
) -> float:
    """The cost of a rule; 0 if it does not compile."""
    from k8sactors.apiextensions import rule_cost, rule_fields, rules  # noqa: PLC0415 - loads native code
    from k8sactors.cel import CompileError  # noqa: PLC0415 - loads native code

    try:
        compiled = rules.compile_rule(schema, rule)
    except CompileError as error:
        source = str(rule.get("rule") or "")
        causes.append(fields.invalid(f"{path}.rule", source, f"compilation failed: {error}"))
        return 0
    unknown = rule_fields.undefined_field(schema, compiled.program, root=root)
    if unknown:
        text = f"compilation failed: {unknown}"
        causes.append(fields.invalid(f"{path}.rule", compiled.source, text))
        return 0
    cost = places * rule_cost.rule_cost(schema, compiled.program, root=root)
    text = rule_cost.over_budget(cost, rule_cost.RULE_COST_MAX, "estimated rule cost")
    if text:
        causes.append(fields.forbidden(f"{path}.rule", text))
    return cost
