"""Asking one member over its wire API: one connection for all requests that have one answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from raftstore.client import Connection
from raftstore.client.future import Future
from raftstore.errors import STOPPED, TIMEOUT_CONNECTION_LOST, TOO_MANY_REQUESTS, StoreError
from raftstore.gateway.identity import with_token
from raftstore.mvcc.snapshot import StateView
from raftstore.wire import REQUEST

MAX_CALLS: Final = 20_000


class Backend(Protocol):
    """A member, as its endpoint sees it."""

    def connect(self, on_close: Callable[[str], None], /) -> Connection:
        """Open a connection to it; refusal arrives as `on_close(reason)`."""

    def token_of_certificate(self, name: str, /) -> str:
        """A token of the user whom a client's certificate names; "" while nobody needs one."""

    def has_leader(self) -> bool:
        """Whether it knows a leader."""

    def view(self) -> StateView:
        """Its whole state now, by reference.

        Raises:
            StoreError: it does not run.
        """

    def statistics(self) -> dict[str, Any]:
        """Its sizes and positions; empty if it does not run."""


class Caller:
    """Requests of all clients of an endpoint, over one connection that is made anew when lost.

    The member itself answers what takes too long, so no timers are needed here.
    """

    def __init__(self, backend: Backend, max_calls: int = MAX_CALLS) -> None:
        self._backend = backend
        self._max_calls = max_calls
        self._connection: Connection | None = None
        self._waiting: dict[int, Future[list[Any]]] = {}
        self._closed = False

    @property
    def pending(self) -> int:
        """How many requests wait for their answer."""
        return len(self._waiting)

    async def ask(self, op: str, fields: list[Any]) -> list[Any]:
        """The fields of the member's answer to the request that this task serves.

        Raises:
            StoreError: it refused, or the connection to it was lost.
        """
        if self._closed:
            raise StoreError(*STOPPED)
        if len(self._waiting) >= self._max_calls:
            raise StoreError(*TOO_MANY_REQUESTS)
        connection = self._connection
        if connection is None:
            connection = self._connection = self._backend.connect(self._lost)
        future: Future[list[Any]] = Future()
        message_id = connection.stream(REQUEST, with_token(op, fields), self._answered)
        self._waiting[message_id] = future
        try:
            answer = await future.wait()
        finally:
            # Also when nobody waits any more: the client has gone, or its time is over.
            if self._waiting.get(message_id) is future:
                del self._waiting[message_id]
            connection.unsubscribe(message_id)
        if answer[0] != 0:
            raise StoreError(*answer)
        fields_of_answer: list[Any] = answer[1]
        return fields_of_answer

    def close(self) -> None:
        """Close the connection; what waits is refused."""
        self._closed = True
        if self._connection is not None:
            self._connection.close()
            self._lost("closed")

    def _answered(self, answer: Any) -> None:
        future = self._waiting.pop(answer.cause, None)
        if future is not None:
            future.set_result(answer.payload)

    def _lost(self, _reason: str) -> None:
        # The numbers of a new connection begin anew: nothing of the old one may stay.
        self._connection = None
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            future.set_error(StoreError(*TIMEOUT_CONNECTION_LOST))
