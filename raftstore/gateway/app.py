"""The application of one member's endpoint: which front door a request goes through."""

from __future__ import annotations

import ssl
from typing import Final

import attrs
import trio

from raftstore.gateway import grpc, json_http, plain, unary_calls
from raftstore.gateway.caller import Backend
from raftstore.gateway.descriptors import MAX_CONNECTIONS
from raftstore.gateway.endpoint import Endpoint
from raftstore.gateway.identity import set_token
from raftstore.gateway.sizes import LIMITS
from raftstore.gateway.tokens import token_of
from raftstore.http import Exchange, Listener

METHODS_BELOW: Final = "/v3/"


class Gateway:
    """An application for `raftstore.http.Listener`."""

    def __init__(self, backend: Backend) -> None:
        self.endpoint = Endpoint(backend)
        self.counters = self.endpoint.counters

    def begin(self, exchange: Exchange) -> bool:
        """Take a request that is a unary call and needs no task; False: it is something else."""
        return unary_calls.begin(self.endpoint, exchange)

    async def __call__(self, exchange: Exchange) -> None:
        """Serve one request."""
        is_grpc = grpc.is_grpc(exchange.head)
        set_token(token_of(exchange, self.endpoint.backend, is_grpc=is_grpc))
        if is_grpc:
            await grpc.handle(self.endpoint, exchange)
        elif exchange.head.path.startswith(METHODS_BELOW):
            await json_http.handle(self.endpoint, exchange)
        else:
            await plain.handle(self.endpoint, exchange)

    async def serve(
        self,
        listener: trio.SocketListener,
        tls: ssl.SSLContext | None = None,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        """Serve what comes to a port, until cancelled."""
        limits = attrs.evolve(LIMITS, connections=max_connections)
        port = Listener(self, listener, tls=tls, limits=limits, traffic=self.counters)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.endpoint.leadership.run)
                nursery.start_soon(self.endpoint.deadlines.run)
                nursery.start_soon(port.run)
        finally:
            self.endpoint.close()
