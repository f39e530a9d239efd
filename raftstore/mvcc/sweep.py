"""Dropping what a compaction made unreadable, and moving what stays out of its way, step by step.

A compaction takes effect for readers at once; what it frees is found by looking at every version
that was written before it, which takes seconds for millions. So it continues in steps of about a
millisecond between other work:

1. *renew*: when many keys have come or gone, all are replaced by equal ones. A key is as old as its
   first version, and lies among what dies now. This comes first, since as long as nothing has been
   freed the new ones do not come to lie where it was;
2. *trim*: the versions by key lose those that are hidden, as the log names their keys;
3. *move*: what stays of the log is packed behind the base, and the log begins later, bit by bit;
4. *tidy*: segments of the base lose what has died, sparse and small ones are packed again.

A member that takes over the state meanwhile (by a snapshot) finds ``log_base < compact_revision``
and sweeps for itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

import msgpack

from raftstore.mvcc.base import KV, SEGMENT_BYTES, SEGMENT_VERSIONS, Base, Segment, pack
from raftstore.mvcc.history import (
    VERSION_BYTES,
    History,
    Kept,
    LogEntry,
    count_until,
    flatten,
    version_of,
)
from raftstore.mvcc.keyindex import KeyIndex

STEP_VERSIONS: Final = 1024
# Versions to look at in the time that it takes to find a packed one.
KILL_COST: Final = 3
# Keys are renewed when one in so many has come or gone.
RENEWAL_SHARE: Final = 4
MIN_RENEWED: Final = 8_192
FEW_KEYS: Final = 1024


class Sweepable(Protocol):
    """What a sweep needs of the key space, which owns all of this (`raftstore.mvcc.keyspace`)."""

    base: Base
    history: History
    live: dict[bytes, Kept]
    older: dict[bytes, Kept | list[Kept]]
    live_keys: KeyIndex
    dead_keys: KeyIndex
    size_bytes: int

    def before(self, key: bytes) -> list[Kept]:
        """The older versions of a key, oldest first."""
        ...

    def move(self, key: bytes, former: Kept, segment: Segment) -> None:
        """Let `segment` stand for a version where `former` did."""
        ...


def sweep(space: Sweepable, revision: int) -> Iterator[None]:
    """Drop what no reader at `revision` or later can see, one step per item."""
    if space.live_keys.changes >= max(MIN_RENEWED, len(space.live_keys) // RENEWAL_SHARE):
        yield from _renew_keys(space)
    yield from _trim_keys(space, revision)
    # Before anything is moved: no key may have two versions in the base.
    yield from space.base.tidy(space.move)
    yield from _move(space, revision)
    yield from space.base.tidy(space.move)
    space.dead_keys.settle()
    if len(space.older) < FEW_KEYS:
        # A dict does not shrink.
        space.older = dict(space.older.items())


# -- renew -----------------------------------------------------------------------------------------


def _renew_keys(space: Sweepable) -> Iterator[None]:
    live = space.live

    def renewed(keys: list[bytes]) -> list[bytes]:
        fresh = _copies(keys)
        for key in fresh:
            kept = live.pop(key, None)
            if kept is not None:
                live[key] = kept
        return fresh

    held: list[list[bytes]] = []

    def stopped(keys: list[bytes]) -> list[bytes]:
        held.append(_copies(keys))
        return keys

    # Copies that are thrown away take what room there is here and there, and the keys lie together.
    for _ in space.live_keys.renew(stopped):
        yield
    for former in space.live_keys.renew(renewed):
        # Were some freed now, the next ones would come to lie in their places.
        held.append(former)
        yield
    while held:
        held.pop()
        yield


def _copies(keys: list[bytes]) -> list[bytes]:
    copies: list[bytes] = msgpack.unpackb(msgpack.packb(keys))
    return copies


# -- trim ------------------------------------------------------------------------------------------


def _trim_keys(space: Sweepable, revision: int) -> Iterator[None]:
    older, history = space.older, space.history
    history.seal()
    looked_at = 0
    # The pieces are taken at once: the place of a revision changes when segments are sealed.
    for entries in list(history.between(history.log_base, revision)):
        for kv in flatten(entries):
            looked_at += 1
            if kv[0] in older:
                looked_at += _trim(space, kv[0], revision)
            if looked_at >= STEP_VERSIONS:
                looked_at = 0
                yield
    yield


def _trim(space: Sweepable, key: bytes, revision: int) -> int:
    """Drop the versions of a key that are hidden; how many others take as long to look at."""
    versions, newest = space.before(key), space.live.get(key)
    if newest is not None and (isinstance(newest, Segment) or newest[2] <= revision):
        count = len(versions)
    else:
        count = count_until(key, versions, revision)
        if count and version_of(key, versions[count - 1])[3]:
            count -= 1
    if not count:
        return 0
    took = count
    freed = count * VERSION_BYTES
    for kept in versions[:count]:
        if isinstance(kept, Segment):
            kv = space.base.kill(kept, key)
            took += KILL_COST
        else:
            kv = kept
        freed += len(key) + len(kv[4])
    space.size_bytes -= freed
    if count < len(versions):
        space.older[key] = versions[count:] if count < len(versions) - 1 else versions[-1]
        return took
    del space.older[key]
    if newest is None:
        space.dead_keys.discard(key)
    return took


# -- move ------------------------------------------------------------------------------------------


def _move(space: Sweepable, revision: int) -> Iterator[None]:
    """Let the log begin at `revision`."""
    history = space.history
    while history.log_base < revision:
        history.seal()
        end = history.log_base
        staying: list[KV] = []
        size = 0
        piece = next(history.between(end, revision - 1))
        for number, entry in enumerate(piece, 1):
            size += _gather(space, entry, staying)
            end += 1
            if size >= SEGMENT_BYTES or len(staying) >= SEGMENT_VERSIONS:
                break
            if number % STEP_VERSIONS == 0:
                yield
        segments = list(pack(staying))
        if staying:
            yield
        # The steps have let others write: a version may have become an older one.
        for segment, packed in segments:
            space.base.append(segment)
            for kv in packed:
                space.move(kv[0], kv, segment)
        history.cut(end)
        del piece, staying, segments
        yield


def _gather(space: Sweepable, entry: LogEntry, staying: list[KV]) -> int:
    """Of what a revision wrote, add what is the newest of its key, or would be at the compaction.

    Answers how many bytes that takes, roughly.
    """
    size = 0
    for kv in entry if isinstance(entry, list) else (entry,):
        key = kv[0]
        if space.live.get(key) is not kv:
            before = space.older.get(key)
            if isinstance(before, list):
                before = before[0]
            if before is not kv:
                continue
        staying.append(kv)
        size += len(key) + len(kv[4])
    return size
