"""What the front doors of one member share: the way to it, and what is counted."""

from __future__ import annotations

from typing import Any

import trio

from raftstore.gateway.caller import Backend, Caller
from raftstore.gateway.counting import Counters
from raftstore.gateway.exchange import Budget
from raftstore.gateway.method import Method


class Endpoint:
    """One member's endpoint."""

    def __init__(self, backend: Backend, counters: Counters | None = None) -> None:
        self.backend = backend
        self.caller = Caller(backend)
        self.counters = counters or Counters()
        self.budget = Budget()
        self.snapshots = trio.Semaphore(1)
        """Held by whoever goes over the whole state."""

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
