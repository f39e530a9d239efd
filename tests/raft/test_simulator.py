"""Random schedules of delivery, loss, duplication, crash and disk latency, all monitored."""

import random  # noqa: TID251  # seeded by each test
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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


def perform(network: Any, operation: str, number: int) -> None:
    node_id = network.ids[number % len(network.ids)]
    if operation == "tick":
        network.nodes[node_id].tick()
    elif operation == "begin":
        if node_id not in network.unsynced:
            network.begin(node_id)
    elif operation in ("sync", "crash", "propose", "read", "snapshot"):
        getattr(network, operation)(node_id)
    elif operation == "transfer":
        network.nodes[node_id].transfer_leader(network.ids[number // 7 % len(network.ids)])
    elif network.in_flight:
        position = number % len(network.in_flight)
        if operation == "double":
            network.in_flight.append(network.in_flight[position])
        message = network.in_flight.pop(position)
        if operation != "lose":
            network.step(message)


def heals(network: Any) -> None:
    """After the storm: one leader, everybody agrees, and new entries get through."""
    for _ in range(200):
        network.tick()
        if len(network.leaders()) == 1 and network.propose(network.leaders()[0]):
            network.settle()
            commits = {node.raft.log.committed for node in network.nodes.values()}
            if len(commits) == 1 and network.nodes[1].raft.log.last_index in commits:
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
