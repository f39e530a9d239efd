"""How much a peer may take of everything, and what has been taken so far."""

from __future__ import annotations

from typing import Final

import attrs

MEBIBYTE: Final = 1 << 20


@attrs.frozen
class Limits:
    """Limits of one port. Times are in seconds of trio's clock."""

    # Connections at a time; those beyond are closed at once.
    connections: int = 2_000
    # Requests at a time on one connection (HTTP/2).
    streams: int = 1_000
    # The head of a request.
    head_bytes: int = 64 << 10
    # Of one request, what has arrived and was not read; beyond it the peer has to wait.
    unread_bytes: int = 4 * MEBIBYTE
    # The same of all requests of the port; beyond it requests are refused.
    all_unread_bytes: int = 64 * MEBIBYTE
    # Of one answer, what was written and not sent; beyond it the application waits.
    unsent_bytes: int = 64 << 10
    # For the TLS handshake, and again until the head of the first request is complete.
    opening_timeout_s: float = 10.0
    # Without any request.
    keep_alive_s: float = 600.0
    # For the peer to take anything of what is sent.
    stall_timeout_s: float = 30.0
    # For a request that is read as a whole.
    arrival_timeout_s: float = 60.0
    # For the rest of a request that has been answered already.
    discard_timeout_s: float = 1.0


@attrs.define
class Budget:
    """Memory that the unread bodies of all requests of a port share."""

    free_bytes: int

    def take(self, size_bytes: int) -> bool:
        """Take room; False if there is not enough."""
        if size_bytes > self.free_bytes:
            return False
        self.free_bytes -= size_bytes
        return True

    def give(self, size_bytes: int) -> None:
        """Give room back."""
        self.free_bytes += size_bytes


@attrs.define
class Traffic:
    """Totals of a port since its start, and its connections at this moment."""

    received_bytes: int = 0
    sent_bytes: int = 0
    connections: int = 0
    refused_connections: int = 0
