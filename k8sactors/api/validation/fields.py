"""How a refusal is worded: one constructor per cause, as the server's field errors read."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from k8sactors.api.errors import (
    FIELD_VALUE_DUPLICATE,
    FIELD_VALUE_FORBIDDEN,
    FIELD_VALUE_INVALID,
    FIELD_VALUE_NOT_FOUND,
    FIELD_VALUE_NOT_SUPPORTED,
    FIELD_VALUE_REQUIRED,
    FIELD_VALUE_TOO_LONG,
    FIELD_VALUE_TOO_MANY,
    Cause,
)

Object = dict[str, Any]
Causes = list[Cause]

IMMUTABLE = "field is immutable"
NOT_NEGATIVE = "must be greater than or equal to 0"
POSITIVE = "must be greater than 0"


def show(value: Any) -> str:
    """A value as it stands in a message."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)


def _with(text: str, detail: str) -> str:
    return f"{text}: {detail}" if detail else text


def required(field: str, detail: str = "") -> Cause:
    """The value is missing."""
    return Cause(field, FIELD_VALUE_REQUIRED, _with("Required value", detail))


def invalid(field: str, value: Any, detail: str = "") -> Cause:
    """The value is there, but not acceptable."""
    return Cause(field, FIELD_VALUE_INVALID, _with(f"Invalid value: {show(value)}", detail))


def invalid_without_value(field: str, detail: str) -> Cause:
    """The value is not acceptable, and too large or too little telling to be shown."""
    return Cause(field, FIELD_VALUE_INVALID, _with("Invalid value", detail))


def not_supported(field: str, value: Any, allowed: Iterable[str]) -> Cause:
    """The value is none of a fixed few."""
    names = ", ".join(show(name) for name in sorted(allowed))
    message = f"Unsupported value: {show(value)}: supported values: {names}"
    return Cause(field, FIELD_VALUE_NOT_SUPPORTED, message)


def forbidden(field: str, detail: str) -> Cause:
    """The field may not be set (so) here."""
    return Cause(field, FIELD_VALUE_FORBIDDEN, _with("Forbidden", detail))


def duplicate(field: str, value: Any) -> Cause:
    """The value must be unique and is not."""
    return Cause(field, FIELD_VALUE_DUPLICATE, f"Duplicate value: {show(value)}")


def not_found(field: str, value: Any) -> Cause:
    """The value refers to something that is not there."""
    return Cause(field, FIELD_VALUE_NOT_FOUND, f"Not found: {show(value)}")


def too_long(field: str, limit_bytes: int) -> Cause:
    """The value is longer than the server keeps."""
    message = f"Too long: may not be more than {limit_bytes} bytes"
    return Cause(field, FIELD_VALUE_TOO_LONG, message)


def too_many(field: str, count: int, limit: int) -> Cause:
    """The list has more items than the server takes."""
    message = f"Too many: {count}: must have at most {limit} items"
    return Cause(field, FIELD_VALUE_TOO_MANY, message)


def check_not_negative(obj: Object, names: Iterable[str], path: str, causes: Causes) -> None:
    """Each of the integer fields that is set must be zero or more."""
    for name in names:
        value = obj.get(name)
        if value is not None and value < 0:
            causes.append(invalid(f"{path}.{name}", value, NOT_NEGATIVE))


def check_one_of(obj: Object, name: str, allowed: Iterable[str], path: str, causes: Causes) -> None:
    """A field that is set must be one of a fixed few."""
    value = obj.get(name)
    if value is not None and value not in allowed:
        causes.append(not_supported(f"{path}.{name}" if path else name, value, allowed))


def check_immutable(
    old: Object, new: Object, names: Iterable[str], path: str, causes: Causes
) -> None:
    """None of the fields may differ."""
    for name in names:
        if old.get(name) != new.get(name):
            field = f"{path}.{name}" if path else name
            causes.append(invalid(field, new.get(name), IMMUTABLE))
