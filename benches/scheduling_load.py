"""The load of the scheduling benchmark: creators that make pods, and a meter that sees them bound.

Both are ordinary clients of the API server. Their clock is the wall clock: the run itself is on
virtual time, which stands still while anything can run, so no time is lost in waiting for timers.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from k8sactors.actors import Actor
from k8sactors.api import codec
from k8sactors.api.errors import StatusError
from k8sactors.api.user import UserInfo
from k8sactors.client import Client, is_already_exists

__all__ = ["NAMESPACE", "USER", "Creator", "Meter", "cluster_admin", "node_object", "pod_object"]

Object = dict[str, Any]

NAMESPACE = "bench"
# Not one of `system:masters`, whom no authorizer is asked about.
USER = UserInfo("bench")


def cluster_admin() -> Object:
    """The binding that lets `USER` do everything."""
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": USER.name},
        "subjects": [{"kind": "User", "apiGroup": group, "name": USER.name}],
        "roleRef": {"kind": "ClusterRole", "apiGroup": group, "name": "cluster-admin"},
    }


def node_object(index: int) -> Object:
    """A node of 4 cpu, 32Gi and 110 pods."""
    name = f"node-{index}"
    resources = {"cpu": "4", "memory": "32Gi", "pods": "110"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "status": {
            "capacity": resources,
            "allocatable": resources,
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def pod_object(name: str) -> Object:
    """A pod that requests 100m and 500Mi."""
    requests = {"cpu": "100m", "memory": "500Mi"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": "bench"}},
        "spec": {
            "containers": [
                {
                    "name": "pause",
                    "image": "registry.k8s.io/pause:3.10",
                    "ports": [{"containerPort": 80}],
                    "resources": {"requests": requests, "limits": requests},
                }
            ]
        },
    }


class Creator(Actor):
    """Creates objects with a fixed number of requests in flight."""

    def __init__(self, servers: list[str], user: UserInfo = USER) -> None:
        self._servers, self._user = servers, user
        self._waiting: list[tuple[str, Object]] = []
        self._in_flight = 0
        self._on_created: Callable[[str, float], None] = _ignore
        self.errors: list[str] = []
        self.ready = False

    def on_start(self) -> None:
        """Connect."""
        self._client = Client(self.ctx, self._servers, self._user)
        self.ready = True

    @property
    def idle(self) -> bool:
        """Whether everything asked for has been answered."""
        return not self._in_flight and not self._waiting

    def create(
        self,
        objects: list[tuple[str, Object]],
        concurrency: int,
        on_sent: Callable[[str, float], None] | None = None,
    ) -> None:
        """Create (resource, object) pairs; `on_sent(name, wall_s)` is called as each one leaves."""
        self._on_created = on_sent or _ignore
        self._waiting = objects[::-1]
        for _ in range(min(concurrency, len(objects))):
            self._next()
        # Called from outside a turn: the timer makes one, at whose end everything leaves.
        self.ctx.after(0, _nothing)

    def _next(self) -> None:
        if not self._waiting:
            return
        resource, obj = self._waiting.pop()
        metadata = obj["metadata"]
        self._in_flight += 1
        self._on_created(metadata["name"], perf_counter())
        self._client.submit(
            "create",
            resource,
            namespace=metadata.get("namespace"),
            body=obj,
            on_done=self._answered,
            on_error=self._failed,
            decode=False,
        )

    def _answered(self, _answer: Object) -> None:
        self._in_flight -= 1
        self._next()

    def _failed(self, error: StatusError) -> None:
        if not is_already_exists(error):
            self.errors.append(str(error))
        self._answered({})


class Meter(Actor):
    """Watches pods and events, and notes when each pod is first seen with a node."""

    def __init__(self, servers: list[str], on_progress: Callable[[int], None]) -> None:
        self._servers = servers
        self._on_progress = on_progress
        self.bound_at_s: dict[str, float] = {}
        self.nodes: dict[str, str] = {}
        # Pods that were seen on two nodes: must stay empty.
        self.moved: list[str] = []
        self.scheduled_events = 0
        self.failures: list[str] = []

    def on_start(self) -> None:
        """Watch from the beginning."""
        client = Client(self.ctx, self._servers, USER)
        for resource, on_item in (("pods", self._pods), ("events", self._events)):
            client.watch(
                resource,
                namespace=None,
                options={"resourceVersion": "1"},
                on_item=on_item,
                on_close=self.failures.append,
            )

    def _pods(self, items: list[Any]) -> None:
        if items and items[0] == "ERROR":
            self.failures.append(f"watch of pods ended: {items[1]}")
            return
        now_s = perf_counter()
        for kind, _revision, body in items:
            if kind != "MODIFIED":
                continue
            pod = codec.decode_value(body)
            name, node = pod["metadata"]["name"], pod["spec"].get("nodeName")
            if not node:
                continue
            known = self.nodes.setdefault(name, node)
            if known != node:
                self.moved.append(name)
            elif name not in self.bound_at_s:
                self.bound_at_s[name] = now_s
        self._on_progress(len(self.bound_at_s))

    def _events(self, items: list[Any]) -> None:
        if items and items[0] == "ERROR":
            self.failures.append(f"watch of events ended: {items[1]}")
            return
        self.scheduled_events += sum(kind == "ADDED" for kind, _, _ in items)


def _ignore(_name: str, _at_s: float) -> None:
    """No answer is wanted."""


def _nothing() -> None:
    """The turn itself is what matters."""
