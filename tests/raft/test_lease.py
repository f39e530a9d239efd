"""Reads within the leader's lease (dissertation 6.4.1): who may trust which clock, for how long."""

from __future__ import annotations

import random  # noqa: TID251  # seeded by each test
from collections.abc import Callable
from typing import Any

import pytest

from raftstore.raft import (
    ChangeKind,
    ConfChange,
    MemberChange,
    Message,
    RaftConfig,
    RawNode,
    RecoveredState,
    Role,
    Snapshot,
    Transition,
    simple_change,
)
from raftstore.raft import messages as kinds
from raftstore.raft.raft import Raft

Make = Callable[..., Any]
ELECTION_TICKS = 10
LEASE_TICKS = 8
"""(10 - 1) ticks, less 10 percent for the clocks."""


def leased(make_network: Make, size: int = 3, **settings: Any) -> Any:
    network = make_network(size, lease_reads=True, **settings)
    network.elect(1)
    network.tick()
    return network


def time_passes(network: Any, node_ids: tuple[int, ...], ticks: int) -> None:
    for _ in range(ticks):
        for node_id in node_ids:
            network.nodes[node_id].tick()
        network.settle()


def test_reads_within_the_lease_ask_no_member(make_network: Make) -> None:
    network = leased(make_network)
    context = network.read(1)
    network.begin(1)
    assert context in network.confirmed
    assert not network.in_flight


def test_without_leases_each_read_takes_a_round(make_network: Make) -> None:
    network = make_network(3)
    network.elect(1)
    network.tick()
    context = network.read(1)
    network.begin(1)
    assert context not in network.confirmed
    assert [m.kind for m in network.in_flight] == [kinds.HEARTBEAT] * 2


def test_a_follower_reads_through_the_lease_of_its_leader(make_network: Make) -> None:
    network = leased(make_network)
    context = network.read(2)
    for node_id in (2, 1, 2):
        network.begin(node_id)
        network.sync(node_id)
        messages, network.in_flight = network.in_flight, []
        assert all(m.kind in {kinds.READ_INDEX, kinds.READ_INDEX_RESPONSE} for m in messages)
        for message in messages:
            network.step(message)
    network.settle()
    assert context in network.confirmed


def test_a_lease_needs_members_that_keep_to_it() -> None:
    with pytest.raises(AssertionError, match="lease"):
        RaftConfig(1, (1, 2, 3), lease_reads=True, check_quorum=False)


def test_the_lease_begins_again_with_each_term_and_needs_an_answer(make_network: Make) -> None:
    network = make_network(3, lease_reads=True)
    network.elect(1)
    assert not network.nodes[1].raft.has_lease()
    network.tick()
    assert network.nodes[1].raft.has_lease()
    network.nodes[1].transfer_leader(2)
    network.settle()
    assert network.leaders() == [2]
    assert not network.nodes[1].raft.has_lease()
    assert not network.nodes[2].raft.has_lease()


def test_the_lease_ends_when_no_member_answers(make_network: Make) -> None:
    network = leased(make_network)
    network.cut[1] = None
    raft = network.nodes[1].raft
    lasted = 0
    while raft.has_lease():
        time_passes(network, (1,), 1)
        lasted += 1
    assert lasted == LEASE_TICKS
    context = network.read(1)
    network.settle()
    assert context not in network.confirmed
    network.cut.clear()
    network.tick()
    assert context in network.confirmed
    assert raft.has_lease()


def test_the_lease_counts_from_when_the_heartbeat_was_sent(make_network: Make) -> None:
    network = leased(make_network)
    raft = network.nodes[1].raft
    network.nodes[1].tick()
    network.begin(1)
    network.sync(1)
    sent = raft.ticks
    heartbeats, network.in_flight = network.in_flight, []
    network.cut[1] = None
    time_passes(network, (1,), LEASE_TICKS - 1)
    network.cut.clear()
    # Late, but true: the followers have voted for no member since they heard this.
    for message in heartbeats:
        network.step(message)
    for node_id in (2, 3):
        network.begin(node_id)
        network.sync(node_id)
    for message in network.in_flight:
        network.step(message)
    assert raft.lease_answers[2] == sent + 1
    assert raft.has_lease()
    network.nodes[1].tick()
    assert not raft.has_lease()


def test_the_lease_is_shorter_the_more_the_clocks_may_drift() -> None:
    def lease_units(**settings: Any) -> int:
        return RaftConfig(1, (1,), lease_reads=True, **settings).lease_units

    assert lease_units() == LEASE_TICKS
    assert lease_units(max_clock_drift_percent=0) == ELECTION_TICKS - 1
    assert lease_units(max_clock_drift_percent=50) == 4
    assert lease_units(clock_units_per_tick=1000) == 8100


