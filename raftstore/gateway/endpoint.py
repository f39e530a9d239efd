"""What the front doors of one member share: the way to it, and what is counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import trio

from raftstore.errors import TOO_MANY_REQUESTS, StoreError
from raftstore.gateway.caller import Backend, Caller
from raftstore.gateway.counting import Counters
from raftstore.gateway.deadlines import Deadlines
from raftstore.gateway.leadership import LeaderRequirement
from raftstore.gateway.method import Method
from raftstore.wire import OP_RANGE, OP_TXN

RANGE: Final = "range"
TXN: Final = "txn"
RANGE_END: Final = 1
MAX_WAITERS: Final = 2_000
LARGE_BYTES: Final = 64 << 10
MAX_UNREAD_BYTES: Final = 128 << 20
# The member packs all answers of a turn into one frame: of large ones there are to be few in it.
MAX_WIDE_RANGES: Final = 4


def is_wide(op: str, fields: list[Any]) -> bool:
    """Whether a request may be answered with any number of keys."""
    if op == RANGE:
        return bool(fields[RANGE_END])
    if op != TXN:
        return False
    _, success, failure = fields
    return any(
        is_wide(RANGE, request) if kind == OP_RANGE else kind == OP_TXN and is_wide(TXN, request)
        for kind, request in (*success, *failure)
    )


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

    def hold(self, size_bytes: int) -> int:
        """Hold an answer of this size; what is to be released when it has been sent.

        Raises:
            StoreError: others wait already, and there is no room next to them.
        """
        if size_bytes < LARGE_BYTES:
            return 0
        if self.held_bytes and self.held_bytes + size_bytes > self._max_bytes:
            raise StoreError(*TOO_MANY_REQUESTS)
        self.held_bytes += size_bytes
        return size_bytes

    def release(self, size_bytes: int) -> None:
        """An answer has been sent, or is not wanted any more."""
        self.held_bytes -= size_bytes

    @contextmanager
    def held(self, size_bytes: int) -> Iterator[None]:
        """While an answer of this size is sent.

        Raises:
            StoreError: others wait already, and there is no room next to them.
        """
        held_bytes = self.hold(size_bytes)
        try:
            yield
        finally:
            self.release(held_bytes)


class Endpoint:
    """One member's endpoint."""

    def __init__(self, backend: Backend, counters: Counters | None = None) -> None:
        self.backend = backend
        self.caller = Caller(backend)
        self.counters = counters or Counters()
        self.snapshots = trio.Semaphore(1)
        """Held by the one call that goes over the whole state."""
        self._wide_ranges = trio.Semaphore(MAX_WIDE_RANGES)
        self.waiters = Waiters()
        self.unread = UnreadAnswers()
        self.deadlines = Deadlines()
        self.leadership = LeaderRequirement(backend.has_leader)

    async def call(self, method: Method, request: Any) -> Any:
        """Carry out a method with one answer.

        Raises:
            StoreError: the member, or the way to it, said no.
        """
        if method.handler is not None:
            return await method.handler(self, request)
        fields = method.to_fields(request)
        if is_wide(method.op, fields):
            async with self._wide_ranges:
                return method.from_fields(await self.caller.ask(method.op, fields))
        return method.from_fields(await self.caller.ask(method.op, fields))

    def close(self) -> None:
        """Ask nothing any more."""
        self.caller.close()
