"""Joins two streams: what comes by one leaves by the other, no faster than its receiver takes it.

Both streams must have been made with manual credit: an item counts as consumed when it has been
sent on, so that the windows of both bound what waits here. An end, and a close with its reason and
trailer, follow behind what was sent before them.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from k8sactors.actors.stream import Item, Stream, weight_of


class _Direction:
    """From `source` to `target`."""

    def __init__(self, source: Stream, target: Stream) -> None:
        self.source = source
        self.target = target
        self.waiting: deque[tuple[str, Any]] = deque()
        self.ended = False
        self.closed: tuple[str, Any] | None = None
        source.on_item = self.take
        source.on_end = self.end
        source.on_close = self.close
        target.on_writable = self.flush

    def take(self, item: Item) -> None:
        if self.waiting or not self.target.writable:
            self.waiting.append((item.kind, item.payload))
        else:
            self.target.send(item.kind, item.payload)
            self.source.consume(weight_of(item.payload))

    def end(self) -> None:
        self.ended = True
        self.flush()

    def close(self, reason: str, trailer: Any) -> None:
        self.closed = (reason, trailer)
        self.flush()

    def flush(self) -> None:
        waiting, target = self.waiting, self.target
        while waiting and target.writable:
            kind, payload = waiting.popleft()
            target.send(kind, payload)
            self.source.consume(weight_of(payload))
        if waiting and not target.closed:
            return
        if self.closed is not None:
            target.close(*self.closed)
        elif self.ended:
            target.end()


def relay(one: Stream, other: Stream) -> None:
    """Join two streams until one of them is closed."""
    _Direction(one, other)
    _Direction(other, one)
