"""Puts the parts of a node on a host: runtime, kernel network, kubelet, network agent, proxy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from k8sactors.fabric import Host
from k8sactors.kubelet.kubelet import Kubelet, KubeletSettings
from k8sactors.kubelet.node_object import NodeSpec
from k8sactors.network.dataplane import DataPlane
from k8sactors.network.kube_proxy import KubeProxy
from k8sactors.network.network_agent import NetworkAgent
from k8sactors.runtime.container_runtime import ContainerRuntime
from k8sactors.runtime.engine import RuntimeSettings
from k8sactors.runtime.image_registry import ImageRegistry


def install_node(
    host: Host,
    node: NodeSpec,
    servers: Sequence[str],
    *,
    static_pods: Iterable[Mapping[str, Any]] = (),
    runtime_settings: RuntimeSettings | None = None,
    kubelet_settings: KubeletSettings | None = None,
    networking: bool = True,
    cluster_domain: str = "cluster.local",
    images: ImageRegistry | None = None,
) -> None:
    """Make a host a node of the cluster.

    Args:
        host: the host; the node gets its name.
        node: what the kubelet registers.
        servers: addresses of API servers, in the order of preference.
        static_pods: manifests that the kubelet runs by itself.
        runtime_settings: how long the runtime's work takes.
        kubelet_settings: what else can be chosen for the kubelet.
        networking: False leaves out kube-proxy, routes and data plane: pods run, but nothing can be
            probed.
        cluster_domain: suffix of Services' full names.
        images: the programs of images.
    """
    assert node.name == host.name, "a node has the name of its host"
    runtime, dataplane = f"{host.name}/containerd", f"{host.name}/dataplane"
    manifests = list(static_pods)
    host.spawn("containerd", lambda: ContainerRuntime(node.name, node.ip, runtime_settings, images))
    if networking:
        host.spawn("dataplane", lambda: DataPlane(node.name, node.ip, runtime, cluster_domain))
        host.spawn("cni", lambda: NetworkAgent(node.name, servers, dataplane))
    host.spawn("kubelet", lambda: Kubelet(node, servers, runtime, manifests, kubelet_settings))
    if networking:
        host.spawn("kube-proxy", lambda: KubeProxy(node.name, servers, dataplane))


def install_outside(host: Host, ip: str) -> None:
    """Make a host a client outside the cluster: it can probe nodes by name, and has no pods."""
    host.spawn("dataplane", lambda: DataPlane(host.name, ip))
