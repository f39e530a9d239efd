"""One request and its answer.

The body is taken in by the connection and never waits for the application, up to a bound; so a
client that goes away is noticed at once, whatever the application is doing: its task is cancelled.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

import trio

from raftstore.gate import Gate
from raftstore.http.dates import date_header
from raftstore.http.errors import ArrivalTimeoutError, BodyTooLargeError, HttpError, OverloadedError
from raftstore.http.events import Head, Headers
from raftstore.http.limits import Budget, Limits
from raftstore.http.protocol import HttpProtocol
from raftstore.http.websocket import WebSocket

NO_CERTIFICATE: Final[dict[str, Any]] = {}


class Carrier(Protocol):
    """The connection, as its exchanges see it."""

    protocol: HttpProtocol
    limits: Limits
    budget: Budget
    # The client's certificate, as `ssl.SSLSocket.getpeercert` gives it; empty without one.
    certificate: dict[str, Any]
    # The address of the client; empty if the connection has none.
    peer: str
    # Whether the connection is encrypted, whatever the head of a request says.
    secure: bool

    def announce(self, exchange: Exchange) -> None:
        """Something is to be sent."""

    def acknowledge(self, stream_id: int, size_bytes: int) -> None:
        """Let the peer send as much more of a body."""

    def end(self, exchange: Exchange) -> None:
        """The exchange is over."""

    def open_websocket(self, exchange: Exchange, subprotocol: str | None) -> WebSocket:
        """Turn the connection into a WebSocket.

        Raises:
            PeerError: the handshake is malformed.
        """

    def open_upgrade(self, exchange: Exchange, name: str, headers: Headers) -> WebSocket:
        """Turn the connection into one that carries bytes."""


class Exchange:
    """A request: its head, its body as it comes, and the answer."""

    __slots__ = (
        "_abandoned",
        "_arrived",
        "_body_ended",
        "_buffer",
        "_carrier",
        "_discarding",
        "_drained",
        "_ended",
        "_refusal",
        "_scope",
        "_trailers",
        "_unacknowledged_bytes",
        "_unsent",
        "_unsent_bytes",
        "head",
        "headers",
        "on_over",
        "over",
        "started",
        "stream_id",
        "websocket",
    )

    def __init__(self, carrier: Carrier, stream_id: int, head: Head, *, ended: bool) -> None:
        self.stream_id = stream_id
        self.head = head
        # Sent with the answer, whatever it is.
        self.headers: list[tuple[bytes, bytes]] = []
        # Whether the answer has begun.
        self.started = False
        # Whether nothing can be sent or received any more.
        self.over = False
        # Called when the answer has been sent, or the peer has given up.
        self.on_over: Callable[[], None] | None = None
        self.websocket: WebSocket | None = None
        self._carrier = carrier
        self._buffer = bytearray()
        self._body_ended = ended
        self._unacknowledged_bytes = 0
        self._discarding = False
        self._refusal: HttpError | None = None
        self._arrived: Gate | None = None
        self._unsent: deque[bytes | memoryview] | None = None
        self._unsent_bytes = 0
        self._drained: Gate | None = None
        self._ended = False
        self._trailers: Headers = ()
        self._scope: trio.CancelScope | None = None
        self._abandoned = False

    # The client

    @property
    def certificate(self) -> dict[str, Any]:
        """The client's certificate, as `ssl.SSLSocket.getpeercert` gives it; empty without one."""
        return self._carrier.certificate

    @property
    def peer(self) -> str:
        """The client's address."""
        return self._carrier.peer

    @property
    def secure(self) -> bool:
        """Whether the connection is encrypted."""
        return self._carrier.secure

    @property
    def limits(self) -> Limits:
        """Those of the port."""
        return self._carrier.limits

    # The body

    @property
    def is_whole(self) -> bool:
        """Whether the request has arrived to its end, and none of it was refused."""
        return self._body_ended and self._refusal is None

    @property
    def unread_bytes(self) -> int:
        """Of the body, what has arrived and was not taken."""
        return len(self._buffer)

    async def body(self, limit_bytes: int) -> bytes:
        """The whole body, at its end.

        Raises:
            BodyTooLargeError: it is longer than allowed; the rest is dropped.
            OverloadedError: there is no room for it.
        """
        while not self._body_ended:
            self._check(limit_bytes)
            await self._wait()
        self._check(limit_bytes)
        return self.take(len(self._buffer))

    def _check(self, limit_bytes: int) -> None:
        if len(self._buffer) > limit_bytes:
            self._refuse(BodyTooLargeError(len(self._buffer), limit_bytes))
        if self._refusal is not None:
            raise self._refusal

    async def read_exactly(self, size_bytes: int) -> bytes | None:
        """So many bytes of the body; None if it ends before.

        Raises:
            OverloadedError: there is no room for them.
        """
        assert size_bytes <= self._carrier.limits.unread_bytes, "more than may arrive"
        while len(self._buffer) < size_bytes:
            if self._refusal is not None:
                raise self._refusal
            if self._body_ended:
                return None
            await self._wait()
        return self.take(size_bytes)

    async def read_some(self) -> bytes:
        """What has arrived and was not taken, at least a byte; nothing at the end.

        Raises:
            OverloadedError: there is no room for it.
        """
        while not self._buffer and not self._body_ended:
            await self._wait()
        if self._refusal is not None:
            raise self._refusal
        return self.take(len(self._buffer))

    def peek(self, size_bytes: int) -> bytes:
        """Look at bytes that are there."""
        return bytes(self._buffer[:size_bytes])

    def take(self, size_bytes: int) -> bytes:
        """Take bytes that are there."""
        buffer = self._buffer
        data = bytes(buffer[:size_bytes])
        del buffer[:size_bytes]
        self._carrier.budget.give(len(data))
        if self._unacknowledged_bytes:
            self._acknowledge()
        return data

    def _acknowledge(self) -> None:
        """Let the peer send more, if there is room for it."""
        if not self.holds_back:
            self._carrier.acknowledge(self.stream_id, self._unacknowledged_bytes)
            self._unacknowledged_bytes = 0

    @contextmanager
    def arriving(self) -> Iterator[None]:
        """Bound how long a request that is read as a whole may take to come.

        Raises:
            ArrivalTimeoutError: it has taken longer.
        """
        timeout_s = self._carrier.limits.arrival_timeout_s
        with trio.move_on_after(timeout_s) as scope:
            yield
        if scope.cancelled_caught:
            raise ArrivalTimeoutError(timeout_s)

    async def discard(self) -> None:
        """Receive and drop the rest, for a while.

        What still comes behind the answer resets the stream, perhaps before the client has read
        why it was refused. So it is heard out first, unless it is a stream that has no end.
        """
        self._discarding = True
        self._drop()
        with trio.move_on_after(self._carrier.limits.discard_timeout_s):
            while not self._body_ended:
                await self._wait()

    async def _wait(self) -> None:
        if self._arrived is None:
            self._arrived = Gate()
        await self._arrived.wait()

    def _refuse(self, error: HttpError) -> None:
        self._refusal = self._refusal or error
        self._discarding = True
        self._drop()

    def _drop(self) -> None:
        self.take(len(self._buffer))

    # The answer

    async def start(self, status: int, headers: Headers) -> None:
        """Send the head of the answer."""
        self._start(status, headers)

    def _start(self, status: int, headers: Headers) -> None:
        assert not self.started, "an answer begins once"
        self.started = True
        if not self.over:
            head = (*headers, *self.headers, date_header())
            self._carrier.protocol.send_head(self.stream_id, status, head)
            self._carrier.announce(self)

    async def write(self, data: bytes) -> None:
        """Send a part of the answer's body; waits while the client is slow."""
        self._queue(data)
        limit = self._carrier.limits.unsent_bytes
        while self._unsent_bytes > limit:
            if self._drained is None:
                self._drained = Gate()
            await self._drained.wait()
        if self.over:
            # The task of an exchange that is over has been cancelled.
            await trio.lowlevel.checkpoint()

    def _queue(self, data: bytes) -> None:
        assert self.started, "the head comes first"
        assert not self._ended, "nothing follows the end"
        if data and not self.over:
            if self._unsent is None:
                self._unsent = deque()
            self._unsent.append(data)
            self._unsent_bytes += len(data)
            self._carrier.announce(self)

    async def end(self, trailers: Headers = ()) -> None:
        """End the answer, with trailers."""
        self._end(trailers)

    def _end(self, trailers: Headers) -> None:
        assert self.started, "the head comes first"
        self._ended = True
        self._trailers = trailers
        if not self.over:
            self._carrier.announce(self)

    async def respond(
        self, status: int, content_type: bytes, body: bytes, headers: Headers = ()
    ) -> None:
        """Send a whole answer; waits until the client takes it."""
        length = b"%d" % len(body)
        about = [(b"content-type", content_type), (b"content-length", length)]
        self._start(status, [*about, *headers])
        await self.write(body)
        self._end(())

    def answer(self, status: int, headers: Headers, body: bytes, trailers: Headers = ()) -> None:
        """Send a whole answer, without waiting: for small ones, from any callback."""
        if self.over:
            return
        protocol, stream_id = self._carrier.protocol, self.stream_id
        if len(body) <= protocol.room(stream_id):
            self.started = self._ended = True
            protocol.send_head(stream_id, status, headers)
            if body and not trailers:
                protocol.send_last(stream_id, body)
            else:
                if body:
                    protocol.send_data(stream_id, body)
                protocol.send_end(stream_id, trailers)
            self._carrier.end(self)
        else:
            self._start(status, headers)
            self._queue(body)
            self._end(trailers)

    def reset(self) -> None:
        """Give up without an answer: the client sees its connection, or its stream, break."""
        self.started = True

    # WebSocket

    async def accept_websocket(self, subprotocol: str | None = None) -> WebSocket:
        """Answer a request that asks for one; the answer is the WebSocket then.

        Raises:
            PeerError: the handshake is malformed.
        """
        assert not self.started, "the answer has begun"
        self.websocket = self._carrier.open_websocket(self, subprotocol)
        self.started = True
        return self.websocket

    async def accept_upgrade(self, protocol: str, headers: Headers = ()) -> WebSocket:
        """Answer a request for another protocol: messages are then bytes as they come and go."""
        assert not self.started, "the answer has begun"
        self.websocket = self._carrier.open_upgrade(self, protocol, headers)
        self.started = True
        return self.websocket

    @property
    def can_upgrade(self) -> bool:
        """Whether the connection can become something else: it speaks HTTP/1.1."""
        return not self._carrier.protocol.multiplexed

    # What the connection calls

    async def run(self, application: Callable[[Exchange], Any]) -> None:
        """Let the application answer, until the peer gives up."""
        with trio.CancelScope() as self._scope:
            if self._abandoned:
                self._scope.cancel()
            await application(self)
        self._scope = None

    @property
    def is_unfinished(self) -> bool:
        """Whether the application has left without the end of its answer."""
        return not self._ended and not self.over

    def arrive(self, data: bytes, *, ended: bool) -> None:
        """A part of the body has come."""
        carrier = self._carrier
        self._body_ended = ended
        if data:
            if self._discarding:
                carrier.acknowledge(self.stream_id, len(data))
            elif not carrier.budget.take(len(data)):
                self._refuse(OverloadedError())
                carrier.acknowledge(self.stream_id, len(data))
            else:
                self._buffer += data
                if not ended:
                    self._unacknowledged_bytes += len(data)
                    self._acknowledge()
        if self._arrived is not None:
            self._arrived.open()

    @property
    def holds_back(self) -> bool:
        """Whether so much waits to be read that no more may come."""
        return len(self._buffer) > self._carrier.limits.unread_bytes

    def abandon(self) -> None:
        """The peer has given up."""
        self._abandoned = True
        self.release()
        if self._scope is not None:
            self._scope.cancel()

    def release(self) -> None:
        """It is over: hold nothing."""
        self.over = True
        if self._buffer:
            self._drop()
        self._discarding = True
        self._unsent = None
        self._unsent_bytes = 0
        for gate in (self._arrived, self._drained):
            if gate is not None:
                gate.open()
        if self.on_over is not None:
            on_over, self.on_over = self.on_over, None
            on_over()

    def send(self, room: int) -> bytes:
        """What is to be sent next, at most so much."""
        unsent = self._unsent
        if not unsent:
            return b""
        first = unsent[0]
        if len(first) <= room:
            unsent.popleft()
            data = bytes(first)
        else:
            view = memoryview(first)
            data = bytes(view[:room])
            unsent[0] = view[room:]
        self._unsent_bytes -= len(data)
        if self._drained is not None and self._unsent_bytes <= self._carrier.limits.unsent_bytes:
            self._drained.open()
        return data

    @property
    def unsent_bytes(self) -> int:
        """Of the answer, what was written and is not sent yet."""
        return self._unsent_bytes

    @property
    def ending(self) -> Headers | None:
        """The trailers, if the answer has been written to its end."""
        return self._trailers if self._ended else None
