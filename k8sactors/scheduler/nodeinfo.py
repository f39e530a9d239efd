"""A node and what the pods on it use, in plain integers.

The arrays of `table.py` mirror these objects, for questions about all nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from k8sactors.api.host_ports import HostPort
from k8sactors.scheduler.node_selector import SelectorTerm
from k8sactors.scheduler.podinfo import PodInfo, Requirements
from k8sactors.scheduler.resources import parse_resources
from k8sactors.scheduler.taints import Taint, parse_taints

__all__ = ["NodeInfo", "NodeSpec"]


@attrs.frozen
class NodeSpec:
    """What the Node object says that matters here; equal specs mean nothing has changed."""

    labels: dict[str, str]
    taints: tuple[Taint, ...]
    unschedulable: bool
    allocatable: dict[str, int]

    @classmethod
    def parse(cls, obj: Mapping[str, Any]) -> NodeSpec:
        """From a Node object."""
        spec = obj.get("spec") or {}
        status = obj.get("status") or {}
        return cls(
            labels=obj["metadata"].get("labels") or {},
            taints=parse_taints(spec.get("taints")),
            unschedulable=bool(spec.get("unschedulable")),
            allocatable=parse_resources(status.get("allocatable") or status.get("capacity")),
        )


@attrs.define(eq=False)
class NodeInfo:
    """A node, its allocatable resources, and the sums over the pods assigned to it."""

    name: str
    # The row in the node table; -1 while there is no Node object of this name.
    row: int = -1
    labels: dict[str, str] = attrs.Factory(dict)
    taints: tuple[Taint, ...] = ()
    unschedulable: bool = False

    allocatable_milli_cpu: int = 0
    allocatable_memory: int = 0
    allocatable_ephemeral: int = 0
    allocatable_pods: int = 0
    allocatable_extended: dict[str, int] = attrs.Factory(dict)

    requested_milli_cpu: int = 0
    requested_memory: int = 0
    requested_ephemeral: int = 0
    requested_extended: dict[str, int] = attrs.Factory(dict)
    scored_milli_cpu: int = 0
    scored_memory: int = 0
    pod_count: int = 0

    # By uid.
    pods: dict[str, PodInfo] = attrs.Factory(dict)
    # Those of them that have terms about other pods.
    affinity_pods: dict[str, PodInfo] = attrs.Factory(dict)
    # How many pods take each port.
    host_ports: dict[HostPort, int] = attrs.Factory(dict)
    # Differs after every change of the node, of its pods and of their objects.
    version: int = 0

    def apply_spec(self, spec: NodeSpec) -> None:
        """Take over what the Node object says."""
        self.version += 1
        self.labels = spec.labels
        self.taints = spec.taints
        self.unschedulable = spec.unschedulable
        allocatable = dict(spec.allocatable)
        self.allocatable_milli_cpu = allocatable.pop("cpu", 0)
        self.allocatable_memory = allocatable.pop("memory", 0)
        self.allocatable_ephemeral = allocatable.pop("ephemeral-storage", 0)
        self.allocatable_pods = allocatable.pop("pods", 0)
        self.allocatable_extended = allocatable

    def add_pod(self, pod: PodInfo) -> None:
        """Count a pod in."""
        self.pods[pod.uid] = pod
        if pod.requirements.pod_affinity is not None:
            self.affinity_pods[pod.uid] = pod
        self._count(pod, 1)

    def remove_pod(self, uid: str) -> None:
        """Count a pod out."""
        self.affinity_pods.pop(uid, None)
        self._count(self.pods.pop(uid), -1)

    def replace_pod(self, pod: PodInfo) -> None:
        """Take over a newer form of a pod that demands the same."""
        self.version += 1
        self.pods[pod.uid] = pod
        if pod.uid in self.affinity_pods:
            self.affinity_pods[pod.uid] = pod

    def _count(self, pod: PodInfo, sign: int) -> None:
        need = pod.requirements
        self.version += 1
        self.requested_milli_cpu += sign * need.milli_cpu
        self.requested_memory += sign * need.memory_bytes
        self.requested_ephemeral += sign * need.ephemeral_bytes
        self.scored_milli_cpu += sign * need.scored_milli_cpu
        self.scored_memory += sign * need.scored_memory_bytes
        self.pod_count += sign
        for name, amount in need.extended.items():
            self.requested_extended[name] = self.requested_extended.get(name, 0) + sign * amount
        for port in need.host_ports:
            users = self.host_ports.get(port, 0) + sign
            if users:
                self.host_ports[port] = users
            else:
                del self.host_ports[port]

    def matches(self, term: SelectorTerm) -> bool:
        """Whether the node meets every requirement of a node selector term."""
        if term.empty:
            return False
        labels = self.labels
        return all(e.accepts(labels.get(e.key)) for e in term.labels) and all(
            e.accepts(self.name) for e in term.names
        )

    def selected_by(self, need: Requirements) -> bool:
        """Whether the node meets a pod's nodeSelector and required node affinity."""
        labels = self.labels
        for key, value in need.node_selector.items():
            if labels.get(key) != value:
                return False
        return need.required_terms is None or any(map(self.matches, need.required_terms))

    def port_conflicts(self, wanted: HostPort) -> bool:
        """Whether a pod here takes the port."""
        return wanted.conflicts(self.host_ports)

    def copy(self) -> NodeInfo:
        """A copy whose pods can be added and removed without touching this node."""
        return attrs.evolve(
            self,
            pods=dict(self.pods),
            affinity_pods=dict(self.affinity_pods),
            host_ports=dict(self.host_ports),
            requested_extended=dict(self.requested_extended),
        )
