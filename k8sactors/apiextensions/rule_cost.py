"""How much may a rule cost at most? Estimated from its syntax tree and the limits in its schema.

The unit is that of cel-go: about one step of the interpreter. A list, map or text without a limit
counts as long as a request of 3 MiB can make it, and a rule is evaluated for every place where its
value may stand. The estimate is coarse and rather too low: it refuses what would be too dear in any
case. Source: KEP-2876 ("Resource constraints"), `apiextensions-apiserver/pkg/apiserver/schema/cel`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from k8sactors.apiextensions.rule_fields import Scope, inner_scope, root_scope, schema_of
from k8sactors.apiextensions.structural import Node
from k8sactors.cel import Program

RULE_COST_MAX: Final = 10_000_000
SCHEMA_COST_MAX: Final = 100_000_000
_REQUEST_BYTES_MAX: Final = 3 << 20
_FACTOR_MAX: Final = 100
# The least bytes that a value of a type takes in a request.
_LEAST_BYTES: Final = {"string": 2, "boolean": 4, "array": 2, "object": 2}
_PER_CHARACTER: Final = 0.1
_PER_PATTERN_CHARACTER: Final = 0.25
_HINT: Final = (
    "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, "
    "maps, and strings are declared)"
)


def over_budget(cost: float, limit: int, what: str) -> str:
    """What a client reads of a cost that is over its limit; "" if it is not."""
    if cost <= limit:
        return ""
    factor = cost / limit
    shown = f"more than {_FACTOR_MAX}x" if factor > _FACTOR_MAX else f"{factor:.1f}x"
    return f"{what} exceeds budget by factor of {shown} {_HINT}"


def rule_cost(schema: Node, program: Program, *, root: bool) -> float:
    """The cost of one evaluation of a rule where this schema stands."""
    return _cost(program.tree, root_scope(schema, root=root))


def most_items(schema: Node, part: Node) -> int:
    """How many values a list or a map of this schema can hold; `part` is the schema of each."""
    name = "maxItems" if schema.get("type") == "array" else "maxProperties"
    limit = schema.get(name)
    if limit is not None:
        return int(limit)
    # A map writes a key with each value: quotes, a colon and at least one character.
    key_bytes = 0 if name == "maxItems" else 4
    return _REQUEST_BYTES_MAX // (_least_bytes(part) + key_bytes + 1)


def _least_bytes(schema: Node) -> int:
    required = schema.get("required") or ()
    properties = schema.get("properties") or {}
    inner = sum(
        len(name) + 4 + _least_bytes(properties[name]) for name in required if name in properties
    )
    return _LEAST_BYTES.get(schema.get("type") or "", 1) + inner


def _cost(node: Any, scope: Scope) -> float:
    if node.HasField("ident_expr"):
        return 1
    if node.HasField("select_expr"):
        return 1 + _cost(node.select_expr.operand, scope)
    if node.HasField("call_expr"):
        return _call_cost(node.call_expr, scope)
    if node.HasField("list_expr"):
        return 10 + sum(_cost(each, scope) for each in node.list_expr.elements)
    if node.HasField("struct_expr"):
        return 30 + sum(_cost(each.value, scope) for each in node.struct_expr.entries)
    if node.HasField("comprehension_expr"):
        return _loop_cost(node.comprehension_expr, scope)
    return 0


def _call_cost(call: Any, scope: Scope) -> float:
    cost = 1 + sum(_cost(each, scope) for each in call.args)
    if call.HasField("target"):
        cost += _cost(call.target, scope)
    if call.function in {"matches", "contains"} and call.HasField("target"):
        text = _characters(schema_of(call.target, scope)) * _PER_CHARACTER
        cost += text * (1 if call.function == "contains" else 1 + _PER_PATTERN_CHARACTER)
    elif call.function == "@in":
        listed = schema_of(call.args[1], scope)
        cost += _items(listed) if listed is not None else 0
    return cost


def _characters(schema: Node | None) -> int:
    if schema is None:
        return 0
    limit = schema.get("maxLength")
    return _REQUEST_BYTES_MAX if limit is None else int(limit)


def _items(schema: Node) -> int:
    part = schema.get("items") or schema.get("additionalProperties")
    return most_items(schema, part) if isinstance(part, Mapping) else 1


def _loop_cost(loop: Any, scope: Scope) -> float:
    over = schema_of(loop.iter_range, scope)
    turns = 1 if over is None else _items(over)
    inside = inner_scope(loop, scope)
    each = _cost(loop.loop_condition, inside) + _cost(loop.loop_step, inside)
    once = _cost(loop.iter_range, scope) + _cost(loop.accu_init, scope)
    return once + turns * each + _cost(loop.result, inside)
