"""The versioned key space: every kept version of every key, findable by key and revision.

Theory of operation. A version (see `raftstore.mvcc.history`) stands in at most three places, always
as the same object:

- ``live[key]``: the newest version of a key that exists;
- ``older[key]``: what came before, tombstones included: one version, or a list, oldest first;
- `history`: all versions in the order of writing. Watches replay from there, snapshots are made of
  it; ``log`` is the open end of it.

So a put is one tuple, one dict entry and two appends, and a read of the present touches one dict.
What a compaction has left is packed (`raftstore.mvcc.base`), one version of a key at most: in its
place stands the segment that holds it, in ``live`` or as the first in ``older``.

Compaction at R drops versions that a newer one at or before R hides, and tombstones at or before
R; the log keeps R itself, so that a watch from R is still complete. To readers all this happens at
once. Memory follows in steps (`raftstore.mvcc.sweep`), the first ones at once.
"""

from __future__ import annotations

import heapq
import zlib
from collections.abc import Generator, Iterator
from typing import Any, Final, cast

from raftstore.errors import COMPACTED, FUTURE_REVISION, StoreError
from raftstore.mvcc.base import KV, Segment, pack_version, part_of, read
from raftstore.mvcc.history import (
    FIRST_REVISION,
    VERSION_BYTES,
    History,
    Kept,
    count_until,
    flatten,
    version_of,
)
from raftstore.mvcc.keyindex import KeyIndex
from raftstore.mvcc.sweep import sweep

KEY: Final = 0
CREATE_REVISION: Final = 1
MOD_REVISION: Final = 2
VERSION: Final = 3
VALUE: Final = 4
LEASE: Final = 5
FROM_KEY: Final = b"\0"
# Steps of a compaction that are taken when it is applied: a small one is over then.
SWEPT_AT_ONCE: Final = 8
PIECE_VERSIONS: Final = 1024


def upper_bound(range_end: bytes) -> bytes | None:
    """The exclusive end of a range request's keys; None: no end."""
    return None if range_end == FROM_KEY else range_end


# As in etcd, nothing has a hash as well.
EMPTY_HASH: Final = zlib.crc32(b"key")


