"""When a member makes a snapshot of its state, what of the log stays behind it, who gets one.

A snapshot is a view of the state at a moment (versions never change, see `raftstore.mvcc.history`),
so that making one costs next to nothing. It is packed bit by bit by the user of the bytes: a disk
that writes files, and the transfer to a member that lacks more than the log holds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from raftstore.mvcc import Store
from raftstore.mvcc.snapshot import StateView, load
from raftstore.raft import Entry, Message, RawNode, Role, Snapshot
from raftstore.raft.progress import ProgressState
from raftstore.server.config import MemberConfig
from raftstore.server.disk import Disk
from raftstore.server.forwarding import MemberTransport
from raftstore.server.log_sizes import LogSizes
from raftstore.server.transfer import (
    SNAPSHOT_PART,
    WINDOW_PARTS,
    Pace,
    SnapshotReceiver,
    SnapshotSender,
    weight_of,
)
from raftstore.storage import WalRecord

# A disk that writes snapshots to files gets one when so large a part of the state is new: the
# cost per entry stays constant however large the store becomes.
FILE_SHARE: Final = 4
# Entries of the log, per batch: a millisecond or two.
RELEASED_AT_ONCE: Final = 4_096
# Pieces of a former state: some milliseconds.
FREED_PER_TICK: Final = 16


# A snapshot in memory is replaced when a sweep has passed so many of its revisions.
OUTDATED_REVISIONS: Final = 8_192


class Snapshots:
    """The snapshots of a member: its own, those that it sends, and the one that it is sent."""

    def __init__(
        self,
        config: MemberConfig,
        store: Store,
        disk: Disk,
        transport: MemberTransport,
        session: int,
        now_ns: Callable[[], int],
    ) -> None:
        # Of the newest one that was given to the disk.
        self.index = 0
        # Up to where the store has applied the log.
        self.applied = 0
        self.count = 0
        self._config = config
        self._store = store
        self._disk = disk
        self._interval_entries = config.snapshot_entries
        self._interval_bytes = config.snapshot_bytes
        # Applied since the newest one.
        self._passed_bytes = 0
        # What was applied since the start, as the transfer's pace counts it.
        self._written = 0
        self._written_at_tick = 0
        self._sizes = LogSizes()
        # Pieces of the state before a snapshot of the leader, to be let go of.
        self._former: list[list[Any]] = []
        # The log may go up to here: bit by bit, since a million entries are not freed at once.
        self._release_to = 0
        # Where the history begins that a snapshot in memory keeps alive; 0: there is none.
        self._log_base = 0
        # Of the newest one on the disk.
        self._position = 0
        pace = Pace(now_ns)
        self._sender = SnapshotSender(transport, session << 32, pace, transport.hand_part)
        self.receiver = SnapshotReceiver(transport)

    # -- the own ones -------------------------------------------------------------------------

    def applied_to(self, entries: list[Entry]) -> None:
        """The store has applied these."""
        self.applied = entries[-1].index
        size_bytes = self._sizes.add(entries)
        self._passed_bytes += size_bytes
        self._written += weight_of(len(entries), size_bytes)

    def source(self, node: Callable[[], RawNode]) -> Callable[[], Snapshot]:
        """What Raft asks for a snapshot to send: the present state."""
        return lambda: self._present(node())

    def _present(self, node: RawNode) -> Snapshot:
        raft, at = node.raft, self.covered_index(node)
        return Snapshot(at, raft.log.term(at), raft.configuration, self._store.view())

    def covered_index(self, node: RawNode) -> int:
        """Up to where the log is in the state: what is applied, whatever else is committed.

        It is kept in one record with the state; entries up to it are never applied again.
        """
        del node
        return self.applied

    def advance(self, node: RawNode) -> None:
        """Make a snapshot if one is due, and shorten the log.

        It needs no sync of its own: until it is durable the disk keeps the log that it replaces.
        """
        if self.applied < node.raft.log.offset:
            # A snapshot of the leader waits for the disk to take the place of all this.
            return
        passed = self.applied - self.index
        if (
            passed < self._interval_entries
            and self._passed_bytes < self._interval_bytes
            and not self._is_outdated()
        ):
            return
        snapshot = self._present(node)
        self.index = snapshot.index
        self._passed_bytes = 0
        self.count += 1
        self._disk.append(WalRecord(None, [], snapshot))
        self._position = self._disk.written
        space = self._store.space
        if self._disk.keeps_references:
            self._log_base = space.log_base
        else:
            share = (len(space.live) + len(space.history)) // FILE_SHARE
            self._interval_entries = max(self._config.snapshot_entries, share)
            share_bytes = space.size_bytes // FILE_SHARE
            self._interval_bytes = max(self._config.snapshot_bytes, share_bytes)
        self._release_to = min(self._keep_from(node), node.raft.log.stable)
        self._release(node)

    def _release(self, node: RawNode) -> None:
        """Let go of some of the log that no member needs."""
        log = node.raft.log
        # What is being carried out may be in the state already, but not applied for Raft.
        end = min(self._release_to, log.offset + RELEASED_AT_ONCE, log.applied)
        if end > log.offset:
            node.compact(end)

    def hold_dropped_history(self) -> bool:
        """Whether a snapshot in memory keeps alive what a compaction has dropped since.

        It does until the next one is durable.
        """
        if not self._disk.keeps_references:
            return False
        return self._disk.synced < self._position or self._is_outdated()

    def _is_outdated(self) -> bool:
        """While a sweep is under way, now and then: so what it frees is freed bit by bit."""
        if not self._log_base:
            return False
        space = self._store.space
        passed = space.log_base - self._log_base
        return passed > 0 and (passed >= OUTDATED_REVISIONS or not space.unswept)

    def _keep_from(self, node: RawNode) -> int:
        """The index from whose successor on the log must stay.

        A leader keeps what live followers still lack, or will after their snapshot, within bounds.
        """
        config, log = self._config, node.raft.log
        usual = self._sizes.bounded(
            log, self.index, self.index - config.catch_up_entries, config.catch_up_bytes
        )
        raft = node.raft
        if raft.role is not Role.LEADER:
            return usual
        needed = usual
        for progress in raft.progress.values():
            if progress.state is ProgressState.SNAPSHOT:
                needed = min(needed, progress.pending_snapshot)
            elif progress.recent_active:
                needed = min(needed, progress.match)
        if needed >= usual:
            return usual
        # Sending a large state takes long, and what is written meanwhile must not be cut off.
        lag_bytes = max(
            config.max_lag_bytes, self._store.space.size_bytes * config.max_lag_percent // 100
        )
        return self._sizes.bounded(log, usual, needed, lag_bytes)

    # -- those of others ----------------------------------------------------------------------

    def send(self, message: Message) -> None:
        """Carry Raft's snapshot message, and the state."""
        busy = self._written > self._written_at_tick
        self._sender.begin(message, self._written if busy else None)

    def resume(self, node: RawNode) -> None:
        """A batch is over: send the parts whose time has come, let go of some of the log."""
        if self._sender:
            self._sender.resume(self._written)
        if self._release_to > node.raft.log.offset:
            self._release(node)
        if self._former:
            self._former.pop()

    def receive(self, sender: int, wire: list[Any], node: RawNode) -> None:
        """Take a part of a snapshot, or the answer to one."""
        if wire[0] != SNAPSHOT_PART:
            self._sender.answered(sender, wire, node)
        else:
            self.receiver.take(sender, wire, node.raft.term)

    @property
    def receiving(self) -> bool:
        """Whether a snapshot is arriving."""
        return self.receiver.receiving is not None

    def load(self, node: RawNode) -> None:
        """Take in parts that have arrived; with the last one, hand the snapshot to Raft."""
        complete = self.receiver.load(WINDOW_PARTS)
        if complete is not None:
            node.step(complete)

    def installed(self, snapshot: Snapshot) -> None:
        """Take over the state that the leader sent, or that the disk held."""
        state = snapshot.data
        loaded = state.take_loaded() if isinstance(state, StateView) else None
        if loaded is None:
            loaded = load(state.chunks())
            if isinstance(state, StateView):
                # What the disk refers to is the state of a member that is no more.
                state.rest_on(StateView(loaded))
        former = self._store.space.in_pieces()
        self._store.install(loaded)
        self._former = former
        self.index = self.applied = snapshot.index
        self._sizes.start_at(snapshot.index)
        self._passed_bytes = 0
        self._log_base = loaded.space.log_base if self._disk.keeps_references else 0

    def tick(self, node: RawNode) -> None:
        """Time has passed."""
        self._written_at_tick = self._written
        if self._former:
            # Where no batches come, ticks must do.
            del self._former[-FREED_PER_TICK:]
        if self._sender:
            self._sender.tick(node)
        receiving = self.receiver.receiving
        if receiving is not None:
            self.receiver.tick()
            if receiving.silent_ticks > 1:
                self.load(node)

    def stop_sending(self) -> None:
        """This member leads no more."""
        self._sender.stop()

    def statistics(self) -> dict[str, int]:
        """Counts, for metrics."""
        return {
            "snapshots": self.count,
            "snapshot_index": self.index,
            "snapshots_sending": len(self._sender),
            "snapshot_parts_sent": self._sender.sent_parts,
            "snapshot_parts_received": self.receiver.received_parts,
        }
