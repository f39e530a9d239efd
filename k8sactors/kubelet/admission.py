"""Admission on the node: the kubelet's own check that a pod that was bound to it fits.

The scheduler's picture may be old, and any client may create a pod with a node name. Reasons and
messages are the kubelet's (lifecycle/predicate).
"""

from __future__ import annotations

from collections.abc import Mapping

from k8sactors.api import quantity
from k8sactors.api.host_ports import HostPort, host_ports
from k8sactors.kubelet import pod_spec


class Admission:
    """Counts what admitted pods ask for.

    Args:
        allocatable: the node's allocatable resources.
        labels: the node's labels.
    """

    def __init__(self, allocatable: Mapping[str, str], labels: Mapping[str, str]) -> None:
        self._cpu_milli = quantity.parse_cpu_milli(allocatable["cpu"])
        self._memory_bytes = quantity.parse_memory_bytes(allocatable["memory"])
        self._pods = int(allocatable["pods"])
        self._labels = labels
        self._used: dict[str, tuple[int, int]] = {}
        self._ports: dict[str, tuple[HostPort, ...]] = {}
        self._used_cpu_milli = 0
        self._used_memory_bytes = 0

    def refusal(self, pod: pod_spec.Pod) -> tuple[str, str] | None:
        """Why the node does not take the pod: reason and message."""
        selector = pod["spec"].get("nodeSelector") or {}
        if any(self._labels.get(key) != value for key, value in selector.items()):
            text = "node(s) didn't match Pod's node affinity/selector"
            return "NodeAffinity", f"Pod was rejected: Predicate NodeAffinity failed: {text}"
        wanted = host_ports(pod["spec"])
        taken = {port for ports in self._ports.values() for port in ports} if wanted else ()
        if any(port.conflicts(taken) for port in wanted):
            text = "node(s) didn't have free ports for the requested pod ports"
            return "NodePorts", f"Pod was rejected: Predicate NodePorts failed: {text}"
        cpu_milli, memory_bytes = pod_spec.resource_requests(pod)
        for reason, resource, asked, used, capacity in (
            ("OutOfpods", "pods", 1, len(self._used), self._pods),
            ("OutOfcpu", "cpu", cpu_milli, self._used_cpu_milli, self._cpu_milli),
            ("OutOfmemory", "memory", memory_bytes, self._used_memory_bytes, self._memory_bytes),
        ):
            if asked and asked > capacity - used:
                text = f"resource: {resource}, requested: {asked}, used: {used}"
                message = f"Node didn't have enough {text}, capacity: {capacity}"
                return reason, f"Pod was rejected: {message}"
        return None

    def resize(self, uid: str, pod: pod_spec.Pod) -> tuple[str, str] | None:
        """Let a pod that is on the node ask for something else: why not (KEP-1287), or None.

        "Infeasible": the node never has as much; "Deferred": other pods have it now.
        """
        old_cpu_milli, old_memory_bytes = self._used.get(uid, (0, 0))
        cpu_milli, memory_bytes = pod_spec.resource_requests(pod)
        for resource, asked, used, capacity in (
            ("cpu", cpu_milli, self._used_cpu_milli - old_cpu_milli, self._cpu_milli),
            (
                "memory",
                memory_bytes,
                self._used_memory_bytes - old_memory_bytes,
                self._memory_bytes,
            ),
        ):
            if asked > capacity:
                text = f"Node didn't have enough capacity: {resource}, requested: {asked}"
                return "Infeasible", f"{text}, capacity: {capacity}"
            if asked > capacity - used:
                text = f"Node didn't have enough resource: {resource}, requested: {asked}"
                return "Deferred", f"{text}, used: {used}, capacity: {capacity}"
        self.remove(uid)
        self.add(uid, pod)
        return None

    def add(self, uid: str, pod: pod_spec.Pod) -> None:
        """The pod is on the node."""
        if uid not in self._used:
            self._used[uid] = cpu_milli, memory_bytes = pod_spec.resource_requests(pod)
            self._used_cpu_milli += cpu_milli
            self._used_memory_bytes += memory_bytes
            ports = host_ports(pod["spec"])
            if ports:
                self._ports[uid] = ports

    def remove(self, uid: str) -> None:
        """The pod is over or gone; unknown ones are fine."""
        cpu_milli, memory_bytes = self._used.pop(uid, (0, 0))
        self._ports.pop(uid, None)
        self._used_cpu_milli -= cpu_milli
        self._used_memory_bytes -= memory_bytes
