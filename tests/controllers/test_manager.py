"""The manager: which controllers run, and who of several leads."""

from __future__ import annotations

from functools import partial

import pytest
import trio

from k8sactors.controllers.manager import ControllerManagerConfig
from tests.controllers import harness
from tests.controllers.harness import World, replica_set

run = partial(harness.run, config=ControllerManagerConfig(controllers=("replicaset",)))
RS = "replicasets.apps"
LEASE = ("leases.coordination.k8s.io", "kube-controller-manager", "kube-system")


@pytest.mark.covers("CT-33")
def test_of_two_managers_one_works_and_the_other_takes_over() -> None:
    async def body(world: World) -> None:
        world.start_manager("cp-1", leader_elect=True)
        await trio.sleep(1)
        world.start_manager("cp-2", leader_elect=True)
        world.put(RS, replica_set())
        await trio.sleep(5)
        assert len(world.pods()) == 3
        assert world.manager("cp-1").is_leader
        assert not world.manager("cp-2").is_leader
        assert world.manager("cp-1").statistics()["replicaset-controller"]["reconciles"] > 0
        world.network.hosts["cp-1"].kill_actor("kube-controller-manager")
        world.store.edit(RS, "web", "default", spec={"replicas": 5})
        await trio.sleep(10)
        assert len(world.pods()) == 3
        await trio.sleep(20)
        assert world.manager("cp-2").is_leader
        assert len(world.pods()) == 5
        assert world.store.get(*LEASE)["spec"]["leaseTransitions"] == 1

    run(body, start=False)


def test_a_manager_that_loses_the_lease_stops_and_campaigns_again() -> None:
    async def body(world: World) -> None:
        world.start_manager("cp-2", leader_elect=True)
        await trio.sleep(5)
        assert world.manager("cp-2").is_leader
        world.network.cut("cp-2", "cp-1")
        await trio.sleep(30)
        assert not world.manager("cp-2").is_leader
        assert world.manager("cp-2").controllers == []
        world.network.heal()
        world.put(RS, replica_set())
        await trio.sleep(40)
        assert world.manager("cp-2").is_leader
        assert len(world.pods()) == 3

    run(body, start=False)


@pytest.mark.covers("CT-25")
def test_an_orderly_stop_hands_the_lease_over_at_once() -> None:
    async def body(world: World) -> None:
        world.start_manager("cp-1", leader_elect=True)
        await trio.sleep(2)
        world.start_manager("cp-2", leader_elect=True)
        # Between two renewals: one that is under way when the leader stops would win.
        await trio.sleep(2.5)
        world.stop_manager("cp-1")
        await trio.sleep(6)
        assert world.manager("cp-2").is_leader

    run(body, start=False)
