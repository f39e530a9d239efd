"""One connection to one of several API servers.

A client sticks to the server that answers. When the connection closes, or a request is not answered
in time, the next server of the list is tried: at once for the first round, then after a bounded,
growing delay, so that a dead control plane is not hammered. Calls made meanwhile wait for the next
connection, up to a limit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import attrs

from k8sactors.actors import Connection, Context, Message, Stream
from k8sactors.api.protocol import AUTHENTICATE, ERROR, WATCH
from k8sactors.api.user import UserInfo
from k8sactors.client.backoff import Backoff
from k8sactors.client.errors import UnreachableError
from k8sactors.simulation import MILLISECOND, SECOND, Timer

FIRST_RETRY_NS = 20 * MILLISECOND
LAST_RETRY_NS = 5 * SECOND
MAX_WAITING = 20_000
MAX_WATCHES = 256

OnFail = Callable[[UnreachableError], None]


@attrs.define(eq=False)
class Watch:
    """A stream of watch items; `on_item` gets their payloads.

    It ends once, unless it was cancelled: with a last item `[[ERROR, code, status]]` when the
    server ends it (code 0: resume where it is), with `on_close` when the connection is lost.
    """

    payload: list[Any]
    on_item: Callable[[Any], None]
    on_close: Callable[[str], None]
    stream: Stream | None = attrs.field(default=None, init=False)
    ended: bool = attrs.field(default=False, init=False)

    def cancel(self) -> None:
        """Stop receiving, and tell the server to stop sending."""
        if self.ended:
            return
        self.ended = True
        if self.stream is not None:
            self.stream.close("cancelled")


@attrs.define(eq=False)
class _Waiting:
    """A call that waits for a connection."""

    start: Callable[[Connection], None]
    on_fail: OnFail
    deadline_ns: int


class ServerPool:
    """Holds at most one connection at a time, to `servers[index]`."""

    def __init__(self, ctx: Context, servers: Sequence[str], user: UserInfo) -> None:
        assert servers, "a client needs at least one API server"
        self._ctx = ctx
        self._servers = list(servers)
        self._credentials = user.to_wire()
        self._index = 0
        self._connection: Connection | None = None
        self._generation = 0
        self._retry: Timer | None = None
        self._backoff = Backoff(ctx.random, FIRST_RETRY_NS, LAST_RETRY_NS)
        self._waiting: deque[_Waiting] = deque()
        self._watches: dict[int, Watch] = {}
        self._closed = False
        self.failovers = 0

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def server(self) -> str:
        """The server in use, or the next one to be tried."""
        return self._servers[self._index]

    def request(
        self,
        kind: str,
        payload: list[Any],
        on_reply: Callable[[Any], None],
        on_fail: OnFail,
        timeout_ns: int,
    ) -> None:
        """Send a request over the current connection, or over the next one."""

        def start(connection: Connection) -> None:
            generation = self._generation

            def replied(reply: Message) -> None:
                if self._backoff.failures:
                    self._backoff.reset()
                on_reply(reply.payload)

            def failed(error: Exception) -> None:
                # Whether it timed out or the connection broke: this server is not one to stay with.
                self._drop(generation, str(error))
                on_fail(UnreachableError(str(error)))

            connection.request(kind, payload, replied, timeout_ns=timeout_ns, on_fail=failed)

        connection = self._connected()
        if connection is not None:
            start(connection)
        else:
            self._wait(_Waiting(start, on_fail, self._ctx.now_ns() + timeout_ns))

    def watch(self, watch: Watch, timeout_ns: int) -> None:
        """Start a stream over the current connection, or over the next one."""
        if self._closed:
            watch.ended = True
            return

        def start(connection: Connection) -> None:
            if watch.ended:
                return

            def received(reply: Message) -> None:
                if not watch.ended:
                    if self._backoff.failures:
                        self._backoff.reset()
                    watch.on_item(reply.payload)

            stream = watch.stream = connection.open_stream(WATCH, watch.payload)
            stream.on_item = received
            stream.on_close = partial(self._watch_closed, watch, stream)
            self._watches[stream.id] = watch
            if len(self._watches) > 2 * MAX_WATCHES:
                self._forget_ended()

        def failed(error: UnreachableError) -> None:
            self._end_watch(watch, error.message)

        connection = self._connected()
        if connection is not None:
            start(connection)
        else:
            self._wait(_Waiting(start, failed, self._ctx.now_ns() + timeout_ns))

    def open_stream(
        self,
        kind: str,
        payload: list[Any],
        on_open: Callable[[Stream], None],
        on_fail: OnFail,
        *,
        window: int,
        timeout_ns: int,
    ) -> None:
        """Open a stream, made with manual credit, over the current connection or the next one."""

        def start(connection: Connection) -> None:
            stream = connection.open_stream(kind, payload, window=window, manual_credit=True)
            if stream.closed:
                on_fail(UnreachableError("connection closed"))
            else:
                on_open(stream)

        connection = self._connected()
        if connection is not None:
            start(connection)
        else:
            self._wait(_Waiting(start, on_fail, self._ctx.now_ns() + timeout_ns))

    def suspect(self, reason: str) -> None:
        """Leave the current server: something that was due from it did not come."""
        self._drop(self._generation, reason)

    def close(self) -> None:
        """End the connection for good; calls that wait or are in flight fail."""
        if self._closed:
            return
        self._closed = True
        waiting, self._waiting = self._waiting, deque()
        self._watches.clear()
        if self._retry is not None:
            self._retry.cancel()
        connection, self._connection = self._connection, None
        self._generation += 1
        if connection is not None and not connection.closed:
            connection.close("client closed")
        for call in waiting:
            call.on_fail(UnreachableError("client closed"))

    def _connected(self) -> Connection | None:
        connection = self._connection
        if connection is not None and not connection.closed:
            return connection
        if connection is not None:
            self._drop(self._generation, "connection closed")
        if self._retry is None and not self._closed:
            self._dial()
        return self._connection

    def _dial(self) -> None:
        self._retry = None
        self._generation += 1
        generation = self._generation
        connection = self._connection = self._ctx.connect(
            self._servers[self._index], lambda reason: self._drop(generation, reason)
        )
        connection.send(AUTHENTICATE, self._credentials)
        now_ns = self._ctx.now_ns()
        waiting, self._waiting = self._waiting, deque()
        for call in waiting:
            if connection.closed:
                self._wait(call)
            elif call.deadline_ns < now_ns:
                call.on_fail(UnreachableError("no API server could be reached in time"))
            else:
                call.start(connection)

    def _wait(self, call: _Waiting) -> None:
        if self._closed or len(self._waiting) >= MAX_WAITING:
            # Not at once: a caller that tries again on failure must not stop the clock.
            error = UnreachableError("client closed" if self._closed else "too many calls wait")
            self._ctx.after(FIRST_RETRY_NS, lambda: call.on_fail(error))
            return
        self._waiting.append(call)

    def _drop(self, generation: int, reason: str) -> None:
        if generation != self._generation or self._closed:
            return
        self._generation += 1
        self.failovers += 1
        connection, self._connection = self._connection, None
        self._index = (self._index + 1) % len(self._servers)
        if self._retry is None:
            self._retry = self._ctx.after(self._retry_delay_ns(), self._redial)
        watches, self._watches = self._watches, {}
        if connection is not None and not connection.closed:
            connection.close(reason)
        for watch in watches.values():
            self._end_watch(watch, reason)

    def _redial(self) -> None:
        now_ns = self._ctx.now_ns()
        # Nothing waits and nothing watches: dial with the next request.
        self._retry = None
        expired = [call for call in self._waiting if call.deadline_ns < now_ns]
        if expired:
            self._waiting = deque(call for call in self._waiting if call.deadline_ns >= now_ns)
        if self._waiting:
            self._dial()
        for call in expired:
            call.on_fail(UnreachableError("no API server could be reached in time"))

    def _retry_delay_ns(self) -> int:
        delay_ns = self._backoff.next_ns()
        if self._backoff.failures < len(self._servers):
            return FIRST_RETRY_NS
        return delay_ns

    def _watch_closed(self, watch: Watch, stream: Stream, reason: str, trailer: Any) -> None:
        self._watches.pop(stream.id, None)
        if trailer is None:
            self._end_watch(watch, reason)
        elif not watch.ended:
            watch.ended = True
            watch.on_item([[ERROR, *trailer]])

    def _end_watch(self, watch: Watch, reason: str) -> None:
        if not watch.ended:
            watch.ended = True
            watch.on_close(reason)

    def _forget_ended(self) -> None:
        self._watches = {key: watch for key, watch in self._watches.items() if not watch.ended}
