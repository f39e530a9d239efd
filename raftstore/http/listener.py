"""One port: accepts connections, bounds their number, and keeps the failure of one from the others.

With a TLS context nothing else is understood, unless programs of the same machine may do without:
what a connection begins with tells which it is. The protocol is what both ends agree on by ALPN, or
else what the client begins with: HTTP/2 with prior knowledge, or HTTP/1.1.
"""

from __future__ import annotations

import logging
import ssl
from socket import MSG_PEEK
from typing import Any, Final

import trio

from raftstore.http.connection import Application, Connection
from raftstore.http.exchange import NO_CERTIFICATE
from raftstore.http.guard import GuardedStream
from raftstore.http.http2 import Http2
from raftstore.http.limits import Budget, Limits, Traffic
from raftstore.http.ports import is_loopback

STOP_S: Final = 5.0
# The type of the record with which a TLS client begins (RFC 8446, section 5.1).
_TLS_HANDSHAKE: Final = b"\x16"

_log: Final = logging.getLogger(__name__)


class Listener:
    """A bound port and the connections on it."""

    def __init__(
        self,
        application: Application,
        listener: trio.SocketListener,
        *,
        tls: ssl.SSLContext | None = None,
        plain_from_loopback: bool = False,
        limits: Limits | None = None,
        traffic: Traffic | None = None,
    ) -> None:
        self.traffic = traffic or Traffic()
        self._limits = limits or Limits()
        self._budget = Budget(self._limits.all_unread_bytes)
        self._tls = tls
        self._plain_from_loopback = plain_from_loopback
        self._application = application
        self._listener = listener
        self._streams: dict[GuardedStream, None] = {}
        self._connections: dict[Connection, None] = {}
        self._accepting = trio.CancelScope()
        self._emptied = trio.Event()

    async def run(self) -> None:
        """Serve until stopped or cancelled; then connections are closed whatever they do."""
        try:
            async with trio.open_nursery() as nursery:
                with self._accepting:
                    await trio.serve_listeners(
                        self._serve, [self._listener], handler_nursery=nursery
                    )
        finally:
            for stream in list(self._streams):
                stream.abort()

    async def stop(self, timeout_s: float = STOP_S) -> None:
        """Take no connections and requests any more; wait until those under way have ended.

        What has not ended in time is closed; `run` returns.
        """
        self._accepting.cancel()
        await self._listener.aclose()
        for connection in list(self._connections):
            connection.stop()
        with trio.move_on_after(timeout_s):
            while self._streams:
                self._emptied = trio.Event()
                await self._emptied.wait()
        for stream in list(self._streams):
            stream.abort()

    async def _serve(self, socket_stream: trio.SocketStream) -> None:
        traffic, limits = self.traffic, self._limits
        if len(self._streams) >= limits.connections:
            traffic.refused_connections += 1
            await trio.aclose_forcefully(socket_stream)
            return
        stream = GuardedStream(socket_stream, traffic, stall_timeout_s=limits.stall_timeout_s)
        self._streams[stream] = None
        traffic.connections += 1
        try:
            await self._speak(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            _log.debug("a connection has broken", exc_info=True)
        except Exception:  # noqa: BLE001 - a defect of one must not reach the others
            # One connection's failure must not reach the others.
            _log.exception("a connection has failed")
        finally:
            traffic.connections -= 1
            del self._streams[stream]
            stream.abort()
            self._emptied.set()

    async def _speak(self, stream: GuardedStream) -> None:
        carrier: Any = stream
        protocol, certificate, scheme = None, NO_CERTIFICATE, "http"
        peer, tls = _address(stream), self._tls
        if tls is not None and self._plain_from_loopback and is_loopback(peer):
            first = await self._first_byte(stream)
            if not first:
                return
            tls = tls if first == _TLS_HANDSHAKE else None
        if tls is not None:
            carrier = trio.SSLStream(carrier, tls, server_side=True, https_compatible=True)
            with trio.move_on_after(self._limits.opening_timeout_s) as scope:
                await carrier.do_handshake()
            if scope.cancelled_caught:
                return
            certificate, scheme = carrier.getpeercert() or NO_CERTIFICATE, "https"
            if carrier.selected_alpn_protocol() == "h2":
                protocol = Http2(self._limits)
        connection = Connection(
            carrier,
            self._application,
            self._limits,
            self._budget,
            protocol=protocol,
            certificate=certificate,
            peer=peer,
            scheme=scheme,
        )
        self._connections[connection] = None
        try:
            await connection.run()
        finally:
            del self._connections[connection]

    async def _first_byte(self, stream: GuardedStream) -> bytes:
        """What the peer begins with, which stays to be read; nothing if it is silent."""
        with trio.move_on_after(self._limits.opening_timeout_s):
            first: bytes = await stream.socket.recv(1, MSG_PEEK)
            return first
        return b""


def _address(stream: GuardedStream) -> str:
    try:
        name = stream.socket.getpeername()
    except OSError:
        return ""
    return str(name[0]) if isinstance(name, tuple) else str(name)
