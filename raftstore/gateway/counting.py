"""What an endpoint counts: calls by method and status, messages, bytes, open streams."""

from __future__ import annotations

from collections import Counter

import attrs


@attrs.define
class Counters:
    """Totals since the start, in the shape in which etcd's metrics have them."""

    started: Counter[tuple[str, str, str]] = attrs.Factory(Counter)
    """By (kind, service, method)."""
    handled: Counter[tuple[str, str, str, str]] = attrs.Factory(Counter)
    """By (kind, service, method, code)."""
    messages_received: Counter[tuple[str, str, str]] = attrs.Factory(Counter)
    messages_sent: Counter[tuple[str, str, str]] = attrs.Factory(Counter)
    received_bytes: int = 0
    sent_bytes: int = 0
    watch_streams: int = 0
    connections: int = 0
    refused_connections: int = 0
    health_successes: int = 0
    health_failures: int = 0
