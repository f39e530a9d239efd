"""Ports to listen on, and how clients reach them."""

from __future__ import annotations

import ipaddress
import ssl
from typing import Final

import trio

BACKLOG: Final = 128


async def listen(host: str, port: int) -> trio.SocketListener:
    """Bind a port; 0: an unused one.

    Raises:
        OSError: it cannot be had.
    """
    try:
        first, *surplus = await trio.open_tcp_listeners(port, host=host, backlog=BACKLOG)
    except OSError as error:
        raise OSError(f"cannot listen on {host}:{port}: {error}") from error
    # A name may have several addresses; a URL has one.
    for listener in surplus:
        await listener.aclose()
    return first


def endpoint_url(host: str, listener: trio.SocketListener, tls: ssl.SSLContext | None) -> str:
    """How clients reach a listening port."""
    scheme = "http" if tls is None else "https"
    port = listener.socket.getsockname()[1]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only programs of the same machine reach a port there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
