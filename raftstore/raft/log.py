"""A member's log.

The entries since the last compaction, and how far they are stable, committed and applied.

The entries stay in memory (the disk is only read at a restart), so one list and four positions are
the whole data structure: `offset` < first entry; `stable` up to where the disk has synced;
`committed`; `applied`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from operator import itemgetter
from typing import Final

from raftstore.raft.errors import CompactedError, UnavailableError
from raftstore.raft.messages import Entry, HardState, Snapshot

entry_data: Final = itemgetter(3)


class RaftLog:
    """The log of Raft section 5.3, compacted as in section 7."""

    __slots__ = (
        "applied",
        "committed",
        "entries",
        "last_index",
        "leader_commit",
        "offset",
        "offset_term",
        "pending_snapshot",
        "stable",
    )

    def __init__(
        self, snapshot: Snapshot, entries: Sequence[Entry] = (), *, applied: int | None = None
    ) -> None:
        self.offset = snapshot.index
        self.offset_term = snapshot.term
        self.entries = list(entries)
        self.last_index = self.offset + len(self.entries)
        self.stable = self.last_index
        self.committed = self.offset
        self.applied = self.offset if applied is None else applied
        # What the leader says that it has committed: beyond the own log's end if that is late.
        self.leader_commit = 0
        # Received from the leader, not yet on disk and not yet applied.
        self.pending_snapshot: Snapshot | None = None

    def load_commit(self, hard_state: HardState) -> None:
        """Take the commit index that the disk remembers."""
        assert hard_state.commit <= self.last_index, "the log on disk ends before its commit index"
        self.committed = max(self.committed, hard_state.commit)

    @property
    def first_index(self) -> int:
        """Index of the oldest entry that is still there."""
        return self.offset + 1

    @property
    def last_term(self) -> int:
        """Term of the last entry."""
        return self.entries[-1].term if self.entries else self.offset_term

    def term(self, index: int) -> int:
        """Term of the entry at `index`.

        Raises:
            CompactedError: the entry is behind the compaction.
            UnavailableError: the log ends before it.
        """
        position = index - self.offset
        if position > 0:
            if index > self.last_index:
                raise UnavailableError(index)
            return self.entries[position - 1].term
        if position < 0:
            raise CompactedError(index)
        return self.offset_term

    def matches(self, index: int, term: int) -> bool:
        """Whether this log has an entry of `term` at `index`."""
        position = index - self.offset
        if position > 0:
            return index <= self.last_index and self.entries[position - 1].term == term
        return position == 0 and self.offset_term == term

    def slice(self, low: int, max_count: int, max_bytes: int) -> list[Entry]:
        """Entries from `low` on, within both limits but at least one if there is any.

        Raises:
            CompactedError: the first of them is gone.
        """
        return self.sized_slice(low, max_count, max_bytes)[0]

    def sized_slice(self, low: int, max_count: int, max_bytes: int) -> tuple[list[Entry], int]:
        """As `slice`, and the bytes of data in the entries.

        Raises:
            CompactedError: the first of them is gone.
        """
        if low <= self.offset:
            raise CompactedError(low)
        start = low - self.offset - 1
        found = self.entries[start : start + max_count]
        if len(found) == 1:
            return found, len(found[0].data)
        size = sum(map(len, map(entry_data, found)))
        if size > max_bytes and len(found) > 1:
            sizes = list(accumulate(map(len, map(entry_data, found))))
            count = max(1, bisect_right(sizes, max_bytes))
            found, size = found[:count], sizes[count - 1]
        return found, size

    def append(self, entries: list[Entry]) -> None:
        """Put new entries at the end (leader)."""
        self.entries.extend(entries)
        self.last_index += len(entries)

    def maybe_append(
        self, prev_index: int, prev_term: int, commit: int, entries: list[Entry]
    ) -> int | None:
        """The follower's side of an append.

        The last index known to agree, or None when it does not fit.

        Only a conflict removes entries: a delayed, shorter append must not (Raft section 5.3).
        """
        if not self.matches(prev_index, prev_term):
            return None
        last_new = prev_index + len(entries)
        if entries:
            if prev_index == self.last_index:
                self.append(entries)
            else:
                self._merge(entries)
        self.leader_commit = commit
        self.commit_to(min(commit, last_new))
        return last_new

    def _merge(self, entries: list[Entry]) -> None:
        for position, entry in enumerate(entries):
            if not self.matches(entry.index, entry.term):
                if entry.index <= self.last_index:
                    self._truncate(entry.index)
                self.append(entries[position:])
                return

    def _truncate(self, index: int) -> None:
        assert index > self.committed, f"entry {index} conflicts with a committed entry"
        del self.entries[index - self.offset - 1 :]
        self.last_index = index - 1
        self.stable = min(self.stable, index - 1)

    def find_conflict_by_term(self, index: int, term: int) -> tuple[int, int]:
        """The last entry at or before `index` whose term is at most `term`.

        A guess of where two logs meet.

        It skips a whole conflicting term per message exchange (Raft section 5.3, last paragraphs).
        """
        while index > 0:
            try:
                own_term = self.term(index)
            except CompactedError:
                return index, 0
            if own_term <= term:
                return index, own_term
            index -= 1
        return 0, 0

    def is_up_to_date(self, index: int, term: int) -> bool:
        """Whether a candidate's log is at least as good as this one (Raft section 5.4.1)."""
        own_term = self.last_term
        return term > own_term or (term == own_term and index >= self.last_index)

    def commit_to(self, index: int) -> None:
        """Move the commit index; it never falls."""
        if index > self.committed:
            assert index <= self.last_index, (
                f"commit {index} beyond the log's end {self.last_index}"
            )
            self.committed = index

    def next_committed(self, max_bytes: int) -> list[Entry]:
        """What may be applied now; nothing while a snapshot waits to be installed."""
        applied = self.applied
        if applied >= self.committed or self.pending_snapshot is not None:
            return []
        return self.sized_slice(applied + 1, self.committed - applied, max_bytes)[0]

    def stable_to(self, index: int, term: int) -> None:
        """The disk has synced up to here, unless the entry was replaced meanwhile."""
        if index > self.stable and self.matches(index, term):
            self.stable = index

    def applied_to(self, index: int) -> None:
        """The state machine has taken in everything up to `index`."""
        assert self.applied <= index <= self.committed, "applied must stay behind committed"
        self.applied = index

    def compact(self, index: int) -> None:
        """Forget entries up to `index`, which a snapshot covers.

        Raises:
            CompactedError: they are gone already.
        """
        if index <= self.offset:
            raise CompactedError(index)
        assert index <= min(self.applied, self.stable), "only applied, stable entries are compacted"
        term = self.term(index)
        del self.entries[: index - self.offset]
        self.offset = index
        self.offset_term = term

    def restore(self, snapshot: Snapshot) -> None:
        """Replace the whole log by a snapshot."""
        self.entries = []
        self.offset = snapshot.index
        self.offset_term = snapshot.term
        self.last_index = snapshot.index
        self.stable = snapshot.index
        self.committed = snapshot.index
        self.pending_snapshot = snapshot
