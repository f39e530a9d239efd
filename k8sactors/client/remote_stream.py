"""A stream to a pod or node (`api.streaming`), as sequential code uses it.

What has arrived and was not read is bounded by the stream's window; sending waits while the other
end is slow.
"""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import Any, Self

import trio

from k8sactors.actors import Message, Stream
from k8sactors.actors.stream import weight_of
from k8sactors.api import codec
from k8sactors.api.streaming import CHUNK_BYTES, OPENED
from k8sactors.client.errors import UnreachableError, error_in


class RemoteAnswerError(Exception):
    """The other end has answered with an error of its own: code, bytes, content type."""

    def __init__(self, code: int, data: bytes, content_type: str) -> None:
        super().__init__(f"{code}: {data[:100]!r}")
        self.code = code
        self.data = data
        self.content_type = content_type


class RemoteStream:
    """One stream; use it as a context manager, which closes it."""

    def __init__(self) -> None:
        self._stream: Stream | None = None
        self._items: deque[tuple[str, Any]] = deque()
        self._trailer: list[Any] | None = None
        self._failure: Exception | None = None
        self._changed = trio.lowlevel.ParkingLot()
        self._abandoned = False
        self.content_type = ""

    def __enter__(self) -> Self:
        """Nothing more."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """End it from here. Idempotent."""
        self._abandoned = True
        if self._stream is not None:
            self._stream.close("client closed")

    async def opened(self) -> None:
        """Wait until the other end is there.

        Raises:
            StatusError: it is not, and why.
            RemoteAnswerError: it has answered with an error.
        """
        while not self._items and self._trailer is None and self._failure is None:
            await self._changed.park()
        if not self._items:
            self._raise()
        item = await self.receive()
        assert item is not None
        kind, payload = item
        assert kind == OPENED, "the first item says that the stream is open"
        self.content_type = payload[0]

    async def receive(self) -> tuple[str, Any] | None:
        """The next item; None at the end.

        Raises:
            StatusError: the stream was lost.
        """
        while not self._items and self._trailer is None and self._failure is None:
            await self._changed.park()
        if self._items:
            kind, payload = self._items.popleft()
            if self._stream is not None and not self._stream.closed:
                self._stream.consume(weight_of(payload))
            return kind, payload
        if self._failure is not None:
            raise self._failure
        return None

    @property
    def result(self) -> dict[str, Any] | None:
        """At the end: the Status that the stream ended with, None if it has none."""
        if self._trailer is None or not self._trailer[1]:
            return None
        status: dict[str, Any] = codec.decode_value(self._trailer[1])
        return status

    async def send(self, kind: str, payload: Any) -> None:
        """Send an item; waits while the other end is slow. At the end it is dropped."""
        stream = self._stream
        while stream is not None and not stream.closed and not stream.writable:
            await self._changed.park()
        if stream is not None:
            stream.send(kind, payload)

    async def send_bytes(self, kind: str, data: bytes) -> None:
        """Send bytes, in items of a moderate size."""
        for at in range(0, len(data), CHUNK_BYTES):
            await self.send(kind, bytes(data[at : at + CHUNK_BYTES]))

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure
        assert self._trailer is not None
        code, data, *rest = self._trailer
        if rest:
            raise RemoteAnswerError(code, bytes(data), rest[0])
        raise error_in(code, data)

    # What the pool and the stream call

    def begin(self, stream: Stream) -> None:
        """The stream is on its way."""
        if self._abandoned:
            stream.close("client closed")
            return
        self._stream = stream
        stream.on_item = self._arrived
        stream.on_close = self._closed
        stream.on_writable = self._wake

    def fail(self, error: UnreachableError) -> None:
        """There is no server."""
        self._failure = error
        self._wake()

    def _arrived(self, message: Message) -> None:
        self._items.append((message.kind, message.payload))
        self._wake()

    def _closed(self, reason: str, trailer: Any) -> None:
        if trailer is None:
            self._failure = UnreachableError(reason)
        else:
            self._trailer = trailer
        self._wake()

    def _wake(self) -> None:
        self._changed.unpark_all()
