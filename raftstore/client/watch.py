"""Watches that outlive the connection they run on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol, Self

from raftstore.errors import (
    COMPACTED,
    ClientClosedError,
    RaftStoreError,
    Status,
    WatchCancelledError,
)
from raftstore.future import Future
from raftstore.wire import WatchCreateRequest, unpack_events

Events = list[list[Any]]
OnEvents = Callable[[Events, int], None]
OnCancel = Callable[[RaftStoreError], None]

MAX_BUFFERED_EVENTS: Final = 10_000


class WatchLink(Protocol):
    """The connection that a watch runs on."""

    def close_watch(self, watch: Watch) -> None:
        """End the watch, here and at the member."""

    def drop_watch(self, watch: Watch) -> None:
        """Forget a watch that the member has ended."""


class WatchOwner(Protocol):
    """The client that a watch belongs to."""

    @property
    def unpack(self) -> Callable[[bytes], Events]:
        """Decodes events."""

    def watch(self, request: WatchCreateRequest, on_events: OnEvents, on_cancel: OnCancel) -> Watch:
        """Begin a watch."""

    def watch_over(self, watch: Watch) -> None:
        """A watch has ended."""

    def resumes_refused(self, watch: Watch, status: Status) -> bool:
        """Whether a watch that a member refused will be opened again, there or elsewhere."""


class Watch:
    """A running watch; `next_revision` is where it resumes after a reconnect (0: unconfirmed).

    `on_events(events, revision)`: events are ``[type, kv fields, prev_kv fields or None]``, and may
    be none (progress); all matching events up to `revision` have then been delivered.
    """

    __slots__ = (
        "_client",
        "_on_cancel",
        "_on_events",
        "_request",
        "done",
        "link",
        "message_id",
        "next_revision",
        "watch_id",
    )

    def __init__(
        self,
        client: WatchOwner,
        request: WatchCreateRequest,
        on_events: OnEvents,
        on_cancel: OnCancel,
    ) -> None:
        self._client = client
        self._request = request
        self._on_events = on_events
        self._on_cancel = on_cancel
        self.next_revision = request.start_revision
        self.link: WatchLink | None = None
        self.message_id = 0
        self.watch_id = 0
        self.done = False

    def cancel(self) -> None:
        """End the watch; no callback follows. Idempotent."""
        if not self.done:
            self.done = True
            self._client.watch_over(self)

    # Called by the link.

    def fields(self) -> list[Any]:
        """The request to begin or to resume with."""
        self.watch_id = 0
        fields = self._request.to_wire()
        fields[2] = self.next_revision
        return fields

    def on_item(self, payload: list[Any]) -> None:
        """Take a WatchResponse; or, if the member refused the watch, a ``store.response``."""
        if isinstance(payload[0], str):
            if not self._client.resumes_refused(self, Status(*payload)):
                self.fail(WatchCancelledError(payload[0], payload[1], 0))
            return
        watch_id, revision, compact_revision, cancelled, reason, packed = payload
        self.watch_id = watch_id
        if cancelled:
            code = COMPACTED.code if compact_revision else "Cancelled"
            self.fail(WatchCancelledError(code, reason, compact_revision))
            return
        self.next_revision = max(self.next_revision, revision + 1)
        self._on_events(self._client.unpack(packed), revision)

    def fail(self, error: RaftStoreError) -> None:
        """The watch has ended, and not by its owner's wish."""
        if not self.done:
            self.done = True
            if self.link is not None:
                self.link.drop_watch(self)
            self._client.watch_over(self)
            self._on_cancel(error)


class EventStream:
    """A watch as an async iterator of ``(events, revision)``; use it as a context manager.

    What is not taken in time is not buffered without limit: the watch is stopped, and resumed from
    its next revision when the buffer has been emptied.
    """

    def __init__(self, client: WatchOwner, request: WatchCreateRequest) -> None:
        self._client = client
        self._request = request
        self._items: deque[tuple[Events, int]] = deque()
        self._buffered = 0
        self._waiter: Future[None] | None = None
        self._error: RaftStoreError | None = None
        self._next_revision = request.start_revision
        self._watch: Watch | None = None
        self._closed = False
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[Events, int]:
        while not self._items:
            if self._closed:
                raise StopAsyncIteration
            if self._error is not None:
                raise self._error
            if self._watch is None:
                self._start()
            self._waiter = Future()
            await self._waiter.wait()
        item = self._items.popleft()
        self._buffered -= len(item[0])
        return item

    def close(self) -> None:
        """End the watch; a waiting task stops iterating."""
        self._closed = True
        self._items.clear()
        if self._watch is not None:
            self._watch.cancel()
        self._wake()

    def _start(self) -> None:
        fields = self._request.to_wire()
        fields[2] = self._next_revision
        request = WatchCreateRequest.from_wire(fields)
        self._watch = self._client.watch(request, self._on_events, self._on_cancel)

    def _on_events(self, events: Events, revision: int) -> None:
        self._next_revision = revision + 1
        if not events:
            return
        self._items.append((events, revision))
        self._buffered += len(events)
        if self._buffered > MAX_BUFFERED_EVENTS and self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self._wake()

    def _on_cancel(self, error: RaftStoreError) -> None:
        if isinstance(error, ClientClosedError):
            self._closed = True
        else:
            self._error = error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None:
            self._waiter.set_result(None)
            self._waiter = None


class EventDecoder:
    """Unpacks events once where watches of one range share a connection, and so the same bytes."""

    __slots__ = ("_events", "_packed")

    def __init__(self) -> None:
        self._packed = b""
        self._events: Events = []

    def unpack(self, packed: bytes) -> Events:
        """The events; treat them as immutable."""
        if packed != self._packed:
            self._packed = packed
            self._events = unpack_events(packed)
        return self._events
