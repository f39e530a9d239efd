"""The scheduler against an API server in memory, over the fabric."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from k8sactors import fabric, simulation
from k8sactors.api import errors
from k8sactors.scheduler import Scheduler, default_profile
from k8sactors.simulation import MILLISECOND
from k8sactors.testing import ControlPlane
from tests.scheduler.builders import node_object, pod_object

Object = dict[str, Any]


class Stage:
    """A store, an API server, and schedulers."""

    def __init__(self, network: Any) -> None:
        self.network = network
        self.control_plane = ControlPlane()
        self.store = self.control_plane.objects
        self.schedulers: list[Scheduler] = []
        self.control_plane.add_server(network.add_host("cp-1"))

    def add_scheduler(self, host: str = "cp-s", **kwargs: Any) -> None:
        def factory() -> Scheduler:
            scheduler = Scheduler(["cp-1/apiserver"], host, **kwargs)
            self.schedulers.append(scheduler)
            return scheduler

        self.network.add_host(host).spawn("kube-scheduler", factory)

    def add_nodes(self, *nodes: Object) -> None:
        for node in nodes:
            self.store.put("nodes", node)

    def add_pods(self, *pods: Object) -> None:
        for obj in pods:
            metadata = {k: v for k, v in obj["metadata"].items() if k != "uid"}
            self.store.put("pods", {**obj, "metadata": metadata, "status": {"phase": "Pending"}})

    def node_of(self, name: str) -> str | None:
        obj = self.store.get("pods", name, "default")
        return obj["spec"].get("nodeName") if obj else None

    def condition(self, name: str) -> Object:
        obj = self.store.get("pods", name, "default")
        assert obj is not None
        conditions: list[Object] = obj["status"].get("conditions", [])
        return next(c for c in conditions if c["type"] == "PodScheduled")

    def events(self, reason: str) -> list[str]:
        return [e["message"] for e in self.store.list("events") if e["reason"] == reason]

    def bindings(self) -> int:
        return sum(each.subresource == "binding" for each in self.control_plane.requests)


def on_stage(body: Callable[[Stage], Awaitable[None]], seed: int = 0) -> None:
    async def main() -> None:
        async with fabric.open_fabric(default_latency_ns=MILLISECOND) as network:
            stage = Stage(network)
            await body(stage)
            assert not network.crashes, network.crashes

    simulation.run(main, seed=seed)


@pytest.mark.covers("SC-01", "SC-07", "SC-21")
def test_pods_are_bound_through_the_binding_subresource() -> None:
    async def body(stage: Stage) -> None:
        stage.add_nodes(*(node_object(f"n{i}") for i in range(3)))
        stage.add_pods(*(pod_object(f"early-{i}", cpu="100m") for i in range(15)))
        stage.add_scheduler(leader_elect=False)
        await trio.sleep(1)
        stage.add_pods(*(pod_object(f"late-{i}", cpu="100m") for i in range(15)))
        await trio.sleep(1)
        nodes = [p["spec"].get("nodeName") for p in stage.store.list("pods")]
        assert sorted(nodes.count(f"n{i}") for i in range(3)) == [10, 10, 10]
        assert stage.bindings() == 30
        node = stage.node_of("late-3")
        assert f"Successfully assigned default/late-3 to {node}" in stage.events("Scheduled")
        statistics = stage.schedulers[0].statistics()
        assert statistics["scheduled"] == 30
        assert statistics["in flight"] == 0

    on_stage(body)


@pytest.mark.covers("SC-12", "SC-16")
def test_an_unschedulable_pod_says_why_and_binds_when_a_node_comes() -> None:
    async def body(stage: Stage) -> None:
        stage.add_scheduler(leader_elect=False)
        stage.add_pods(pod_object("big", cpu="3"))
        await trio.sleep(1)
        assert stage.condition("big")["message"] == "no nodes available to schedule pods"
        stage.add_nodes(node_object("small", cpu="1"), node_object("small-2", cpu="2"))
        await trio.sleep(12)
        condition = stage.condition("big")
        assert (condition["status"], condition["reason"]) == ("False", "Unschedulable")
        assert condition["message"] == (
            "0/2 nodes are available: 2 Insufficient cpu. preemption: 0/2 nodes are available:"
            " 2 Preemption is not helpful for scheduling."
        )
        assert condition["message"] in stage.events("FailedScheduling")
        stage.add_nodes(node_object("large"))
        await trio.sleep(12)
        assert stage.node_of("big") == "large"

    on_stage(body)


def test_a_failed_binding_frees_the_node_and_is_repeated() -> None:
    async def body(stage: Stage) -> None:
        stage.add_nodes(node_object("n0", cpu="1"))
        stage.add_scheduler(leader_elect=False)
        await trio.sleep(1)
        stage.control_plane.refusals.append(errors.conflict("pods/binding", "p"))
        stage.add_pods(pod_object("p", cpu="1"))
        await trio.sleep(0.5)
        assert stage.node_of("p") is None
        assert stage.schedulers[0].cache.pod_count == 0
        await trio.sleep(2)
        assert stage.node_of("p") == "n0"
        assert stage.schedulers[0].statistics()["errors"] == 1

    on_stage(body)


def test_a_binding_of_unknown_outcome_is_repeated_on_the_same_node() -> None:
    async def body(stage: Stage) -> None:
        stage.add_nodes(node_object("n0", cpu="1"), node_object("n1", cpu="1"))
        stage.add_scheduler(leader_elect=False)
        await trio.sleep(1)
        stage.control_plane.refusals.append(errors.timeout("etcdserver: request timed out"))
        stage.add_pods(pod_object("p", cpu="1"))
        await trio.sleep(0.5)
        assert stage.node_of("p") is None
        meant = stage.schedulers[0].cache.pod(stage.store.list("pods")[0]["metadata"]["uid"])
        assert meant is not None
        stage.add_pods(pod_object("q", cpu="1"))
        await trio.sleep(3)
        assert {stage.node_of("p"), stage.node_of("q")} == {"n0", "n1"}
        statistics = stage.schedulers[0].statistics()
        assert (statistics["errors"], statistics["repeated bindings"]) == (0, 1)

    on_stage(body)


def test_room_of_a_deleted_pod_goes_to_the_most_important_waiting_one() -> None:
    async def body(stage: Stage) -> None:
        stage.add_nodes(node_object("n0", cpu="2"))
        stage.add_scheduler(leader_elect=False)
        stage.add_pods(pod_object("hog", cpu="2", spec={"priority": 1000}))
        await trio.sleep(1)
        stage.add_pods(pod_object("low", cpu="2", spec={"priority": 10}))
        await trio.sleep(1)
        stage.add_pods(pod_object("high", cpu="2", spec={"priority": 100}))
        await trio.sleep(4)
        stage.store.remove("pods", "hog", "default")
        await trio.sleep(4)
        assert (stage.node_of("high"), stage.node_of("low")) == ("n0", None)

    on_stage(body)


@pytest.mark.covers("SC-22")
def test_preemption_evicts_nominates_and_then_binds() -> None:
    async def body(stage: Stage) -> None:
        stage.add_nodes(node_object("n0", cpu="2"))
        stage.add_scheduler(leader_elect=False)
        stage.add_pods(pod_object("victim", cpu="2"))
        await trio.sleep(1)
        stage.add_pods(pod_object("boss", cpu="1", spec={"priority": 1000}))
        await trio.sleep(1)
        victim = stage.store.get("pods", "victim", "default")
        boss = stage.store.get("pods", "boss", "default")
        assert victim is not None
        assert "deletionTimestamp" in victim["metadata"]
        assert boss is not None
        assert boss["status"]["nominatedNodeName"] == "n0"
        assert stage.events("Preempted")
        # A strategic patch leaves the conditions that others have written in place.
        patches = [
            request.options
            for request in stage.control_plane.requests
            if request[:2] == ("patch", "pods")
        ]
        assert {options["patchType"] for options in patches} == {"strategic"}
        stage.store.remove("pods", "victim", "default")
        stage.add_pods(pod_object("thief", cpu="2"))
        await trio.sleep(12)
        assert (stage.node_of("boss"), stage.node_of("thief")) == ("n0", None)

    on_stage(body)


@pytest.mark.covers("SC-13", "SC-15")
def test_pods_of_other_schedulers_and_with_a_node_are_left_alone() -> None:
    async def body(stage: Stage) -> None:
        stage.add_nodes(node_object("n0"))
        profiles = [default_profile(), default_profile().named("second")]
        stage.add_scheduler(leader_elect=False, profiles=profiles)
        stage.add_pods(
            pod_object("theirs", spec={"schedulerName": "my-scheduler"}),
            pod_object("second", spec={"schedulerName": "second"}),
            pod_object("fixed", spec={"nodeName": "n9"}),
        )
        await trio.sleep(1)
        assert stage.node_of("theirs") is None
        assert stage.node_of("second") == "n0"
        assert stage.node_of("fixed") == "n9"
        assert stage.bindings() == 1

    on_stage(body)


@pytest.mark.covers("SC-24")
def test_a_standby_takes_over_when_the_leader_dies_and_no_pod_is_bound_twice() -> None:
    async def body(stage: Stage) -> None:
        stage.add_nodes(*(node_object(f"n{i}") for i in range(3)))
        stage.add_scheduler("cp-a")
        await trio.sleep(2)
        stage.add_scheduler("cp-b")
        stage.add_pods(*(pod_object(f"p{i}", cpu="100m") for i in range(5)))
        await trio.sleep(3)
        assert [s.leading for s in stage.schedulers] == [True, False]
        assert stage.bindings() == 5
        stage.network.hosts["cp-a"].kill()
        stage.add_pods(*(pod_object(f"q{i}", cpu="100m") for i in range(5)))
        await trio.sleep(5)
        assert stage.bindings() == 5
        await trio.sleep(20)
        assert stage.schedulers[1].leading
        assert all(stage.node_of(f"q{i}") for i in range(5))
        assert stage.bindings() == 10

    on_stage(body)


def test_equal_seeds_place_equally() -> None:
    def placements(seed: int) -> list[str | None]:
        found: list[str | None] = []

        async def body(stage: Stage) -> None:
            stage.add_nodes(*(node_object(f"n{i}") for i in range(10)))
            stage.add_pods(*(pod_object(f"p{i}", cpu="100m") for i in range(20)))
            stage.add_scheduler(leader_elect=False)
            await trio.sleep(1)
            found.extend(stage.node_of(f"p{i}") for i in range(20))

        on_stage(body, seed)
        return found

    assert placements(3) == placements(3)
    assert placements(3) != placements(4)
