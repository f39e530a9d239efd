"""Connections on real sockets: addresses, TLS, and what went wrong in words."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import trio

from raftstore.client import StoreClient
from raftstore.gateway.client.channel import Headers
from raftstore.gateway.client.connection import WireConnection
from raftstore.gateway.client.target import Target, parse_target, split_endpoint
from raftstore.server.local_timers import LocalTimers

CONNECT_TIMEOUT_S: Final = 5.0
HTTP2: Final = "h2"


class Dialer:
    """A `raftstore.client.Dial`: endpoints are ``host:port``.

    `start` runs a task (``nursery.start_soon``), one for each connection; what goes wrong in it
    reaches only the connection's own client. With a `tls` context nothing is sent in the
    clear. `metadata` goes with every call (``token``: that of an authenticated user).
    """

    def __init__(
        self,
        start: Callable[..., None],
        *,
        tls: ssl.SSLContext | None = None,
        metadata: Headers = (),
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
    ) -> None:
        self._start = start
        self._tls = tls
        self._metadata = metadata
        self._connect_timeout_s = connect_timeout_s
        if tls is not None:
            tls.set_alpn_protocols([HTTP2])

    def __call__(self, endpoint: str, on_close: Callable[[str], None], /) -> WireConnection:
        """Connect; a failure arrives as `on_close(reason)`.

        Raises:
            TargetError: this is no endpoint.
        """
        host, port = split_endpoint(endpoint)
        scheme = "http" if self._tls is None else "https"
        connection = WireConnection(endpoint, on_close, scheme=scheme, metadata=self._metadata)
        self._start(self._live, connection, host, port)
        return connection

    async def _live(self, connection: WireConnection, host: str, port: int) -> None:
        reason = await self._speak(connection, host, port)
        if reason:
            connection.fail(f"{host}:{port}: {reason}")

    async def _speak(self, connection: WireConnection, host: str, port: int) -> str:
        """Run the connection to its end; why it never began."""
        stream: Any = None
        try:
            with trio.fail_after(self._connect_timeout_s):
                stream = await trio.open_tcp_stream(host, port)
                if self._tls is not None:
                    stream = trio.SSLStream(
                        stream, self._tls, server_hostname=host, https_compatible=True
                    )
                    await stream.do_handshake()
            if self._tls is not None and stream.selected_alpn_protocol() != HTTP2:
                return "the server offers no HTTP/2 over TLS"
            await connection.channel.run(stream)
        except trio.TooSlowError:
            return f"no connection within {self._connect_timeout_s:g} s"
        except (OSError, trio.BrokenResourceError) as error:
            return _reason(error)
        finally:
            if stream is not None:
                await trio.aclose_forcefully(stream)
        return ""


def _reason(error: Exception) -> str:
    cause = error.__cause__ or error
    if isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {cause.verify_message}"
    if isinstance(cause, ssl.SSLError):
        return f"no TLS: {cause.reason or cause}"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return str(cause)


@asynccontextmanager
async def open_client(
    store: str | Target | Sequence[str],
    *,
    tls: ssl.SSLContext | None = None,
    metadata: Headers = (),
    max_calls: int = 100_000,
    user: str = "",
    password: str = "",
) -> AsyncIterator[StoreClient]:
    """A client of a store by its URL (``etcd://host:port,...``), for the time of a `with` block.

    Nothing is asked before the first request. For ``etcds://`` the system's certificate authorities
    are trusted unless `tls` says otherwise.

    Raises:
        TargetError: the URL names no store.
    """
    if isinstance(store, str):
        store = parse_target(store)
    elif not isinstance(store, Target):
        store = Target(tuple(store), tls is not None)
    if store.secure and tls is None:
        tls = ssl.create_default_context()
    timers = LocalTimers()
    async with trio.open_nursery() as nursery:
        dialer = Dialer(nursery.start_soon, tls=tls, metadata=metadata)
        client = StoreClient(
            store.endpoints,
            dialer,
            timers.after,
            max_calls=max_calls,
            user=user,
            password=password,
        )
        nursery.start_soon(timers.run)
        try:
            yield client
        finally:
            client.close()
            nursery.cancel_scope.cancel()
