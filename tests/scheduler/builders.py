"""Nodes, pods and a scheduler without an API server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from k8sactors.scheduler.cache import Cache
from k8sactors.scheduler.decision import Decision, DecisionEngine
from k8sactors.scheduler.framework import CycleState, Framework, Handle, Profile
from k8sactors.scheduler.nodeinfo import NodeInfo, NodeSpec
from k8sactors.scheduler.plugins import default_profile
from k8sactors.scheduler.podinfo import PodInfo, PodParser

Object = dict[str, Any]
PARSER = PodParser()


def node_object(
    name: str,
    *,
    labels: dict[str, str] | None = None,
    taints: list[Object] | None = None,
    unschedulable: bool = False,
    **allocatable: str,
) -> Object:
    """A Node; resources by keyword, with `_` for `-`."""
    resources = {"cpu": "4", "memory": "8Gi", "pods": "110", "ephemeral-storage": "20Gi"}
    resources.update({key.replace("_", "-"): value for key, value in allocatable.items()})
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **(labels or {})}},
        "spec": {"taints": taints or [], "unschedulable": unschedulable},
        "status": {"allocatable": resources},
    }


def pod_object(
    name: str, *, labels: dict[str, str] | None = None, spec: Object | None = None, **requests: str
) -> Object:
    """A pod with one container; requests by keyword."""
    container: Object = {"name": "app", "image": "shop/x:1"}
    if requests:
        named = {key.replace("_", "-"): value for key, value in requests.items()}
        container["resources"] = {"requests": named}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": f"uid-{name}",
            "labels": labels or {},
        },
        "spec": {"containers": [container], **(spec or {})},
    }


def pod(name: str, **kwargs: Any) -> PodInfo:
    return PARSER.parse(pod_object(name, **kwargs))


class Draws:
    """A reproducible stream of numbers in [0, 1)."""

    def __init__(self, seed: int = 1) -> None:
        self._state = seed

    def __call__(self) -> float:
        self._state = (self._state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self._state >> 11) / 2**53


class World:
    """A cache with nodes, one profile, and the engine over them."""

    def __init__(
        self,
        *nodes: Object,
        profile: Profile | None = None,
        draw: Callable[[], float] | None = None,
        api: Any = None,
    ) -> None:
        self.cache = Cache()
        self.handle = Handle(self.cache, api)
        self.framework = Framework(profile or default_profile(), self.handle)
        self.engine = DecisionEngine(self.cache, draw or Draws())
        for node in nodes:
            self.add_node(node)

    def add_node(self, obj: Object) -> None:
        self.cache.set_node(obj["metadata"]["name"], NodeSpec.parse(obj))

    def node(self, name: str) -> NodeInfo:
        return self.cache.nodes[name]

    def decide(self, subject: PodInfo) -> Decision:
        return self.engine.decide(self.framework, subject)

    def place(self, subject: PodInfo) -> str:
        """Decide and assume; the name of the node."""
        name = self.decide(subject).node.name
        self.cache.assume(subject, name)
        return name

    def put(self, subject: PodInfo, node_name: str) -> None:
        self.cache.assume(subject, node_name)

    def state_for(self, subject: PodInfo) -> CycleState:
        state = CycleState()
        self.framework.run_pre_filters(state, subject, self.cache)
        self.framework.run_pre_scores(state, subject)
        return state

    def counts(self) -> list[int]:
        return sorted(node.pod_count for node in self.cache.existing_nodes())

    def rows(self) -> Any:
        return np.asarray(self.cache.table.rows())
