"""When a member makes a snapshot of its state, and what of the log stays behind it.

A snapshot holds the whole state, so the interval grows with the state: the cost per entry stays
constant however large the store becomes. It is packed a few chunks per batch, from a state that was
taken at once (versions are immutable), so that requests do not wait for the whole of it.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

import msgpack

from raftstore.mvcc import Store
from raftstore.raft import Configuration, RawNode, Snapshot
from raftstore.storage import WalRecord

from .config import MemberConfig
from .disk import Disk

CHUNKS_PER_BATCH: Final = 4
"""A chunk takes about a millisecond; small states are packed in one go."""


class Unfinished(NamedTuple):
    """A snapshot that is being packed: what it is of, and what is done and left to do."""

    at: int
    term: int
    configuration: Configuration
    parts: list[bytes]
    rest: Iterator[bytes]


class Snapshots:
    """The newest snapshot of a member, and the next one while it is being made."""

    def __init__(self, config: MemberConfig, latest: Snapshot) -> None:
        self.latest = latest
        self.count = 0
        self._config = config
        self._interval_entries = config.snapshot_entries
        self._unfinished: Unfinished | None = None

    @property
    def in_progress(self) -> bool:
        """Whether a snapshot was begun and is not finished."""
        return self._unfinished is not None

    def advance(self, node: RawNode, store: Store, disk: Disk) -> None:
        """Begin a snapshot of the applied state if one is due; go on with one that was begun."""
        unfinished = self._unfinished
        if unfinished is None:
            log = node.raft.log
            if log.applied - self.latest.index < self._interval_entries:
                return
            unfinished = Unfinished(
                log.applied,
                log.term(log.applied),
                node.raft.configuration,
                [],
                store.snapshot(),
            )
            self._unfinished = unfinished
            self._interval_entries = max(self._config.snapshot_entries, len(store.space.log))
        before = len(unfinished.parts)
        unfinished.parts.extend(islice(unfinished.rest, CHUNKS_PER_BATCH))
        if len(unfinished.parts) - before < CHUNKS_PER_BATCH:
            self._finish(unfinished, node, disk)

    def _finish(self, made: Unfinished, node: RawNode, disk: Disk) -> None:
        """Write the snapshot and shorten the log.

        It needs no sync of its own: until it is durable the disk keeps the log that it replaces.
        """
        self._unfinished = None
        data = msgpack.packb(made.parts)
        self.latest = Snapshot(made.at, made.term, made.configuration, data)
        self.count += 1
        disk.append(WalRecord(None, [], self.latest))
        log = node.raft.log
        keep_from = min(made.at - self._config.catch_up_entries, log.stable)
        if keep_from > log.offset:
            node.compact(keep_from)

    def installed(self, snapshot: Snapshot, store: Store) -> None:
        """Take over the state that the leader sent, or that the disk held."""
        self._unfinished = None
        self.latest = snapshot
        store.restore(chunks(snapshot))


def chunks(snapshot: Snapshot) -> Iterator[bytes]:
    """The parts of a snapshot's data, as the store made them."""
    parts: list[bytes] = msgpack.unpackb(snapshot.data)
    return iter(parts)
