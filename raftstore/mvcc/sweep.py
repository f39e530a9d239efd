"""Dropping what a compaction made unreadable, and moving what stays out of its way, step by step.

A compaction takes effect for readers at once; what it frees is found by looking at every version
that was written before it, which takes seconds for millions. So it goes on in steps of about a
millisecond between other work:

1. *renew*: when many keys have come or gone, all are replaced by equal ones. A key is as old as its
   first version, and lies among what dies now. This comes first, since as long as nothing has been
   freed the new ones do not come to lie where it was;
2. *trim*: the versions by key lose those that are hidden, as the log names their keys;
3. *move*: what stays of the log is packed behind the base, and the log begins later, bit by bit;
4. *tidy*: segments of the base lose what has died, sparse and small ones are packed anew.

Whoever takes over the state meanwhile (by a snapshot) finds ``log_base < compact_revision`` and
sweeps for itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import msgpack

from raftstore.mvcc.base import SEGMENT_BYTES, SEGMENT_VERSIONS, Segment
from raftstore.mvcc.history import (
    KV,
    VERSION_BYTES,
    Kept,
    LogEntry,
    count_until,
    flatten,
    version_of,
)

if TYPE_CHECKING:
    from raftstore.mvcc.keyspace import KeySpace

STEP_VERSIONS: Final = 1024
RENEWAL_SHARE: Final = 4
"""Keys are renewed when one in so many has come or gone."""
MIN_RENEWED: Final = 8_192
FEW_KEYS: Final = 1024


def sweep(space: KeySpace, revision: int) -> Iterator[None]:
    """Drop what no reader at `revision` or later can see, one step per item."""
    if space.live_keys.changes >= max(MIN_RENEWED, len(space.live_keys) // RENEWAL_SHARE):
        yield from _renew_keys(space)
    history = space.history
    history.seal()
    # The pieces are taken at once: the place of a revision changes when segments are sealed.
    for entries in list(history.between(history.log_base, revision)):
        for versions in _cut(flatten(entries)):
            _trim_keys(space, versions, revision)
            yield
    # Before anything is moved: no key may have two versions in the base.
    yield from space.base.tidy(space.move)
    yield from _move(space, revision)
    yield from space.base.tidy(space.move)
    if len(space.older) < FEW_KEYS:
        # A dict does not shrink.
        space.older = dict(space.older.items())


def _cut(versions: list[KV]) -> Iterator[list[KV]]:
    if len(versions) <= STEP_VERSIONS:
        yield versions
        return
    for start in range(0, len(versions), STEP_VERSIONS):
        yield versions[start : start + STEP_VERSIONS]


# -- renew -----------------------------------------------------------------------------------------


def _renew_keys(space: KeySpace) -> Iterator[None]:
    live = space.live

    def renewed(keys: list[bytes]) -> list[bytes]:
        fresh: list[bytes] = msgpack.unpackb(msgpack.packb(keys))
        for key in fresh:
            kept = live.pop(key, None)
            if kept is not None:
                live[key] = kept
        return fresh

    held = []
    for former in space.live_keys.renew(renewed):
        # Were some freed now, the next ones would come to lie in their places.
        held.append(former)
        yield
    while held:
        held.pop()
        yield


# -- trim ------------------------------------------------------------------------------------------


def _trim_keys(space: KeySpace, written: list[KV], revision: int) -> None:
    older = space.older
    for kv in written:
        versions = older.get(kv[0])
        if versions is not None:
            _trim(space, kv[0], versions, revision)


def _trim(space: KeySpace, key: bytes, versions: list[Kept], revision: int) -> None:
    newest = space.live.get(key)
    if newest is not None and (isinstance(newest, Segment) or newest[2] <= revision):
        keep = len(versions)
    else:
        keep = count_until(key, versions, revision)
        if keep and version_of(key, versions[keep - 1])[3]:
            keep -= 1
    if not keep:
        return
    freed = keep * VERSION_BYTES
    for kept in versions[:keep]:
        kv = version_of(key, kept)
        freed += len(key) + len(kv[4])
        if isinstance(kept, Segment):
            space.base.kill(kept, key)
    space.size_bytes -= freed
    del versions[:keep]
    if not versions:
        del space.older[key]
        if newest is None:
            space.dead_keys.discard(key)


# -- move ------------------------------------------------------------------------------------------


def _move(space: KeySpace, revision: int) -> Iterator[None]:
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
        # The steps have let others write: a version may have become an older one.
        for segment, packed in space.base.append(staying):
            for kv in packed:
                space.move(kv[0], kv, segment)
        history.cut(end)
        del piece, staying
        yield


def _gather(space: KeySpace, entry: LogEntry, staying: list[KV]) -> int:
    """Of what a revision wrote, add what is the newest of its key, or would be at the compaction.

    Answers how many bytes that takes, roughly.
    """
    size = 0
    for kv in entry if isinstance(entry, list) else (entry,):
        key = kv[0]
        if space.live.get(key) is not kv:
            before = space.older.get(key)
            if before is None or before[0] is not kv:
                continue
        staying.append(kv)
        size += len(key) + len(kv[4])
    return size
