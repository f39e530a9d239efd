"""Dropping what a compaction made unreadable, step by step.

A compaction takes effect for readers at once; what it frees is found by looking at every version
that was written before it, which takes seconds for millions. So it goes on in steps of about a
millisecond between other work. Until the last step the history is what it was before; the versions
by key are trimmed as they are met. Whoever takes over the state meanwhile (by a snapshot) finds
``log_base < compact_revision`` and sweeps for itself. Then the segments of the former history are
let go of, one at a time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from raftstore.mvcc.history import KV, SEGMENT_REVISIONS, VERSION_BYTES, flatten

if TYPE_CHECKING:
    from raftstore.mvcc.keyspace import KeySpace

STEP_VERSIONS: Final = 1024
MIN_FREED_LATER: Final = 8_192
_mod_revision: Final = itemgetter(2)


def sweep(space: KeySpace, revision: int) -> Iterator[None]:
    """Drop what no reader at `revision` or later can see, one step per item.

    Two passes, since a version is known to stay only when all later ones of its key that are hidden
    as well have been met: first trim the keys that the log names, then gather what stays.
    """
    history = space.history
    history.seal()
    # The pieces are taken at once: the place of a revision changes when segments are sealed.
    for entries in list(history.between(history.log_base, revision)):
        for versions in _cut(flatten(entries)):
            _trim_keys(space, versions, revision)
            yield
    builder = _Base()
    seen = kept = 0
    history.seal()
    log = list(history.between(history.log_base, revision - 1))
    for piece in chain(history.base, map(flatten, log)):
        for versions in _cut(piece):
            staying = _staying(space, versions)
            seen, kept = seen + len(versions), kept + len(staying)
            builder.add(staying)
            yield
    former: list[list[Any]] = [*history.base, *log]
    history.replace_base(builder.segments, revision)
    if seen - kept >= MIN_FREED_LATER:
        # To free a million versions at once takes half a second.
        space.former += former


def _cut(versions: list[KV]) -> Iterator[list[KV]]:
    if len(versions) <= STEP_VERSIONS:
        yield versions
        return
    for start in range(0, len(versions), STEP_VERSIONS):
        yield versions[start : start + STEP_VERSIONS]


class _Base:
    """Gathers versions in segments of even length."""

    def __init__(self) -> None:
        self.segments: list[list[KV]] = []

    def add(self, versions: list[KV]) -> None:
        segments = self.segments
        if segments and len(segments[-1]) + len(versions) <= SEGMENT_REVISIONS:
            segments[-1] += versions
        elif versions:
            segments.append(versions)


def _trim_keys(space: KeySpace, written: list[KV], revision: int) -> None:
    older = space.older
    for kv in written:
        versions = older.get(kv[0])
        if versions is not None:
            _trim(space, kv[0], versions, revision)


def _trim(space: KeySpace, key: bytes, versions: list[KV], revision: int) -> None:
    newest = space.live.get(key)
    if newest is not None and newest[2] <= revision:
        keep = len(versions)
    else:
        keep = bisect_right(versions, revision, key=_mod_revision)
        if keep and versions[keep - 1][3]:
            keep -= 1
    if not keep:
        return
    freed = sum([len(kv[0]) + len(kv[4]) for kv in versions[:keep]])
    space.size_bytes -= freed + keep * VERSION_BYTES
    del versions[:keep]
    if not versions:
        del space.older[key]
        if newest is None:
            space.dead_keys.discard(key)


def _staying(space: KeySpace, versions: list[KV]) -> list[KV]:
    """Those that are the newest of their key, or would be at the compaction."""
    live, older = space.live, space.older
    kept: list[KV] = []
    for kv in versions:
        key = kv[0]
        if live.get(key) is kv:
            kept.append(kv)
        else:
            before = older.get(key)
            if before is not None and before[0] is kv:
                kept.append(kv)
    return kept
