"""What the front doors of one member share: the way to it, and what is counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import trio

from raftstore.errors import TOO_MANY_REQUESTS, StoreError
from raftstore.gateway.caller import Backend, Caller
from raftstore.gateway.counting import Counters
from raftstore.gateway.exchange import Budget
from raftstore.gateway.leadership import LeaderRequirement
from raftstore.gateway.method import Method

MAX_WAITERS: Final = 2_000
LARGE_BYTES: Final = 64 << 10
MAX_UNREAD_BYTES: Final = 128 << 20


class Waiters:
    """A bound on how many callers wait for a lock or an election, or observe one.

    Each of them has a connection to the member.
    """

    def __init__(self, max_waiters: int = MAX_WAITERS) -> None:
        self.free = max_waiters

    def __enter__(self) -> None:
        if not self.free:
            raise StoreError(*TOO_MANY_REQUESTS)
        self.free -= 1

    def __exit__(self, *_: object) -> None:
        self.free += 1


class UnreadAnswers:
    """A bound on the large answers that clients have asked for and do not take.

    A single one may be as large as it is, if nothing else waits.
    """

    def __init__(self, max_bytes: int = MAX_UNREAD_BYTES) -> None:
        self._max_bytes = max_bytes
        self.held_bytes = 0

    @contextmanager
    def held(self, size_bytes: int) -> Iterator[None]:
        """While an answer of this size is sent.

        Raises:
            StoreError: others wait already, and there is no room beside them.
        """
        if size_bytes < LARGE_BYTES:
            yield
            return
        if self.held_bytes and self.held_bytes + size_bytes > self._max_bytes:
            raise StoreError(*TOO_MANY_REQUESTS)
        self.held_bytes += size_bytes
        try:
            yield
        finally:
            self.held_bytes -= size_bytes


class Endpoint:
    """One member's endpoint."""

    def __init__(self, backend: Backend, counters: Counters | None = None) -> None:
        self.backend = backend
        self.caller = Caller(backend)
        self.counters = counters or Counters()
        self.budget = Budget()
        self.snapshots = trio.Semaphore(1)
        """Held by whoever goes over the whole state."""
        self.waiters = Waiters()
        self.unread = UnreadAnswers()
        self.leadership = LeaderRequirement(backend.has_leader)

    async def call(self, method: Method, request: Any) -> Any:
        """Carry out a method with one answer.

        Raises:
            StoreError: the member, or the way to it, said no.
        """
        if method.handler is not None:
            return await method.handler(self, request)
        fields = method.to_fields(request)
        return method.from_fields(await self.caller.ask(method.op, fields))

    def close(self) -> None:
        """Ask nothing any more."""
        self.caller.close()
