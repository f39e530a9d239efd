"""What the front doors of one member share: the way to it, and what is counted."""

from __future__ import annotations

from typing import Any, Final

import trio

from raftstore.errors import TOO_MANY_REQUESTS, StoreError
from raftstore.gateway.caller import Backend, Caller
from raftstore.gateway.counting import Counters
from raftstore.gateway.exchange import Budget
from raftstore.gateway.leadership import LeaderRequirement
from raftstore.gateway.method import Method

MAX_WAITERS: Final = 2_000


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
