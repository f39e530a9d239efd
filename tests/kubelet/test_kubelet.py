"""The kubelet, its runtime and a little API server on a simulated network."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest
import trio

from k8sactors import simulation
from k8sactors.cluster.operator_host import OperatorClients
from k8sactors.fabric import Host, Network, open_fabric
from k8sactors.kubelet.kubelet import Kubelet
from k8sactors.kubelet.node_object import NodeSpec
from k8sactors.runtime.container_runtime import ContainerRuntime
from k8sactors.testing import ControlPlane
from tests.kubelet.fakes import a_container, a_pod

Key = tuple[str, str, str]
POD_KEY = ("pods", "shop", "web")


@attrs.define
class World:
    network: Network
    plane: ControlPlane
    master: Host
    worker: Host

    def get(self, resource: str, namespace: str, name: str) -> Any:
        return self.plane.objects.get(resource, name, namespace)

    def delete(self, key: Key, grace_seconds: int | None) -> None:
        """Ask the API server to delete an object."""
        operator = self.master.actor("operator")
        assert isinstance(operator, OperatorClients)
        resource, namespace, name = key
        options = {} if grace_seconds is None else {"gracePeriodSeconds": grace_seconds}
        operator.client.submit(
            "delete",
            resource,
            namespace=namespace,
            name=name,
            options=options,
            on_done=lambda _answer: None,
            on_error=_fail,
        )

    def asked(self, verb: str, resource: str, name: str, subresource: str = "") -> int:
        """How many requests of a kind the API server has received."""
        wanted = (verb, resource, name, subresource)
        return sum(
            (each.verb, each.resource, each.name, each.subresource) == wanted
            for each in self.plane.requests
        )

    def create(self, pod: dict[str, Any]) -> None:
        metadata = pod["metadata"]
        spec = {**pod["spec"], "nodeName": "worker-1"}
        status = {"phase": "Pending"}
        obj = {**pod, "metadata": metadata, "spec": spec, "status": status}
        self.plane.objects.put("pods", obj)

    def pod(self, name: str = "web") -> dict[str, Any]:
        return self.get("pods", "shop", name)

    def node(self) -> dict[str, Any]:
        return self.get("nodes", "", "worker-1")

    def set_pod_cidr(self) -> None:
        self.plane.objects.edit("nodes", "worker-1", spec={"podCIDR": "10.244.1.0/24"})

    def ready(self) -> str:
        conditions = self.node()["status"]["conditions"]
        return next(c["status"] for c in conditions if c["type"] == "Ready")


def _fail(error: Exception) -> None:
    raise error


def in_world(
    main: Callable[[World], Awaitable[Any]], static_pods: list[dict[str, Any]] | None = None
) -> Any:
    async def run() -> Any:
        async with open_fabric() as network:
            plane = ControlPlane()
            master, worker = network.add_host("cp-1"), network.add_host("worker-1")
            plane.add_server(master)
            master.spawn("operator", lambda: OperatorClients(["cp-1/apiserver"]))
            plane.objects.put("namespaces", {"metadata": {"name": "shop"}})
            worker.spawn("containerd", lambda: ContainerRuntime("worker-1", "192.168.0.11"))
            spec = NodeSpec("worker-1", "192.168.0.11", "zone-a", labels={"disk": "ssd"})
            worker.spawn(
                "kubelet",
                lambda: Kubelet(spec, ["cp-1/apiserver"], "worker-1/containerd", static_pods or ()),
            )
            await trio.sleep(0.1)
            return await main(World(network, plane, master, worker))

    return simulation.run(run)


async def up(world: World) -> None:
    world.set_pod_cidr()
    world.create(a_pod())
    await trio.sleep(5)
    assert world.pod()["status"]["phase"] == "Running"


@pytest.mark.covers("ND-13", "ND-25", "ND-27")
def test_a_kubelet_registers_and_renews_its_lease_every_ten_seconds() -> None:
    async def main(world: World) -> None:
        labels = world.node()["metadata"]["labels"]
        assert (
            labels["kubernetes.io/hostname"],
            labels["topology.kubernetes.io/zone"],
            labels["disk"],
        ) == ("worker-1", "zone-a", "ssd")
        times = []
        for _ in range(4):
            await trio.sleep(10)
            lease = world.get("leases.coordination.k8s.io", "kube-node-lease", "worker-1")
            times.append(lease["spec"]["renewTime"])
        assert len(dict.fromkeys(times)) == 4
        requests = len(world.plane.requests)
        await trio.sleep(100)
        assert requests + 11 >= len(world.plane.requests)

    in_world(main)


@pytest.mark.covers("NW-31")
def test_the_node_is_ready_once_its_pod_range_is_known() -> None:
    async def main(world: World) -> None:
        assert world.ready() == "False"
        world.create(a_pod())
        await trio.sleep(3)
        assert world.pod()["status"]["phase"] == "Pending"
        world.set_pod_cidr()
        await trio.sleep(3)
        assert world.ready() == "True"
        assert world.pod()["status"]["phase"] == "Running"

    in_world(main)


def test_a_pod_runs_reports_and_is_deleted() -> None:
    async def main(world: World) -> None:
        await up(world)
        status = world.pod()["status"]
        assert status["podIP"] == "10.244.1.2"
        ready = {c["type"]: c["status"] for c in status["conditions"]}
        assert {"True"} == set(ready.values())
        reasons = [event["reason"] for event in world.plane.objects.list("events")]
        for reason in ("Starting", "NodeReady", "Pulling", "Pulled", "Created", "Started"):
            assert reason in reasons
        world.delete(POD_KEY, None)
        await trio.sleep(5)
        assert world.get(*POD_KEY) is None
        runtime = world.worker.actor("containerd")
        assert isinstance(runtime, ContainerRuntime)
        assert runtime.engine.sandboxes == {}

    in_world(main)


def test_a_status_is_written_twice_on_the_way_up_and_then_left_alone() -> None:
    async def main(world: World) -> None:
        await up(world)
        patches = world.asked("patch", "pods", "web", "status")
        assert patches <= 3
        await trio.sleep(200)
        assert patches == world.asked("patch", "pods", "web", "status")

    in_world(main)


def test_containers_outlive_their_kubelet_and_are_adopted() -> None:
    async def main(world: World) -> None:
        await up(world)
        before = world.pod()["status"]["containerStatuses"]
        world.worker.kill_actor("kubelet")
        await trio.sleep(30)
        world.worker.restart_actor("kubelet")
        await trio.sleep(10)
        assert before == world.pod()["status"]["containerStatuses"]
        assert world.pod()["status"]["podIP"] == "10.244.1.2"

    in_world(main)


def test_a_pod_deleted_while_the_kubelet_was_away_is_removed() -> None:
    async def main(world: World) -> None:
        await up(world)
        world.worker.kill_actor("kubelet")
        await trio.sleep(1)
        world.delete(POD_KEY, 0)
        world.worker.restart_actor("kubelet")
        await trio.sleep(10)
        runtime = world.worker.actor("containerd")
        assert isinstance(runtime, ContainerRuntime)
        assert runtime.engine.sandboxes == {}

    in_world(main)


def test_containers_outlive_their_runtime_too() -> None:
    async def main(world: World) -> None:
        await up(world)
        before = world.pod()["status"]["containerStatuses"]
        world.worker.kill_actor("containerd")
        await trio.sleep(20)
        assert world.ready() == "False"
        world.worker.restart_actor("containerd")
        await trio.sleep(10)
        assert world.ready() == "True"
        assert before == world.pod()["status"]["containerStatuses"]

    in_world(main)


def test_after_a_power_loss_pods_run_again_and_count_a_restart() -> None:
    async def main(world: World) -> None:
        await up(world)
        world.worker.kill()
        await trio.sleep(60)
        world.worker.restart()
        await trio.sleep(20)
        status = world.pod()["status"]
        assert (status["phase"], status["containerStatuses"][0]["restartCount"]) == ("Running", 1)
        assert status["podIP"] == "10.244.1.3"
        assert world.ready() == "True"

    in_world(main)


def test_a_pod_that_does_not_fit_is_rejected() -> None:
    async def main(world: World) -> None:
        world.set_pod_cidr()
        big = a_container(resources={"requests": {"cpu": "3"}})
        world.create(a_pod(big, name="one"))
        await trio.sleep(1)
        world.create(a_pod(big, name="two"))
        world.create(a_pod(name="picky", nodeSelector={"disk": "tape"}))
        await trio.sleep(5)
        assert world.pod("one")["status"]["phase"] == "Running"
        status = world.pod("two")["status"]
        assert (status["phase"], status["reason"]) == ("Failed", "OutOfcpu")
        assert "requested: 3000, used: 3000, capacity: 4000" in status["message"]
        assert world.pod("picky")["status"]["reason"] == "NodeAffinity"

    in_world(main)


@pytest.mark.covers("ND-03")
def test_static_pods_show_as_mirrors_and_survive_their_deletion() -> None:
    manifest = {
        "metadata": {"name": "etcd"},
        "spec": {"hostNetwork": True, "containers": [a_container(image="registry.k8s.io/etcd:3")]},
    }

    async def main(world: World) -> None:
        await trio.sleep(5)
        key = ("pods", "kube-system", "etcd-worker-1")
        mirror = world.get(*key)
        assert (
            mirror["status"]["phase"],
            mirror["status"]["podIP"],
        ) == ("Running", "192.168.0.11")
        world.delete(key, None)
        await trio.sleep(5)
        again = world.get(*key)
        assert again["metadata"]["uid"] != mirror["metadata"]["uid"]
        assert again["status"]["phase"] == "Running"
        assert again["status"]["containerStatuses"][0]["restartCount"] == 0

    in_world(main, [manifest])


def test_a_node_marked_unknown_says_that_it_is_ready() -> None:
    async def main(world: World) -> None:
        await up(world)
        node = world.node()
        conditions = [
            {**c, "status": "Unknown"} if c["type"] == "Ready" else c
            for c in node["status"]["conditions"]
        ]
        status = {**node["status"], "conditions": conditions}
        world.plane.objects.put("nodes", {**node, "status": status})
        await trio.sleep(1)
        assert world.ready() == "True"

    in_world(main)


@pytest.mark.covers("ND-24")
def test_a_node_cut_off_keeps_its_containers_and_settles_up_afterwards() -> None:
    async def main(world: World) -> None:
        await up(world)
        world.create(a_pod(name="other"))
        await trio.sleep(5)
        runtime = world.worker.actor("containerd")
        assert isinstance(runtime, ContainerRuntime)
        world.network.partition([["cp-1"], ["worker-1"]])
        world.delete(POD_KEY, 0)
        world.delete(("pods", "shop", "other"), 30)
        await trio.sleep(120)
        assert len(runtime.engine.sandboxes) == 2
        world.network.heal()
        await trio.sleep(60)
        assert runtime.engine.sandboxes == {}
        assert world.get("pods", "shop", "other") is None
        lease = world.get("leases.coordination.k8s.io", "kube-node-lease", "worker-1")
        assert lease["spec"]["renewTime"] > "2025-01-01T00:02:50"

    in_world(main)


def test_a_pod_that_takes_the_name_of_another_keeps_its_own_status() -> None:
    async def main(world: World) -> None:
        await up(world)
        world.worker.pause()
        world.plane.objects.remove("pods", "web", "shop")
        successor = a_pod()
        successor["metadata"]["uid"] = "uid-successor"
        successor["spec"]["nodeName"] = "elsewhere"
        world.plane.objects.put("pods", successor)
        world.worker.resume()
        await trio.sleep(60)
        assert "status" not in world.pod()

    in_world(main)


@pytest.mark.covers("ND-15", "ND-17")
def test_a_pod_waits_for_its_config_map_and_asks_for_a_known_one_no_more() -> None:
    async def main(world: World) -> None:
        world.set_pod_cidr()
        volumes = [{"name": "conf", "configMap": {"name": "settings"}}]
        world.create(a_pod(volumes=volumes))
        await trio.sleep(5)
        assert world.pod()["status"]["phase"] == "Pending"
        settings = {"metadata": {"name": "settings", "namespace": "shop"}}
        world.plane.objects.put("configmaps", settings)
        await trio.sleep(10)
        assert world.pod()["status"]["phase"] == "Running"
        asked = world.asked("get", "configmaps", "settings")
        world.create(a_pod(name="second", volumes=volumes))
        await trio.sleep(5)
        assert world.pod("second")["status"]["phase"] == "Running"
        assert asked == world.asked("get", "configmaps", "settings")

    in_world(main)
