"""The ASGI application of one member's endpoint: which front door a request goes through."""

from __future__ import annotations

from typing import Any

from raftstore.gateway import grpc, json_http, plain
from raftstore.gateway.caller import Backend
from raftstore.gateway.endpoint import Endpoint
from raftstore.gateway.exchange import Exchange, Receive, Send


class Gateway:
    """An ASGI application."""

    def __init__(self, backend: Backend) -> None:
        self.endpoint = Endpoint(backend)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            await Exchange(scope, receive, send, self.endpoint.budget).run(self._handle)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})

    async def _handle(self, exchange: Exchange) -> None:
        handler = plain.HANDLERS.get(exchange.path)
        if grpc.is_grpc(exchange):
            await grpc.handle(self.endpoint, exchange)
        elif handler is not None and exchange.method == "GET":
            await handler(self.endpoint, exchange)
        else:
            await json_http.handle(self.endpoint, exchange)

    def close(self) -> None:
        """Refuse everything from now on."""
        self.endpoint.close()
