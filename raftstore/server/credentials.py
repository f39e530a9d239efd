"""What a member needs to deal in passwords and tokens: chance, and somewhere to compute hashes.

A hash takes tens of milliseconds on purpose. In a simulation it is computed at once, and chance
comes from the member's own stream, so that a seed decides everything. A member that serves real
clients gets the system's entropy and worker threads.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from typing import Any, Final, Protocol

import attrs
import trio

from raftstore.auth.passwords import DEFAULT_COST
from raftstore.raft.state import Rng

MAX_THREADS: Final = 2
_SEED_WORDS: Final = 8


class Offload(Protocol):
    """Runs a job somewhere, and hands its result over, in the member's turn."""

    def __call__(self, job: Callable[[], Any], done: Callable[[Any], None], /) -> None:
        """Begin a job."""


def at_once(job: Callable[[], Any], done: Callable[[Any], None]) -> None:
    """Run the job here and now."""
    done(job())


class Threads:
    """Runs jobs in worker threads, for as long as the nursery lives."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._limiter = trio.CapacityLimiter(MAX_THREADS)

    def __call__(self, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Begin a job."""
        self._nursery.start_soon(self._run, job, done)

    async def _run(self, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        done(await trio.to_thread.run_sync(job, limiter=self._limiter, abandon_on_cancel=True))


@attrs.frozen
class Credentials:
    """How one member makes secrets; `entropy` None: from the member's own stream of chance."""

    entropy: Callable[[int], bytes] | None = None
    offload: Offload = at_once
    # Log2 of scrypt's N.
    password_cost: int = DEFAULT_COST


def served(nursery: trio.Nursery) -> Credentials:
    """For a member that real clients log in to."""
    return Credentials(os.urandom, Threads(nursery))


class SeededEntropy:
    """Bytes that cannot be guessed without the stream that they come from.

    The stream is drawn from when first needed: who never logs in leaves all else as it was.
    """

    def __init__(self, rng: Rng) -> None:
        self._rng = rng
        self._seed = b""
        self._count = 0

    def __call__(self, size_bytes: int) -> bytes:
        """So many bytes."""
        if not self._seed:
            words = (self._rng.randrange(0, 1 << 32) for _ in range(_SEED_WORDS))
            self._seed = b"".join(word.to_bytes(4, "big") for word in words)
        self._count += 1
        data = self._seed + self._count.to_bytes(8, "big")
        return hashlib.shake_256(data).digest(size_bytes)
