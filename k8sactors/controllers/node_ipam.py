"""Node IPAM controller: gives every node a range of pod addresses of its own.

Ranges are cut from the cluster's CIDR in order; the lowest free one is taken. What is taken is read
from the nodes themselves, so that a restarted controller knows it.
"""

from ipaddress import IPv4Network, ip_network

from k8sactors.api.errors import StatusError
from k8sactors.client import is_not_found
from k8sactors.controllers.base import Controller, ManagerContext, Object


class NodeIPAMController(Controller):
    """Sets `spec.podCIDR` of nodes that have none."""

    name = "node-ipam-controller"
    component = "cidrAllocator"

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        # One worker: two would give the same range to two nodes.
        self.workers = 1
        network = ip_network(self.config.cluster_cidr)
        assert isinstance(network, IPv4Network), "the cluster CIDR is IPv4"
        self._network = network
        self._prefix = self.config.node_cidr_mask_size
        self._owners: dict[str, str] = {}
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
            self._owners.setdefault(cidr, name)
        else:
            self.queue.add(name)

    def _node_deleted(self, node: Object) -> None:
        cidr = (node.get("spec") or {}).get("podCIDR")
        if cidr and self._owners.get(cidr) == node["metadata"]["name"]:
            del self._owners[cidr]
            # The range may be what others wait for.
            for other in self._nodes.lister.list():
                if not (other.get("spec") or {}).get("podCIDR"):
                    self.queue.add(other["metadata"]["name"])

    async def reconcile(self, key: str) -> None:
        """Give one node a range."""
        node = self._nodes.lister.get(None, key)
        if node is None or (node.get("spec") or {}).get("podCIDR"):
            return
        cidr = self._free_range(key)
        if cidr is None:
            message = f"Node {key} status is now: CIDRNotAvailable"
            self.recorder.event(node, "Normal", "CIDRNotAvailable", message)
            return
        self._owners[cidr] = key
        patch = {
            "metadata": {"uid": node["metadata"]["uid"]},
            "spec": {"podCIDR": cidr, "podCIDRs": [cidr]},
        }
        try:
            await self.client.patch("nodes", key, patch)
        except StatusError as error:
            # Of unknown outcome: if the write did happen, the informer will take the range again.
            self._owners.pop(cidr, None)
            if not is_not_found(error):
                raise

    def _free_range(self, name: str) -> str | None:
        for subnet in self._network.subnets(new_prefix=self._prefix):
            cidr = str(subnet)
            if self._owners.get(cidr, name) == name:
                return cidr
        return None
