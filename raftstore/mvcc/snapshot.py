"""The state machine as bytes: what a lagging member is sent, and what a restart begins with.

A snapshot is the state at the log's base (one version per key at most), then the log, which is
replayed on top; so history survives, and a watch can resume on a member that got a snapshot.

Chunks are msgpack: first ``[format, revision, compact_revision, log_base, leases,
sections]`` (the state beside the keys, by name), then ``[base_or_log, items]`` each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, Final

import msgpack

from raftstore.errors import RaftStoreError
from raftstore.mvcc.keyspace import KV, KeySpace, LogEntry
from raftstore.mvcc.lease import Lease, Leases

FORMAT: Final = 2
BASE: Final = 0
LOG: Final = 1
ITEMS_PER_CHUNK: Final = 1000


class SnapshotFormatError(RaftStoreError):
    """The bytes are not a snapshot of this format."""


def dump(space: KeySpace, leases: Leases, sections: dict[str, Any]) -> Iterator[bytes]:
    """Chunks of the present state; versions are immutable, so shallow copies hold it."""
    grants = [[lease.id, lease.ttl_s] for lease in leases.by_id.values()]
    head = [FORMAT, space.revision, space.compact_revision, space.log_base, grants, sections]
    oldest = chain(space.live.values(), (versions[0] for versions in space.older.values()))
    # A key can stand in both, but then only its older version is before the base.
    base = [kv for kv in oldest if kv[2] < space.log_base]
    return _pack(head, base, space.log.copy())


def _pack(head: list[Any], base: list[KV], log: list[LogEntry]) -> Iterator[bytes]:
    yield msgpack.packb(head)
    for kind, items in ((BASE, base), (LOG, log)):
        for start in range(0, len(items), ITEMS_PER_CHUNK):
            yield msgpack.packb([kind, items[start : start + ITEMS_PER_CHUNK]])


def load(chunks: Iterable[bytes]) -> tuple[KeySpace, Leases, dict[str, Any]]:
    """The state that `dump` was given."""
    iterator = iter(chunks)
    head = msgpack.unpackb(next(iterator, b"\xc0"))
    if not isinstance(head, list) or head[:1] != [FORMAT]:
        raise SnapshotFormatError("not a snapshot of a known format")
    _, revision, compact_revision, log_base, grants, sections = head
    space, leases = KeySpace(), Leases()
    space.revision = log_base - 1
    space.compact_revision = compact_revision
    space.log_base = log_base
    for lease_id, ttl_s in grants:
        leases.by_id[lease_id] = Lease(lease_id, ttl_s)
    for chunk in iterator:
        kind, items = msgpack.unpackb(chunk, use_list=False)
        for item in items:
            if kind == BASE:
                _place(space, item)
            else:
                _replay(space, item)
    if space.revision != revision:
        raise SnapshotFormatError(f"ends at revision {space.revision} instead of {revision}")
    for kv in space.live.values():
        if kv[5]:
            leases.by_id[kv[5]].keys[kv[0]] = None
    return space, leases, sections


def _place(space: KeySpace, kv: KV) -> None:
    space.live[kv[0]] = kv
    space.live_keys.add(kv[0])
    space.size_bytes += len(kv[0]) + len(kv[4])


def _replay(space: KeySpace, item: Any) -> None:
    # One version, or several of one revision: a version begins with its key.
    written: list[KV] = [item] if isinstance(item[0], bytes) else list(item)
    for kv in written:
        old = space.live.get(kv[0])
        if not kv[3]:
            # The tombstone at the compaction itself hides a version that was dropped.
            if old is not None:
                _bury(space, old, kv)
        elif old is None:
            _place(space, kv)
            if kv[0] in space.older:
                space.dead_keys.discard(kv[0])
        else:
            space.older.setdefault(kv[0], []).append(old)
            space.live[kv[0]] = kv
            space.size_bytes += len(kv[0]) + len(kv[4])
    space.commit(space.revision + 1, written)


def _bury(space: KeySpace, old: KV, tombstone: KV) -> None:
    del space.live[old[0]]
    space.older.setdefault(old[0], []).extend((old, tombstone))
    space.live_keys.discard(old[0])
    space.dead_keys.add(old[0])
    space.size_bytes += len(old[0])
