"""The watches of one gRPC stream, each a watch of the member.

A stream has a connection of its own, so that whatever the member still holds for it ends with it.
Answers and events share that connection and keep their order, which is what makes a progress
answer true: when the member's status arrives, everything up to its revision has arrived before.

A client that reads too slowly costs bounded memory: past `max_buffered_bytes` a watch is stopped at
the member, and resumes behind the last revision delivered when the client has caught up. If that
history is compacted meanwhile the watch is cancelled with the compact revision, as etcd does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

import attrs

from raftstore.errors import (
    TIMEOUT_CONNECTION_LOST,
    TOO_MANY_REQUESTS,
    StoreError,
)
from raftstore.future import Future
from raftstore.gateway.caller import Backend
from raftstore.gateway.identity import current_token
from raftstore.gateway.messages import message
from raftstore.gateway.translation import event, header
from raftstore.wire import REQUEST, WATCH, WATCH_CANCEL, unpack_events

INVALID_WATCH_ID: Final = -1
MAX_BUFFERED_BYTES: Final = 8 << 20
MAX_QUEUED_ITEMS: Final = 100_000
MAX_WATCHES: Final = 100_000
# A response larger than a request may be is sent in pieces to clients that ask for it.
FRAGMENT_BYTES: Final = 3 << 19
# Counted for an item in addition to its events.
ITEM_BYTES: Final = 128
# etcd: server/storage/mvcc/watcher.go.
EMPTY_RANGE: Final = "mvcc: watcher range is empty"
DUPLICATE_ID: Final = "mvcc: duplicate watch ID provided on the WatchStream"

WatchResponse: Final = message("WatchResponse")


@attrs.define(eq=False)
class Watched:
    """One watch of the stream; `member_id` 0: the member has not confirmed it yet."""

    id: int
    fields: list[Any]
    fragment: bool
    next_revision: int
    message_id: int = 0
    member_id: int = 0
    created: bool = False
    paused: bool = False
    done: bool = False


@attrs.frozen
class Item:
    """What is to be sent: plain answers say everything in `about`, events wait packed."""

    watch: int
    revision: int
    about: dict[str, Any]
    packed: bytes = b""
    fragment: bool = False


class WatchSession:
    """Takes WatchRequests, gives WatchResponses."""

    def __init__(self, backend: Backend, max_buffered_bytes: int = MAX_BUFFERED_BYTES) -> None:
        self._connection = backend.connect(self._lost)
        token = current_token()
        self._token = [token] if token else []
        self._max_buffered_bytes = max_buffered_bytes
        self._watches: dict[int, Watched] = {}
        self._by_message: dict[int, Watched] = {}
        self._paused: list[Watched] = []
        self._next_id = 0
        self._requested = 0
        self._confirmed = 0
        self._refusals: deque[tuple[int, Item]] = deque()
        self._items: deque[Item] = deque()
        self._buffered_bytes = 0
        self._pieces: deque[Any] = deque()
        self._progress_wanted = False
        self._header: list[int] = [0, 0, 0, 0]
        self._error: StoreError | None = None
        self._waiter: Future[None] | None = None

    def close(self) -> None:
        """End all watches."""
        self._connection.close()

    def fail(self, error: StoreError) -> None:
        """End the stream, for the first reason given, when what is queued has been sent."""
        self._error = self._error or error
        self._wake()

    # What the client asks

    def request(self, request: Any) -> None:
        """Take one WatchRequest; what it says no to becomes a response, as in etcd."""
        match request.WhichOneof("request_union"):
            case "create_request":
                self._create(request.create_request)
            case "cancel_request":
                self._cancel(request.cancel_request.watch_id)
            case "progress_request":
                self._progress_wanted = True
                self._ask_status(self._on_progress)

    def _create(self, request: Any) -> None:
        key = request.key or b"\0"
        # The open end stands for itself; any other end must lie behind the key.
        if request.range_end not in {b"", b"\0"} and key >= request.range_end:
            self._refuse(EMPTY_RANGE)
        elif request.watch_id and request.watch_id in self._watches:
            self._refuse(DUPLICATE_ID)
        elif len(self._watches) >= MAX_WATCHES:
            self.fail(StoreError(*TOO_MANY_REQUESTS))
        else:
            # Before the first revision there is nothing: a negative start is the beginning.
            start_revision = request.start_revision if request.start_revision >= 0 else 1
            watched = Watched(
                request.watch_id or self._free_id(),
                [
                    key,
                    request.range_end,
                    start_revision,
                    request.progress_notify,
                    list(request.filters),
                    request.prev_kv,
                ],
                request.fragment,
                start_revision,
            )
            self._watches[watched.id] = watched
            self._requested += 1
            self._ask_status(self._on_status)
            self._open(watched)

    def _free_id(self) -> int:
        while self._next_id in self._watches:
            self._next_id += 1
        free = self._next_id
        self._next_id += 1
        return free

    def _refuse(self, reason: str) -> None:
        about = {"created": True, "canceled": True, "cancel_reason": reason}
        self._refusals.append((self._requested, Item(INVALID_WATCH_ID, 0, about)))
        self._ask_status(self._on_status)

    def _cancel(self, watch_id: int) -> None:
        watched = self._watches.get(watch_id)
        if watched is not None:
            if not watched.created:
                self._queue(Item(watched.id, 0, {"created": True}))
            self._end(watched, {"canceled": True})

    def _end(self, watched: Watched, about: dict[str, Any]) -> None:
        self._watches.pop(watched.id, None)
        watched.done = True
        self._stop(watched)
        self._queue(Item(watched.id, 0, about))

    # At the member

    def _open(self, watched: Watched) -> None:
        watched.fields[2] = watched.next_revision
        watched.member_id = 0
        watched.message_id = self._connection.subscribe(
            WATCH, [*watched.fields, *self._token], self._on_item
        )
        self._by_message[watched.message_id] = watched

    def _stop(self, watched: Watched) -> None:
        """End it at the member; one that is not confirmed yet ends when it is."""
        if watched.member_id:
            self._connection.send(WATCH_CANCEL, [watched.member_id])
            self._forget(watched)

    def _forget(self, watched: Watched) -> None:
        self._by_message.pop(watched.message_id, None)
        self._connection.unsubscribe(watched.message_id)
        watched.member_id = 0

    def _ask_status(self, on_status: Callable[[Any], None]) -> None:
        def take(answer: Any) -> None:
            self._connection.unsubscribe(answer.cause)
            if answer.payload[0] == 0:
                self._header = answer.payload[1][0]
            on_status(answer)

        self._connection.subscribe(REQUEST, ["status", []], take)

    def _on_status(self, _answer: Any) -> None:
        """The header is known now: refusals may go, each behind the watches asked for before it."""
        while self._refusals and self._refusals[0][0] <= self._confirmed:
            self._queue(self._refusals.popleft()[1])

    def _on_progress(self, _answer: Any) -> None:
        self._answer_progress()

    def _answer_progress(self) -> None:
        """Tell the revision if nothing up to it is outstanding; else when that has come."""
        behind = any(not watched.created or watched.paused for watched in self._watches.values())
        if self._progress_wanted and not behind:
            self._progress_wanted = False
            self._queue(Item(INVALID_WATCH_ID, self._header[2], {}))

    def _on_item(self, answer: Any) -> None:
        watched = self._by_message.get(answer.cause)
        if watched is None:
            return
        payload = answer.payload
        if isinstance(payload[0], str):
            self._forget(watched)
            # As Go prints the error of a gRPC call; etcd's client looks for that.
            reason = f"rpc error: code = {payload[0]} desc = {payload[1]}"
            self._end(watched, {"created": True, "canceled": True, "cancel_reason": reason})
            self._confirm(watched)
            return
        self._confirm(watched)
        member_id, revision, compact_revision, cancelled, reason, packed = payload
        first = not watched.member_id
        watched.member_id = member_id
        if watched.done:
            self._stop(watched)
        elif cancelled:
            self._forget(watched)
            # As in etcd, a compact revision is reason enough.
            about = {"canceled": True, "compact_revision": compact_revision}
            self._end(watched, about if compact_revision else {**about, "cancel_reason": reason})
        else:
            watched.next_revision = max(watched.next_revision, revision + 1)
            if not first or packed:
                self._deliver(watched, revision, packed)
            elif self._progress_wanted:
                self._ask_status(self._on_progress)

    def _confirm(self, watched: Watched) -> None:
        """The member has said its first word about a watch; refusals may have waited for it."""
        if not watched.created:
            watched.created = True
            self._confirmed += 1
            if not watched.done:
                self._queue(Item(watched.id, 0, {"created": True}))
            self._on_status(None)

    def _deliver(self, watched: Watched, revision: int, packed: bytes) -> None:
        self._queue(Item(watched.id, revision, {}, packed, watched.fragment))
        if self._buffered_bytes > self._max_buffered_bytes:
            watched.paused = True
            self._paused.append(watched)
            self._stop(watched)

    def _resume(self) -> None:
        paused, self._paused = self._paused, []
        for watched in paused:
            watched.paused = False
            if not watched.done:
                self._open(watched)

    # What the client gets

    async def next(self) -> Any:
        """The next WatchResponse.

        Raises:
            StoreError: the stream is over.
        """
        while not self._pieces:
            if self._items:
                self._take(self._items.popleft())
                continue
            if self._error is not None:
                raise self._error
            self._waiter = Future()
            await self._waiter.wait()
        return self._pieces.popleft()

    def _take(self, item: Item) -> None:
        self._buffered_bytes -= len(item.packed) + ITEM_BYTES
        if self._paused and self._buffered_bytes <= self._max_buffered_bytes // 2:
            self._resume()
        cluster_id, member_id, revision, term = self._header
        # As in etcd, the word that history is gone tells no other revision.
        compacted = "compact_revision" in item.about and item.about["compact_revision"] > 0
        shown = 0 if compacted else item.revision or revision
        about = header([cluster_id, member_id, shown, term])
        events = [event(fields) for fields in unpack_events(item.packed)]
        response = WatchResponse(header=about, watch_id=item.watch, events=events, **item.about)
        if item.fragment and response.ByteSize() > FRAGMENT_BYTES:
            self._pieces.extend(_fragments(response))
        else:
            self._pieces.append(response)

    def _queue(self, item: Item) -> None:
        if len(self._items) >= MAX_QUEUED_ITEMS:
            self.fail(StoreError(*TOO_MANY_REQUESTS))
            return
        self._buffered_bytes += len(item.packed) + ITEM_BYTES
        self._items.append(item)
        self._header[2] = max(self._header[2], item.revision)
        self._wake()

    def _lost(self, _reason: str) -> None:
        self.fail(StoreError(*TIMEOUT_CONNECTION_LOST))

    def _wake(self) -> None:
        if self._waiter is not None:
            waiter, self._waiter = self._waiter, None
            waiter.set_result(None)


def _fragments(response: Any) -> Iterator[Any]:
    """The response in pieces of bounded size; all but the last say that more follows."""
    piece: list[Any] = []
    size_bytes = 0
    for item in response.events:
        if piece and size_bytes + item.ByteSize() > FRAGMENT_BYTES:
            yield WatchResponse(
                header=response.header, watch_id=response.watch_id, fragment=True, events=piece
            )
            piece, size_bytes = [], 0
        piece.append(item)
        size_bytes += item.ByteSize()
    yield WatchResponse(header=response.header, watch_id=response.watch_id, events=piece)
