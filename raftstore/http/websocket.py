"""A WebSocket, as an application uses it.

Its messages wait for the application up to `Limits.unread_bytes`; then the connection receives
nothing more until they are read.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from raftstore.gate import Gate
from raftstore.http.errors import BodyTooLargeError, WebSocketClosedError
from raftstore.http.websocket_frames import NORMAL_CLOSURE


class Wire(Protocol):
    """What carries the messages of one WebSocket."""

    async def send_message(self, data: bytes | str) -> None:
        """Send a message; waits while the peer is slow."""

    async def send_close(self, code: int, reason: str) -> None:
        """Send the end."""

    def last_word(self, code: int) -> bytes:
        """The end, framed; nothing if it has been sent."""

    def wake_receiver(self) -> None:
        """There is room again for what arrives."""


class WebSocket:
    """Messages in both directions; text is `str`."""

    def __init__(self, wire: Wire, subprotocol: str | None, limit_bytes: int) -> None:
        self.subprotocol = subprotocol
        self._wire = wire
        self._limit_bytes = limit_bytes
        self._messages: deque[bytes | str] = deque()
        self._parts: list[bytes | str] = []
        self._parts_bytes = 0
        self._waiting_bytes = 0
        self._arrived = Gate()
        self._closed: WebSocketClosedError | None = None

    async def receive(self) -> bytes | str:
        """The next message.

        Raises:
            WebSocketClosedError: there is none, the peer has closed.
        """
        while not self._messages:
            if self._closed is not None:
                raise self._closed
            await self._arrived.wait()
        message = self._messages.popleft()
        self._waiting_bytes -= len(message)
        self._wire.wake_receiver()
        return message

    async def send(self, data: bytes | str) -> None:
        """Send a message; waits while the peer is slow.

        Raises:
            WebSocketClosedError: the peer has closed.
        """
        if self._closed is not None:
            raise self._closed
        await self._wire.send_message(data)

    async def close(self, code: int = NORMAL_CLOSURE, reason: str = "") -> None:
        """End it; messages that have arrived can still be received."""
        await self._wire.send_close(code, reason)

    # What the connection calls

    @property
    def holds_back(self) -> bool:
        """Whether so much waits to be read that no more may come."""
        return self._waiting_bytes > self._limit_bytes

    def arrive(self, part: bytes | str, *, ended: bool) -> None:
        """A part of a message has come.

        Raises:
            BodyTooLargeError: the message is larger than may wait.
        """
        if self._closed is not None:
            return
        self._parts.append(part)
        self._parts_bytes += len(part)
        if self._parts_bytes > self._limit_bytes:
            raise BodyTooLargeError(self._parts_bytes, self._limit_bytes)
        if ended:
            parts, self._parts, self._parts_bytes = self._parts, [], 0
            message = _joined(parts)
            self._messages.append(message)
            self._waiting_bytes += len(message)
            self._arrived.open()

    def last_word(self, code: int = NORMAL_CLOSURE) -> bytes:
        """The end, framed; nothing if it has been sent."""
        return self._wire.last_word(code)

    def end(self, code: int, reason: str) -> None:
        """The peer has closed."""
        if self._closed is None:
            self._closed = WebSocketClosedError(code, reason)
        self._arrived.open()


def _joined(parts: list[bytes | str]) -> bytes | str:
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], str):
        return "".join(str(part) for part in parts)
    return b"".join(part for part in parts if isinstance(part, bytes))
