"""The operator's machine: where `kubectl` would run.

It is part of the network, but not of the cluster: faults leave it alone. Its actor carries the
client that embedding programs, scenarios and chaos campaigns use.
"""

from collections.abc import Sequence

import trio

from k8sactors.actors import Actor
from k8sactors.client import Client

ADMIN = "kubernetes-admin"


class Console(Actor):
    """Carries a client of the API servers, authenticated as the cluster's administrator."""

    def __init__(self, servers: Sequence[str]) -> None:
        self._servers = list(servers)
        self.client: Client
        self.started = trio.Event()

    def on_start(self) -> None:
        """Connect lazily: the client opens its connection with its first request."""
        self.client = Client(self.ctx, self._servers, ADMIN)
        self.started.set()
