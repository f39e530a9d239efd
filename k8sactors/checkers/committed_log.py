"""The log of a run, replayed: what was true behind each of its entries.

A *place* is a number of entries: place 0 is the empty store, place n is behind the nth entry.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from k8sactors.checkers.reference import EMPTY_REVISION, ReferenceStore, Reply


@attrs.frozen
class LogEntry:
    """One request in the log."""

    # In the Raft log.
    index: int
    # When the first member applied it.
    time_ns: int
    # The name of the request.
    op: str
    # Of the request.
    fields: Sequence[Any]


@attrs.define
class LeaseLifetime:
    """The places where a lease lives, both included."""

    ttl_s: int
    granted: int
    ended: int


@attrs.define
class CommittedLog:
    """A log that grows, and what follows from it."""

    # The log.
    entries: list[LogEntry] = attrs.field(factory=list)
    # Its outcome, with all its past.
    store: ReferenceStore = attrs.field(factory=ReferenceStore)
    # To each entry; None: it has nothing to do with keys.
    replies: list[Reply | None] = attrs.field(factory=list)
    # By place.
    revisions: list[int] = attrs.field(factory=lambda: [EMPTY_REVISION])
    # Of each lease, by its id; no id is granted twice.
    lives: dict[int, LeaseLifetime] = attrs.field(factory=dict)
    _begins: dict[int, int] = attrs.field(factory=lambda: {EMPTY_REVISION: 0})
    _times_ns: list[int] = attrs.field(factory=list)
    _compactions: list[tuple[int, int]] = attrs.field(factory=list)

    @classmethod
    def of(cls, entries: Iterable[LogEntry]) -> CommittedLog:
        """What follows from a whole log."""
        committed = cls()
        committed.extend(entries)
        return committed

    def extend(self, entries: Iterable[LogEntry]) -> None:
        """Replay some more of the log."""
        for entry in entries:
            before = self.store.revision
            reply = self.store.apply(entry.op, entry.fields)
            self.entries.append(entry)
            self.replies.append(reply)
            self.revisions.append(self.store.revision)
            place = len(self.entries)
            # Members' clocks may disagree about entries that they apply at the same time.
            self._times_ns.append(max(entry.time_ns, self._times_ns[-1] if place > 1 else 0))
            if self.store.revision != before:
                self._begins[self.store.revision] = place
            if reply is not None and reply.refusal is None:
                self._note(entry, place)

    def _note(self, entry: LogEntry, place: int) -> None:
        if entry.op == "compact":
            self._compactions.append((self.store.compacted, place))
        elif entry.op == "lease_grant":
            lease = entry.fields[1]
            self.lives[lease] = LeaseLifetime(self.store.leases[lease], place, 1 << 62)
        elif entry.op == "lease_revoke":
            self.lives[entry.fields[0]].ended = place - 1

    def times_ns(self) -> dict[int, int]:
        """When each revision came to be."""
        return {
            revision: self._times_ns[place - 1] if place else 0
            for revision, place in self._begins.items()
        }

    def applied_before(self, time_ns: int) -> int:
        """How many entries had been applied before this time."""
        return bisect_left(self._times_ns, time_ns)

    def applied_by(self, time_ns: int) -> int:
        """How many entries had been applied at this time."""
        return bisect_right(self._times_ns, time_ns)

    def begins(self, revision: int) -> int:
        """The first place with this revision; behind the last one if it never came to be."""
        return self._begins.get(revision, len(self.entries) + 1)

    def places_of(self, revision: int) -> tuple[int, int]:
        """The first and the last place with this revision as the newest; none: (0, -1)."""
        first = self._begins.get(revision)
        if first is None:
            return 0, -1
        return first, min(self.begins(revision + 1) - 1, len(self.entries))

    def forgotten_from(self, revision: int) -> int:
        """The first place at which a revision can be read no more; behind the last one: none."""
        for compacted, place in self._compactions:
            if compacted > revision:
                return place
        return len(self.entries) + 1

    def compactions(self) -> list[tuple[int, int]]:
        """When each compaction was, and from which revision on history was kept."""
        return [(self._times_ns[place - 1], revision) for revision, place in self._compactions]
