"""Quantities: `quantity("1.5Gi")`, comparisons and sums."""

from __future__ import annotations

from typing import Any

from k8sactors.api.errors import QuantityError
from k8sactors.api.quantity import Quantity, parse_quantity
from k8sactors.cel.declaration import Overload, Type, function, method
from k8sactors.cel.types import QUANTITY


def _made(text: str) -> Any:
    return QUANTITY.make(_text_of(parse_quantity(text)))


def _text_of(quantity: Quantity) -> str:
    """Equal for equal amounts, whatever their suffixes."""
    return str(Quantity(quantity.value))


def _value(message: Any) -> Any:
    return parse_quantity(message.text).value


def _is_quantity(text: str) -> bool:
    try:
        parse_quantity(text)
    except QuantityError:
        return False
    return True


def _compare(one: Any, other: Any) -> int:
    first, second = _value(one), _value(other)
    return int(first > second) - int(first < second)


def _as_integer(message: Any) -> int:
    value = _value(message)
    if value.denominator != 1:
        raise ValueError("cannot convert value to integer")
    return int(value)


def _added(message: Any, other: Any) -> Any:
    more = other if isinstance(other, int) else _value(other)
    return QUANTITY.make(_text_of(Quantity(_value(message) + more)))


def _subtracted(message: Any, other: Any) -> Any:
    less = other if isinstance(other, int) else _value(other)
    return QUANTITY.make(_text_of(Quantity(_value(message) - less)))


_ONE = QUANTITY
OVERLOADS: tuple[Overload, ...] = (
    function("quantity", [Type.STRING], _ONE, _made),
    function("isQuantity", [Type.STRING], Type.BOOL, _is_quantity),
    method("sign", [_ONE], Type.INT, lambda q: (_value(q) > 0) - (_value(q) < 0)),
    method("isInteger", [_ONE], Type.BOOL, lambda q: _value(q).denominator == 1),
    method("asInteger", [_ONE], Type.INT, _as_integer),
    method("asApproximateFloat", [_ONE], Type.DOUBLE, lambda q: float(_value(q))),
    method("isLessThan", [_ONE, _ONE], Type.BOOL, lambda q, r: _value(q) < _value(r)),
    method("isGreaterThan", [_ONE, _ONE], Type.BOOL, lambda q, r: _value(q) > _value(r)),
    method("compareTo", [_ONE, _ONE], Type.INT, _compare),
    method("add", [_ONE, _ONE], _ONE, _added),
    method("add", [_ONE, Type.INT], _ONE, _added),
    method("sub", [_ONE, _ONE], _ONE, _subtracted),
    method("sub", [_ONE, Type.INT], _ONE, _subtracted),
)
