"""The network agent (actor `cni`): tells its node's kernel where the pods of the other nodes are.

The routed model: each node owns a range of pod addresses, and a node reaches another node's range
over a route, without translation or tunnel. The agent works on demand, as flannel's did on the
kernel's L3 misses: it reads the nodes when the kernel has a packet that no route fits or that got
no answer. It neither reads them when it starts nor follows them: every node would hear of every
other node, heartbeats included, and the cost of a node would grow with their number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from k8sactors.actors import Connection, Message
from k8sactors.api.errors import StatusError
from k8sactors.api.user import service_account_user
from k8sactors.client import Client
from k8sactors.network import kernel_messages as kernel
from k8sactors.network.kernel_client import KernelClient
from k8sactors.simulation import SECOND

# The ServiceAccount of all agents; its role comes with the cluster's network.
NAMESPACE = "kube-system"
ACCOUNT = "cni"
USER = service_account_user(NAMESPACE, ACCOUNT)

# The least time between two readings, and until a failed one is repeated.
READ_INTERVAL_NS = SECOND


class NetworkAgent(KernelClient):
    """The agent of one node."""

    def __init__(self, node_name: str, servers: Sequence[str], dataplane: str) -> None:
        super().__init__(node_name, servers, dataplane)
        self._reading = False
        self._next_read_ns = 0
        self.readings = 0

    def on_start(self) -> None:
        """Connect to the kernel."""
        self._client = Client(self.ctx, self._servers, USER)
        self.connect_to_kernel()

    def on_message(self, message: Message) -> None:
        """The kernel misses a route."""
        if message.kind == kernel.ROUTE_MISS:
            self._read_soon()

    def on_kernel_connected(self, connection: Connection) -> None:
        """Ask to be told of routes that the kernel misses."""
        connection.send(kernel.FOLLOW_MISSES, [])

    def _read_soon(self) -> None:
        if not self._reading:
            self._reading = True
            self.ctx.after(max(self._next_read_ns - self.ctx.now_ns(), 0), self._read)

    def _read(self) -> None:
        self._next_read_ns = self.ctx.now_ns() + READ_INTERVAL_NS
        self.readings += 1
        self._client.submit("list", "nodes", on_done=self._write, on_error=self._read_failed)

    def _read_failed(self, error: StatusError) -> None:
        del error
        self.ctx.after(READ_INTERVAL_NS, self._read)

    def _write(self, nodes: dict[str, Any]) -> None:
        self._reading = False
        if self._connection is not None:
            routes = [
                [node["metadata"]["name"], _internal_ip(node), node["spec"].get("podCIDR") or ""]
                for node in nodes["items"]
            ]
            self._connection.send(kernel.REPLACE_ROUTES, routes)


def _internal_ip(node: dict[str, Any]) -> str:
    for address in (node.get("status") or {}).get("addresses") or ():
        if address["type"] == "InternalIP":
            return str(address["address"])
    return ""
