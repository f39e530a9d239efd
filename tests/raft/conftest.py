"""A network of bare Raft nodes whose every step a test decides: deliver, lose, crash, sync."""

from __future__ import annotations

import random  # noqa: TID251  # seeded by each test
from collections.abc import Callable
from typing import Any

import pytest

from raftstore.raft import (
    ConfChange,
    Configuration,
    ConfigurationError,
    Entry,
    EntryKind,
    HardState,
    Message,
    ProposalDroppedError,
    RaftConfig,
    RaftMonitor,
    RawNode,
    Ready,
    RecoveredState,
    Role,
    Snapshot,
    founding_state,
)


class Durable:
    """What a node has synced."""

    def __init__(self) -> None:
        self.hard_state = HardState()
        self.snapshot = Snapshot()
        self.entries: list[Entry] = []

    def found(self, voters: tuple[int, ...]) -> None:
        state = founding_state(voters)
        self.hard_state, self.entries = state.hard_state, [*state.entries]

    def write(self, ready: Ready) -> None:
        if ready.snapshot is not None:
            self.install(ready.snapshot)
        if ready.entries:
            del self.entries[ready.entries[0].index - self.snapshot.index - 1 :]
            self.entries.extend(ready.entries)
        if ready.hard_state is not None:
            self.hard_state = ready.hard_state

    def install(self, snapshot: Snapshot) -> None:
        position = snapshot.index - self.snapshot.index
        kept = self.entries[position - 1 : position]
        agree = bool(kept) and kept[0].term == snapshot.term
        self.entries = self.entries[position:] if agree else []
        self.snapshot = snapshot


