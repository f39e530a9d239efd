"""When a member makes a snapshot of its state, and what of the log stays behind it.

A snapshot holds the whole state, so the interval grows with the state: the cost per entry stays
constant however large the store becomes.
"""

from collections.abc import Iterator

import msgpack

from raftstore.mvcc import Store
from raftstore.raft import RawNode, Snapshot

from .config import MemberConfig
from .disk import Disk, WalRecord


class Snapshots:
    """The newest snapshot of a member."""

    def __init__(self, config: MemberConfig, latest: Snapshot) -> None:
        self.latest = latest
        self.count = 0
        self._config = config
        self._interval_entries = config.snapshot_entries

    def is_due(self, applied: int) -> bool:
        """Whether enough was applied since the last one."""
        return applied - self.latest.index >= self._interval_entries

    def make(self, node: RawNode, store: Store, disk: Disk) -> None:
        """Write a snapshot of the applied state, and shorten the log.

        It needs no sync of its own: until it is durable the disk keeps the log that it replaces.
        """
        log = node.raft.log
        data = msgpack.packb(list(store.snapshot()))
        self.latest = Snapshot(log.applied, log.term(log.applied), self._config.voters, data)
        self.count += 1
        self._interval_entries = max(self._config.snapshot_entries, len(store.space.log))
        disk.append(WalRecord(None, [], self.latest))
        keep_from = min(log.applied - self._config.catch_up_entries, log.stable)
        if keep_from > log.offset:
            node.compact(keep_from)

    def installed(self, snapshot: Snapshot, store: Store) -> None:
        """Take over the state that the leader sent, or that the disk held."""
        self.latest = snapshot
        store.restore(chunks(snapshot))


def chunks(snapshot: Snapshot) -> Iterator[bytes]:
    """The parts of a snapshot's data, as the store made them."""
    parts: list[bytes] = msgpack.unpackb(snapshot.data)
    return iter(parts)
