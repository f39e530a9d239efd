"""Nodes that fall silent: conditions, taints, evictions, and when not to evict."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio

from k8sactors import simulation
from k8sactors.api.meta import format_micro_time, format_time
from k8sactors.controllers.machinery.taints import toleration_seconds
from k8sactors.controllers.manager import ControllerManagerConfig
from k8sactors.controllers.node_lifecycle.zones import RateLimitedNodes, ZoneState, zone_state
from tests.controllers import harness
from tests.controllers.harness import World, bare_pod

Object = dict[str, Any]
CONFIG = ControllerManagerConfig(
    controllers=("node-lifecycle-controller", "taint-eviction-controller")
)
run = partial(harness.run, config=CONFIG)
LEASES = "leases.coordination.k8s.io"


def node(world: World, name: str, zone: str = "a") -> Object:
    now = format_time(world.wall_ns)
    return world.put(
        "nodes",
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": zone}},
            "spec": {},
            "status": {
                "conditions": [
                    {
                        "type": kind,
                        "status": "True" if kind == "Ready" else "False",
                        "lastHeartbeatTime": now,
                        "lastTransitionTime": now,
                    }
                    for kind in ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
                ]
            },
        },
    )


class Heart:
    """Renews the Leases of the nodes that are alive."""

    def __init__(self, world: World, *names: str) -> None:
        self.world = world
        self.alive = dict.fromkeys(names)

    async def beat(self) -> None:
        while True:
            for name in self.alive:
                self.world.put(
                    LEASES,
                    {
                        "apiVersion": "coordination.k8s.io/v1",
                        "kind": "Lease",
                        "metadata": {"name": name, "namespace": "kube-node-lease"},
                        "spec": {"renewTime": format_micro_time(self.world.wall_ns)},
                    },
                )
            await trio.sleep(10)


def run_with_heart(names: dict[str, str], body: Any) -> None:
    async def inside(world: World) -> None:
        heart = Heart(world, *names)
        for name, zone in names.items():
            node(world, name, zone)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(heart.beat)
            await trio.sleep(10)
            await body(world, heart)
            nursery.cancel_scope.cancel()

    run(inside)


def pod_on(
    world: World, name: str, node_name: str, seconds: int | None = 300, key: str = "unreachable"
) -> Object:
    pod = bare_pod(name)
    pod["spec"]["nodeName"] = node_name
    toleration = {
        "key": f"node.kubernetes.io/{key}",
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": seconds,
    }
    if seconds is None:
        del toleration["tolerationSeconds"]
    pod["spec"]["tolerations"] = [toleration]
    return world.set_pod(world.put("pods", pod))


def taints(world: World, name: str) -> dict[str, str]:
    found = world.store.get("nodes", name)
    return {t["effect"]: t["key"].split("/")[1] for t in found["spec"].get("taints") or []}


def ready(obj: Object) -> str:
    return next(c["status"] for c in obj["status"]["conditions"] if c["type"] == "Ready")


NODES = {"n1": "a", "n2": "a", "n3": "b", "n4": "b"}


@pytest.mark.covers("ND-21", "ND-22", "CT-08")
def test_silent_node_is_unknown_tainted_and_loses_its_pods_after_their_toleration() -> None:
    async def body(world: World, heart: Heart) -> None:
        for name, seconds in (("quick", 5), ("default", 300), ("forever", None)):
            pod_on(world, name, "n1", seconds)
        pod_on(world, "elsewhere", "n2", 5)
        del heart.alive["n1"]
        await trio.sleep(35)
        assert ready(world.store.get("nodes", "n1")) == "True"
        await trio.sleep(30)
        silent = world.store.get("nodes", "n1")
        assert {c["status"] for c in silent["status"]["conditions"]} == {"Unknown"}
        assert taints(world, "n1")["NoSchedule"] == "unreachable"
        assert ready(world.store.get("pods", "default", "default")) == "False"
        await trio.sleep(15)
        assert taints(world, "n1") == {"NoSchedule": "unreachable", "NoExecute": "unreachable"}
        quick = world.store.get("pods", "quick", "default")
        assert quick is None
        assert world.store.get("pods", "default", "default") is not None
        await trio.sleep(300)
        assert world.store.get("pods", "default", "default") is None
        assert world.store.get("pods", "forever", "default") is not None
        assert ready(world.store.get("pods", "elsewhere", "default")) == "True"
        assert "Node n1 status is now: NodeNotReady" in world.events("NodeNotReady")
        assert "Marking for deletion Pod default/quick" in world.events("TaintManagerEviction")

    run_with_heart(NODES, body)


def test_a_node_that_returns_in_time_keeps_its_pods() -> None:
    async def body(world: World, heart: Heart) -> None:
        pod_on(world, "web", "n1")
        del heart.alive["n1"]
        await trio.sleep(100)
        assert taints(world, "n1")["NoExecute"] == "unreachable"
        heart.alive["n1"] = None
        status = world.store.get("nodes", "n1")["status"]
        now = format_time(world.wall_ns)
        conditions = [
            {**c, "status": "True" if c["type"] == "Ready" else "False", "lastHeartbeatTime": now}
            for c in status["conditions"]
        ]
        world.store.edit("nodes", "n1", status={"conditions": conditions})
        await trio.sleep(15)
        assert taints(world, "n1") == {}
        await trio.sleep(400)
        assert world.store.get("pods", "web", "default") is not None
        assert "Cancelling deletion of Pod default/web" in world.events("TaintManagerEviction")

    run_with_heart(NODES, body)


def test_a_node_that_reports_not_ready_is_tainted_so() -> None:
    async def body(world: World, _heart: Heart) -> None:
        pod_on(world, "short", "n1", 3, "not-ready")
        status = world.store.get("nodes", "n1")["status"]
        conditions = [
            {**c, "status": "False"} if c["type"] == "Ready" else c for c in status["conditions"]
        ]
        world.store.edit("nodes", "n1", status={"conditions": conditions})
        await trio.sleep(1)
        assert taints(world, "n1") == {"NoSchedule": "not-ready"}
        await trio.sleep(12)
        assert taints(world, "n1") == {"NoSchedule": "not-ready", "NoExecute": "not-ready"}
        assert world.store.get("pods", "short", "default") is None

    run_with_heart(NODES, body)


def test_cordon_and_pressure_are_mirrored_as_taints() -> None:
    async def body(world: World, _heart: Heart) -> None:
        world.store.edit("nodes", "n1", spec={"unschedulable": True})
        await trio.sleep(1)
        assert taints(world, "n1") == {"NoSchedule": "unschedulable"}
        world.store.edit("nodes", "n1", spec={"unschedulable": False})
        await trio.sleep(1)
        assert taints(world, "n1") == {}

    run_with_heart(NODES, body)


@pytest.mark.covers("ND-24")
def test_no_pod_is_evicted_when_all_nodes_are_silent() -> None:
    async def body(world: World, heart: Heart) -> None:
        pod_on(world, "jumpy", "n1", 1)
        heart.alive.clear()
        await trio.sleep(400)
        for name in NODES:
            assert ready(world.store.get("nodes", name)) == "Unknown"
            assert taints(world, name) == {"NoSchedule": "unreachable"}
        assert world.store.get("pods", "jumpy", "default") is not None

    run_with_heart(NODES, body)


def test_a_zone_that_is_gone_loses_one_node_in_ten_seconds() -> None:
    async def body(world: World, heart: Heart) -> None:
        for name in ("n1", "n2", "n3"):
            del heart.alive[name]
        times: dict[str, float] = {}
        for _ in range(1200):
            await trio.sleep(0.1)
            for name in ("n1", "n2", "n3"):
                if "NoExecute" in taints(world, name):
                    times.setdefault(name, simulation.current().now_ns() / 1e9)
        first, second, third = sorted(times.values())
        assert 9 <= second - first <= 11
        assert 9 <= third - second <= 11

    run_with_heart({"n1": "a", "n2": "a", "n3": "a", "n4": "b"}, body)


def test_a_restarted_manager_gives_the_grace_period_again_and_then_acts() -> None:
    async def body(world: World, heart: Heart) -> None:
        pod_on(world, "web", "n1", 5)
        del heart.alive["n1"]
        await trio.sleep(20)
        world.stop_manager()
        await trio.sleep(60)
        world.start_manager()
        await trio.sleep(40)
        assert ready(world.store.get("nodes", "n1")) == "True"
        await trio.sleep(40)
        assert world.store.get("pods", "web", "default") is None

    run_with_heart(NODES, body)


def test_tolerations_decide_how_long_a_pod_stays() -> None:
    taint = {"key": "k", "value": "v", "effect": "NoExecute"}

    def stay(*tolerations: Object) -> float | None:
        return toleration_seconds({"spec": {"tolerations": list(tolerations)}}, [taint])

    assert stay() == 0
    assert stay({"operator": "Exists"}) == float("inf")
    assert stay({"key": "k", "value": "v", "tolerationSeconds": 7}) == 7
    assert stay({"key": "k", "value": "other"}) == 0
    assert stay({"key": "k", "operator": "Exists", "effect": "NoSchedule"}) == 0
    assert toleration_seconds({"spec": {}}, []) is None


def test_zone_states_and_rates() -> None:
    assert zone_state(0, 1, 0.55) is ZoneState.FULL
    assert zone_state(2, 2, 0.55) is ZoneState.NORMAL
    assert zone_state(2, 3, 0.55) is ZoneState.PARTIAL
    queue = RateLimitedNodes(0.1, 0)
    queue.waiting = {"a": None, "b": None}
    assert queue.take(0) == "a"
    assert queue.take(0) is None
    wait_ns = queue.next_token_ns()
    assert wait_ns is not None
    assert queue.take(wait_ns) == "b"
