"""The syntax tree of a compiled expression, read from its serialised form.

Source: `cel/expr/syntax.proto` and `checked.proto` of cel-spec; only the parts that are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory

_FIELD: Final = descriptor_pb2.FieldDescriptorProto
_SHAPES: Final[dict[str, tuple[tuple[str, int, str], ...]]] = {
    "CheckedExpr": (("expr", 4, "Expr"),),
    "Expr": (
        ("ident_expr", 4, "Ident"),
        ("select_expr", 5, "Select"),
        ("call_expr", 6, "Call"),
        ("list_expr", 7, "CreateList"),
        ("struct_expr", 8, "CreateStruct"),
        ("comprehension_expr", 9, "Comprehension"),
    ),
    "Ident": (("name", 1, ""),),
    "Select": (("operand", 1, "Expr"), ("field", 2, "")),
    "Call": (("target", 1, "Expr"), ("function", 2, ""), ("args", 3, "Expr*")),
    "CreateList": (("elements", 1, "Expr*"),),
    "CreateStruct": (("entries", 2, "Entry*"),),
    "Entry": (("map_key", 3, "Expr"), ("value", 4, "Expr")),
    "Comprehension": (
        ("iter_var", 1, ""),
        ("iter_range", 2, "Expr"),
        ("accu_var", 3, ""),
        ("accu_init", 4, "Expr"),
        ("loop_condition", 5, "Expr"),
        ("loop_step", 6, "Expr"),
        ("result", 7, "Expr"),
    ),
}


def _checked_expression() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="syntax.proto", package="tree", syntax="proto3")
    for name, fields in _SHAPES.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            repeated = kind.endswith("*")
            message.field.add(
                name=field,
                number=number,
                label=_FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL,
                type=_FIELD.TYPE_MESSAGE if kind else _FIELD.TYPE_STRING,
                type_name=f".tree.{kind.rstrip('*')}" if kind else None,
            )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tree.CheckedExpr"))


_CHECKED_EXPRESSION: Final = _checked_expression()


def tree_of(serialized: bytes) -> Any:
    """The root of the tree, an `Expr` message."""
    packed = any_pb2.Any.FromString(serialized)
    return _CHECKED_EXPRESSION.FromString(packed.value).expr


def walk(node: Any) -> Iterator[Any]:
    """Every `Expr` of the tree, outer ones first."""
    waiting = [node]
    while waiting:
        found = waiting.pop()
        yield found
        waiting.extend(_inner(found))


def _inner(node: Any) -> list[Any]:
    if node.HasField("select_expr"):
        return [node.select_expr.operand]
    if node.HasField("call_expr"):
        call = node.call_expr
        return [*([call.target] if call.HasField("target") else []), *call.args]
    if node.HasField("list_expr"):
        return list(node.list_expr.elements)
    if node.HasField("struct_expr"):
        return [part for entry in node.struct_expr.entries for part in (entry.map_key, entry.value)]
    if node.HasField("comprehension_expr"):
        loop = node.comprehension_expr
        inner = (loop.iter_range, loop.accu_init, loop.loop_condition, loop.loop_step, loop.result)
        return list(inner)
    return []


def names_in(node: Any) -> frozenset[str]:
    """The variables that an expression names."""
    return frozenset(each.ident_expr.name for each in walk(node) if each.HasField("ident_expr"))
