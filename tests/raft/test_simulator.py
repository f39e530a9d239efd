"""Random schedules of delivery, loss, duplication, crash and disk latency, all monitored."""

from __future__ import annotations

import random  # noqa: TID251  # seeded by each test
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raftstore.raft import (
    LEAVE_JOINT,
    ChangeKind,
    ConfChange,
    MemberChange,
    Transition,
)

OPERATIONS = (
    ("deliver", 90),
    ("tick", 12),
    ("begin", 30),
    ("sync", 30),
    ("propose", 8),
    ("lose", 3),
    ("double", 3),
    ("crash", 1),
    ("read", 3),
    ("snapshot", 1),
    ("transfer", 1),
    ("send", 3),
)
WEIGHTED = [name for name, weight in OPERATIONS for _ in range(weight)]
CHANGING = [*WEIGHTED, *["change"] * 4, *["round"] * 10, "part"]
MOST_MEMBERS = 7
KINDS = (ChangeKind.ADD_VOTER, ChangeKind.ADD_LEARNER, ChangeKind.REMOVE, ChangeKind.ADD_VOTER)
TRANSITIONS = (Transition.AUTO, Transition.AUTO, Transition.IMPLICIT, Transition.EXPLICIT)


def draw_change(number: int) -> ConfChange:
    """One to three members change, in one of the ways there are; or a joint configuration ends."""
    chance = random.Random(number)
    if chance.random() < 0.3:
        return LEAVE_JOINT
    changes = [
        MemberChange(chance.choice(KINDS), chance.randrange(1, MOST_MEMBERS + 1))
        for _ in range(chance.choice((1, 1, 2, 3)))
    ]
    return ConfChange(chance.choice(TRANSITIONS), tuple(changes))


def change(network: Any, node_id: int, number: int) -> None:
    wanted = draw_change(number)
    if network.propose_change(node_id, wanted):
        for _, member in wanted.changes:
            if member not in network.nodes:
                network.join(member)


