"""One end of a connection between two actors: ordered and lossless until it breaks, like TCP.

Sending appends to the connection's outbox; the owning actor flushes all outboxes at the end of its
turn, one frame each. Requests are matched to replies by message id. Every request has a timeout.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from k8sactors.actors.codec import CLOSE, WireMessage
from k8sactors.actors.errors import AskTimeoutError, ConnectionClosedError
from k8sactors.actors.stream import INITIAL_WINDOW, Stream
from k8sactors.simulation import MILLISECOND, Timer
from raftstore.future import Future

# Request timeouts share instants: a timer bucket per tenth of a second instead of one per request.
TIMEOUT_SLACK_NS = 100 * MILLISECOND

ReplyHandler = Callable[["Message"], None]
FailHandler = Callable[[Exception], None]


class Owner(Protocol):
    """The context of the actor that a connection belongs to."""

    last_message_id: int

    def after(self, delay_ns: int, callback: Callable[[], None], *, slack_ns: int = 0) -> Timer:
        """Run a callback in a turn of the actor."""

    def mark_dirty(self, connection: Connection) -> None:
        """A connection's outbox is no longer empty."""

    def flush_connection(self, connection: Connection) -> None:
        """Send what a connection has queued."""

    def forget(self, connection: Connection) -> None:
        """A connection has closed."""


class _Pending:
    """A request that waits for its reply."""

    __slots__ = ("on_fail", "on_reply", "timer")

    def __init__(self, on_reply: ReplyHandler, on_fail: FailHandler) -> None:
        self.on_reply = on_reply
        self.on_fail = on_fail
        self.timer: Timer | None = None


