"""What the daemons of a node that program its kernel network have in common: the way to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final

from k8sactors.actors import Actor, Connection
from k8sactors.simulation import SECOND

RECONNECT_NS: Final = SECOND


class KernelClient(Actor, ABC):
    """A daemon of one node; its connection to the kernel network is opened again when it breaks.

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

    @abstractmethod
    def on_kernel_connected(self, connection: Connection) -> None:
        """The kernel can be told what it should know; it may have been told before."""

    def connect_to_kernel(self) -> None:
        """Open the connection."""
        self._connection = self.ctx.connect(self._dataplane, self._disconnected)
        self.on_kernel_connected(self._connection)

    def _disconnected(self, reason: str) -> None:
        del reason
        self._connection = None
        self.ctx.after(RECONNECT_NS, self.connect_to_kernel)
