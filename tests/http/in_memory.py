"""Applications asked without a socket: a connection that is nothing but its answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import trio

from raftstore.http import Exchange, Head, Limits
from raftstore.http.limits import Budget
from raftstore.http.websocket import WebSocket

Pairs = Sequence[tuple[bytes, bytes]]


class Answer:
    """One request and what is answered; carrier and protocol of its exchange at once."""

    def __init__(
        self,
        application: Any,
        head: Head,
        *,
        limits: Limits | None = None,
        budget: Budget | None = None,
        on_data: Callable[[bytes], None] = lambda _data: None,
    ) -> None:
        self.limits = limits or Limits()
        self.budget = budget or Budget(self.limits.all_unread_bytes)
        self.certificate: dict[str, Any] = {}
        self.peer = ""
        self.secure = False
        self.protocol: Any = self
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.trailers: dict[bytes, bytes] = {}
        self.ended = trio.Event()
        self.acknowledged_bytes = 0
        self._on_data = on_data
        self._application = application
        self.exchange = Exchange(self, 1, head, ended=False)

    async def run(self, *chunks: bytes) -> None:
        """Let the request arrive: as a whole if it is one chunk, else part by part."""
        if len(chunks) == 1:
            self.exchange.arrive(chunks[0], ended=True)
            begin = getattr(self._application, "begin", None)
            if begin is not None and begin(self.exchange):
                await self.ended.wait()
                return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._answer, nursery.cancel_scope)
            if len(chunks) != 1:
                for chunk in chunks:
                    await trio.lowlevel.checkpoint()
                    self.exchange.arrive(chunk, ended=False)
                self.exchange.arrive(b"", ended=True)

    async def _answer(self, scope: trio.CancelScope) -> None:
        await self.exchange.run(self._application)
        if self.exchange.is_unfinished:
            self.ended.set()
        scope.cancel()

    def hang_up(self) -> None:
        """The client goes away."""
        self.exchange.abandon()

    # The connection

    def announce(self, exchange: Exchange) -> None:
        while exchange.unsent_bytes:
            self.send_data(1, exchange.send(1 << 14))
        if (trailers := exchange.ending) is not None:
            self.send_end(1, trailers)
            self.end(exchange)

    def end(self, exchange: Exchange) -> None:
        exchange.release()

    def open_websocket(self, exchange: Exchange, subprotocol: str | None) -> WebSocket:
        raise AssertionError(f"{exchange} opens no WebSocket: {subprotocol}")

    # What is spoken

    def acknowledge(self, stream_id: int, size_bytes: int) -> None:
        assert stream_id == 1
        self.acknowledged_bytes += size_bytes

    def room(self, stream_id: int) -> int:
        assert stream_id == 1
        return 1 << 14

    def send_head(self, stream_id: int, status: int, headers: Pairs) -> None:
        assert (stream_id, self.status) == (1, 0)
        self.status, self.headers = status, dict(headers)

    def send_data(self, stream_id: int, data: bytes) -> None:
        assert stream_id == 1
        self.body += data
        self._on_data(data)

    def send_last(self, stream_id: int, data: bytes) -> None:
        self.send_data(stream_id, data)
        self.send_end(stream_id, ())

    def send_end(self, stream_id: int, trailers: Pairs) -> None:
        assert stream_id == 1
        self.trailers = dict(trailers)
        self.ended.set()
