"""Plans are drawn from a seed, hit only what they may, and leave nothing broken."""

from itertools import cycle

import trio

from k8sactors import simulation
from k8sactors.actors import Actor
from k8sactors.fabric import Network, open_fabric
from k8sactors.faults import (
    CATALOGUE,
    DEFAULT_KINDS,
    Targets,
    draw_plan,
    heal_everything,
    schedule_plan,
)

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
    assert set().union(*kinds) == set(DEFAULT_KINDS)
    assert any(drawn != set(DEFAULT_KINDS) for drawn in kinds)


def _check_well(network: Network) -> None:
    for host in network.hosts.values():
        assert host.up
        assert not host.paused
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
            random = simulation.current().random("plan")
            plan = draw_plan(random, TARGETS, DURATION_MS, tuple(CATALOGUE))
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
