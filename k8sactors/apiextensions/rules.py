"""CEL rules of a schema (`x-kubernetes-validations`): compiled per version, evaluated per write.

`self` is the value where the rule stands, `oldSelf` what it was before an update. A rule that names
`oldSelf` is a transition rule: it is evaluated only where there is an old value, unless it asks for
an optional one (`optionalOldSelf`). Items of a list have an old value only in lists of the type
map. Source: KEP-2876, `apiextensions-apiserver/pkg/apiserver/schema/cel`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import attrs

from k8sactors.api.errors import (
    FIELD_VALUE_DUPLICATE,
    FIELD_VALUE_FORBIDDEN,
    FIELD_VALUE_INVALID,
    FIELD_VALUE_REQUIRED,
    Cause,
)
from k8sactors.api.validation import fields
from k8sactors.apiextensions.rule_names import escaped
from k8sactors.apiextensions.structural import EMBEDDED, INT_OR_STRING, VALIDATIONS, Node
from k8sactors.apiextensions.values import ABSENT, correlated
from k8sactors.cel import (
    CelError,
    CompileError,
    CostLimitError,
    Environment,
    EvaluationError,
    Program,
    Type,
)
from k8sactors.cel.types import duration, timestamp

Causes = list[Cause]
# Of all rules of one object together: evaluations of one rule on one value.
EVALUATIONS_MAX: Final = 100_000
_PREVIOUS: Final = "previousValues"
_TEXTS: Final = {
    FIELD_VALUE_REQUIRED: "Required value: ",
    FIELD_VALUE_FORBIDDEN: "Forbidden: ",
}


@attrs.frozen
class Rule:
    """A compiled rule."""

    source: str
    program: Program
    message: str
    message_program: Program | None
    reason: str
    # Where the cause stands, below the value; "" at the value itself.
    field_path: str
    is_transition: bool
    takes_optional: bool

    def said(self) -> str:
        """What a client reads of a rule that has failed."""
        return self.message or f"failed rule: {self.source}"


@attrs.frozen
class RuleNode:
    """A place in a schema with its rules, and the places below it that have some."""

    schema: Node
    rules: tuple[Rule, ...]
    properties: Mapping[str, RuleNode]
    additional: RuleNode | None
    items: RuleNode | None
    # Whether values look otherwise to CEL than in JSON.
    converts: bool


def compile_rules(schema: Node, *, root: bool = True) -> RuleNode | None:
    """The rules of a schema and of all below it; None: there are none.

    Raises:
        CompileError: a rule does not compile (definitions with such rules are refused).
    """
    inner = {
        name: node
        for name, part in (schema.get("properties") or {}).items()
        if (node := compile_rules(part, root=False)) is not None
    }
    additional = _compile_part(schema.get("additionalProperties"))
    items = _compile_part(schema.get("items"))
    rules = tuple(compile_rule(schema, each) for each in schema.get(VALIDATIONS) or ())
    if not (rules or inner or additional or items):
        return None
    return RuleNode(schema, rules, inner, additional, items, converts=root or _converts(schema))


def _compile_part(part: Any) -> RuleNode | None:
    return compile_rules(part, root=False) if isinstance(part, Mapping) else None


def compile_rule(schema: Node, rule: Mapping[str, Any]) -> Rule:
    """One rule at its place in a schema.

    Raises:
        CompileError: it does not compile, or is not of type bool.
    """
    source = str(rule.get("rule") or "").strip()
    optional = bool(rule.get("optionalOldSelf"))
    program = _compile(schema, source, optional=optional)
    if program.type_name not in {"BOOL", "DYN"}:
        raise CompileError("cel expression must evaluate to a bool")
    expression = str(rule.get("messageExpression") or "").strip()
    message = _compile(schema, expression, optional=optional) if expression else None
    if message is not None and message.type_name not in {"STRING", "DYN"}:
        raise CompileError("messageExpression must evaluate to a string")
    transition = bool({"oldSelf", _PREVIOUS} & program.names)
    return Rule(
        source,
        program,
        str(rule.get("message") or "").strip(),
        message,
        str(rule.get("reason") or FIELD_VALUE_INVALID),
        str(rule.get("fieldPath") or ""),
        transition and not optional,
        optional,
    )


def _compile(schema: Node, source: str, *, optional: bool) -> Program:
    kind = _type_of(schema)
    environment = _environment(kind.name(), kind, optional)
    if optional:
        return environment.compile(f"cel.bind(oldSelf, {_PREVIOUS}[?0], {source})")
    return environment.compile(source)


_environments: dict[tuple[str, bool], Environment] = {}


def _environment(name: str, kind: Type, optional: bool) -> Environment:
    """The variables of a rule; shared by all rules on values of one type."""
    found = _environments.get((name, optional))
    if found is None:
        variables = {_PREVIOUS: Type.List(kind)} if optional else {"oldSelf": kind}
        found = _environments[name, optional] = Environment({"self": kind, **variables})
    return found


_SCALARS: Final = {
    "boolean": Type.BOOL,
    "integer": Type.INT,
    "number": Type.DOUBLE,
}
_TIMES: Final = {"date": Type.TIMESTAMP, "date-time": Type.TIMESTAMP, "duration": Type.DURATION}


def _type_of(schema: Node) -> Type:
    kind = schema.get("type")
    if schema.get(INT_OR_STRING) or schema.get("nullable"):
        return Type.DYN
    if kind == "string":
        name = schema.get("format")
        return Type.BYTES if name == "byte" else _TIMES.get(name or "", Type.STRING)
    if kind == "array":
        items = schema.get("items")
        return Type.List(_type_of(items) if isinstance(items, Mapping) else Type.DYN)
    others = schema.get("additionalProperties")
    if kind == "object" and isinstance(others, Mapping):
        return Type.Map(Type.STRING, _type_of(others))
    return _SCALARS.get(kind or "", Type.DYN)


# --- values


def _converts(schema: Node) -> bool:
    """Whether values of a schema must be converted: times, bytes, numbers, names of fields."""
    kind = schema.get("type")
    if kind == "number":
        return True
    if kind == "string":
        return schema.get("format") in {"byte", *_TIMES}
    properties = schema.get("properties") or {}
    return any(
        name != escaped(name) or _converts(part) for name, part in properties.items()
    ) or any(
        isinstance(schema.get(part), Mapping) and _converts(schema[part])
        for part in ("items", "additionalProperties")
    )


def _converted(value: Any, schema: Node) -> Any:
    """A value as CEL sees it."""
    if isinstance(value, dict):
        properties = schema.get("properties") or {}
        others = schema.get("additionalProperties")
        rest = others if isinstance(others, Mapping) else {}
        return {
            escaped(key) if key in properties else key: _converted(item, properties.get(key, rest))
            for key, item in value.items()
        }
    if isinstance(value, list):
        items = schema.get("items") or {}
        return [_converted(item, items) for item in value]
    kind = schema.get("type")
    if kind == "number" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind == "string" and isinstance(value, str):
        return _converted_text(value, schema.get("format") or "")
    return value


def _converted_text(text: str, name: str) -> Any:
    try:
        if name == "byte":
            return base64.b64decode(text)
        if name in {"date", "date-time"}:
            return timestamp(datetime.fromisoformat(text).replace(tzinfo=_zone(text)))
        if name == "duration":
            return duration(text)
    except (ValueError, binascii.Error):
        # The value is refused for its format; no rule is told that it had another type.
        return text
    return text


def _zone(text: str) -> Any:
    return datetime.fromisoformat(text).tzinfo or UTC


def _of_object(value: Any, schema: Node) -> Any:
    """What rules see of a whole object: of its metadata only the names."""
    if not isinstance(value, dict):
        return value
    metadata = value.get("metadata")
    if not isinstance(metadata, dict):
        return value
    names = {key: metadata[key] for key in ("name", "generateName") if key in metadata}
    seen = {**value, "metadata": names}
    return _converted(seen, schema) if _converts(schema) else seen


# --- evaluation


class _Budget:
    """How many evaluations one object may cost."""

    def __init__(self) -> None:
        self.left = EVALUATIONS_MAX

    def spend(self) -> bool:
        self.left -= 1
        return self.left >= 0


def check_rules(node: RuleNode, value: Any, old: Any, causes: Causes) -> None:
    """Evaluate all rules of an object; `old` is ABSENT for a new one."""
    budget = _Budget()
    for cause in _failures(node, value, old, "", budget, root=True):
        causes.append(cause)
        if budget.left < 0:
            break


def _failures(
    node: RuleNode, value: Any, old: Any, path: str, budget: _Budget, *, root: bool = False
) -> Iterator[Cause]:
    if value is None:
        return
    if node.rules:
        yield from _failures_here(node, value, old, path, budget, root=root)
    prefix = f"{path}." if path else ""
    if isinstance(value, dict):
        before = old if isinstance(old, dict) else {}
        for key, item in value.items():
            part = node.properties.get(key)
            if part is None and key not in (node.schema.get("properties") or {}):
                part = node.additional
            if part is not None:
                was = before.get(key, ABSENT)
                yield from _failures(part, item, was, f"{prefix}{key}", budget)
    elif isinstance(value, list) and node.items is not None:
        partners = _partners(value, node.schema, old)
        for place, item in enumerate(value):
            yield from _failures(node.items, item, partners[place], f"{path}[{place}]", budget)


def _partners(value: list[Any], schema: Node, old: Any) -> list[Any]:
    if schema.get("x-kubernetes-list-type") != "map":
        return [ABSENT] * len(value)
    return correlated(value, schema, old)


def _failures_here(
    node: RuleNode, value: Any, old: Any, path: str, budget: _Budget, *, root: bool
) -> Iterator[Cause]:
    schema = node.schema
    # A value that has not changed was judged when it was written (KEP-4008).
    unchanged = old is not ABSENT and old == value
    values: dict[str, Any] = {}
    for rule in node.rules:
        if (rule.is_transition and old is ABSENT) or (unchanged and not rule.is_transition):
            continue
        if not budget.spend():
            text = "validation failed due to running out of cost budget, no further validation"
            yield fields.invalid(path, _shown(schema), f"{text} rules will be run")
            return
        if not values:
            whole = root or bool(schema.get(EMBEDDED))
            values["self"] = _seen(node, value, whole=whole)
            if old is not ABSENT and old is not None:
                values["oldSelf"] = _seen(node, old, whole=whole)
            values[_PREVIOUS] = [values["oldSelf"]] if "oldSelf" in values else []
        cause = _failure(rule, schema, values, path)
        if cause is not None:
            yield cause


def _seen(node: RuleNode, value: Any, *, whole: bool) -> Any:
    if whole:
        return _of_object(value, node.schema)
    return _converted(value, node.schema) if node.converts else value


def _shown(schema: Node) -> str:
    return str(schema.get("type") or "object")


def _failure(rule: Rule, schema: Node, values: dict[str, Any], path: str) -> Cause | None:
    needed = {"self", _PREVIOUS if rule.takes_optional else "oldSelf"}
    given = {name: each for name, each in values.items() if name in needed}
    try:
        if rule.program.evaluate(given) is True:
            return None
    except CostLimitError:
        text = "no further validation rules will be run due to call cost exceeding limit for rule:"
        return fields.invalid(path, _shown(schema), f"{text} {rule.said()}")
    except EvaluationError as error:
        text = f"{error} evaluating rule: {rule.said()}"
        return fields.invalid(path, _shown(schema), text)
    message = rule.said()
    if rule.message_program is not None:
        message = _message(rule.message_program, given) or message
    where = path + rule.field_path if path else rule.field_path.removeprefix(".")
    if rule.reason in _TEXTS:
        return Cause(where, rule.reason, f"{_TEXTS[rule.reason]}{message}")
    if rule.reason == FIELD_VALUE_DUPLICATE:
        return Cause(where, rule.reason, f"Duplicate value: {fields.show(_shown(schema))}")
    return fields.invalid(where, _shown(schema), message)


def _message(program: Program, values: dict[str, Any]) -> str:
    """The text that an expression makes; "" where it fails: the other message is used."""
    try:
        found = program.evaluate(values)
    except CelError:
        return ""
    if not isinstance(found, str) or "\n" in found:
        return ""
    return found.strip()