class Network:
    """Nodes 1..n, the messages between them, and the monitor that watches each step.

    In a `founded` network the log begins with the members, so that nodes can join.
    """

    def __init__(
        self, size: int = 3, *, seed: int = 0, founded: bool = False, **settings: Any
    ) -> None:
        self.ids = tuple(range(1, size + 1))
        self.founders = self.ids
        self.settings = settings
        self.random = random.Random(seed)
        self.monitor = RaftMonitor()
        self.durable = {node_id: Durable() for node_id in self.ids}
        self.nodes: dict[int, RawNode] = {}
        self.applied: dict[int, list[Entry]] = {}
        self.unsynced: dict[int, Ready] = {}
        self.in_flight: list[Message] = []
        self.reads: dict[bytes, tuple[int, int]] = {}
        self.confirmed: dict[bytes, int] = {}
        self.cut: dict[int, None] = {}
        self.side: Callable[[int], bool] = lambda _: True
        """Messages reach only nodes on the same side."""
        self.proposed = 0
        for node_id in self.ids:
            if founded:
                self.durable[node_id].found(self.ids)
            self.start(node_id)

    def join(self, node_id: int) -> None:
        """Start a node that knows nothing."""
        self.ids = (*self.ids, node_id)
        self.durable[node_id] = Durable()
        self.start(node_id)

    def start(self, node_id: int) -> None:
        durable = self.durable[node_id]
        recovered = RecoveredState(durable.hard_state, durable.snapshot, [*durable.entries])
        voters = self.founders if node_id in self.founders else ()
        config = RaftConfig(node_id, voters, **self.settings)
        node = RawNode(config, recovered, self.random, lambda: self.durable[node_id].snapshot)
        self.nodes[node_id] = node
        log = node.raft.log
        self.monitor.restarted(node_id, node.raft.term, log.applied, log.last_index)

    def crash(self, node_id: int) -> None:
        self.unsynced.pop(node_id, None)
        self.start(node_id)

    # Work of one node: `begin` sends and applies, `sync` lets the promises out.

    def begin(self, node_id: int) -> bool:
        node = self.nodes[node_id]
        if not node.has_ready():
            return False
        ready = node.ready()
        self.in_flight += [Message.from_wire(message.to_wire()) for message in ready.messages]
        raft = node.raft
        if ready.soft_state is not None and ready.soft_state.role is Role.LEADER:
            self.monitor.leader_elected(node_id, raft.term, lambda index: self.term_at(raft, index))
        if ready.entries:
            self.monitor.appended(node_id, ready.entries)
        if ready.committed_entries:
            self.monitor.applied(node_id, ready.committed_entries)
            self.apply_changes(node_id, ready.committed_entries)
        for state in ready.read_states:
            reader, committed = self.reads[state.context]
            assert state.index >= committed, "a read may miss what was committed before it"
            assert reader == node_id
            self.confirmed[state.context] = state.index
        self.unsynced[node_id] = ready
        return True

    def apply_changes(self, node_id: int, entries: list[Entry]) -> None:
        for entry in entries:
            if entry.kind == EntryKind.CONF_CHANGE:
                change = ConfChange.decode(entry.data)
                try:
                    after = self.nodes[node_id].apply_change(change)
                except ConfigurationError:
                    after = self.configuration(node_id)
                self.monitor.configured(node_id, entry.index, after)

    @staticmethod
    def term_at(raft: Any, index: int) -> int | None:
        log = raft.log
        if index <= log.offset:
            return None
        return log.term(index) if index <= log.last_index else 0

    def sync(self, node_id: int) -> None:
        ready = self.unsynced.pop(node_id, None)
        if ready is None:
            return
        self.durable[node_id].write(ready)
        raft = self.nodes[node_id].raft
        if ready.hard_state is not None:
            state = ready.hard_state
            if raft.role is Role.LEADER and raft.term == state.term:
                entry_term = raft.log.term(state.commit)
                self.monitor.leader_committed(
                    node_id, state.term, state.commit, entry_term, raft.commit_quorum
                )
            self.monitor.persisted(node_id, ready.hard_state.term, ready.hard_state.vote)
            self.monitor.committed(node_id, ready.hard_state.commit)
        if ready.snapshot is not None:
            self.monitor.installed(node_id, ready.snapshot.index, ready.snapshot.configuration)
        for message in ready.messages_after_persist:
            self.monitor.replied(node_id, message, durable=True)
            self.in_flight.append(Message.from_wire(message.to_wire()))
        self.nodes[node_id].advance(ready)

    def step(self, message: Message) -> None:
        if message.sender in self.cut or message.to in self.cut:
            return
        if self.side(message.sender) != self.side(message.to):
            return
        node = self.nodes.get(message.to)
        if node is None:
            return
        try:
            node.step(message)
        except (ProposalDroppedError, ConfigurationError):
            return

    def settle(self) -> None:
        """Until no member has anything to do."""
        for _ in range(10_000):
            busy = False
            for node_id in self.ids:
                self.sync(node_id)
                while self.begin(node_id):
                    self.sync(node_id)
                    busy = True
            messages, self.in_flight = self.in_flight, []
            for message in messages:
                self.step(message)
            if not busy and not messages and not self.send_withheld():
                return
        raise AssertionError("no rest")

    def send_withheld(self) -> bool:
        """Let members send what has waited for company; whether anything had."""
        waiting = [node for node in self.nodes.values() if node.raft.withholds]
        for node in waiting:
            node.send_withheld()
        return bool(waiting)

    def tick(self, count: int = 1) -> None:
        for _ in range(count):
            for node in self.nodes.values():
                node.tick()
            self.settle()

    def elect(self, node_id: int) -> RawNode:
        self.nodes[node_id].campaign()
        self.settle()
        assert self.nodes[node_id].raft.role is Role.LEADER
        return self.nodes[node_id]

    def propose(self, node_id: int) -> bool:
        self.proposed += 1
        try:
            self.nodes[node_id].propose([b"%d" % self.proposed])
        except ProposalDroppedError:
            return False
        return True

    def propose_change(self, node_id: int, change: ConfChange) -> bool:
        try:
            self.nodes[node_id].propose_change(change)
        except (ProposalDroppedError, ConfigurationError):
            return False
        return True

    def configuration(self, node_id: int) -> Configuration:
        return self.nodes[node_id].raft.configuration

    def read(self, node_id: int) -> bytes:
        context = b"read-%d" % len(self.reads)
        committed = max(node.raft.log.committed for node in self.nodes.values())
        self.reads[context] = (node_id, committed)
        self.nodes[node_id].read_index(context)
        return context

    def snapshot(self, node_id: int) -> None:
        """Make a snapshot of all that a node has applied and shorten its log."""
        node = self.nodes[node_id]
        log = node.raft.log
        index = min(log.applied, log.stable)
        if index <= log.offset or node_id in self.unsynced or log.pending_snapshot is not None:
            return
        if index <= self.durable[node_id].snapshot.index:
            return
        self.durable[node_id].install(
            Snapshot(index, log.term(index), node.raft.configuration, b"state")
        )
        self.nodes[node_id].compact(index)

    def leaders(self) -> list[int]:
        return [node_id for node_id in self.ids if self.nodes[node_id].raft.role is Role.LEADER]


@pytest.fixture
def make_network() -> Callable[..., Network]:
    return Network
