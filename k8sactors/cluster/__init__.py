"""A whole cluster: its topology, its assembly, and the one object that a program holds."""

from __future__ import annotations

from k8sactors.cluster.cluster import Cluster
from k8sactors.cluster.errors import (
    ClusterError,
    ImpossibleClusterError,
    NotReadyError,
    NotServedError,
    WaitTimeoutError,
)
from k8sactors.cluster.spec import ClusterSpec, StoreOptions
from k8sactors.kubelet.node_object import NodeCapacity

__all__ = [
    "Cluster",
    "ClusterError",
    "ClusterSpec",
    "ImpossibleClusterError",
    "NodeCapacity",
    "NotReadyError",
    "NotServedError",
    "StoreOptions",
    "WaitTimeoutError",
]
