"""One HTTP request and its answer over ASGI, with bounds on what its body may hold in memory.

The body is read by a task of its own that never waits for the handler, so that a client that goes
away is noticed at once, whatever the handler is doing: everything under way is cancelled then.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import attrs
import trio

from raftstore.errors import RESOURCE_EXHAUSTED, TOO_MANY_REQUESTS, StoreError
from raftstore.gateway.codes import DEADLINE_EXCEEDED

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

# etcd: --max-request-bytes, and what its gRPC server allows beyond.
MAX_REQUEST_BYTES: Final = 3 << 19
OVERHEAD_BYTES: Final = 512 << 10
MAX_MESSAGE_BYTES: Final = MAX_REQUEST_BYTES + OVERHEAD_BYTES
MAX_BODIES_BYTES: Final = 64 << 20
DISCARD_TIMEOUT_S: Final = 1.0
ARRIVAL_TIMEOUT_S: Final = 60.0
TE: Final = (b"te", b"trailers")


@attrs.define
class Budget:
    """Memory that the unread bodies of all requests share."""

    free_bytes: int = MAX_BODIES_BYTES

    def take(self, size_bytes: int) -> bool:
        """Whether there was room."""
        if size_bytes > self.free_bytes:
            return False
        self.free_bytes -= size_bytes
        return True

    def give(self, size_bytes: int) -> None:
        """Give room back."""
        self.free_bytes += size_bytes


def too_large(size_bytes: int, limit_bytes: int = MAX_MESSAGE_BYTES) -> StoreError:
    """The refusal of a message, in the words of etcd's gRPC server."""
    text = f"grpc: received message larger than max ({size_bytes} vs. {limit_bytes})"
    return StoreError(RESOURCE_EXHAUSTED, text)


def _target(scope: Any) -> str:
    path: str = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
    query: str = scope.get("query_string", b"").decode("latin-1")
    return f"{path}?{query}" if query else path


@contextmanager
def arriving() -> Iterator[None]:
    """Bound how long a request that is one message may take to come.

    Raises:
        StoreError: it has taken longer.
    """
    with trio.move_on_after(ARRIVAL_TIMEOUT_S) as scope:
        yield
    if scope.cancelled_caught:
        text = f"the request has not arrived within {ARRIVAL_TIMEOUT_S:.0f} s"
        raise StoreError(DEADLINE_EXCEEDED, text)


class Exchange:
    """A request: its head, its body as it comes, and the answer."""

    def __init__(self, scope: Any, receive: Receive, send: Send, budget: Budget) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.target: str = _target(scope)
        """What the request asks for as it was sent: path and query."""
        self.query: str = scope.get("query_string", b"").decode("latin-1")
        self.http_version: str = scope["http_version"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self._header_list = scope["headers"]
        tls: dict[str, Any] = scope.get("extensions", {}).get("tls", {})
        self.certificate_name: str = tls.get("client_cert_name") or ""
        self.started = False
        self._receive = receive
        self._send = send
        self._budget = budget
        self._buffer = bytearray()
        self._ended = False
        self._discarding = False
        self._trailers_follow = False
        self._ending = False
        self._refusal: StoreError | None = None
        self._arrived = trio.Event()

    async def run(self, handle: Callable[[Exchange], Awaitable[None]]) -> None:
        """Handle the request until it is answered or its client is gone."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._read, nursery.cancel_scope)
                await handle(self)
                nursery.cancel_scope.cancel()
        finally:
            self._drop()

    # The body

    async def body(self, limit_bytes: int = MAX_MESSAGE_BYTES) -> bytes:
        """The whole body, at its end.

        Raises:
            StoreError: it is longer than allowed; the rest has been read and dropped.
        """
        while not self._ended:
            if len(self._buffer) > limit_bytes:
                self._refuse(too_large(len(self._buffer), limit_bytes))
            await self._wait()
        self._raise_refusal()
        if len(self._buffer) > limit_bytes:
            raise too_large(len(self._buffer), limit_bytes)
        return self.take(len(self._buffer))

    @property
    def unread_bytes(self) -> int:
        """Of the body, what has arrived and was not taken."""
        return len(self._buffer)

    async def read_exactly(self, size_bytes: int) -> bytes | None:
        """So many bytes of the body; None if it ends before."""
        while len(self._buffer) < size_bytes:
            self._raise_refusal()
            if self._ended:
                return None
            await self._wait()
        return self.take(size_bytes)

    async def read_some(self) -> bytes:
        """What has arrived and was not taken, at least a byte; nothing at the end."""
        while not self._buffer and not self._ended:
            await self._wait()
        self._raise_refusal()
        return self.take(len(self._buffer))

    def take(self, size_bytes: int) -> bytes:
        """Take bytes that are there."""
        data = bytes(self._buffer[:size_bytes])
        del self._buffer[:size_bytes]
        self._budget.give(len(data))
        return data

    async def discard(self) -> None:
        """Read and drop the rest, for a while.

        What still comes behind the answer resets the stream, perhaps before the client has read
        why it was refused. So it is heard out first, unless it is a stream that has no end.
        """
        self._discarding = True
        self._drop()
        with trio.move_on_after(DISCARD_TIMEOUT_S):
            while not self._ended:
                await self._wait()

    async def _wait(self) -> None:
        self._arrived = trio.Event()
        await self._arrived.wait()

    async def _read(self, scope: trio.CancelScope) -> None:
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                # It is also said when the whole answer has been taken. What is being sent then goes
                # on to tell the connection that it is idle.
                if not self._ending:
                    scope.cancel()
                return
            self._keep(message.get("body", b""))
            self._ended = not message.get("more_body", False)
            self._arrived.set()

    def _keep(self, chunk: bytes) -> None:
        if self._discarding:
            return
        if not self._budget.take(len(chunk)):
            self._refuse(StoreError(*TOO_MANY_REQUESTS))
        else:
            self._buffer += chunk
            if len(self._buffer) > 2 * MAX_MESSAGE_BYTES:
                self._refuse(too_large(len(self._buffer)))

    def _refuse(self, error: StoreError) -> None:
        self._refusal = self._refusal or error
        self._discarding = True
        self._drop()

    def _raise_refusal(self) -> None:
        if self._refusal is not None:
            raise self._refusal

    def _drop(self) -> None:
        self.take(len(self._buffer))

    # The answer

    async def start(
        self, status: int, headers: list[tuple[bytes, bytes]], *, trailers: bool = False
    ) -> None:
        """Send the head of the answer."""
        self.started = True
        self._trailers_follow = trailers
        await self._send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": headers,
                "trailers": trailers,
            }
        )

    async def write(self, data: bytes, *, more: bool = True) -> None:
        """Send a part of the answer's body; waits while the client is slow."""
        self._ending = not more and not self._trailers_follow
        await self._send({"type": "http.response.body", "body": data, "more_body": more})

    def accept_trailers(self) -> None:
        """Send trailers also to a client that has forgotten to say that it takes them."""
        if TE not in self._header_list:
            self._header_list.append(TE)

    async def write_trailers(self, headers: list[tuple[bytes, bytes]]) -> None:
        """End the answer with trailers; the body must have been ended with ``more=False``."""
        self._ending = True
        await self._send(
            {"type": "http.response.trailers", "headers": headers, "more_trailers": False}
        )

    async def respond(
        self,
        status: int,
        content_type: bytes,
        body: bytes,
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        """Send a whole answer."""
        length = b"%d" % len(body)
        about = [(b"content-type", content_type), (b"content-length", length)]
        await self.start(status, [*about, *headers])
        await self.write(body, more=False)
