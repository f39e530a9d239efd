"""The versioned key space: every kept version of every key, and a log of what each revision wrote.

Theory of operation. A version is an immutable tuple ``(key, create_revision, mod_revision,
version, value, lease)``; a tombstone is a version whose `version` is 0. A version stands in at
most three places, always as the same object:

- ``live[key]``: the newest version of a key that exists;
- ``older[key]``: what came before, oldest first, tombstones included;
- ``log[revision - log_base]``: what one revision wrote, a version, or the list of them if it wrote
  several (the place in the list is etcd's sub revision). Watches replay from here.

So a put is one tuple, one dict entry and two appends, and a read of the present touches one dict.
Compaction at R drops versions that a newer one at or before R hides, and tombstones at or before
R; the log keeps R itself, so that a watch from R is still complete.
"""

from __future__ import annotations

import heapq
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from operator import itemgetter
from typing import Final

import msgpack

from raftstore.errors import COMPACTED, FUTURE_REVISION, StoreError
from raftstore.mvcc.keyindex import KeyIndex

KV = tuple[bytes, int, int, int, bytes, int]
LogEntry = KV | list[KV]

KEY: Final = 0
CREATE_REVISION: Final = 1
MOD_REVISION: Final = 2
VERSION: Final = 3
VALUE: Final = 4
LEASE: Final = 5
FIRST_REVISION: Final = 1
FROM_KEY: Final = b"\0"
_mod_revision: Final = itemgetter(MOD_REVISION)


def upper_bound(range_end: bytes) -> bytes | None:
    """The exclusive end of a range request's keys; None: no end."""
    return None if range_end == FROM_KEY else range_end


class KeySpace:
    """All kept versions. Writers pass the revision they write at and then `commit` it."""

    __slots__ = (
        "compact_revision",
        "dead_keys",
        "live",
        "live_keys",
        "log",
        "log_base",
        "older",
        "revision",
        "size_bytes",
    )

    def __init__(self) -> None:
        self.revision = FIRST_REVISION
        self.compact_revision = 0
        self.live: dict[bytes, KV] = {}
        self.older: dict[bytes, list[KV]] = {}
        self.live_keys = KeyIndex()
        self.dead_keys = KeyIndex()
        self.log: list[LogEntry] = []
        self.log_base = FIRST_REVISION + 1
        self.size_bytes = 0

    # Writing

    def put(self, revision: int, key: bytes, value: bytes, lease: int, old: KV | None) -> KV:
        """Write a version at `revision`; `old` is the live version of the key."""
        if old is None:
            kv = (key, revision, revision, 1, value, lease)
            self.live_keys.add(key)
            if key in self.older:
                self.dead_keys.discard(key)
        else:
            kv = (key, old[1], revision, old[3] + 1, value, lease)
            versions = self.older.get(key)
            if versions is None:
                self.older[key] = [old]
            else:
                versions.append(old)
        self.live[key] = kv
        self.size_bytes += len(key) + len(value)
        return kv

    def delete(self, revision: int, old: KV) -> KV:
        """Write a tombstone over the live version `old`."""
        key = old[KEY]
        tombstone = (key, 0, revision, 0, b"", 0)
        del self.live[key]
        versions = self.older.get(key)
        if versions is None:
            self.older[key] = [old, tombstone]
        else:
            versions += (old, tombstone)
        self.live_keys.discard(key)
        self.dead_keys.add(key)
        self.size_bytes += len(key)
        return tombstone

    def commit(self, revision: int, written: list[KV]) -> None:
        """Close the revision that wrote these versions (at least one)."""
        assert revision == self.revision + 1
        assert written
        self.log.append(written[0] if len(written) == 1 else written)
        self.revision = revision

    # Reading

    def check_revision(self, revision: int) -> None:
        """Refuse a revision that has not been, or is no longer, kept."""
        if revision > self.revision:
            raise StoreError(*FUTURE_REVISION)
        if revision < self.compact_revision:
            raise StoreError(*COMPACTED)

    def find(self, key: bytes, revision: int) -> KV | None:
        """The version of a key that a reader at `revision` sees."""
        kv = self.live.get(key)
        if kv is not None and kv[2] <= revision:
            return kv
        versions = self.older.get(key)
        if versions is None:
            return None
        place = bisect_right(versions, revision, key=_mod_revision)
        if place == 0:
            return None
        kv = versions[place - 1]
        return kv if kv[3] else None

    def select_live(self, start: bytes, end: bytes | None) -> Iterator[KV]:
        """The newest versions of the keys in [start, end), in key order."""
        return map(self.live.__getitem__, self.live_keys.between(start, end))

    def select(self, start: bytes, end: bytes | None, revision: int) -> Iterator[KV]:
        """What a reader at `revision` sees in [start, end), in key order."""
        keys = heapq.merge(self.live_keys.between(start, end), self.dead_keys.between(start, end))
        for key in keys:
            kv = self.find(key, revision)
            if kv is not None:
                yield kv

    def written_since(self, revision: int, last: int) -> Iterator[KV]:
        """All versions written at `revision` to `last`, both included, in the order of writing."""
        assert revision >= self.log_base
        for entry in self.log[revision - self.log_base : last + 1 - self.log_base]:
            if isinstance(entry, list):
                yield from entry
            else:
                yield entry

    # Compaction and hash

    def compact(self, revision: int) -> None:
        """Forget what no reader at `revision` or later can see."""
        if revision <= self.compact_revision:
            raise StoreError(*COMPACTED)
        if revision > self.revision:
            raise StoreError(*FUTURE_REVISION)
        keys = (
            dict.fromkeys(kv[KEY] for kv in self.written_since(self.log_base, revision))
            if revision >= self.log_base
            else {}
        )
        for key in keys:
            self._trim(key, revision)
        self.compact_revision = revision
        if revision > self.log_base:
            del self.log[: revision - self.log_base]
            self.log_base = revision

    def _trim(self, key: bytes, revision: int) -> None:
        versions = self.older.get(key)
        if versions is None:
            return
        newest = self.live.get(key)
        if newest is not None and newest[MOD_REVISION] <= revision:
            keep = len(versions)
        else:
            keep = bisect_right(versions, revision, key=_mod_revision)
            if keep and versions[keep - 1][VERSION]:
                keep -= 1
        self.size_bytes -= sum(len(kv[KEY]) + len(kv[VALUE]) for kv in versions[:keep])
        del versions[:keep]
        if not versions:
            del self.older[key]
            if newest is None:
                self.dead_keys.discard(key)

    def hash(self, revision: int) -> int:
        """CRC-32 over all kept versions up to `revision`: equal on members equal in history."""
        self.check_revision(revision)
        crc = 0
        keys = heapq.merge(self.live_keys.between(b"", None), self.dead_keys.between(b"", None))
        for key in keys:
            versions = self.older.get(key, ())
            newest = self.live.get(key)
            for kv in versions if newest is None else (*versions, newest):
                if kv[MOD_REVISION] <= revision:
                    crc = zlib.crc32(msgpack.packb(kv), crc)
        return crc
