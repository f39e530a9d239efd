"""Lists: `isSorted`, `sum`, `min`, `max`, `indexOf`, `lastIndexOf`, and the sets of cel-go."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

from k8sactors.cel.declaration import Overload, Type, function, method

_LIST = Type.List(Type.DYN)


def _is_sorted(items: list[Any]) -> bool:
    return all(a <= b for a, b in pairwise(items))


def _sum(items: list[Any]) -> Any:
    if items and isinstance(items[0], timedelta):
        return sum(items, timedelta())
    return sum(items)


def _least(items: list[Any]) -> Any:
    if not items:
        raise ValueError("min called on empty list")
    return min(items)


def _greatest(items: list[Any]) -> Any:
    if not items:
        raise ValueError("max called on empty list")
    return max(items)


def _index(items: list[Any], wanted: Any) -> int:
    return next((place for place, item in enumerate(items) if item == wanted), -1)


def _last_index(items: list[Any], wanted: Any) -> int:
    return len(items) - 1 - place if (place := _index(items[::-1], wanted)) >= 0 else -1


def _contains(items: list[Any], wanted: list[Any]) -> bool:
    return all(item in items for item in wanted)


def _equivalent(items: list[Any], others: list[Any]) -> bool:
    return _contains(items, others) and _contains(others, items)


def _intersects(items: list[Any], others: list[Any]) -> bool:
    return any(item in items for item in others)


OVERLOADS: tuple[Overload, ...] = (
    method("isSorted", [_LIST], Type.BOOL, _is_sorted),
    method("sum", [_LIST], Type.DYN, _sum),
    method("min", [_LIST], Type.DYN, _least),
    method("max", [_LIST], Type.DYN, _greatest),
    method("indexOf", [_LIST, Type.DYN], Type.INT, _index),
    method("lastIndexOf", [_LIST, Type.DYN], Type.INT, _last_index),
    function("sets.contains", [_LIST, _LIST], Type.BOOL, _contains),
    function("sets.equivalent", [_LIST, _LIST], Type.BOOL, _equivalent),
    function("sets.intersects", [_LIST, _LIST], Type.BOOL, _intersects),
)
