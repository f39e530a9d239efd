"""The ports of members, for clients and for members in other processes, and their certificates."""

from __future__ import annotations

import ssl
from typing import Final

import attrs
import trio

from raftstore.server.tls import TlsFiles, client_context, server_context

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
