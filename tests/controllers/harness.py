"""Runs controllers against an API server over a store in memory; a kubelet obeys at once."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from k8sactors import fabric, simulation
from k8sactors.api.meta import format_time
from k8sactors.cluster.operator_host import OperatorClients
from k8sactors.controllers.manager import ControllerManager, ControllerManagerConfig
from k8sactors.testing import ControlPlane

Object = dict[str, Any]


class World:
    """What a test sees: the objects in the store, a client, and hands on the manager."""

    def __init__(
        self, control_plane: ControlPlane, network: Any, config: ControllerManagerConfig
    ) -> None:
        self.control_plane = control_plane
        self.store = control_plane.objects
        self.network = network
        self.config = config
        self.kubelet_runs = True
        self.make_ready: Callable[[Object], bool] = lambda _pod: True

    def start_manager(self, host: str = "cp-1", *, leader_elect: bool = False) -> None:
        self.network.hosts[host].spawn(
            "kube-controller-manager",
            lambda: ControllerManager(
                ["cp-1/apiserver"], config=self.config, leader_elect=leader_elect
            ),
        )

    def stop_manager(self, host: str = "cp-1") -> None:
        self.network.hosts[host].remove("kube-controller-manager")

    def manager(self, host: str = "cp-1") -> ControllerManager:
        found: ControllerManager = self.network.hosts[host].actor("kube-controller-manager")
        return found

    def delete(self, resource: str, name: str, namespace: str = "", **options: Any) -> None:
        """Ask the API server to delete an object."""
        console = self.network.hosts["console"].actor("kubectl")
        console.client.submit(
            "delete",
            resource,
            namespace=namespace,
            name=name,
            options=options,
            on_done=lambda _answer: None,
            on_error=_raise,
        )

    @property
    def wall_ns(self) -> int:
        return simulation.current().wall_ns()

    def put(self, resource: str, obj: Object) -> Object:
        return self.store.put(resource, obj)

    def pods(self, namespace: str = "default", **labels: str) -> list[Object]:
        return [
            pod
            for pod in self.store.list("pods", namespace)
            if labels.items() <= (pod["metadata"].get("labels") or {}).items()
        ]

    def active_pods(self, **labels: str) -> list[Object]:
        return [pod for pod in self.pods(**labels) if "deletionTimestamp" not in pod["metadata"]]

    def set_pod(self, pod: Object, *, ready: bool = True, phase: str = "Running") -> Object:
        now = format_time(self.wall_ns)
        metadata = pod["metadata"]
        return self.store.edit(
            "pods",
            metadata["name"],
            metadata["namespace"],
            spec={"nodeName": pod["spec"].get("nodeName") or _wanted_node(pod)},
            status={
                "phase": phase,
                "podIP": f"10.244.1.{zlib.crc32(metadata['uid'].encode()) % 250 + 1}",
                "conditions": [
                    {
                        "type": "Ready",
                        "status": "True" if ready else "False",
                        "lastTransitionTime": now,
                    }
                ],
            },
        )

    def events(self, reason: str | None = None) -> list[str]:
        return [
            event["message"]
            for event in self.store.list("events")
            if reason in {None, event["reason"]}
        ]

    async def kubelet(self) -> None:
        """Pods run and are ready half a second after they appear; deleted ones go as fast."""
        while True:
            await trio.sleep(0.5)
            if not self.kubelet_runs:
                continue
            for pod in self.store.list("pods"):
                metadata = pod["metadata"]
                if "deletionTimestamp" in metadata and not metadata.get("finalizers"):
                    self.store.remove("pods", metadata["name"], metadata["namespace"])
                elif pod["status"]["phase"] == "Pending" and not metadata.get("deletionTimestamp"):
                    self.set_pod(pod, ready=self.make_ready(pod))


def _wanted_node(pod: Object) -> str:
    """The node that a daemon pod names, as the scheduler would read it."""
    affinity = pod["spec"].get("affinity", {}).get("nodeAffinity", {})
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {})
    for term in required.get("nodeSelectorTerms", []):
        for field in term.get("matchFields", []):
            return str(field["values"][0])
    return "node-1"


def _raise(error: Exception) -> None:
    raise error


def run(
    body: Callable[[World], Awaitable[None]], *, config: ControllerManagerConfig, start: bool = True
) -> None:
    """Run `body` with one API server, the kubelet and (unless told otherwise) a manager."""

    async def main() -> None:
        control_plane = ControlPlane()
        async with fabric.open_fabric(default_latency_ns=100_000) as network:
            control_plane.add_server(network.add_host("cp-1"))
            network.add_host("cp-2")
            network.add_host("console").spawn(
                "kubectl", lambda: OperatorClients(["cp-1/apiserver"])
            )
            world = World(control_plane, network, config)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(world.kubelet)
                if start:
                    world.start_manager()
                await trio.sleep(1)
                with trio.fail_after(20_000):
                    await body(world)
                assert not network.crashes, network.crashes
                nursery.cancel_scope.cancel()

    simulation.run(main)


def template(app: str = "web", image: str = "shop/web:1", **metadata: Any) -> Object:
    return {
        "metadata": {"labels": {"app": app}, **metadata},
        "spec": {"containers": [{"name": "app", "image": image}]},
    }


def replica_set(name: str = "web", replicas: int = 3, **spec: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(),
            **spec,
        },
    }


def bare_pod(name: str, labels: dict[str, str] | None = None, **status: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": labels or {"app": "web"}},
        "spec": {"containers": [{"name": "app", "image": "shop/web:1"}]},
        "status": {"phase": "Pending", **status},
    }
