"""The ASGI application of one member's endpoint: which front door a request goes through."""

from __future__ import annotations

from typing import Any, Final

from raftstore.gateway import grpc, json_http, plain
from raftstore.gateway.caller import Backend
from raftstore.gateway.endpoint import Endpoint
from raftstore.gateway.exchange import Exchange, Receive, Send
from raftstore.gateway.identity import set_token

# gRPC metadata, and what the JSON gateway takes.
METHODS_BELOW: Final = "/v3/"
TOKEN_HEADERS: Final = (b"token", b"authorization")
SHOWN_EMPTY: Final = "."
"""An empty token is a wrong one; whoever has none shows none. No token looks like this."""


class Gateway:
    """An ASGI application."""

    def __init__(self, backend: Backend) -> None:
        self.endpoint = Endpoint(backend)
        self.counters = self.endpoint.counters

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            await Exchange(scope, receive, send, self.endpoint.budget).run(self._handle)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})

    async def _handle(self, exchange: Exchange) -> None:
        set_token(self._token(exchange))
        if grpc.is_grpc(exchange):
            await grpc.handle(self.endpoint, exchange)
        elif exchange.path.startswith(METHODS_BELOW):
            await json_http.handle(self.endpoint, exchange)
        else:
            await plain.handle(self.endpoint, exchange)

    def _token(self, exchange: Exchange) -> str:
        """What the request shows, or else what its certificate is worth.

        As in etcd, a certificate speaks for gRPC only: to the JSON gateway anybody may relay.
        """
        for name in TOKEN_HEADERS:
            token = exchange.headers.get(name)
            if token is not None:
                return token.decode("latin-1") or SHOWN_EMPTY
        if exchange.certificate_name and grpc.is_grpc(exchange):
            return self.endpoint.backend.token_of_certificate(exchange.certificate_name)
        return ""

    def close(self) -> None:
        """Refuse everything from now on."""
        self.endpoint.close()
