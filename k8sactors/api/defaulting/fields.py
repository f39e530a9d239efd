"""How defaults are put in without touching the original: the few moves that all kinds share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Fields = dict[str, Any]


def fill(obj: Fields, defaults: Fields) -> Fields:
    """The object with each missing (or null) field set; the same object if none is missing."""
    filled = obj
    for key, value in defaults.items():
        if obj.get(key) is None:
            if filled is obj:
                filled = obj.copy()
            filled[key] = value
    return filled


def inside(obj: Fields, field: str, change: Callable[[Fields], Fields]) -> Fields:
    """The object with `change` applied to one object-valued field, if it is there."""
    old = obj.get(field)
    if old is None:
        return obj
    new = change(old)
    return obj if new is old else {**obj, field: new}


def inside_or_new(obj: Fields, field: str, change: Callable[[Fields], Fields]) -> Fields:
    """As `inside`, but an absent field counts as an empty object."""
    old = obj.get(field)
    new = change({} if old is None else old)
    return obj if new is old else {**obj, field: new}


def each(obj: Fields, field: str, change: Callable[[Fields], Fields]) -> Fields:
    """The object with `change` applied to each item of one list-valued field."""
    old = obj.get(field)
    if not old:
        return obj
    new = [change(item) for item in old]
    if all(before is after for before, after in zip(old, new, strict=True)):
        return obj
    return {**obj, field: new}
