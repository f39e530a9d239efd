"""One endpoint's port: accepts connections, and keeps their failures to themselves.

Hypercorn's protocol code runs once per connection here, under a guard: whatever garbage makes it
raise ends that connection only.
"""

from __future__ import annotations

import logging
import ssl
from typing import Any, Final, Protocol

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.worker_context import WorkerContext

from raftstore.gateway.connection import OPENING_TIMEOUT_S, Connection
from raftstore.gateway.counting import Counters
from raftstore.gateway.descriptors import MAX_CONNECTIONS
from raftstore.gateway.exchange import Receive, Send
from raftstore.gateway.guard import GuardedStream
from raftstore.server.tls import common_name

# A gRPC client keeps one connection for its whole life and multiplexes everything on it.
KEEP_ALIVE_S: Final = 600.0
MAX_STREAMS_PER_CONNECTION: Final = 1_000
UNLIMITED: Final = 1 << 62
GRACE_S: Final = 1.0

_log: Final = logging.getLogger(__name__)


def http_config() -> Config:
    """Hypercorn's settings for connections that live long."""
    config = Config()
    config.keep_alive_timeout = KEEP_ALIVE_S
    config.keep_alive_max_requests = UNLIMITED
    config.h2_max_concurrent_streams = MAX_STREAMS_PER_CONNECTION
    config.ssl_handshake_timeout = OPENING_TIMEOUT_S
    config.include_server_header = False
    config.accesslog = None
    return config


class Application(Protocol):
    """What stands behind a port: an ASGI application that counts what comes and goes."""

    @property
    def counters(self) -> Counters:
        """Of this port."""

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Serve one request."""

    def close(self) -> None:
        """Refuse everything from now on."""


class _Caller:
    """The gateway as one TLS connection sees it: requests carry the name in its certificate."""

    def __init__(self, gateway: Application, stream: trio.SSLStream[Any]) -> None:
        self._gateway = gateway
        self._stream = stream

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        name = common_name(self._stream.getpeercert())
        # The place that ASGI's TLS extension has for it.
        scope.setdefault("extensions", {})["tls"] = {"client_cert_name": name}
        await self._gateway(scope, receive, send)


class Listener:
    """A bound port and the connections on it; with a `tls` context nothing else is understood."""

    def __init__(
        self,
        gateway: Application,
        listener: trio.SocketListener,
        tls: ssl.SSLContext | None = None,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self._max_connections = max_connections
        self._tls = tls
        self._counters = gateway.counters
        self._gateway = gateway
        self._listener = listener
        self._config = http_config()
        self._context = WorkerContext(None)
        self._streams: dict[GuardedStream, None] = {}

    async def run(self) -> None:
        """Serve until cancelled; then streams are ended and connections closed."""
        try:
            async with trio.open_nursery() as nursery:
                await trio.serve_listeners(self._serve, [self._listener], handler_nursery=nursery)
        finally:
            self._gateway.close()
            for stream in list(self._streams):
                stream.abort()

    async def _serve(self, connection: trio.SocketStream) -> None:
        counters = self._counters
        if len(self._streams) >= self._max_connections:
            counters.refused_connections += 1
            await trio.aclose_forcefully(connection)
            return
        stream = GuardedStream(connection, counters)
        self._streams[stream] = None
        counters.connections += 1
        try:
            await self._speak(stream)
        except Exception:  # noqa: BLE001 - one connection's failure must not reach the others
            _log.debug("a connection has failed", exc_info=True)
        finally:
            counters.connections -= 1
            del self._streams[stream]
            stream.abort()

    async def _speak(self, stream: GuardedStream) -> None:
        carrier: Any = stream
        app: Any = self._gateway
        if self._tls is not None:
            carrier = trio.SSLStream(carrier, self._tls, server_side=True, https_compatible=True)
            app = _Caller(self._gateway, carrier)
        server = Connection(ASGIWrapper(app), self._config, self._context, {}, carrier)
        await server.run()
