"""The token that a request shows."""

from __future__ import annotations

from typing import Final

from raftstore.gateway.caller import Backend
from raftstore.http import Exchange
from raftstore.server.tls import common_name

# gRPC metadata, and what the JSON gateway takes.
TOKEN_HEADERS: Final = (b"token", b"authorization")
SHOWN_EMPTY: Final = "."
"""An empty token is a wrong one; a client that has none shows none. No token looks like this."""


def token_of(exchange: Exchange, backend: Backend, *, is_grpc: bool) -> str:
    """What a request shows, or else what its certificate is worth.

    As in etcd, a certificate speaks for gRPC only: any client may relay through the JSON gateway.
    """
    for name in TOKEN_HEADERS:
        token = exchange.head.get(name)
        if token is not None:
            return token.decode("latin-1") or SHOWN_EMPTY
    if is_grpc and exchange.certificate:
        name_shown = common_name(exchange.certificate)
        return backend.token_of_certificate(name_shown) if name_shown else ""
    return ""
