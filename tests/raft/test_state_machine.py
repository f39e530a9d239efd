"""A small cluster under whatever hypothesis thinks of; the monitor of Raft's invariants judges.

By default a few short runs, the same each time. `--hypothesis-profile=thorough` makes thousands of
long ones, and shrinks what it finds to a handful of steps.
"""

from __future__ import annotations

import random  # noqa: TID251  # seeded by hypothesis
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from raftstore.raft import (
    LEAVE_JOINT,
    ChangeKind,
    ConfChange,
    InvariantViolationError,
    MemberChange,
    Message,
    Role,
    Transition,
)
from raftstore.raft.log import RaftLog
from raftstore.raft.raft import Raft

THOROUGH = settings.get_current_profile_name() == "thorough"
MOST_MEMBERS = 6
MOST_MESSAGES = 200

members = st.integers(1, MOST_MEMBERS)
places = st.integers(0, MOST_MESSAGES)
single_changes = st.builds(
    MemberChange,
    st.sampled_from((ChangeKind.ADD_VOTER, ChangeKind.REMOVE, ChangeKind.ADD_LEARNER)),
    members,
)
changes = st.one_of(
    st.just(LEAVE_JOINT),
    st.builds(
        ConfChange,
        st.sampled_from((Transition.AUTO, Transition.IMPLICIT, Transition.EXPLICIT)),
        st.lists(single_changes, min_size=1, max_size=3).map(tuple),
    ),
)


