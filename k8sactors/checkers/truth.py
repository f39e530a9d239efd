"""The log of a run, replayed: what was true behind each of its entries.

A *place* is a number of entries: place 0 is the empty store, place n is behind the nth entry.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Any

from attrs import define, field, frozen

from k8sactors.checkers.reference import EMPTY_REVISION, ReferenceStore, Reply


@frozen
class LogEntry:
    """One request in the log.

    Attributes:
        index: in the Raft log.
        time_ns: when the first member applied it.
        op: the name of the request.
        fields: of the request.
    """

    index: int
    time_ns: int
    op: str
    fields: Sequence[Any]


@define
class Life:
    """The places where a lease lives, both included."""

    ttl_s: int
    granted: int
    ended: int


@define
class Truth:
    """A log that grows, and what follows from it.

    Attributes:
        entries: the log.
        store: its outcome, with all its past.
        replies: to each entry; None: it has nothing to do with keys.
        revisions: by place.
        lives: of each lease, by its id; nobody grants one id twice.
    """

    entries: list[LogEntry] = field(factory=list)
    store: ReferenceStore = field(factory=ReferenceStore)
    replies: list[Reply | None] = field(factory=list)
    revisions: list[int] = field(factory=lambda: [EMPTY_REVISION])
    lives: dict[int, Life] = field(factory=dict)
    _begins: dict[int, int] = field(factory=lambda: {EMPTY_REVISION: 0})
    _times_ns: list[int] = field(factory=list)
    _compactions: list[tuple[int, int]] = field(factory=list)

    @classmethod
    def of(cls, entries: Iterable[LogEntry]) -> "Truth":
        """What follows from a whole log."""
        truth = cls()
        truth.extend(entries)
        return truth

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
            self.lives[lease] = Life(self.store.leases[lease], place, 1 << 62)
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