class KeySpace:
    """All kept versions. Writers pass the revision they write at and then `commit` it."""

    __slots__ = (
        "_sweep",
        "base",
        "compact_revision",
        "dead_keys",
        "history",
        "live",
        "live_keys",
        "log",
        "older",
        "peak_bytes",
        "revision",
        "size_bytes",
    )

    def __init__(self) -> None:
        self.revision = FIRST_REVISION
        self.compact_revision = 0
        self.live: dict[bytes, Kept] = {}
        self.older: dict[bytes, Kept | list[Kept]] = {}
        self.live_keys = KeyIndex()
        self.dead_keys = KeyIndex()
        self.history = History()
        self.base = self.history.base
        self.log = self.history.tail
        # Of all versions (`VERSION_BYTES`); differs among members while they still sweep.
        self.size_bytes = 0
        # What `size_bytes` was at most before it fell; until `defragment`.
        self.peak_bytes = 0
        self._sweep: Iterator[None] | None = None

    @property
    def log_base(self) -> int:
        """The oldest revision that the log holds."""
        return self.history.log_base

    @property
    def allocated_bytes(self) -> int:
        """The most that the versions took since `defragment`: a database file does not shrink."""
        return max(self.peak_bytes, self.size_bytes)

    def defragment(self) -> None:
        """Let `allocated_bytes` fall to what is in use."""
        self.peak_bytes = 0

    def in_pieces(self) -> list[list[Any]]:
        """Nearly all that it holds, in lists of bounded length, for dropping the key space.

        To free a million versions at once takes half a second.
        """
        pieces: list[list[Any]] = [*self.history.sealed, self.history.tail]
        for kept in (list(self.older.values()), list(self.live.values())):
            pieces += [kept[n : n + PIECE_VERSIONS] for n in range(0, len(kept), PIECE_VERSIONS)]
        return pieces

    # Writing

    def put(self, revision: int, key: bytes, value: bytes, lease: int, old: KV | None) -> KV:
        """Write a version at `revision`; `old` is the live version of the key."""
        if old is None:
            kv = (key, revision, revision, 1, value, lease)
            self.live_keys.add(key)
            if key in self.older:
                self.dead_keys.discard(key)
        else:
            kept: Kept = old
            if old[2] > self.compact_revision:
                # All versions share the key that came first.
                key = old[0]
            else:
                # But for those that a sweep moves or has moved.
                kept = self.live[key]
            kv = (key, old[1], revision, old[3] + 1, value, lease)
            before = self.older.get(key)
            if before is None:
                # A list of one would be most of what an overwritten key costs the collector.
                self.older[key] = kept
            elif isinstance(before, list):
                before.append(kept)
            else:
                self.older[key] = [before, kept]
        self.live[key] = kv
        self.size_bytes += len(key) + len(value) + VERSION_BYTES
        return kv

    def delete(self, revision: int, old: KV) -> KV:
        """Write a tombstone over the live version `old`."""
        key = old[KEY]
        tombstone = (key, 0, revision, 0, b"", 0)
        self.retire(key, self.live.pop(key), tombstone)
        self.live_keys.discard(key)
        self.dead_keys.add(key)
        self.size_bytes += len(key) + VERSION_BYTES
        return tombstone

    def retire(self, key: bytes, *kept: Kept) -> None:
        """Add to the versions of a key that are not live."""
        versions = self.older.get(key)
        if isinstance(versions, list):
            versions += kept
        elif versions is None and len(kept) == 1:
            self.older[key] = kept[0]
        else:
            self.older[key] = [*self.before(key), *kept]

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

    def newest(self, key: bytes) -> KV | None:
        """The newest version of a key; None: it does not exist."""
        kept = self.live.get(key)
        return read(kept, key) if isinstance(kept, Segment) else kept

    def find(self, key: bytes, revision: int) -> KV | None:
        """The version of a key that a reader at `revision` sees."""
        kv = self.newest(key)
        if kv is not None and kv[2] <= revision:
            return kv
        versions = self.before(key)
        if not versions:
            return None
        place = count_until(key, versions, revision)
        if place == 0:
            return None
        kv = version_of(key, versions[place - 1])
        return kv if kv[3] else None

    def before(self, key: bytes) -> list[Kept]:
        """The versions of a key that are not live, oldest first."""
        versions = self.older.get(key)
        if versions is None:
            return []
        return versions if isinstance(versions, list) else [versions]

    def move(self, key: bytes, before: Kept, after: Segment) -> None:
        """The version of a key that was kept as `before` has come to lie in a segment."""
        if self.live.get(key) is before:
            self.live[key] = after
            return
        # Newer ones have been written since.
        versions = self.older[key]
        if isinstance(versions, list):
            versions[0] = after
        else:
            self.older[key] = after

    def select_live(self, start: bytes, end: bytes | None) -> Iterator[KV]:
        """The newest versions of the keys in [start, end), in key order."""
        live = self.live
        if not self.base.pieces:
            return cast("Iterator[KV]", map(live.__getitem__, self.live_keys.between(start, end)))
        return (version_of(key, live[key]) for key in self.live_keys.between(start, end))

    def select(self, start: bytes, end: bytes | None, revision: int) -> Iterator[KV]:
        """What a reader at `revision` sees in [start, end), in key order."""
        keys = heapq.merge(self.live_keys.between(start, end), self.dead_keys.between(start, end))
        for key in keys:
            kv = self.find(key, revision)
            if kv is not None:
                yield kv

    def written_since(self, revision: int, last: int) -> Iterator[KV]:
        """All versions written at `revision` to `last`, both included, in the order of writing."""
        for entries in self.history.between(revision, last):
            for entry in entries:
                if isinstance(entry, list):
                    yield from entry
                else:
                    yield entry

    # Compaction and hash

    def compact(self, revision: int) -> None:
        """Forget what no reader at `revision` or later can see.

        As in etcd, 0 is accepted, and does nothing, while nothing was ever compacted.
        """
        if revision == self.compact_revision == 0:
            return
        if revision <= self.compact_revision:
            raise StoreError(*COMPACTED)
        if revision > self.revision:
            raise StoreError(*FUTURE_REVISION)
        self.compact_revision = revision
        self.sweep(SWEPT_AT_ONCE)

    @property
    def unswept(self) -> bool:
        """Whether memory holds what a compaction has made unreadable."""
        return self._sweep is not None or self.history.log_base < self.compact_revision

    def sweep(self, steps: int) -> None:
        """Free more of what compactions have made unreadable; a step takes about a millisecond."""
        self.peak_bytes = self.allocated_bytes
        while steps and self.unswept:
            if self._sweep is None:
                self._sweep = sweep(self, self.compact_revision)
            if next(self._sweep, self) is self:
                self._sweep = None
            steps -= 1

    def hash(self, revision: int) -> int:
        """CRC-32 over all kept versions up to `revision`: equal on members equal in history."""
        steps = self.hash_in_steps(revision)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                result: int = end.value
                return result

    def hash_in_steps(self, revision: int) -> Generator[None, None, int]:
        """The same, some milliseconds at a time; of the state now, whatever is written meanwhile.

        Raises:
            StoreError: at the first step: there is no such revision, or no longer.
        """
        self.check_revision(revision)
        while self.unswept:
            self.sweep(1)
            yield
        self.check_revision(revision)
        compacted = self.compact_revision
        crc = EMPTY_HASH
        history = self.history.view()
        # No base holds a tombstone, or what a reader at the compaction does not see.
        for piece in history.base:
            for records in part_of(piece).records():
                crc = zlib.crc32(records, crc)
            yield
        for entries in history.log:
            versions = flatten(entries)
            for kv in _hashed(versions, revision, compacted):
                crc = zlib.crc32(pack_version(kv), crc)
            if versions and versions[-1][MOD_REVISION] > revision:
                break
            yield
        return crc


def _hashed(piece: list[KV], revision: int, compacted: int) -> list[KV]:
    # The log keeps the revision compacted at, and so its tombstones, for the watches alone.
    if not piece or compacted < piece[0][MOD_REVISION] <= piece[-1][MOD_REVISION] <= revision:
        return piece
    return [
        kv
        for kv in piece
        if kv[MOD_REVISION] <= revision and (kv[VERSION] or kv[MOD_REVISION] > compacted)
    ]
