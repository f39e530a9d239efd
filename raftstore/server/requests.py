"""Requests on their way through a member, and the form in which writes stand in the Raft log.

An entry's data is the msgpack list ``[key, op, fields]``. The key names the request among all that
were ever proposed: member, session of that member (counted durably), number within the session.
Where the member that took a request applies its entry, the key finds the request again, decoded.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Hashable
from typing import Any, Final, NamedTuple

import msgpack

# Takes a ``store.response`` payload: ``[0, fields]`` or ``[code, message]``.
Respond = Callable[[list[Any]], None]

# Whatever names a client's connection; its watches end with it.
ClientHandle = Hashable

_KEY_BYTES: Final = 14
_HEADER_BYTES: Final = 3
_KEY_END: Final = _HEADER_BYTES + _KEY_BYTES
# Where the key lies in an entry's data: behind the headers of the list and of the key itself.
KEY_SLICE: Final = slice(_HEADER_BYTES, _KEY_END)


class Request(NamedTuple):
    """A request that waits for its answer."""

    op: str
    fields: list[Any]
    respond: Respond
    deadline_ns: int
    # Of its entry, if it is a write.
    size_bytes: int = 0


def split_keys(joined: bytes) -> list[bytes]:
    """Keys that stand one after the other."""
    return [joined[place : place + _KEY_BYTES] for place in range(0, len(joined), _KEY_BYTES)]


class RequestKeys:
    """The source of keys of one session of one member."""

    def __init__(self, member_id: int, session: int) -> None:
        self._prefix = struct.pack(">HI", member_id, session)
        self._last = 0

    def next(self) -> bytes:
        """A key never used before."""
        self._last += 1
        return self._prefix + self._last.to_bytes(8, "big")

    def next_number(self) -> int:
        """A positive 63-bit number never used before, for leases that get their id here."""
        self._last += 1
        member_id: int
        session: int
        member_id, session = struct.unpack(">HI", self._prefix)
        return (member_id & 0x7FF) << 52 | (session & 0xFFFF) << 36 | self._last & (1 << 36) - 1


_pack: Final = msgpack.Packer(use_bin_type=True, autoreset=True).pack


# An entry's data of ``(key, op, fields)``.
encode: Final[Callable[[tuple[bytes, str, list[Any]]], bytes]] = _pack


def decode(data: bytes) -> tuple[str, list[Any]]:
    """The request in an entry's data."""
    _, op, fields = msgpack.unpackb(data)
    return op, fields
