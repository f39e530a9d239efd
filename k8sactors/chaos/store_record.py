"""What really happened in a run of the store, written down beside it.

The members compact their logs and forget history; the judges must not depend on what is left. So
the monitor that watches Raft's invariants keeps every entry that any member applied, and counts
what a campaign is after: elections, restarts, snapshots that were installed.
"""

from collections.abc import Callable, Iterator
from typing import Any

import attrs

from raftstore.mvcc import Store
from raftstore.raft import Configuration, Entry, RaftMonitor
from raftstore.raft.messages import EntryKind
from raftstore.server.requests import decode

FORGETTING = ("compact",)
"""Writes that change nothing but what is remembered."""


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

    def applied(self, member_id: int, entries: list[Entry]) -> None:
        """Check the entries; keep those that nobody had applied before."""
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


def replay(log: list[Applied], cluster_id: int = 1) -> Store:
    """A store that has applied a whole log and still knows all of its history."""
    store = Store(cluster_id, 0)
    for applied, op, fields in requests(log):
        if op not in FORGETTING and op in store.write_ops:
            store.apply_wire(op, fields, applied.time_ns)
    return store


def requests(log: list[Applied]) -> Iterator[tuple[Applied, str, list[Any]]]:
    """The clients' requests in a log."""
    for applied in log:
        if applied.entry.kind == EntryKind.NORMAL and applied.entry.data:
            yield applied, *decode(applied.entry.data)


def count_ops(log: list[Applied]) -> dict[str, int]:
    """How many entries of each kind of request a log holds."""
    counts: dict[str, int] = {}
    for _, op, _ in requests(log):
        counts[op] = counts.get(op, 0) + 1
    return counts
