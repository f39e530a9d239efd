"""Plans are drawn from a seed, hit only what they may, and leave nothing broken."""

from __future__ import annotations

from itertools import cycle

import trio

from k8sactors import simulation
from k8sactors.actors import Actor
from k8sactors.fabric import Network, open_fabric
from k8sactors.faults import (
    FAULTS,
    PlannedFault,
    Targets,
    common_faults,
    draw_plan,
    heal_everything,
    schedule_plan,
)
from k8sactors.store.member import open_disk
from raftstore.server.disk import NO_FAULTS

TARGETS = Targets(
    hosts=("a", "b", "c"), store_hosts=("a", "b"), actors=(("a", "x"), ("b", "x"), ("c", "x"))
)
DURATION_MS = 60_000


def _plan_of(seed: int) -> list[str]:
    return [fault.describe() for fault in draw_plan(simulation.Random(seed), TARGETS, DURATION_MS)]


def test_the_same_seed_draws_the_same_plan_and_others_differ() -> None:
    assert _plan_of(3) == _plan_of(3)
    assert len({tuple(_plan_of(seed)) for seed in range(20)}) == 20


def test_over_many_seeds_every_kind_of_fault_is_drawn_and_some_runs_leave_one_out() -> None:
    kinds = [
        {fault.kind for fault in draw_plan(simulation.Random(seed), TARGETS, DURATION_MS)}
        for seed in range(100)
    ]
    assert set().union(*kinds) == set(common_faults())
    assert any(drawn != set(common_faults()) for drawn in kinds)


def _check_well(network: Network) -> None:
    for host in network.hosts.values():
        assert host.up
        assert not host.paused
        assert (host.clock.drift_ppm, host.clock.offset_ns) == (0, 0)
        assert open_disk(host).faults == NO_FAULTS
        assert all(slot.actor is not None for slot in host.slots.values())
    for a in network.hosts:
        for b in network.hosts:
            assert network.path(a, b).plain


def test_after_healing_every_host_link_and_actor_is_well() -> None:
    async def main() -> None:
        async with open_fabric() as network:
            for name in TARGETS.hosts:
                network.add_host(name).spawn("x", Actor)
                network.host(name).spawn("etcd", Actor)
                open_disk(network.host(name))
            random = simulation.current().random("plan")
            plan = draw_plan(random, TARGETS, DURATION_MS, tuple(FAULTS))
            timers = simulation.current().timers
            leaders = cycle(TARGETS.hosts)
            schedule_plan(plan, network, timers, DURATION_MS, lambda: next(leaders))
            await trio.sleep(DURATION_MS / 1000 / 2)
            heal_everything(network)
            await trio.sleep(DURATION_MS / 1000 / 2 + 1)
            heal_everything(network)
            await trio.sleep(1)
            _check_well(network)

    for seed in range(15):
        simulation.run(main, seed=seed)


def test_a_sequence_unfolds_into_faults_that_can_be_left_out_one_by_one() -> None:
    sequences = [fault.name for fault in FAULTS.values() if fault.unfold is not None]
    assert sequences
    for kind in sequences:
        plan = draw_plan(simulation.Random(5), TARGETS, DURATION_MS, (kind,))
        assert {fault.part_of for fault in plan} == {kind}
        assert {fault.kind for fault in plan} <= set(FAULTS) - set(sequences)
        assert [fault.at_ms for fault in plan] == sorted(fault.at_ms for fault in plan)
        assert all(0 <= fault.at_ms < DURATION_MS for fault in plan)


def test_what_strikes_is_told_once_each() -> None:
    struck: list[PlannedFault] = []

    async def main() -> None:
        async with open_fabric() as network:
            for name in TARGETS.hosts:
                network.add_host(name)
            timers = simulation.current().timers
            schedule_plan(plan, network, timers, DURATION_MS, lambda: None, struck.append)
            await trio.sleep(DURATION_MS / 1000)

    kinds = ("clog", "isolate-leader", "clock-step")
    plan = draw_plan(simulation.Random(2), TARGETS, DURATION_MS, kinds)
    simulation.run(main)
    # No member leads, so none can be isolated for that.
    assert struck == [fault for fault in plan if fault.kind != "isolate-leader"]
    assert struck
