"""The network agent (actor `cni`): tells its node's kernel where the pods of the other nodes are.

The routed model: each node owns a range of pod addresses, and every node has a route to every other
node's range, without translation or tunnel.  The agent follows the Node objects; routes stay in the
kernel when it dies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from k8sactors.actors import Actor, Connection
from k8sactors.client import Client, InformerFactory
from k8sactors.node import kernel_messages as kernel

_RECONNECT_NS = 1_000_000_000
Route = tuple[str, str]


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
        self._routes: dict[str, Route] = {}
        self._changed: dict[str, None] = {}
        self._connection: Connection | None = None
        self._full = True

    def on_start(self) -> None:
        """Follow the nodes, connect to the kernel."""
        client = Client(self.ctx, self._servers, f"system:node:{self._node_name}")
        self._informers = InformerFactory(client)
        self._nodes = self._informers.informer("nodes")
        self._nodes.add_handler(
            on_add=self._node_seen,
            on_update=lambda _, node: self._node_seen(node),
            on_delete=self._node_deleted,
        )
        self._informers.start()
        self._connect()

    def on_batch_end(self) -> None:
        """Write the routes that have changed in this turn."""
        connection = self._connection
        if connection is None or connection.closed or not self._nodes.has_synced:
            return
        if self._full:
            changed, removed = list(self._routes), []
        elif self._changed:
            changed = [name for name in self._changed if name in self._routes]
            removed = [name for name in self._changed if name not in self._routes]
        else:
            return
        entries = [[name, *self._routes[name]] for name in changed]
        connection.send(kernel.REPLACE_ROUTES, [self._full, removed, entries])
        self._full = False
        self._changed.clear()

    def _connect(self) -> None:
        self._connection = self.ctx.connect(self._dataplane, self._disconnected)
        self._full = True

    def _disconnected(self, reason: str) -> None:
        del reason
        self._connection = None
        self.ctx.after(_RECONNECT_NS, self._connect)

    def _node_seen(self, node: dict[str, Any]) -> None:
        name = node["metadata"]["name"]
        route = (_internal_ip(node), node["spec"].get("podCIDR") or "")
        if self._routes.get(name) != route:
            self._routes[name] = route
            self._changed[name] = None

    def _node_deleted(self, node: dict[str, Any]) -> None:
        name = node["metadata"]["name"]
        if self._routes.pop(name, None) is not None:
            self._changed[name] = None


def _internal_ip(node: dict[str, Any]) -> str:
    for address in (node.get("status") or {}).get("addresses") or ():
        if address["type"] == "InternalIP":
            return str(address["address"])
    return ""