def perform(network: Any, operation: str, number: int) -> None:
    node_id = network.ids[number % len(network.ids)]
    if operation == "tick":
        network.nodes[node_id].tick()
    elif operation == "send":
        network.nodes[node_id].send_withheld()
    elif operation == "begin":
        if node_id not in network.unsynced:
            network.begin(node_id)
    elif operation in ("sync", "crash", "propose", "read", "snapshot"):
        getattr(network, operation)(node_id)
    elif operation == "round":
        one_round(network)
    elif operation == "part":
        part(network, number)
    elif operation == "change":
        change(network, node_id, number)
    elif operation == "transfer":
        network.nodes[node_id].transfer_leader(network.ids[number // 7 % len(network.ids)])
    elif network.in_flight:
        meddle(network, operation, number)


def meddle(network: Any, operation: str, number: int) -> None:
    """Deliver, lose or double one message out of order."""
    position = number % len(network.in_flight)
    if operation == "double":
        network.in_flight.append(network.in_flight[position])
    message = network.in_flight.pop(position)
    if operation != "lose":
        network.step(message)


def one_round(network: Any) -> None:
    for node_id in network.ids:
        network.sync(node_id)
        network.begin(node_id)
    messages, network.in_flight = network.in_flight, []
    for message in messages:
        network.step(message)


def part(network: Any, number: int) -> None:
    """Once in a while, and long enough for both sides to elect leaders."""
    if number % 10 == 0:
        network.side = lambda node: bool(number >> node & 1)
    elif number % 10 < 3:
        network.side = lambda _: True


def heals(network: Any) -> None:
    """After the storm: one leader, its members agree, and new entries get through."""
    network.side = lambda _: True
    for _ in range(300):
        network.tick()
        leaders = network.leaders()
        if len(leaders) == 1 and network.propose(leaders[0]):
            network.settle()
            leader = network.nodes[leaders[0]].raft
            members = [network.nodes[member].raft.log for member in leader.configuration.members]
            commits = {log.committed for log in members}
            if commits == {leader.log.last_index} and not leader.configuration.auto_leave:
                return
    raise AssertionError("the nodes do not agree again")


@given(
    size=st.sampled_from((1, 2, 3, 5)),
    schedule=st.lists(
        st.tuples(st.sampled_from(WEIGHTED), st.integers(0, 10_000)), min_size=20, max_size=400
    ),
)
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_no_schedule_breaks_an_invariant(
    make_network: Callable[..., Any], size: int, schedule: list[tuple[str, int]]
) -> None:
    network = make_network(size, lazy_replication=len(schedule) % 2 == 0)
    for operation, number in schedule:
        perform(network, operation, number)
    heals(network)


@pytest.mark.parametrize("seed", range(24))
def test_long_random_runs_keep_the_invariants(make_network: Callable[..., Any], seed: int) -> None:
    chance = random.Random(seed)
    network = make_network(
        chance.choice((3, 3, 5)),
        seed=seed,
        max_inflight_messages=chance.choice((1, 3, 256)),
        max_entries_per_message=chance.choice((1, 2, 4096)),
        snapshot_resend_heartbeats=5,
        lazy_replication=chance.choice((True, False)),
        max_withheld_entries=chance.choice((1, 3, 16)),
    )
    for _ in range(8000):
        perform(network, chance.choice(WEIGHTED), chance.randrange(10_000))
        if len(network.in_flight) > 300:
            del network.in_flight[:100]
    heals(network)
    assert network.monitor.leaders
    assert not network.monitor.violations


def storm(network: Any, seed: int, steps: int) -> None:
    chance = random.Random(seed)
    for _ in range(steps):
        perform(network, chance.choice(CHANGING), chance.randrange(10_000))
        if len(network.in_flight) > 300:
            del network.in_flight[:100]


@given(
    size=st.sampled_from((1, 2, 3, 5)),
    schedule=st.lists(
        st.tuples(st.sampled_from(CHANGING), st.integers(0, 10_000)), min_size=20, max_size=400
    ),
)
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_no_schedule_with_changes_of_the_members_breaks_an_invariant(
    make_network: Callable[..., Any], size: int, schedule: list[tuple[str, int]]
) -> None:
    network = make_network(size, founded=True, lazy_replication=len(schedule) % 2 == 0)
    for operation, number in schedule:
        perform(network, operation, number)
    heals(network)


@pytest.mark.parametrize("seed", range(16))
def test_members_come_and_go_in_long_random_runs(
    make_network: Callable[..., Any], seed: int
) -> None:
    chance = random.Random(seed)
    network = make_network(
        chance.choice((1, 3, 5)),
        seed=seed,
        founded=True,
        max_inflight_messages=chance.choice((1, 3, 256)),
        max_entries_per_message=chance.choice((1, 2, 4096)),
        snapshot_resend_heartbeats=5,
        pre_vote=chance.choice((True, False)),
        lazy_replication=chance.choice((True, False)),
        max_withheld_entries=chance.choice((1, 3, 16)),
    )
    storm(network, seed, 8000)
    heals(network)
    assert len(network.monitor.configurations) > 1
    assert not network.monitor.violations


class Weather:
    """What a network does to each message: times in rounds, chances in percent."""

    def __init__(
        self, *, loss: int = 0, doubled: int = 0, delayed: int = 0, longest: int = 0
    ) -> None:
        self.loss, self.doubled, self.delayed, self.longest = loss, doubled, delayed, longest
        self.lost_messages = self.doubled_messages = self.overtaken_messages = 0
        self._under_way: list[tuple[int, int, Any]] = []
        self._sent = 0
        self._arrived = 0

    def carry(self, network: Any, now: int, chance: random.Random) -> None:
        """Take what was sent, deliver what is due: in the order of arrival."""
        for message in network.in_flight:
            if chance.randrange(100) < self.loss:
                self.lost_messages += 1
                continue
            copies = 1 + (chance.randrange(100) < self.doubled)
            self.doubled_messages += copies - 1
            for _ in range(copies):
                late = chance.randrange(100) < self.delayed
                when = now + (chance.randrange(self.longest + 1) if late else 0)
                self._sent += 1
                self._under_way.append((when, self._sent, message))
        network.in_flight = []
        due = sorted(one for one in self._under_way if one[0] <= now)
        self._under_way = [one for one in self._under_way if one[0] > now]
        for _, number, message in due:
            self.overtaken_messages += number < self._arrived
            self._arrived = max(self._arrived, number)
            network.step(message)


WEATHERS: dict[str, dict[str, int]] = {
    "loss": {"loss": 30},
    "duplication": {"doubled": 60, "delayed": 30, "longest": 8},
    "delay": {"delayed": 100, "longest": 6},
    "reordering": {"delayed": 40, "longest": 25},
    "everything": {"loss": 15, "doubled": 30, "delayed": 50, "longest": 15},
}


@pytest.mark.parametrize("name", WEATHERS)
@pytest.mark.parametrize("seed", range(2))
def test_members_change_in_any_weather(
    make_network: Callable[..., Any], name: str, seed: int
) -> None:
    """The cluster works on, not only afterwards: entries are committed and members change."""
    chance = random.Random(f"{name}/{seed}")
    network = make_network(
        3,
        seed=seed,
        founded=True,
        max_inflight_messages=chance.choice((2, 256)),
        max_inflight_bytes=chance.choice((20, 1 << 20)),
        max_entries_per_message=chance.choice((2, 4096)),
        snapshot_resend_heartbeats=10,
        election_ticks=20,
    )
    weather = Weather(**WEATHERS[name])
    for now in range(2000):
        for node_id in network.ids:
            network.sync(node_id)
            network.begin(node_id)
            if chance.random() < 0.5:
                network.nodes[node_id].tick()
        weather.carry(network, now, chance)
        node_id = chance.choice(network.ids)
        what = chance.random()
        if what < 0.2:
            network.propose(node_id)
        elif what < 0.25:
            network.read(node_id)
        elif what < 0.28:
            change(network, node_id, chance.randrange(10_000))
        elif what < 0.29:
            network.snapshot(node_id)
        elif what < 0.293:
            network.crash(node_id)
        elif what < 0.295:
            network.nodes[node_id].transfer_leader(chance.choice(network.ids))
    assert (weather.lost_messages > 0) is (weather.loss > 0)
    assert (weather.doubled_messages > 0) is (weather.doubled > 0)
    assert (weather.overtaken_messages > 0) is (weather.longest > 0)
    assert max(node.raft.log.committed for node in network.nodes.values()) > 50
    assert len(network.monitor.configurations) > 3
    assert len(network.confirmed) > 10
    heals(network)
