"""The Node object of a kubelet: what it registers, and its conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from k8sactors.api.release import DEFAULT_RELEASE

KUBELET_VERSION = f"v{DEFAULT_RELEASE}"
_HEALTHY = (
    ("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
)
_NETWORK_DOWN = (
    "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady"
    " message:Network plugin returns error: cni plugin not initialized"
)


@attrs.frozen
class NodeCapacity:
    """What a node offers, as Kubernetes quantities."""

    cpu: str = "4"
    memory: str = "32Gi"
    pods: str = "110"
    ephemeral_storage: str = "100Gi"

    def resources(self) -> dict[str, str]:
        """By the names of resources."""
        return {
            "cpu": self.cpu,
            "memory": self.memory,
            "pods": self.pods,
            "ephemeral-storage": self.ephemeral_storage,
        }


@attrs.frozen
class NodeSpec:
    """What a kubelet is told about its node."""

    # The node's name, which is its host's.
    name: str
    # The node's address.
    ip: str
    # Failure zone, "" for none.
    zone: str = ""
    # Resources by name.
    capacity: Mapping[str, str] = attrs.field(factory=lambda: NodeCapacity().resources())
    # Labels besides the well-known ones.
    labels: Mapping[str, str] = attrs.field(factory=dict)
    # Taints to register with.
    taints: Sequence[Mapping[str, str]] = ()

    def all_labels(self) -> dict[str, str]:
        """The well-known labels and the node's own."""
        labels = {
            "beta.kubernetes.io/arch": "amd64",
            "beta.kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            "kubernetes.io/hostname": self.name,
            "kubernetes.io/os": "linux",
        }
        if self.zone:
            labels["topology.kubernetes.io/zone"] = self.zone
        return {**labels, **self.labels}


def node_conditions(
    known: Sequence[Mapping[str, Any]], now_text: str, *, runtime_ready: bool, network_ready: bool
) -> list[dict[str, Any]]:
    """The kubelet's conditions, transitions stamped, after those of other components."""
    wanted = [(kind, "False", reason, message) for kind, reason, message in _HEALTHY]
    if runtime_ready and network_ready:
        wanted.append(("Ready", "True", "KubeletReady", "kubelet is posting ready status"))
    else:
        message = _NETWORK_DOWN if runtime_ready else "container runtime is down"
        wanted.append(("Ready", "False", "KubeletNotReady", message))
    known_by_type = {condition["type"]: condition for condition in known}
    own = []
    for kind, status, reason, message in wanted:
        previous = known_by_type.pop(kind, None)
        unchanged = previous is not None and previous["status"] == status
        since = previous.get("lastTransitionTime") if unchanged and previous else None
        own.append(
            {
                "type": kind,
                "status": status,
                "lastHeartbeatTime": now_text,
                "lastTransitionTime": since or now_text,
                "reason": reason,
                "message": message,
            }
        )
    return [*(dict(condition) for condition in known_by_type.values()), *own]


def node_object(spec: NodeSpec) -> dict[str, Any]:
    """The object that the kubelet creates, without its status."""
    node_spec: dict[str, Any] = {}
    if spec.taints:
        node_spec["taints"] = [dict(taint) for taint in spec.taints]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": spec.name,
            "labels": spec.all_labels(),
            "annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
        },
        "spec": node_spec,
    }


def node_status(
    spec: NodeSpec, conditions: list[dict[str, Any]], runtime_version: str, boot_id: str
) -> dict[str, Any]:
    """The whole status."""
    return {
        "addresses": [
            {"type": "InternalIP", "address": spec.ip},
            {"type": "Hostname", "address": spec.name},
        ],
        "capacity": dict(spec.capacity),
        "allocatable": dict(spec.capacity),
        "conditions": conditions,
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "nodeInfo": {
            "architecture": "amd64",
            "bootID": boot_id,
            "containerRuntimeVersion": runtime_version,
            "kernelVersion": "6.12.0-k8sactors",
            "kubeProxyVersion": "",
            "kubeletVersion": KUBELET_VERSION,
            "machineID": f"machine-{spec.name}",
            "operatingSystem": "linux",
            "osImage": "k8sactors Linux",
            "systemUUID": f"system-{spec.name}",
        },
    }
