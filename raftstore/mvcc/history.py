"""What each revision wrote, in order: the oldest versions that are kept, then a log.

Theory of operation. A version is an immutable tuple ``(key, create_revision, mod_revision,
version, value, lease)``; a tombstone is a version whose `version` is 0. Up to the last compaction
only the newest version of each key is kept: these are the *base*, in the order of their revisions.
From there on the *log* holds what one revision wrote, a version, or the list of them if it wrote
several (the place in the list is etcd's sub revision).

The base is packed (see `raftstore.mvcc.base`). The log is cut into segments, lists that never
change once they are full. So the whole history as of a moment is a handful of references, whatever
its size, and stays what it was while the next revisions are written and a compaction moves what
remains from the log to the base: that is what a snapshot holds.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any, Final, NamedTuple

from raftstore.mvcc.base import KV, Base, Piece, Segment, part_of, read

LogEntry = KV | list[KV]
# A version of a key, or the segment of the base that holds it.
Kept = KV | Segment

FIRST_REVISION: Final = 1
SEGMENT_REVISIONS: Final = 4096
# Counted for a version in addition to its key and value: about what etcd's database file needs for
# it.
VERSION_BYTES: Final = 64
_mod_revision: Final[Callable[[Any], int]] = itemgetter(2)


class HistoryView(NamedTuple):
    """The history up to a revision, by reference."""

    log_base: int
    base: list[Piece]
    log: list[list[LogEntry]]

    def pieces(self) -> Iterator[Sequence[KV]]:
        """All versions in the order of writing, in pieces of bounded length."""
        for piece in self.base:
            yield part_of(piece).versions()
        for segment in self.log:
            yield flatten(segment)


class History:
    """Segments that are full, and the open `tail` that writers append to."""

    __slots__ = ("base", "log_base", "sealed", "tail", "tail_base")

    def __init__(self) -> None:
        self.base = Base()
        # Cut at the multiples of SEGMENT_REVISIONS, so that a revision's place is computed.
        self.sealed: list[list[LogEntry]] = []
        self.tail: list[LogEntry] = []
        self.log_base = FIRST_REVISION + 1
        self.tail_base = FIRST_REVISION + 1

    def start_at(self, revision: int) -> None:
        """The log of an empty history begins here."""
        assert not self.sealed
        assert not self.tail
        self.log_base = self.tail_base = revision

    def __len__(self) -> int:
        """How many revisions the log holds."""
        return self.tail_base - self.log_base + len(self.tail)

    def seal(self) -> None:
        """Close the segments of the tail that are full."""
        tail, start = self.tail, 0
        while True:
            count = SEGMENT_REVISIONS - self.tail_base % SEGMENT_REVISIONS
            if len(tail) - start < count:
                break
            self.sealed.append(tail[start : start + count])
            self.tail_base += count
            start += count
        if start:
            del tail[:start]

    def view(self) -> HistoryView:
        """What has been written until now."""
        self.seal()
        log = [*self.sealed, self.tail.copy()]
        return HistoryView(self.log_base, self.base.pieces.copy(), log)

    def between(self, first: int, last: int) -> Iterator[list[LogEntry]]:
        """What the revisions `first` to `last`, both included, wrote, in several pieces.

        Not to be changed: a piece may be a segment itself.
        """
        assert first >= self.log_base
        if first < self.tail_base and first <= last:
            offset = self.log_base // SEGMENT_REVISIONS
            last_sealed = min(last, self.tail_base - 1)
            for number in range(
                first // SEGMENT_REVISIONS - offset, last_sealed // SEGMENT_REVISIONS - offset + 1
            ):
                start = max(self.log_base, (number + offset) * SEGMENT_REVISIONS)
                segment = self.sealed[number]
                if first <= start and last + 1 - start >= len(segment):
                    yield segment
                else:
                    yield segment[max(0, first - start) : last + 1 - start]
            first = self.tail_base
        if first <= last:
            yield self.tail[first - self.tail_base : last + 1 - self.tail_base]

    def cut(self, log_base: int) -> None:
        """Let the log begin at `log_base`: what is kept of the revisions before is in the base."""
        if log_base >= self.tail_base:
            self.sealed = []
            del self.tail[: log_base - self.tail_base]
            self.tail_base = log_base
        else:
            passed = log_base // SEGMENT_REVISIONS - self.log_base // SEGMENT_REVISIONS
            start = max(self.log_base, log_base // SEGMENT_REVISIONS * SEGMENT_REVISIONS)
            first, *rest = self.sealed[passed:]
            self.sealed = [first[log_base - start :], *rest]
        self.log_base = log_base


def flatten(entries: list[LogEntry]) -> list[KV]:
    """The versions in a piece of the log."""
    return [kv for entry in entries for kv in (entry if isinstance(entry, list) else (entry,))]


def version_of(key: bytes, kept: Kept) -> KV:
    """What stands for a version of a key, as a version."""
    return read(kept, key) if isinstance(kept, Segment) else kept


def count_until(key: bytes, versions: list[Kept], revision: int) -> int:
    """How many versions of a key, oldest first, were written at or before a revision."""
    first = versions[0]
    if not isinstance(first, Segment):
        return bisect_right(versions, revision, key=_mod_revision)
    count = bisect_right(versions, revision, 1, key=_mod_revision)
    return 0 if count == 1 and read(first, key)[2] > revision else count
