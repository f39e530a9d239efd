"""Node IPAM controller: gives every node a range of pod addresses of its own.

Ranges are cut from the cluster's CIDR in order; the lowest free one is taken. What is taken is read
from the nodes themselves, so that a restarted controller knows it.
"""

from __future__ import annotations

from ipaddress import IPv4Network, ip_network

import attrs

from k8sactors.api.errors import StatusError
from k8sactors.client import is_not_found
from k8sactors.controllers.machinery.controller import Controller, ManagerContext, Object
from k8sactors.controllers.machinery.options import ControllerOptions


@attrs.frozen
class NodeIPAMOptions(ControllerOptions):
    """The range of all pod addresses, and the prefix length of one node's share."""

    cluster_cidr: str = "10.244.0.0/16"
    node_cidr_mask_size: int = 24


class NodeRanges:
    """The cluster's CIDR cut into equal ranges, numbered from 0, and who has which.

    The lowest free number is found without a search from the beginning: all numbers below
    `_first_candidate` are taken.
    """

    def __init__(self, cluster_cidr: str, mask_size: int) -> None:
        network = ip_network(cluster_cidr)
        assert isinstance(network, IPv4Network), "the cluster CIDR is IPv4"
        self._base = int(network.network_address)
        self._host_bits = 32 - mask_size
        self._mask_size = mask_size
        self.count = 1 << (mask_size - network.prefixlen)
        self._owners: dict[int, str] = {}
        # What was noted last for each range, which is asked at every change of every node.
        self._taken: dict[str, str] = {}
        self._first_candidate = 0

    def take(self, cidr: str, owner: str) -> None:
        """Note that a node has a range; a range that has an owner keeps it."""
        if self._taken.get(cidr) == owner:
            return
        self._taken[cidr] = owner
        for number in self._numbers(cidr):
            self._owners.setdefault(number, owner)

    def release(self, cidr: str, owner: str) -> None:
        """Note that a node no longer has a range."""
        if self._taken.get(cidr) == owner:
            del self._taken[cidr]
        for number in self._numbers(cidr):
            if self._owners.get(number) == owner:
                del self._owners[number]
                self._first_candidate = min(self._first_candidate, number)

    def lowest_free(self) -> str | None:
        """The lowest range without an owner, None if every range has one."""
        while self._first_candidate in self._owners:
            self._first_candidate += 1
        if self._first_candidate >= self.count:
            return None
        address = self._base + (self._first_candidate << self._host_bits)
        return str(IPv4Network((address, self._mask_size)))

    def _numbers(self, cidr: str) -> range:
        """The ranges that a CIDR touches, those outside of the cluster's left out."""
        network = ip_network(cidr)
        first = (int(network.network_address) - self._base) >> self._host_bits
        last = (int(network.broadcast_address) - self._base) >> self._host_bits
        return range(max(first, 0), min(last + 1, self.count))


class NodeIPAMController(Controller):
    """Sets `spec.podCIDR` of nodes that have none."""

    name = "node-ipam-controller"
    aliases = ("nodeipam",)
    service_account = "node-controller"
    component = "cidrAllocator"
    options_type = NodeIPAMOptions
    options: NodeIPAMOptions

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        # One worker: two would give the same range to two nodes.
        self.workers = 1
        self._ranges = NodeRanges(self.options.cluster_cidr, self.options.node_cidr_mask_size)
        # Nodes that found no range free.
        self._waiting: dict[str, None] = {}
        self._nodes = self.informer("nodes")
        self._nodes.add_handler(
            on_add=self._node_seen,
            on_update=lambda _old, new: self._node_seen(new),
            on_delete=self._node_deleted,
        )

    def _node_seen(self, node: Object) -> None:
        name = node["metadata"]["name"]
        cidr = (node.get("spec") or {}).get("podCIDR")
        if cidr:
            self._ranges.take(cidr, name)
        else:
            self.queue.add(name)

    def _node_deleted(self, node: Object) -> None:
        cidr = (node.get("spec") or {}).get("podCIDR")
        if cidr:
            self._ranges.release(cidr, node["metadata"]["name"])
            waiting, self._waiting = self._waiting, {}
            for name in waiting:
                self.queue.add(name)

    async def reconcile(self, key: str) -> None:
        """Give one node a range."""
        node = self._nodes.lister.get(None, key)
        if node is None or (node.get("spec") or {}).get("podCIDR"):
            return
        cidr = self._ranges.lowest_free()
        if cidr is None:
            self._waiting[key] = None
            message = f"Node {key} status is now: CIDRNotAvailable"
            self.recorder.event(node, "Normal", "CIDRNotAvailable", message)
            return
        self._ranges.take(cidr, key)
        patch = {
            "metadata": {"uid": node["metadata"]["uid"]},
            "spec": {"podCIDR": cidr, "podCIDRs": [cidr]},
        }
        try:
            await self.client.patch("nodes", key, patch)
        except StatusError as error:
            # Of unknown outcome: if the write did happen, the informer will take the range again.
            self._ranges.release(cidr, key)
            if not is_not_found(error):
                raise
