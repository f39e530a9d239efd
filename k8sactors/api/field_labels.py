"""How field selectors see a field: the functions that tell its value as text.

A selector compares text. Fields that are plain booleans or numbers in the real types have a value
also where the object leaves them out: `false` and `0` (the `ToSelectableFields` functions of the
real registry).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from k8sactors.api.selectors import field_value

FieldLabel = Callable[[Mapping[str, Any]], str]


@attrs.frozen(eq=False)
class SelectableFields:
    """The fields of a kind that selectors may ask for, besides metadata.name and .namespace."""

    labels: Mapping[str, FieldLabel]
    # The one by whose value watchers are indexed; "" for none.
    trigger: str = ""
    # What tells its value.
    tell_trigger: FieldLabel | None = attrs.field(init=False)

    @tell_trigger.default
    def _tell_trigger(self) -> FieldLabel | None:
        return self.labels.get(self.trigger)


NO_FIELDS = SelectableFields({})


def text(path: str) -> FieldLabel:
    """A string; "" when it is absent."""
    *outer, last = path.split(".")

    def tell(obj: Mapping[str, Any]) -> str:
        value: Any = obj
        for part in outer:
            value = value.get(part)
            if not isinstance(value, dict):
                return ""
        value = value.get(last)
        return value if isinstance(value, str) else ""

    return tell


def boolean(path: str) -> FieldLabel:
    """A boolean; `false` when it is absent."""
    return lambda obj: field_value(obj, path) or "false"


def number(path: str) -> FieldLabel:
    """A number; `0` when it is absent."""
    return lambda obj: field_value(obj, path) or "0"


def first_of(*paths: str) -> FieldLabel:
    """The first of several strings that is not empty."""
    return lambda obj: next(filter(None, (field_value(obj, path) for path in paths)), "")


def never(obj: Mapping[str, Any]) -> str:
    """A field that may be asked for, and is not indexed: no object has a value."""
    del obj
    return ""


def texts(*paths: str) -> dict[str, FieldLabel]:
    """Several string fields."""
    return {path: text(path) for path in paths}
