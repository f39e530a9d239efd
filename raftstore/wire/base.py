"""Constants of the protocol, and what every message of the wire shares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final, Self

import attrs

REQUEST: Final = "store.request"
RESPONSE: Final = "store.response"
WATCH: Final = "store.watch"
EVENTS: Final = "store.events"
WATCH_CANCEL: Final = "store.watch_cancel"

# The request ``[token, op, fields]``: another one, made by the user whom the token stands for.
WITH_TOKEN: Final = "with_token"  # noqa: S105 - the name of a request

# Event types.
PUT: Final = 0
DELETE: Final = 1
# Range: sort order and target.
SORT_NONE, SORT_ASCEND, SORT_DESCEND = range(3)
SORT_KEY, SORT_VERSION, SORT_CREATE, SORT_MOD, SORT_VALUE = range(5)
# Compare: result and target.
EQUAL, GREATER, LESS, NOT_EQUAL = range(4)
COMPARE_VERSION, COMPARE_CREATE, COMPARE_MOD, COMPARE_VALUE, COMPARE_LEASE = range(5)
# Operation in a transaction (the field numbers of etcdserverpb.RequestOp).
OP_RANGE, OP_PUT, OP_DELETE_RANGE, OP_TXN = range(1, 5)
# Watch filters.
NO_PUT: Final = 0
NO_DELETE: Final = 1


@attrs.define
class Wire:
    """A message whose wire form is the list of its attributes, in order of declaration."""

    op: ClassVar[str] = ""
    _names: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def __attrs_init_subclass__(cls) -> None:
        cls._names = tuple(field.name for field in attrs.fields(cls))

    def to_wire(self) -> list[Any]:
        """The fields in order; nested messages as lists."""
        return [_to_plain(getattr(self, name)) for name in self._names]

    @classmethod
    def from_wire(cls, fields: Sequence[Any]) -> Self:
        """The message again; fields that a newer peer has appended are ignored."""
        return cls(*fields[: len(cls._names)])


def _to_plain(value: Any) -> Any:
    if isinstance(value, Wire):
        return value.to_wire()
    if type(value) is list:
        return [_to_plain(item) for item in value]
    return value


@attrs.define
class ResponseHeader(Wire):
    """Who answered, and at which revision of the key space."""

    cluster_id: int = 0
    member_id: int = 0
    revision: int = 0
    raft_term: int = 0


@attrs.define
class KeyValue(Wire):
    """One version of a key. A deleted key's event carries only key and mod_revision."""

    key: bytes = b""
    create_revision: int = 0
    mod_revision: int = 0
    version: int = 0
    value: bytes = b""
    lease: int = 0


def to_header(fields: Any) -> ResponseHeader:
    """Converter: fields or header to header."""
    return fields if isinstance(fields, ResponseHeader) else ResponseHeader(*fields)


def to_key_value(fields: Any) -> KeyValue | None:
    """Converter: fields, object or None."""
    return fields if fields is None or isinstance(fields, KeyValue) else KeyValue(*fields)


def to_written(fields: Any) -> KeyValue:
    """Converter: fields or object, never absent."""
    return fields if isinstance(fields, KeyValue) else KeyValue(*fields)


def to_key_values(items: Sequence[Any]) -> list[KeyValue]:
    """Converter: a list of either form."""
    return [item if isinstance(item, KeyValue) else KeyValue(*item) for item in items]


@attrs.define
class Event(Wire):
    """One change of one key: PUT or DELETE, the version written, the one before if asked for."""

    type: int
    kv: KeyValue = attrs.field(converter=to_written)
    prev_kv: KeyValue | None = attrs.field(default=None, converter=to_key_value)