class ClusterMachine(RuleBasedStateMachine):
    """Founders 1 to 3, joiners, and a network that does what it likes."""

    make_network: Callable[..., Any]

    @initialize(
        size=st.sampled_from((1, 2, 3, 3)),
        seed=st.integers(0, 1_000),
        window=st.sampled_from((1, 2, 256)),
        per_message=st.sampled_from((1, 3, 4096)),
        pre_vote=st.booleans(),
        check_quorum=st.booleans(),
        lazy=st.booleans(),
        withheld=st.sampled_from((1, 3)),
    )
    def found(
        self,
        size: int,
        seed: int,
        window: int,
        per_message: int,
        *,
        pre_vote: bool,
        check_quorum: bool,
        lazy: bool,
        withheld: int,
    ) -> None:
        self.network = type(self).make_network(
            size,
            seed=seed,
            founded=True,
            election_ticks=4,
            max_inflight_messages=window,
            max_entries_per_message=per_message,
            max_inflight_bytes=50,
            snapshot_resend_heartbeats=3,
            pre_vote=pre_vote,
            check_quorum=check_quorum,
            lazy_replication=lazy,
            max_withheld_entries=withheld,
        )
        self.chance = random.Random(seed)
        # Otherwise the first moves are nothing but a long wait for an election.
        self.network.settle()
        self.network.nodes[1].campaign()
        self.network.settle()

    def node(self, number: int) -> int:
        ids = self.network.ids
        return int(ids[number % len(ids)])

    # What members do

    @rule(number=members, count=st.integers(1, 5))
    def tick(self, number: int, count: int) -> None:
        for _ in range(count):
            self.network.nodes[self.node(number)].tick()

    @rule(number=members)
    def send_withheld(self, number: int) -> None:
        self.network.nodes[self.node(number)].send_withheld()

    @rule(number=members)
    def begin(self, number: int) -> None:
        if self.node(number) not in self.network.unsynced:
            self.network.begin(self.node(number))

    @rule(number=members)
    def sync(self, number: int) -> None:
        self.network.sync(self.node(number))

    @rule(number=members)
    def crash(self, number: int) -> None:
        """And start again, with what was synced."""
        self.network.crash(self.node(number))

    @rule(number=members)
    def compact(self, number: int) -> None:
        self.network.snapshot(self.node(number))

    # What clients and operators ask for

    @rule(number=members, count=st.integers(1, 4))
    def propose(self, number: int, count: int) -> None:
        for _ in range(count):
            self.network.propose(self.node(number))

    @rule(number=members)
    def read(self, number: int) -> None:
        self.network.read(self.node(number))

    @rule(number=members, change=changes)
    def change_members(self, number: int, change: ConfChange) -> None:
        if self.network.propose_change(self.node(number), change):
            for _, member in change.changes:
                if member not in self.network.nodes:
                    self.network.join(member)

    @rule(number=members, other=members)
    def transfer(self, number: int, other: int) -> None:
        self.network.nodes[self.node(number)].transfer_leader(self.node(other))

    @rule(number=members, other=members, ok=st.booleans())
    def report_snapshot(self, number: int, other: int, *, ok: bool) -> None:
        """The transport may be wrong."""
        self.network.nodes[self.node(number)].report_snapshot(other, ok=ok)

    @rule(number=members, other=members)
    def report_unreachable(self, number: int, other: int) -> None:
        self.network.nodes[self.node(number)].report_unreachable(other)

    # What the network does

    @rule(count=st.integers(1, 3))
    def rounds(self, count: int) -> None:
        """Everything arrives, in order."""
        network = self.network
        for _ in range(count):
            for node_id in network.ids:
                network.sync(node_id)
                network.begin(node_id)
            messages, network.in_flight = network.in_flight, []
            for message in messages:
                network.step(message)

    def take(self, place: int) -> Message:
        in_flight = self.network.in_flight
        message: Message = in_flight.pop(place % len(in_flight))
        return message

    @precondition(lambda self: self.network.in_flight)
    @rule(chosen=st.lists(places, min_size=1, max_size=6))
    def deliver_out_of_order(self, chosen: list[int]) -> None:
        for place in chosen:
            if self.network.in_flight:
                self.network.step(self.take(place))

    @precondition(lambda self: self.network.in_flight)
    @rule(place=places)
    def double(self, place: int) -> None:
        message = self.take(place)
        self.network.in_flight += [message, Message.from_wire(message.to_wire())]

    @precondition(lambda self: self.network.in_flight)
    @rule(chosen=st.lists(places, min_size=1, max_size=6))
    def lose(self, chosen: list[int]) -> None:
        for place in chosen:
            if self.network.in_flight:
                self.take(place)

    @rule(group=st.sets(members, min_size=1, max_size=3))
    def part(self, group: set[int]) -> None:
        self.network.side = lambda node: node in group

    @rule()
    def heal(self) -> None:
        self.network.side = lambda _: True

    # What must hold

    @invariant()
    def positions_are_in_order(self) -> None:
        if not hasattr(self, "network"):
            return
        for node in self.network.nodes.values():
            log = node.raft.log
            assert log.offset <= log.applied or log.pending_snapshot is not None
            assert log.applied <= log.committed <= log.last_index
            assert log.offset <= log.stable <= log.last_index
            assert log.last_index == log.offset + len(log.entries)

    @invariant()
    def leaders_know_their_followers(self) -> None:
        if not hasattr(self, "network"):
            return
        for node in self.network.nodes.values():
            raft = node.raft
            assert raft.uncommitted_bytes >= 0
            if raft.role is not Role.LEADER:
                continue
            assert set(raft.progress) == set(raft.configuration.members)
            for progress in raft.progress.values():
                assert progress.match < progress.next
                assert progress.match <= raft.log.last_index
                assert len(progress.inflight) <= progress.inflight.max_messages
                assert progress.inflight.bytes >= 0

    @invariant()
    def the_network_is_no_heap(self) -> None:
        if hasattr(self, "network"):
            del self.network.in_flight[:-MOST_MESSAGES]

    def teardown(self) -> None:
        """Whatever has happened: once all is well the members agree again."""
        if not hasattr(self, "network"):
            return
        network = self.network
        note(f"{[node.status() for node in network.nodes.values()]}")
        network.side = lambda _: True
        for _ in range(300):
            network.tick()
            leaders = network.leaders()
            if len(leaders) != 1 or not network.propose(leaders[0]):
                continue
            network.settle()
            leader = network.nodes[leaders[0]].raft
            logs = [network.nodes[member].raft.log for member in leader.configuration.members]
            agree = {log.committed for log in logs} == {leader.log.last_index}
            if agree and not leader.configuration.auto_leave:
                return
        raise AssertionError("the members do not agree again")


SMALL = settings(
    max_examples=25,
    stateful_step_count=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture
def machine(make_network: Callable[..., Any]) -> type[ClusterMachine]:
    return type("Machine", (ClusterMachine,), {"make_network": staticmethod(make_network)})


def test_no_sequence_of_events_breaks_an_invariant(machine: type[ClusterMachine]) -> None:
    run_state_machine_as_test(machine, settings=settings() if THOROUGH else SMALL)


@pytest.mark.parametrize(
    ("owner", "rule_name", "broken"),
    [
        (Raft, "forgets_vote", lambda _raft, _term: True),
        (Raft, "may_commit", lambda _raft, _index: True),
        (Raft, "promises", lambda _raft, _message: False),
        (RaftLog, "is_up_to_date", lambda _log, _index, _term: True),
    ],
)
def test_a_broken_rule_is_found(
    machine: type[ClusterMachine],
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    rule_name: str,
    broken: Callable[..., Any],
) -> None:
    """What never finds anything is not trusted."""
    monkeypatch.setattr(owner, rule_name, broken)
    # What hypothesis draws depends on the modules that are loaded: it ends with the first finding.
    search = settings(
        SMALL, max_examples=10_000, phases=(Phase.generate,), report_multiple_bugs=False
    )
    with pytest.raises((InvariantViolationError, AssertionError)):
        run_state_machine_as_test(machine, settings=search)
