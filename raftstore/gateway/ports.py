"""The ports of members, for clients and for members in other processes, and their certificates."""

from __future__ import annotations

import ssl
from typing import Final

import attrs
import trio

from raftstore.server.tls import TlsFiles, client_context, server_context

BACKLOG: Final = 128
LOOPBACK: Final = "127.0.0.1"


@attrs.frozen
class Contexts:
    """What the three kinds of connections need; None: plain TCP."""

    clients: ssl.SSLContext | None = None
    accepting: ssl.SSLContext | None = None
    dialling: ssl.SSLContext | None = None


PLAIN: Final = Contexts()


def contexts(clients: TlsFiles, peers: TlsFiles) -> Contexts:
    """Read the certificates.

    Raises:
        ConfigurationError: one cannot be used.
    """
    return Contexts(server_context(clients), server_context(peers), client_context(peers))


@attrs.frozen
class MemberPorts:
    """The ports of one member, bound."""

    member_id: int
    clients: trio.SocketListener
    peers: trio.SocketListener


async def listen(host: str, port: int) -> trio.SocketListener:
    """Bind a port.

    Raises:
        OSError: it cannot be had.
    """
    try:
        first, *surplus = await trio.open_tcp_listeners(port, host=host, backlog=BACKLOG)
    except OSError as error:
        raise OSError(f"cannot listen on {host}:{port}: {error}") from error
    # A name may have several addresses; a member has one.
    for listener in surplus:
        await listener.aclose()
    return first


def endpoint_url(host: str, listener: trio.SocketListener, tls: ssl.SSLContext | None) -> str:
    """How clients reach a listening port."""
    scheme = "http" if tls is None else "https"
    port = listener.socket.getsockname()[1]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
