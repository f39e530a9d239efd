"""WorkQueue: hands keys to workers.

A key that is added many times before it is taken is handled once; a key that is added while a
worker has it is handled once more afterwards, never by two workers at once. Besides: keys for later
(delaying queue: the earlier of two deadlines counts), and keys for later because they failed
(rate-limited queue: 5 ms doubled per failure, up to 1000 s).
"""

from __future__ import annotations

from typing import Any

import trio

from k8sactors.actors import Context
from k8sactors.simulation import MILLISECOND, SECOND, Timer

DEFAULT_BASE_DELAY_NS = 5 * MILLISECOND
DEFAULT_MAX_DELAY_NS = 1000 * SECOND


class WorkQueue:
    """A queue of hashable keys with several workers."""

    def __init__(
        self,
        ctx: Context,
        base_delay_ns: int = DEFAULT_BASE_DELAY_NS,
        max_delay_ns: int = DEFAULT_MAX_DELAY_NS,
    ) -> None:
        self._ctx = ctx
        self._base_delay_ns = base_delay_ns
        self._max_delay_ns = max_delay_ns
        # Dicts are ordered sets here: ready keys in order of arrival.
        self._ready: dict[Any, None] = {}
        self._processing: dict[Any, None] = {}
        self._again: dict[Any, None] = {}
        self._later: dict[Any, tuple[int, Timer]] = {}
        self._failures: dict[Any, int] = {}
        self._idle_workers = trio.lowlevel.ParkingLot()
        self._shutting_down = False
        self.adds = 0
        self.retries = 0

    def __len__(self) -> int:
        """How many keys are ready to be taken."""
        return len(self._ready)

    @property
    def delayed(self) -> int:
        """How many keys wait for their time."""
        return len(self._later)

    @property
    def shutting_down(self) -> bool:
        """Whether the queue takes no more keys."""
        return self._shutting_down

    def add(self, key: Any) -> None:
        """Make a key ready."""
        if self._shutting_down or key in self._ready:
            return
        self.adds += 1
        if key in self._processing:
            self._again[key] = None
            return
        self._ready[key] = None
        self._idle_workers.unpark()

    def add_after(self, key: Any, delay_ns: int) -> None:
        """Make a key ready after `delay_ns`; of two deadlines the earlier one counts."""
        if self._shutting_down:
            return
        if delay_ns <= 0:
            self.add(key)
            return
        due_ns = self._ctx.now_ns() + delay_ns
        waiting = self._later.get(key)
        if waiting is not None:
            if waiting[0] <= due_ns:
                return
            waiting[1].cancel()
        self._later[key] = (due_ns, self._ctx.after(delay_ns, lambda: self._due(key)))

    def add_rate_limited(self, key: Any) -> None:
        """Make a key ready after the back-off for its failures, which this call counts."""
        self.retries += 1
        self.add_after(key, self._next_delay_ns(key))

    def forget(self, key: Any) -> None:
        """The key succeeded, or is given up: its failures no longer count."""
        self._failures.pop(key, None)

    def failures(self, key: Any) -> int:
        """How often the key failed since it was last forgotten."""
        return self._failures.get(key, 0)

    async def get(self) -> Any:
        """The next key, to be given back with `done`; None once shut down and empty."""
        while not self._ready:
            if self._shutting_down:
                return None
            await self._idle_workers.park()
        return self.try_get()

    def try_get(self) -> Any:
        """The next key, which must be given back with `done`; None when no key is ready."""
        for key in self._ready:
            del self._ready[key]
            self._processing[key] = None
            return key
        return None

    def done(self, key: Any) -> None:
        """A worker has finished with the key."""
        self._processing.pop(key, None)
        if key in self._again:
            del self._again[key]
            self._ready[key] = None
            self._idle_workers.unpark()

    def shut_down(self) -> None:
        """Take no more keys; workers get what is ready and then None."""
        self._shutting_down = True
        for _, timer in self._later.values():
            timer.cancel()
        self._later.clear()
        self._idle_workers.unpark_all()

    def _due(self, key: Any) -> None:
        self._later.pop(key, None)
        self.add(key)

    def _next_delay_ns(self, key: Any) -> int:
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        return min(self._max_delay_ns, self._base_delay_ns << min(failures, 40))
