"""The parts of the state beside keys and leases, as buckets of etcd's database.

A section of the store that etcd's database has a place for gets a codec here, and `CODECS` names
it: then it is written into snapshot files and restored from them.
"""

from __future__ import annotations

import struct
from typing import Any, Final, Protocol

from raftstore.storage.bbolt_writer import Pair

Items = dict[bytes, list[Pair]]
"""The items of buckets, by the bucket's name."""


class SectionCodec(Protocol):
    """Between a section's `dump` and buckets."""

    name: str
    """The section's name."""
    buckets: tuple[bytes, ...]
    """The buckets that it owns: written even if they are empty."""

    def to_items(self, data: Any) -> Items:
        """What the section's `dump` gave (None: a store without the section) as items."""

    def from_items(self, items: Items) -> Any:
        """The `dump` of a section with these items."""


class _Alarms:
    """No alarm outlives its cause in a new cluster: none is carried over."""

    name = "alarms"
    buckets: tuple[bytes, ...] = (b"alarm",)

    def to_items(self, data: Any) -> Items:
        del data
        return {}

    def from_items(self, items: Items) -> Any:
        del items


class _Auth:
    """A store without users, as etcd writes it."""

    name = "auth"
    buckets: tuple[bytes, ...] = (b"auth", b"authRoles", b"authUsers")

    def to_items(self, data: Any) -> Items:
        del data
        return {b"auth": [(b"authRevision", struct.pack(">Q", 1))]}

    def from_items(self, items: Items) -> Any:
        del items


CODECS: Final[tuple[SectionCodec, ...]] = (_Alarms(), _Auth())
