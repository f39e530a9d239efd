"""What a member tells the monitor of Raft's invariants; nothing without a monitor."""

from __future__ import annotations

from raftstore.raft import RaftMonitor, RawNode, Ready, Role
from raftstore.raft.messages import CONF_CHANGE, Entry


class Observer:
    """Tells one member's steps to the monitor of its cluster."""

    def __init__(self, monitor: RaftMonitor, node: RawNode) -> None:
        self._monitor = monitor
        self._node = node
        self._id = node.raft.id
        # Up to where the log was committed when the last Ready was taken.
        self._commit = 0

    def restarted(self, founded: list[Entry]) -> None:
        """The member begins with what its disk has; `founded`: entries written just now."""
        raft = self._node.raft
        self._commit = raft.log.committed
        self._monitor.restarted(self._id, raft.term, raft.log.applied, raft.log.last_index)
        if founded:
            self._monitor.appended(self._id, founded)

    def persisted(self, ready: Ready, *, durable: bool) -> None:
        """A Ready has been written; `durable`: what its messages promise survives a power cut."""
        monitor, state = self._monitor, ready.hard_state
        if state is not None:
            self._commit = state.commit
            raft = self._node.raft
            if raft.role is Role.LEADER and raft.term == state.term:
                entry_term = raft.log.term(state.commit)
                monitor.leader_committed(
                    self._id, state.term, state.commit, entry_term, raft.commit_quorum
                )
            monitor.persisted(self._id, state.term, state.vote)
            monitor.committed(self._id, state.commit)
        self._proposed_changes(ready.entries)
        for message in ready.messages_after_persist:
            monitor.replied(self._id, message, durable=durable)

    def _proposed_changes(self, entries: list[Entry]) -> None:
        raft = self._node.raft
        if raft.role is not Role.LEADER:
            return
        for entry in entries:
            if entry.kind == CONF_CHANGE and entry.term == raft.term:
                commit_term = raft.log.term(self._commit)
                self._monitor.change_proposed(
                    self._id, entry.term, entry.index, self._commit, commit_term
                )

    def leads(self) -> None:
        """The member was elected."""
        self._monitor.leader_elected(self._id, self._node.raft.term, self._term_at)

    def _term_at(self, index: int) -> int | None:
        log = self._node.raft.log
        if index <= log.offset:
            return None
        return log.term(index) if index <= log.last_index else 0
