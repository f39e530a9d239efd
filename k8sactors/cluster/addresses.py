"""The addresses of a cluster: hosts, pods and Services, each out of a range of its own.

Hosts are numbered through 10.0.0.0/16, Services have the API server's 10.96.0.0/12. Pods have
10.244.0.0/16, which gives 256 nodes a /24 each. A larger cluster takes the smallest range around it
that has one for every node; the widest is 10.128.0.0/9, for 32,768 nodes. A pod CIDR given by hand
is never changed: if it does not suffice the cluster is refused, with the arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import Any

import attrs

from k8sactors.apiserver.config import APIServerConfig
from k8sactors.controllers.node_ipam import NodeIPAMOptions

HOST_NETWORK = IPv4Network("10.0.0.0/16")
SERVICE_NETWORK = IPv4Network(APIServerConfig().service_cidr)
POD_NETWORK = IPv4Network(NodeIPAMOptions().cluster_cidr)
_WIDEST_PREFIX = 9
_MASK_SIZES = range(9, 30)
_HOSTS_PER_SUBNET = 250
# The real server takes no larger range for Services than a /12.
_SERVICE_PREFIXES = range(12, 31)
_MAX_PORT = 65_535


def node_ip(index: int) -> str:
    """The address of a host, by the order of creation."""
    subnet, host = divmod(index, _HOSTS_PER_SUBNET)
    return str(HOST_NETWORK.network_address + (subnet << 8) + host + 1)


def pod_network(nodes: int, settings: Mapping[str, Any]) -> NodeIPAMOptions:
    """The range of pod addresses of a cluster with so many nodes, and each node's share of it.

    A `cluster_cidr` among the controllers' settings stays as it is.

    Raises:
        InvalidOptionError: a setting has a wrong type.
    """
    options = NodeIPAMOptions.from_settings(settings)
    if "cluster_cidr" in settings:
        return options
    wanted = options.node_cidr_mask_size - (nodes - 1).bit_length()
    prefix = min(max(wanted, _WIDEST_PREFIX), POD_NETWORK.prefixlen)
    return attrs.evolve(options, cluster_cidr=str(POD_NETWORK.supernet(new_prefix=prefix)))


def service_network_problems(cidr: str, node_ports: tuple[int, int]) -> list[str]:
    """Why Services cannot have their addresses from this range, and their node ports from that."""
    low, high = node_ports
    found = []
    if not 1 <= low <= high <= _MAX_PORT:
        found.append(f"node ports {low}-{high} are no range of ports")
    try:
        network = IPv4Network(cidr)
    except ValueError as error:
        return [*found, f"service CIDR {cidr!r} is invalid: {error}"]
    if not _SERVICE_PREFIXES[0] <= network.prefixlen <= _SERVICE_PREFIXES[-1]:
        sizes = f"/{_SERVICE_PREFIXES[0]} to /{_SERVICE_PREFIXES[-1]}"
        found.append(f"service CIDR {network} has a bad size: choose {sizes}")
    elif network.overlaps(HOST_NETWORK):
        found.append(f"service CIDR {network} overlaps with {HOST_NETWORK}, the range of hosts")
    return found


def pod_network_problems(
    options: NodeIPAMOptions, nodes: int, service_cidr: str = str(SERVICE_NETWORK)
) -> list[str]:
    """Why so many nodes cannot have their pod addresses from this range."""
    size = options.node_cidr_mask_size
    try:
        network = IPv4Network(options.cluster_cidr)
    except ValueError as error:
        return [f"pod CIDR {options.cluster_cidr!r} is invalid: {error}"]
    if size not in _MASK_SIZES:
        choice = f"{_MASK_SIZES[0]} to {_MASK_SIZES[-1]}"
        return [f"node CIDR mask size {size} is invalid: choose {choice}"]
    found = [
        f"pod CIDR {network} overlaps with {other}, the range of {what}"
        for what, other in (("Services", IPv4Network(service_cidr)), ("hosts", HOST_NETWORK))
        if network.overlaps(other)
    ]
    room = 1 << (size - network.prefixlen) if size >= network.prefixlen else 0
    if room < nodes:
        found.append(
            f"pod CIDR {network} has room for {room} nodes with a /{size} each, and the cluster has"
            f" {nodes}: {_remedy(network, size, nodes)}"
        )
    return found


def _remedy(network: IPv4Network, size: int, nodes: int) -> str:
    bits = (nodes - 1).bit_length()
    remedies = []
    if size - bits > 0:
        remedies.append(f"a pod CIDR of /{size - bits}")
    if network.prefixlen + bits in _MASK_SIZES:
        remedies.append(f"a node CIDR mask size of {network.prefixlen + bits}")
    return " or ".join(remedies) + " would do" if remedies else "no other mask would do"
