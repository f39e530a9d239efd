"""Records that travel in messages: the fields of an attrs class are the positions on the wire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import attrs


@attrs.frozen
class Record:
    """Base of what travels: an attrs class whose fields are the positions on the wire."""

    def to_wire(self) -> list[Any]:
        """The fields in order, plain data."""
        return [getattr(self, field.name) for field in attrs.fields(type(self))]

    @classmethod
    def from_wire(cls, fields: Sequence[Any]) -> Self:
        """The record that `to_wire` took apart."""
        return cls(*fields)
