"""Runs controllers against the API server in memory, with a kubelet that obeys at once."""

from collections.abc import Awaitable, Callable
from typing import Any

import trio

from k8sactors import fabric, simulation
from k8sactors.api.meta import format_time
from k8sactors.controllers.base import ControllerConfig
from k8sactors.controllers.manager import ControllerManager
from tests.controllers.fake_api import FakeAPI, FakeStore

Object = dict[str, Any]


class World:
    """What a test sees: the store, and hands on the manager."""

    def __init__(self, store: FakeStore, network: Any, config: ControllerConfig) -> None:
        self.store = store
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

    @property
    def wall_ns(self) -> int:
        return simulation.current().wall_ns()

    def put(self, resource: str, obj: Object) -> Object:
        return self.store.put(resource, obj, self.wall_ns)

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
            spec={"nodeName": pod["spec"].get("nodeName") or "node-1"},
            status={
                "phase": phase,
                "podIP": f"10.244.1.{int(metadata['uid'].removeprefix('uid-')) % 250 + 1}",
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


def run(
    body: Callable[[World], Awaitable[None]], *, config: ControllerConfig, start: bool = True
) -> None:
    """Run `body` beside one API server, the kubelet and (unless told otherwise) a manager."""

    async def main() -> None:
        store = FakeStore()
        async with fabric.open_fabric(default_latency_ns=100_000) as network:
            network.add_host("cp-1").spawn("apiserver", lambda: FakeAPI(store))
            network.add_host("cp-2")
            world = World(store, network, config)
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
