"""Random schedules of delivery, loss, duplication, crash and disk latency, all monitored."""

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
    network = make_network(size)
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
    network = make_network(size, founded=True)
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
    )
    storm(network, seed, 8000)
    heals(network)
    assert len(network.monitor.configurations) > 1
    assert not network.monitor.violations
