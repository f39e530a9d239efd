"""Asking one member over its wire API: one connection for all requests that have one answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

import trio

from raftstore.client import Connection
from raftstore.errors import STOPPED, TIMEOUT_CONNECTION_LOST, TOO_MANY_REQUESTS, StoreError
from raftstore.future import Future
from raftstore.gateway.identity import current_token
from raftstore.mvcc.snapshot import StateView
from raftstore.wire import REQUEST, WITH_TOKEN

MAX_CALLS: Final = 20_000


# Takes 0 and the fields of an answer, or the code and the message of a refusal.
OnAnswer = Callable[[list[Any]], None]


class Backend(Protocol):
    """A member, as its endpoint sees it."""

    def connect(self, on_close: Callable[[str], None], /) -> Connection:
        """Open a connection to it; refusal arrives as `on_close(reason)`."""

    def token_of_certificate(self, name: str, /) -> str:
        """A token of the user that a client's certificate names; "" while none is needed."""

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
    """Requests of all clients of an endpoint, over one connection that is made again when lost.

    The member itself answers what takes too long, so no timers are needed here.
    """

    def __init__(self, backend: Backend, max_calls: int = MAX_CALLS) -> None:
        self._backend = backend
        self._max_calls = max_calls
        self._connection: Connection | None = None
        self._waiting: dict[int, OnAnswer] = {}
        self._closed = False

    @property
    def pending(self) -> int:
        """How many requests wait for their answer."""
        return len(self._waiting)

    def begin(self, op: str, fields: list[Any], token: str, on_answer: OnAnswer) -> int:
        """Ask the member with this token ("": none); the number of the request.

        Raises:
            StoreError: it cannot be asked now.
        """
        if self._closed:
            raise StoreError(*STOPPED)
        if len(self._waiting) >= self._max_calls:
            raise StoreError(*TOO_MANY_REQUESTS)
        connection = self._connection
        if connection is None:
            connection = self._connection = self._backend.connect(self._lost)
        payload = [WITH_TOKEN, [token, op, fields]] if token else [op, fields]
        message_id = connection.subscribe(REQUEST, payload, self._answered)
        self._waiting[message_id] = on_answer
        return message_id

    async def ask(self, op: str, fields: list[Any]) -> list[Any]:
        """The fields of the member's answer to the request that this task serves.

        Raises:
            StoreError: it refused, or the connection to it was lost.
        """
        future: Future[list[Any]] = Future()
        on_answer = future.set_result
        message_id = self.begin(op, fields, current_token(), on_answer)
        try:
            answer = await future.wait()
        except trio.Cancelled:
            # The client has gone, or its time is over.
            if self._waiting.get(message_id) == on_answer:
                del self._waiting[message_id]
                if self._connection is not None:
                    self._connection.unsubscribe(message_id)
            raise
        return fields_of(answer)

    def close(self) -> None:
        """Close the connection; what waits is refused."""
        self._closed = True
        if self._connection is not None:
            self._connection.close()
            self._lost("closed")

    def _answered(self, answer: Any) -> None:
        cause = answer.cause
        on_answer = self._waiting.pop(cause, None)
        if on_answer is not None:
            if self._connection is not None:
                self._connection.unsubscribe(cause)
            on_answer(answer.payload)

    def _lost(self, _reason: str) -> None:
        # The numbers of a new connection begin again: nothing of the old one may stay.
        self._connection = None
        waiting, self._waiting = self._waiting, {}
        for on_answer in waiting.values():
            on_answer([*TIMEOUT_CONNECTION_LOST])


def fields_of(answer: list[Any]) -> list[Any]:
    """The fields of a member's answer.

    Raises:
        StoreError: it is a refusal.
    """
    if answer[0] != 0:
        raise StoreError(*answer)
    fields: list[Any] = answer[1]
    return fields
