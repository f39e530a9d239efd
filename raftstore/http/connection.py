"""One connection of a client: what it says, in events; what is said to it, in turns.

A client has to begin within `Limits.opening_timeout_s`: with the head of a first request, or
the preface and settings of HTTP/2. From then on the connection may be idle for `keep_alive_s`, and
it is over when its client has closed it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import trio

from raftstore.gate import Gate
from raftstore.http.errors import BodyTooLargeError
from raftstore.http.events import (
    ConnectionEnded,
    DataReceived,
    Event,
    Headers,
    MessageReceived,
    RequestReceived,
    StreamReset,
    WebSocketClosed,
    WindowOpened,
)
from raftstore.http.exchange import NO_CERTIFICATE, Exchange
from raftstore.http.http1 import Http1
from raftstore.http.http2 import PREFACE, Http2
from raftstore.http.limits import Budget, Limits
from raftstore.http.protocol import HttpProtocol
from raftstore.http.turns import Turns
from raftstore.http.upgraded import UpgradedBytes
from raftstore.http.websocket import WebSocket
from raftstore.http.websocket_frames import WebSocketFrames

RECEIVE_BYTES: Final = 64 << 10
SEND_BYTES: Final = 64 << 10
FOREVER: Final = float("inf")
MESSAGE_TOO_BIG: Final = 1009
ERROR_HEADERS: Final = ((b"content-type", b"text/plain"), (b"content-length", b"22"))
ERROR_BODY: Final = b"Internal Server Error\n"

_log: Final = logging.getLogger(__name__)

Application = Callable[[Exchange], Awaitable[None]]
# Takes a request that has arrived whole; True: it is answered later by `Exchange.answer`.
Begin = Callable[[Exchange], bool]


class Stream(Protocol):
    """The bytes of a connection."""

    async def send_all(self, data: bytes) -> None:
        """Send.

        Raises:
            trio.BrokenResourceError: the peer does not take it, or has gone.
        """

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receive; nothing at the end."""