class Connection:
    """One end; created by `Context.connect` or handed to `Actor.on_connection`."""

    __slots__ = (
        "_context",
        "_pending",
        "_streams",
        "_subscriptions",
        "closed",
        "id",
        "on_close",
        "outbox",
        "peer",
    )

    def __init__(
        self,
        context: Owner,
        connection_id: int,
        peer: str,
        on_close: Callable[[str], None] | None,
    ) -> None:
        self._context = context
        self.id = connection_id
        self.peer = peer
        self.on_close = on_close
        self.closed = False
        self.outbox: list[WireMessage] = []
        self._pending: dict[int, _Pending] = {}
        self._subscriptions: dict[int, ReplyHandler] = {}
        self._streams: dict[int, Stream] = {}

    def send(self, kind: str, payload: Any, cause: int = 0) -> int:
        """Queue a message for the flush at the end of this turn; returns its id.

        On a closed connection it is dropped, as bytes written to a broken socket are.
        """
        context = self._context
        context.last_message_id = message_id = context.last_message_id + 1
        if self.closed:
            return message_id
        outbox = self.outbox
        if not outbox:
            context.mark_dirty(self)
        outbox.append((kind, message_id, cause, payload))
        return message_id

    def request(
        self,
        kind: str,
        payload: Any,
        on_reply: ReplyHandler,
        *,
        timeout_ns: int,
        on_fail: FailHandler,
    ) -> int:
        """Send a request; exactly one of the handlers is called, in a later turn of this actor.

        `on_fail` gets `ConnectionClosedError` or `AskTimeoutError`; in both cases the request may
        or may not have been carried out.
        """
        message_id = self.send(kind, payload)
        pending = _Pending(on_reply, on_fail)
        if self.closed:
            error = ConnectionClosedError(f"connection to {self.peer} is closed")
            self._context.after(0, lambda: on_fail(error))
            return message_id
        self._pending[message_id] = pending
        pending.timer = self._context.after(
            timeout_ns,
            lambda: self._time_out(message_id, kind, timeout_ns),
            slack_ns=TIMEOUT_SLACK_NS,
        )
        return message_id

    async def ask(self, kind: str, payload: Any, *, timeout_ns: int) -> Message:
        """Send a request and wait for its reply.

        Raises:
            ConnectionClosedError: the connection broke first.
            AskTimeoutError: no reply within `timeout_ns`.
        """
        future: Future[Message] = Future()
        self.request(
            kind, payload, future.set_result, timeout_ns=timeout_ns, on_fail=future.set_error
        )
        return await future.wait()

    def subscribe(self, kind: str, payload: Any, on_item: ReplyHandler) -> int:
        """Send a request that has many replies; `on_item` gets each until `unsubscribe`."""
        message_id = self.send(kind, payload)
        self._subscriptions[message_id] = on_item
        return message_id

    def unsubscribe(self, message_id: int) -> None:
        """Stop calling the handler of `subscribe`. Tell the peer with a message of the protocol."""
        self._subscriptions.pop(message_id, None)

    def open_stream(
        self,
        kind: str,
        payload: Any,
        *,
        window: int = INITIAL_WINDOW,
        manual_credit: bool = False,
    ) -> Stream:
        """Open a flow-controlled stream with a message; `window` bounds what the peer sends.

        On a closed connection it is closed from the start, and calls nothing.
        """
        message_id = self.send(kind, payload)
        return self._begin(message_id, window, manual_credit=manual_credit)

    def accept_stream(
        self, message_id: int, *, window: int = INITIAL_WINDOW, manual_credit: bool = False
    ) -> Stream:
        """The other end of the stream that the peer has opened with the message of that id."""
        return self._begin(-message_id, window, manual_credit=manual_credit)

    def _begin(self, key: int, window: int, *, manual_credit: bool) -> Stream:
        stream = Stream(self, key, window, manual_credit=manual_credit)
        if self.closed:
            stream.closed = True
        else:
            self._streams[key] = stream
            self._subscriptions[key] = stream.receive
        return stream

    def forget_stream(self, key: int) -> None:
        """A stream has ended."""
        self._streams.pop(key, None)
        self._subscriptions.pop(key, None)

    def close(self, reason: str = "closed by peer") -> None:
        """Close both ends; what was sent before is still delivered. Idempotent."""
        if not self.closed:
            self.send(CLOSE, reason)
            self._context.flush_connection(self)
            self.break_("closed locally", notify=False)

    def statistics(self) -> dict[str, int]:
        """Messages queued, requests waiting, handlers of answers, streams among them."""
        return {
            "outbox": len(self.outbox),
            "pending": len(self._pending),
            "subscriptions": len(self._subscriptions),
            "streams": len(self._streams),
        }

    # Called by the owning context.

    def claim(self, message: Message) -> bool:
        """Give a message to the request or stream that it answers; False if there is none."""
        cause = message.cause
        pending = self._pending.pop(cause, None)
        if pending is not None:
            if pending.timer is not None:
                pending.timer.cancel()
            pending.on_reply(message)
            return True
        on_item = self._subscriptions.get(cause)
        if on_item is not None:
            on_item(message)
            return True
        return False

    def break_(self, reason: str, *, notify: bool = True) -> None:
        """Mark closed, fail what waits, tell the owner (unless it closed the connection itself)."""
        if self.closed:
            return
        self.closed = True
        self.outbox.clear()
        self._context.forget(self)
        self._subscriptions.clear()
        streams, self._streams = self._streams, {}
        pending, self._pending = self._pending, {}
        for waiting in pending.values():
            if waiting.timer is not None:
                waiting.timer.cancel()
            waiting.on_fail(ConnectionClosedError(f"connection to {self.peer}: {reason}"))
        if notify and self.on_close is not None:
            self.on_close(reason)
        for stream in streams.values():
            stream.break_(reason)

    def _time_out(self, message_id: int, kind: str, timeout_ns: int) -> None:
        pending = self._pending.pop(message_id, None)
        if pending is not None:
            pending.on_fail(
                AskTimeoutError(f"{self.peer} did not answer {kind} in {timeout_ns / 1e9:g} s")
            )


class Message:
    """A received message. `payload` is plain data; tuples arrive as lists."""

    __slots__ = ("cause", "connection", "id", "kind", "payload", "sender")

    def __init__(
        self,
        kind: str,
        message_id: int,
        cause: int,
        payload: Any,
        connection: Connection | None,
        sender: str,
    ) -> None:
        self.kind = kind
        self.id = message_id
        self.cause = cause
        self.payload = payload
        self.connection = connection
        self.sender = sender

    def reply(self, kind: str, payload: Any) -> None:
        """Answer on the connection the message came by; dropped if that is gone."""
        if self.connection is not None:
            self.connection.send(kind, payload, self.id)

    def accept_stream(
        self, *, window: int = INITIAL_WINDOW, manual_credit: bool = False
    ) -> Stream | None:
        """This end of the stream that the message opens; None if its connection is gone."""
        if self.connection is None:
            return None
        return self.connection.accept_stream(self.id, window=window, manual_credit=manual_credit)

    def __repr__(self) -> str:
        return f"Message({self.kind!r}, id={self.id}, cause={self.cause}, sender={self.sender!r})"
