"""What a write does to the store besides storing its object, as plain data.

A strategy decides which keys must not have changed (guards) and which further keys are written in
the same transaction; the API server carries it out. Keys and values are bytes, as the store has
them.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any, NamedTuple

Object = dict[str, Any]


class KeyState(NamedTuple):
    """A key's value as of `mod_revision`."""

    key: bytes
    value: bytes
    mod_revision: int
    lease: int = 0


class Guard(NamedTuple):
    """The transaction happens only if `key` has this mod_revision (0: does not exist)."""

    key: bytes
    mod_revision: int


class Write(NamedTuple):
    """Put `value`, or delete the key when it is None."""

    key: bytes
    value: bytes | None
    lease: int = 0


class Effects(NamedTuple):
    """The object to store, and what belongs into the same transaction; `lease` 0: no lease."""

    obj: Object
    guards: Sequence[Guard] = ()
    writes: Sequence[Write] = ()
    lease: int = 0


class Outcome(enum.Enum):
    """What a deletion comes to."""

    REMOVE = enum.auto()
    MARK = enum.auto()
    NOTHING = enum.auto()


class Deletion(NamedTuple):
    """The decision; `obj` is the marked object, or the last state of a removed one."""

    outcome: Outcome
    obj: Object
