"""The network agent (actor `cni`): tells its node's kernel where the pods of the other nodes are.

The routed model: each node owns a range of pod addresses, and every node has a route to every other
node's range, without translation or tunnel.  The agent reads the nodes when it starts, and again
when the kernel has a packet that no route fits or that got no answer.  It does not follow them: a
watch would bring every node's heartbeats to every other node, and routes hardly ever change.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from k8sactors.actors import Actor, Connection, Message
from k8sactors.api.errors import StatusError
from k8sactors.client import Client
from k8sactors.node import kernel_messages as kernel

_SECOND = 1_000_000_000
_RECONNECT_NS = _SECOND
# The least time between two readings, and until a failed one is repeated.
READ_INTERVAL_NS = _SECOND


class NetworkAgent(Actor):
    """The agent of one node.

    Args:
        node_name: name of the node.
        servers: addresses of API servers, in the order of preference.
        dataplane: address of the node's kernel network.
    """

    def __init__(self, node_name: str, servers: Sequence[str], dataplane: str) -> None:
        self._node_name = node_name
        self._servers = list(servers)
        self._dataplane = dataplane
        self._connection: Connection | None = None
        self._reading = False
        self._next_read_ns = 0
        self.readings = 0

    def on_start(self) -> None:
        """Connect to the kernel, read the nodes."""
        self._client = Client(self.ctx, self._servers, f"system:node:{self._node_name}")
        self._connect()

    def on_message(self, message: Message) -> None:
        """The kernel misses a route."""
        if message.kind == kernel.ROUTE_MISS:
            self._read_soon()

    def _connect(self) -> None:
        self._connection = self.ctx.connect(self._dataplane, self._disconnected)
        self._read_soon()

    def _disconnected(self, reason: str) -> None:
        del reason
        self._connection = None
        self.ctx.after(_RECONNECT_NS, self._connect)

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