def test_the_lease_is_measured_by_the_clock_and_not_by_late_ticks() -> None:
    """A leader whose ticks come late, after a pause say, sees by its clock that time has passed."""
    now = [0]
    config = RaftConfig(1, (1, 2, 3), lease_reads=True, clock_units_per_tick=100)
    node = RawNode(config, RecoveredState(), random.Random(1), Snapshot, lambda: now[0])
    raft = node.raft
    raft.become_candidate()
    raft.become_leader()
    node.tick()
    (stamp,) = {m.index for m in raft.messages if m.kind == kinds.HEARTBEAT}
    node.step(Message(kinds.HEARTBEAT_RESPONSE, 1, 2, raft.term, index=stamp))
    assert raft.has_lease()
    now[0] = config.lease_units - 1
    assert raft.has_lease()
    now[0] = config.lease_units
    assert not raft.has_lease()


def test_a_lease_takes_the_answers_of_a_quorum(make_network: Make) -> None:
    network = leased(make_network, 5)
    network.side = lambda node: node in {1, 2}
    network.tick(LEASE_TICKS)
    assert not network.nodes[1].raft.has_lease()
    network.side = lambda node: node in {1, 2, 4}
    network.tick()
    assert network.nodes[1].raft.has_lease()


def test_a_lease_in_a_joint_configuration_takes_both_majorities(make_network: Make) -> None:
    network = make_network(3, founded=True, lease_reads=True)
    while not network.leaders():
        network.tick()
    network.nodes[network.leaders()[0]].transfer_leader(1)
    network.settle()
    for joiner in (4, 5):
        network.join(joiner)
    swap = [(ChangeKind.ADD_VOTER, 4), (ChangeKind.ADD_VOTER, 5), (ChangeKind.REMOVE, 2)]
    swap.append((ChangeKind.REMOVE, 3))
    changes = tuple(MemberChange(*one) for one in swap)
    network.nodes[1].propose_change(ConfChange(Transition.EXPLICIT, changes))
    network.tick(2)
    assert network.configuration(1).is_joint
    network.side = lambda node: node in {1, 4, 5}
    network.tick(LEASE_TICKS)
    assert not network.nodes[1].raft.has_lease()
    network.side = lambda node: node in {1, 2, 4}
    network.tick()
    assert network.nodes[1].raft.has_lease()


def test_a_leader_that_is_its_own_quorum_always_has_its_lease(make_network: Make) -> None:
    network = make_network(1, lease_reads=True)
    network.elect(1)
    network.tick(3 * ELECTION_TICKS)
    assert network.nodes[1].raft.has_lease()


def test_rounds_that_wait_are_counted_again_when_members_leave(make_network: Make) -> None:
    network = make_network(2, founded=True)
    network.settle()
    network.elect(1)
    network.nodes[1].propose_change(simple_change(ChangeKind.REMOVE, 2))
    network.begin(1)
    network.sync(1)
    context = network.read(1)
    step = network.step
    network.step = lambda m: None if m.kind == kinds.HEARTBEAT else step(m)
    network.settle()
    assert network.configuration(1).voters == (1,)
    assert context in network.confirmed
    assert not network.nodes[1].raft.pending_reads


# The three promises of a follower. Each time member 2 could be elected by 3 while 1 has its lease.


def stale_read(network: Any) -> None:
    """2 asks 3 for its vote; if it gets it, it commits something, and 1 is asked to read."""
    network.side = lambda node: node == 1
    network.nodes[2].campaign()
    network.settle()
    network.propose(2)
    network.settle()
    network.read(1)
    network.settle()


def forgets_its_leader_by_a_restart(network: Any) -> None:
    # 2 has heard nothing for long, and is up to date; 3 has just promised 1 its vote.
    network.cut[2] = None
    network.tick(LEASE_TICKS - 1)
    network.nodes[2].tick()
    time_passes(network, (2,), 2 * ELECTION_TICKS)
    network.cut.clear()
    network.crash(3)


def forgets_its_leader_by_a_higher_term(network: Any) -> None:
    network.cut[2] = None
    network.tick(LEASE_TICKS - 1)
    time_passes(network, (2,), 2 * ELECTION_TICKS)
    network.cut.clear()
    # An answer to a question of long ago arrives.
    late = Message(kinds.PRE_VOTE_RESPONSE, 3, 2, term=1, reject=True)
    late.term = network.nodes[3].raft.term + 1
    network.nodes[3].step(late)


@pytest.mark.parametrize(
    "forget", [forgets_its_leader_by_a_restart, forgets_its_leader_by_a_higher_term]
)
@pytest.mark.parametrize("kept", [True, False])
def test_a_follower_that_forgets_its_leader_keeps_its_promise(
    make_network: Make,
    monkeypatch: pytest.MonkeyPatch,
    forget: Callable[[Any], None],
    *,
    kept: bool,
) -> None:
    network = leased(make_network)
    forget(network)
    assert network.nodes[1].raft.has_lease()
    if kept:
        stale_read(network)
        assert network.leaders() == [1]
        # The promise ends: the cluster does not depend on 1.
        network.side = lambda node: node == 1
        network.tick(4 * ELECTION_TICKS)
        assert set(network.leaders()) & {2, 3}
    else:
        monkeypatch.setattr(Raft, "is_bound_by_lease", lambda _: False)
        with pytest.raises(AssertionError, match="a read may miss what was committed"):
            stale_read(network)


