"""What really happened in a run of the store, written down next to it.

The members compact their logs and forget history; the checks must not depend on what is left. So
the monitor that watches Raft's invariants keeps every entry that any member applied, and counts
what a campaign is after: elections, restarts, snapshots that were installed.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from k8sactors.checkers.committed_log import CommittedLog, LogEntry
from raftstore.raft import Configuration, Entry, RaftMonitor
from raftstore.raft.messages import EntryKind
from raftstore.server.requests import decode


@attrs.frozen
class Applied:
    """An entry that is committed for certain: when a member applied it for the first time."""

    entry: Entry
    time_ns: int


class RecordingMonitor(RaftMonitor):
    """A monitor that remembers all applied entries, once each, in order of index."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        super().__init__(record_only=True)
        self.log: list[Applied] = []
        self.starts = 0
        self.installed_snapshots = 0
        self._now_ns = now_ns
        self._committed = CommittedLog()
        self._replayed = 0

    def committed_log(self) -> CommittedLog:
        """What follows from the log so far, by a store that has nothing to do with the members'."""
        for applied in self.log[self._replayed :]:
            entry = applied.entry
            if entry.kind == EntryKind.NORMAL and entry.data:
                op, fields = decode(entry.data)
                self._committed.extend((LogEntry(entry.index, applied.time_ns, op, fields),))
        self._replayed = len(self.log)
        return self._committed

    def applied(self, member_id: int, entries: list[Entry]) -> None:
        """Check the entries; keep those that no member had applied before."""
        super().applied(member_id, entries)
        known = self.log[-1].entry.index if self.log else 0
        if entries[-1].index > known:
            now_ns = self._now_ns()
            self.log += [Applied(entry, now_ns) for entry in entries if entry.index > known]

    def installed(
        self, member_id: int, index: int, configuration: Configuration | None = None
    ) -> None:
        """Check and count."""
        super().installed(member_id, index, configuration)
        self.installed_snapshots += 1

    def restarted(self, member_id: int, term: int, applied: int, last_index: int = 0) -> None:
        """Check and count."""
        super().restarted(member_id, term, applied, last_index)
        self.starts += 1


def count_ops(committed: CommittedLog) -> dict[str, int]:
    """How many entries of each kind of request a log holds."""
    counts: dict[str, int] = {}
    for entry in committed.entries:
        counts[entry.op] = counts.get(entry.op, 0) + 1
    return counts
