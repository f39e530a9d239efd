"""A control plane with the real API server; without a kubelet deleted pods linger until forced."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import trio

from benches.control_plane import start_store
from k8sactors import fabric, simulation
from k8sactors.apiserver import APIServer, APIServerConfig
from k8sactors.client import Client
from k8sactors.cluster.operator_host import OperatorClients
from k8sactors.fabric import Host, Network
from k8sactors.scheduler import Scheduler
from k8sactors.simulation import MILLISECOND, SECOND
from tests.scheduler.builders import node_object, pod_object

Object = dict[str, Any]

NAMESPACE = "default"
SCHEDULER_HOST = "cp-s"
# PriorityClasses by name.
PRIORITIES = {"low": 10, "middle": 100, "high": 1000, "higher": 2000}


class ControlPlane:
    """What a test does with a control plane, through the API."""

    def __init__(self, network: Network, client: Client, servers: list[str]) -> None:
        self.network = network
        self.client = client
        self._servers = servers
        self.schedulers: list[Scheduler] = []

    def add_scheduler(self, host: str = SCHEDULER_HOST, **settings: Any) -> None:
        """Start a scheduler on a host of its own."""

        def factory() -> Scheduler:
            scheduler = Scheduler(self._servers, host, **settings)
            self.schedulers.append(scheduler)
            return scheduler

        self.network.add_host(host).spawn("kube-scheduler", factory)

    async def add_nodes(self, *nodes: Object) -> None:
        for node in nodes:
            await self.client.create("nodes", node)

    async def add_pod(
        self, name: str, priority: str | None = None, spec: Object | None = None, **requests: str
    ) -> None:
        """Create a pod and give the scheduler a second."""
        named = {"priorityClassName": priority} if priority else {}
        obj = pod_object(name, spec={**named, **(spec or {})}, **requests)
        del obj["metadata"]["uid"]
        await self.client.create("pods", obj)
        await trio.sleep(1)

    async def pod(self, name: str) -> Object:
        return await self.client.get("pods", name, NAMESPACE)

    async def node_of(self, name: str) -> str | None:
        node_name: str | None = (await self.pod(name))["spec"].get("nodeName")
        return node_name

    async def nominated(self, name: str) -> str | None:
        node_name: str | None = (await self.pod(name))["status"].get("nominatedNodeName")
        return node_name

    async def message(self, name: str) -> str:
        """What the pod's condition says about the last attempt."""
        conditions = (await self.pod(name))["status"]["conditions"]
        message: str = next(c for c in conditions if c["type"] == "PodScheduled")["message"]
        return message

    async def terminating(self) -> list[str]:
        pods = (await self.client.list("pods", NAMESPACE))["items"]
        return [p["metadata"]["name"] for p in pods if "deletionTimestamp" in p["metadata"]]

    async def finish(self, name: str) -> None:
        """What the kubelet does when the containers have ended: the pod is gone."""
        await self.client.delete("pods", name, NAMESPACE, gracePeriodSeconds=0)

    async def change_node(self, name: str, patch: Object, subresource: str | None = None) -> None:
        await self.client.patch("nodes", name, patch, subresource=subresource)


def with_control_plane(
    body: Callable[[ControlPlane], Awaitable[None]],
    *,
    scheduler_latency_s: float = 0.001,
    seed: int = 0,
) -> None:
    """Run `body` next to a control plane that has no scheduler and no node yet."""

    def latency_ns(source: Host, target: Host) -> int:
        far = SCHEDULER_HOST in {source.name, target.name}
        return int(scheduler_latency_s * SECOND) if far else MILLISECOND

    async def main() -> None:
        async with fabric.open_fabric(latency_ns=latency_ns) as network:
            config = APIServerConfig(store_endpoints=start_store(network, 1), taint_new_nodes=False)
            network.add_host("cp-1").spawn("apiserver", partial(APIServer, config))
            servers = ["cp-1/apiserver"]
            operator = OperatorClients(servers)
            network.add_host("console").spawn("kubectl", lambda: operator)
            await operator.started.wait()
            await trio.sleep(2)
            plane = ControlPlane(network, operator.client, servers)
            account = {"metadata": {"name": "default", "namespace": NAMESPACE}}
            await plane.client.create("serviceaccounts", account)
            for name, value in PRIORITIES.items():
                await plane.client.create(
                    "priorityclasses.scheduling.k8s.io",
                    {"metadata": {"name": name}, "value": value},
                )
            # The same priority, without the right to preempt.
            await plane.client.create(
                "priorityclasses.scheduling.k8s.io",
                {
                    "metadata": {"name": "high-never"},
                    "value": PRIORITIES["high"],
                    "preemptionPolicy": "Never",
                },
            )
            await body(plane)
            assert not network.crashes, network.crashes

    simulation.run(main, seed=seed)


def full_nodes(*names: str) -> list[Object]:
    """Nodes of two cpu."""
    return [node_object(name, cpu="2") for name in names]
