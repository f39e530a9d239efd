"""What an endpoint counts: calls by method and status, messages, bytes, open streams."""

from __future__ import annotations

from collections import Counter

import attrs

from raftstore.http import Traffic


@attrs.define
class Counters(Traffic):
    """Totals since the start, in the shape in which etcd's metrics have them."""

    # By (kind, service, method).
    started: Counter[tuple[str, str, str]] = attrs.Factory(Counter)
    # By (kind, service, method, code).
    handled: Counter[tuple[str, str, str, str]] = attrs.Factory(Counter)
    messages_received: Counter[tuple[str, str, str]] = attrs.Factory(Counter)
    messages_sent: Counter[tuple[str, str, str]] = attrs.Factory(Counter)
    watch_streams: int = 0
    health_successes: int = 0
    health_failures: int = 0