class Connection:
    """Serves one connection until it is over."""

    def __init__(
        self,
        stream: Stream,
        application: Application,
        limits: Limits,
        budget: Budget,
        *,
        protocol: HttpProtocol | None = None,
        certificate: dict[str, Any] = NO_CERTIFICATE,
        peer: str = "",
        scheme: str = "http",
    ) -> None:
        self.limits = limits
        self.budget = budget
        self.certificate = certificate
        self.peer = peer
        self.secure = scheme == "https"
        self._scheme = scheme
        self._stream = stream
        self._application = application
        self._begin: Begin | None = getattr(application, "begin", None)
        self._chosen = protocol is not None
        self.protocol: HttpProtocol = protocol or Http1(limits, scheme)
        self._exchanges: dict[int, Exchange] = {}
        self._running = 0
        self._turns: Turns[Exchange] = Turns()
        self._messages: list[bytes] = []
        self._is_idle = True
        self._sending = False
        # What has arrived while the peer did not take what is sent.
        self._received_bytes = 0
        self._may_send = Gate()
        self._may_receive = Gate()
        self._sent = Gate()
        self._flushed = trio.lowlevel.ParkingLot()
        self._reading = trio.CancelScope()
        self._stopping = False

    async def run(self) -> None:
        """Serve until the peer or the protocol has ended the connection."""
        try:
            async with trio.open_nursery() as self._nursery:
                self._nursery.start_soon(self._send)
                await self._receive()
                if self.protocol.closed:
                    # The reason, or the end of the last answer, is still to be sent.
                    self._may_send.open()
                    with trio.move_on_after(self.limits.stall_timeout_s):
                        await self._sent.wait()
                self._nursery.cancel_scope.cancel()
        finally:
            self._abandon_all()

    def _abandon_all(self) -> None:
        # Nothing more is sent for any of them.
        self._turns = Turns()
        exchanges, self._exchanges = self._exchanges, {}
        for exchange in exchanges.values():
            exchange.abandon()

    def stop(self) -> None:
        """Take no further requests; the connection ends when those under way have ended."""
        self._stopping = True
        self.protocol.stop()
        self._may_send.open()

    # What comes in

    async def _receive(self) -> None:
        with self._reading:
            self._has_time(self.limits.opening_timeout_s)
            opening = b"" if self._chosen else await self._choose()
            if opening is None:
                return
            data: bytes = opening or await self._receive_some()
            while data:
                if self._sending:
                    self._received_bytes += len(data)
                self._take(self.protocol.receive(data))
                if self.protocol.closed:
                    return
                if self.protocol.opened:
                    self._limit_idle_time(heard=self.protocol.multiplexed)
                while self._must_wait():
                    await self._may_receive.wait()
                data = await self._receive_some()

    def _limit_idle_time(self, *, heard: bool = False) -> None:
        """Let the connection be idle for a while from now, or from when it became so."""
        if self._exchanges:
            if self._is_idle:
                self._is_idle = False
                self._has_time(FOREVER)
        elif heard or not self._is_idle:
            self._is_idle = True
            self._has_time(self.limits.keep_alive_s)

    async def _choose(self) -> bytes | None:
        """Find out from the first bytes what is spoken; None: nothing more comes."""
        data = b""
        while data == PREFACE[: len(data)] and len(data) < len(PREFACE):
            more = await self._receive_some()
            if not more:
                return None
            data += more
        if data.startswith(PREFACE):
            self.protocol = Http2(self.limits)
            self._may_send.open()
        return data

    async def _receive_some(self) -> bytes:
        """What comes; nothing at the end, however it ends."""
        try:
            return await self._stream.receive_some(RECEIVE_BYTES)
        except (trio.ClosedResourceError, trio.BrokenResourceError):
            return b""

    def _must_wait(self) -> bool:
        """Whether there is no room for more to arrive."""
        if not self.protocol.may_receive or self._received_bytes > RECEIVE_BYTES:
            return True
        if self.protocol.multiplexed:
            # Each stream has a window.
            return False
        return any(
            exchange.holds_back
            or (exchange.websocket is not None and exchange.websocket.holds_back)
            for exchange in self._exchanges.values()
        )

    def acknowledge(self, stream_id: int, size_bytes: int) -> None:
        """Let the peer send as much more of a body."""
        self.protocol.acknowledge(stream_id, size_bytes)
        if self.protocol.answers_peer:
            self._may_send.open()
        self._may_receive.open()

    def wake_receiver(self) -> None:
        """There is room again for what arrives."""
        self._may_receive.open()

    def _has_time(self, seconds: float) -> None:
        self._reading.deadline = trio.current_time() + seconds

    def _take(self, events: list[Event]) -> None:
        begun: list[Exchange] = []
        for event in events:
            if isinstance(event, RequestReceived):
                exchange = Exchange(self, event.stream_id, event.head, ended=event.ended)
                self._exchanges[event.stream_id] = exchange
                begun.append(exchange)
            elif isinstance(event, DataReceived):
                found = self._exchanges.get(event.stream_id)
                if found is not None:
                    found.arrive(event.data, ended=event.ended)
            else:
                self._take_other(event)
        for exchange in begun:
            self._start(exchange)
        if self.protocol.answers_peer or self._turns:
            self._may_send.open()

    def _take_other(self, event: Event) -> None:
        match event:
            case WindowOpened(0):
                self._turns.unblock_all()
            case WindowOpened(stream_id):
                if (exchange := self._exchanges.get(stream_id)) is not None:
                    self._turns.unblock(exchange)
            case StreamReset(stream_id):
                if (exchange := self._exchanges.pop(stream_id, None)) is not None:
                    self._turns.remove(exchange)
                    exchange.abandon()
            case MessageReceived() | WebSocketClosed():
                self._take_message(event)
            case ConnectionEnded():
                self._abandon_all()

    def _start(self, exchange: Exchange) -> None:
        """Let the application answer: at once if it can, else in a task."""
        if exchange.over:
            return
        if self._begin is not None and exchange.is_whole and self._begin(exchange):
            return
        # Tasks of requests that were given up count until they have ended.
        if self._running >= self.limits.streams:
            self._exchanges.pop(exchange.stream_id)
            exchange.release()
            self.protocol.reset(exchange.stream_id)
            return
        self._running += 1
        self._nursery.start_soon(self._serve, exchange)

    async def _serve(self, exchange: Exchange) -> None:
        try:
            await exchange.run(self._application)
        except Exception:  # noqa: BLE001 - a defect of one must not reach the others
            _log.exception("answering %s %s has failed", exchange.head.method, exchange.head.path)
        finally:
            self._running -= 1
        if exchange.websocket is not None:
            self._messages.append(exchange.websocket.last_word())
            self.protocol.closed = True
            self._may_send.open()
        elif exchange.is_unfinished:
            if exchange.started:
                self._exchanges.pop(exchange.stream_id, None)
                self._turns.remove(exchange)
                exchange.release()
                self.protocol.reset(exchange.stream_id)
                self._may_send.open()
            else:
                exchange.answer(500, ERROR_HEADERS, ERROR_BODY)

    # WebSocket

    def open_websocket(self, exchange: Exchange, subprotocol: str | None) -> WebSocket:
        """Turn the connection into a WebSocket."""
        protocol = self.protocol
        assert isinstance(protocol, Http1), "only HTTP/1.1 is upgraded"
        frames = protocol.accept_websocket(exchange.head, subprotocol)
        return self._carry(exchange, protocol, frames, subprotocol)

    def open_upgrade(self, exchange: Exchange, name: str, headers: Headers) -> WebSocket:
        """Turn the connection into one that carries bytes."""
        protocol = self.protocol
        assert isinstance(protocol, Http1), "only HTTP/1.1 is upgraded"
        return self._carry(exchange, protocol, protocol.accept_upgrade(name, headers), name)

    def _carry(
        self,
        exchange: Exchange,
        protocol: Http1,
        frames: WebSocketFrames | UpgradedBytes,
        subprotocol: str | None,
    ) -> WebSocket:
        wire = _WebSocketWire(self, frames)
        exchange.websocket = WebSocket(wire, subprotocol, self.limits.unread_bytes)
        self._may_send.open()
        self._take(protocol.receive(protocol.take_upgraded()))
        return exchange.websocket

    def _take_message(self, event: MessageReceived | WebSocketClosed) -> None:
        exchange = self._exchanges.get(event.stream_id)
        if exchange is None or exchange.websocket is None:
            return
        if isinstance(event, WebSocketClosed):
            exchange.websocket.end(event.code, event.reason)
            return
        try:
            exchange.websocket.arrive(event.data, ended=event.ended)
        except BodyTooLargeError as error:
            exchange.websocket.end(MESSAGE_TOO_BIG, str(error))
            self._messages.append(exchange.websocket.last_word(MESSAGE_TOO_BIG))
            self._may_send.open()

    async def send_message(self, data: bytes) -> None:
        """Send what is framed already; waits while the peer is slow."""
        self._messages.append(data)
        self._may_send.open()
        while sum(map(len, self._messages)) > self.limits.unsent_bytes:
            await self._flushed.park()

    # What goes out

    def announce(self, exchange: Exchange) -> None:
        """Something is to be sent."""
        self._turns.add(exchange)
        self._may_send.open()

    def end(self, exchange: Exchange) -> None:
        """The exchange is over: its answer has been sent to its end."""
        self._exchanges.pop(exchange.stream_id, None)
        self._turns.remove(exchange)
        exchange.release()
        self._may_send.open()

    async def _send(self) -> None:
        """Send what there is, as often as there is something."""
        try:
            while not self.protocol.closed:
                await self._may_send.wait()
                while data := self._next_output():
                    self._sending = True
                    await self._stream.send_all(data)
                    self._sending = False
                    self._received_bytes = 0
                    self._may_receive.open()
                    self._flushed.unpark_all()
                self._settle()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            # The peer has gone, or takes nothing.
            self._reading.cancel()
        self._sent.open()

    def _next_output(self) -> bytes:
        """What is to be sent in one go: so much of each stream as its turn allows."""
        room_bytes = SEND_BYTES
        while self._turns and room_bytes > 0:
            exchange = self._turns.take()
            room_bytes -= self._send_part(exchange)
        output = self.protocol.take_output()
        if self._messages:
            output += b"".join(self._messages)
            self._messages.clear()
        return output

    def _send_part(self, exchange: Exchange) -> int:
        """Send a frame of one answer; how much that was."""
        protocol, stream_id = self.protocol, exchange.stream_id
        sent_bytes = 0
        if exchange.unsent_bytes:
            room = protocol.room(stream_id)
            if room <= 0:
                self._turns.block(exchange)
                return 0
            data = exchange.send(room)
            sent_bytes = len(data)
            if exchange.ending == () and not exchange.unsent_bytes:
                protocol.send_last(stream_id, data)
                self.end(exchange)
                return sent_bytes
            protocol.send_data(stream_id, data)
        if exchange.unsent_bytes:
            self._turns.add(exchange)
        elif (trailers := exchange.ending) is not None:
            protocol.send_end(stream_id, trailers)
            self.end(exchange)
        return sent_bytes

    def _settle(self) -> None:
        """Everything has been sent that could be."""
        if self.protocol.closed or (self._stopping and not self._exchanges):
            self._reading.cancel()
        elif not self._exchanges and self.protocol.opened:
            self._limit_idle_time()
            # In HTTP/1.1 the next request may have arrived already.
            if not self.protocol.multiplexed:
                self._take(self.protocol.receive(b""))
                self._limit_idle_time()
                self._may_receive.open()


class _WebSocketWire:
    """Carries the messages of one WebSocket."""

    def __init__(self, connection: Connection, frames: WebSocketFrames | UpgradedBytes) -> None:
        self._connection = connection
        self._frames = frames

    async def send_message(self, data: bytes | str) -> None:
        """Send a message."""
        await self._connection.send_message(self._frames.message(data))

    async def send_close(self, code: int, reason: str) -> None:
        """Send the end."""
        await self._connection.send_message(self._frames.close(code, reason))

    def last_word(self, code: int) -> bytes:
        """The end, if it has not been sent."""
        return self._frames.close(code, "")

    def wake_receiver(self) -> None:
        """There is room again for what arrives."""
        self._connection.wake_receiver()
