"""Do the fields that a rule names exist in the schema?

The compiler takes values for what they turn out to be; which fields there are is known from the
schema. The tree is walked with the schema of every expression whose one is known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from k8sactors.apiextensions.rule_names import escaped
from k8sactors.apiextensions.structural import EMBEDDED, INT_OR_STRING, Node
from k8sactors.cel import Program

# Variables with the schemas of their values, as far as these are known.
Scope = Mapping[str, Node | None]
_STRING: Final[Node] = {"type": "string"}
_METADATA: Final[Node] = {
    "type": "object",
    "properties": {"name": _STRING, "generateName": _STRING},
}
_OF_EVERY_OBJECT: Final[dict[str, Node]] = {
    "apiVersion": _STRING,
    "kind": _STRING,
    "metadata": _METADATA,
}


class _UndefinedFieldError(Exception):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def undefined_field(schema: Node, program: Program, *, root: bool) -> str:
    """What the real compiler says of a field that the schema lacks; "" if there is none."""
    try:
        schema_of(program.tree, root_scope(schema, root=root))
    except _UndefinedFieldError as error:
        found = re.search(rf"\.\s*{re.escape(error.name)}\b", program.source)
        column = found.start() + 1 if found else 1
        return f"ERROR: <input>:1:{column}: undefined field '{error.name}'"
    return ""


def root_scope(schema: Node, *, root: bool) -> Scope:
    """The variables of a rule where this schema stands, with their schemas."""
    seen = {**schema, EMBEDDED: True} if root else schema
    return {"self": seen, "oldSelf": seen}


def schema_of(node: Any, scope: Scope) -> Node | None:
    """The schema of an expression, as far as it is known."""
    if node.HasField("ident_expr"):
        return scope.get(node.ident_expr.name)
    if node.HasField("select_expr"):
        return _member(schema_of(node.select_expr.operand, scope), node.select_expr.field)
    if node.HasField("call_expr"):
        return _call(node.call_expr, scope)
    if node.HasField("comprehension_expr"):
        _loop(node.comprehension_expr, scope)
    elif node.HasField("list_expr"):
        for each in node.list_expr.elements:
            schema_of(each, scope)
    elif node.HasField("struct_expr"):
        for entry in node.struct_expr.entries:
            schema_of(entry.value, scope)
    return None


def _member(schema: Node | None, name: str) -> Node | None:
    if schema is None or schema.get(INT_OR_STRING):
        return None
    others = schema.get("additionalProperties")
    if isinstance(others, Mapping):
        return others
    if schema.get("type") != "object":
        return None
    properties = {escaped(key): part for key, part in (schema.get("properties") or {}).items()}
    if schema.get(EMBEDDED):
        properties = {**properties, **_OF_EVERY_OBJECT}
    if name not in properties:
        raise _UndefinedFieldError(name)
    found: Node = properties[name]
    return found


def _call(call: Any, scope: Scope) -> Node | None:
    inner = [schema_of(each, scope) for each in call.args]
    if call.HasField("target"):
        schema_of(call.target, scope)
    if call.function == "_[_]" and inner[0] is not None:
        part = inner[0].get("items") or inner[0].get("additionalProperties")
        return part if isinstance(part, Mapping) else None
    if call.function == "_?_:_" and inner[1] is inner[2]:
        return inner[1]
    return None


def inner_scope(loop: Any, scope: Scope) -> Scope:
    """The variables inside of a loop."""
    over = schema_of(loop.iter_range, scope)
    item: Node | None = None
    if over is not None and isinstance(over.get("items"), Mapping):
        item = over["items"]
    bound = {loop.accu_var: schema_of(loop.accu_init, scope)}
    if loop.iter_var != "#unused":
        bound[loop.iter_var] = item
    return {**scope, **bound}


def _loop(loop: Any, scope: Scope) -> None:
    inner = inner_scope(loop, scope)
    for part in (loop.loop_condition, loop.loop_step, loop.result):
        schema_of(part, inner)