def abort_a_transfer(network: Any) -> bytes:
    """1 asks 2 to take over; the message arrives when 1 has long given it up."""
    network.nodes[1].transfer_leader(2)
    network.begin(1)
    network.sync(1)
    (late,) = [m for m in network.in_flight if m.kind == kinds.TIMEOUT_NOW]
    network.in_flight.clear()
    network.tick(2 * ELECTION_TICKS)
    assert network.leaders() == [1]
    network.side = lambda node: node == 1
    network.nodes[2].step(late)
    network.settle()
    assert network.leaders() == [1, 2]
    network.propose(2)
    network.settle()
    context = bytes(network.read(1))
    network.settle()
    return context


def test_a_leader_that_asked_another_to_take_over_has_no_lease_in_its_term(
    make_network: Make,
) -> None:
    network = leased(make_network)
    context = abort_a_transfer(network)
    assert context not in network.confirmed


def test_without_giving_the_lease_up_a_late_transfer_makes_a_stale_read(
    make_network: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = leased(make_network)
    monkeypatch.setattr(Raft, "hand_over", lambda raft, to: raft.send(Message(13, to)))
    with pytest.raises(AssertionError, match="a read may miss what was committed"):
        abort_a_transfer(network)


# Drifting clocks


class Drifting:
    """A cluster on virtual time: each member's clock runs at its own pace."""

    def __init__(self, make_network: Make, seed: int, gain_percent: int) -> None:
        self.chance = random.Random(seed)
        self.network = make_network(3, seed=seed, lease_reads=True, election_ticks=ELECTION_TICKS)
        self.now = 0.0
        slowest = 1 - gain_percent / 100
        # One of them is slow, the others are as fast as they may be in comparison.
        self.pace = dict.fromkeys(self.network.ids, 1.0)
        self.pace[1] = slowest
        self.phase = {node_id: self.chance.random() for node_id in self.network.ids}
        self.ticked = dict.fromkeys(self.network.ids, 0)
        self.late: list[tuple[float, Message]] = []

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.now += 0.2
            self.tick()
            self.work()
            self.disturb()

    def tick(self) -> None:
        for node_id, pace in self.pace.items():
            due = int(self.now * pace + self.phase[node_id])
            while self.ticked[node_id] < due:
                self.ticked[node_id] += 1
                self.network.nodes[node_id].tick()

    def work(self) -> None:
        network, chance = self.network, self.chance
        for node_id in network.ids:
            network.sync(node_id)
            network.begin(node_id)
        for message in network.in_flight:
            if chance.random() > 0.05:
                late = self.now + (chance.random() * 4 if chance.random() < 0.1 else 0)
                self.late.append((late, message))
        network.in_flight = []
        arrived = [message for when, message in self.late if when <= self.now]
        self.late = [(when, message) for when, message in self.late if when > self.now]
        for message in arrived:
            network.step(message)

    def disturb(self) -> None:
        network, chance = self.network, self.chance
        for leader in network.leaders():
            network.read(leader)
            if chance.random() < 0.3:
                network.propose(leader)
        number = chance.random()
        if number < 0.01 and network.leaders():
            alone = chance.choice(network.leaders())
            network.side = lambda node: node == alone
        elif number < 0.02:
            network.side = lambda _: True
        elif number < 0.025:
            network.crash(chance.choice(network.ids))
        elif number < 0.03 and network.leaders():
            network.nodes[network.leaders()[0]].transfer_leader(chance.choice(network.ids))


@pytest.mark.parametrize("seed", range(4))
def test_reads_within_leases_miss_nothing_while_clocks_drift_within_the_bound(
    make_network: Make, seed: int
) -> None:
    drifting = Drifting(make_network, seed, gain_percent=10)
    drifting.run(4000)
    network = drifting.network
    assert len(network.monitor.leaders) > 5
    assert len(network.confirmed) > 500


def test_a_clock_that_drifts_beyond_the_bound_makes_reads_stale(make_network: Make) -> None:
    """What the bound is good for: this is the price of leases, and why they are not the default."""
    drifting = Drifting(make_network, 0, gain_percent=60)
    with pytest.raises(AssertionError, match="a read may miss what was committed"):
        drifting.run(100_000)


def test_the_role_says_who_may_have_a_lease(make_network: Make) -> None:
    network = leased(make_network)
    assert [network.nodes[n].status()["has_lease"] for n in (1, 2, 3)] == [True, False, False]
    assert network.nodes[2].raft.role is Role.FOLLOWER
