"""One timer queue for the whole simulation.

Thousands of tasks that each sleep by themselves cost a heap entry, a cancel scope and a wake-up
apiece. Here all timers of one instant stand in one bucket, and the heap orders the instants only.
Timers that tolerate some lateness ask for `slack_ns`: they are rounded up to a common grid, so that
five thousand heartbeats become a few buckets.

Timers of the same instant fire in the order in which they were set.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush

Callback = Callable[[], None]


class ScheduledTimer:
    """A pending call. Compare by identity; `cancel` is idempotent and frees the entry at once."""

    __slots__ = ("_bucket", "callback", "when_ns")

    def __init__(
        self, when_ns: int, callback: Callback, bucket: dict[ScheduledTimer, None]
    ) -> None:
        self.when_ns = when_ns
        self.callback: Callback | None = callback
        self._bucket = bucket

    def cancel(self) -> None:
        """Make sure that the callback does not run (no effect if it already has)."""
        if self.callback is not None:
            self.callback = None
            self._bucket.pop(self, None)


class TimerQueue:
    """Timers ordered by instant (integer nanoseconds since the start of the simulation)."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._instants: list[int] = []
        self._buckets: dict[int, dict[ScheduledTimer, None]] = {}

    def at(self, when_ns: int, callback: Callback) -> ScheduledTimer:
        """Call `callback` at `when_ns`; an instant in the past means as soon as nothing can run."""
        bucket = self._buckets.get(when_ns)
        if bucket is None:
            bucket = self._buckets[when_ns] = {}
            heappush(self._instants, when_ns)
        timer = ScheduledTimer(when_ns, callback, bucket)
        bucket[timer] = None
        return timer

    def after(self, delay_ns: int, callback: Callback, slack_ns: int = 0) -> ScheduledTimer:
        """Call `callback` in `delay_ns`, or up to `slack_ns` later together with others."""
        when_ns = self._now_ns() + delay_ns
        if slack_ns:
            when_ns = -(-when_ns // slack_ns) * slack_ns
        return self.at(when_ns, callback)

    def next_ns(self) -> int | None:
        """The instant of the earliest pending timer, None when there is none."""
        while self._instants:
            instant = self._instants[0]
            if self._buckets[instant]:
                return instant
            heappop(self._instants)
            del self._buckets[instant]
        return None

    def fire(self, now_ns: int) -> int:
        """Run every timer due at `now_ns`; returns how many ran."""
        fired = 0
        while (instant := self.next_ns()) is not None and instant <= now_ns:
            heappop(self._instants)
            # A callback may cancel others of its instant; new ones of it get a bucket of their own.
            bucket = self._buckets.pop(instant)
            timers = list(bucket)
            bucket.clear()  # timers know their bucket: no cycles are left to the collector
            for timer in timers:
                callback = timer.callback
                if callback is not None:
                    timer.callback = None
                    fired += 1
                    callback()
        return fired

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values()))
