"""`$((expression))`: whole numbers of 64 bits."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Final

from k8sactors.runtime.shell.lexer import ShellSyntaxError

_MAX_CHARS: Final = 1_000
_BITS: Final = 64


def _divide(left: int, right: int) -> int:
    if right == 0:
        raise ShellSyntaxError("divide by zero")
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _remainder(left: int, right: int) -> int:
    return left - right * _divide(left, right)


_BINARY: Final[dict[type[ast.operator], Callable[[int, int], int]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: _divide,
    ast.Mod: _remainder,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}
_COMPARISONS: Final[dict[type[ast.cmpop], Callable[[int, int], bool]]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


def evaluate(expression: str, variables: Mapping[str, str]) -> int:
    """The value of an expression.

    Raises:
        ShellSyntaxError: it is malformed, or divides by zero.
    """
    text = expression.replace("$", "").strip() or "0"
    if len(text) > _MAX_CHARS:
        raise ShellSyntaxError("arithmetic expression too long")
    try:
        tree = ast.parse(text.replace("&&", " and ").replace("||", " or "), mode="eval")
    except (SyntaxError, ValueError, RecursionError) as error:
        raise ShellSyntaxError("arithmetic syntax error") from error
    return _value(tree.body, variables)


def _value(node: ast.expr, variables: Mapping[str, str]) -> int:
    match node:
        case ast.Constant(value=int() as number) if not isinstance(number, bool):
            return _wrapped(number)
        case ast.Name(id=name):
            text = variables.get(name) or "0"
            return _wrapped(int(text)) if text.lstrip("-").isdecimal() else 0
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, variables)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand, variables)
        case ast.BinOp(op=op, left=left, right=right) if type(op) in _BINARY:
            return _wrapped(_BINARY[type(op)](_value(left, variables), _value(right, variables)))
        case ast.Compare(ops=[op], left=left, comparators=[right]) if type(op) in _COMPARISONS:
            return int(_COMPARISONS[type(op)](_value(left, variables), _value(right, variables)))
        case ast.BoolOp(op=ast.And(), values=values):
            return int(all(_value(each, variables) for each in values))
        case ast.BoolOp(values=values):
            return int(any(_value(each, variables) for each in values))
    raise ShellSyntaxError("arithmetic syntax error")


def _wrapped(number: int) -> int:
    half = 1 << (_BITS - 1)
    return (number + half) % (1 << _BITS) - half
