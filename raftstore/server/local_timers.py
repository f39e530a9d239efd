"""One queue of timers on trio's clock."""

from __future__ import annotations

import heapq
from collections.abc import Callable

import trio

from raftstore.gate import Gate
from raftstore.units import SECOND


class LocalTimer:
    """A callback that is to come."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """It shall not come."""
        self.callback = None


class LocalTimers:
    """Timers of a whole cluster, run by one task."""

    def __init__(self) -> None:
        self._queue: list[tuple[int, int, LocalTimer]] = []
        self._current_time_s: Callable[[], float] | None = None
        self._last = 0
        self._gate = Gate()

    def now_ns(self) -> int:
        """Trio's time; from the first call on these are the timers of one run of it."""
        current_time_s = self._current_time_s
        if current_time_s is None:
            current_time_s = self._current_time_s = trio.lowlevel.current_clock().current_time
        return int(current_time_s() * SECOND)

    def after(self, delay_ns: int, callback: Callable[[], None]) -> LocalTimer:
        """Call back after a delay, in the timers' task."""
        timer = LocalTimer(callback)
        self._last += 1
        entry = (self.now_ns() + delay_ns, self._last, timer)
        heapq.heappush(self._queue, entry)
        if self._queue[0] is entry:
            self._gate.open()
        return timer

    async def run(self) -> None:
        """Call back what is due, forever."""
        queue = self._queue
        while True:
            now_ns = self.now_ns()
            while queue and queue[0][0] <= now_ns:
                timer = heapq.heappop(queue)[2]
                if timer.callback is not None:
                    timer.callback()
            while queue and queue[0][2].callback is None:
                heapq.heappop(queue)
            if queue:
                # Not before its time by the rounding of a float.
                with trio.move_on_at((queue[0][0] + 1) / SECOND):
                    await self._gate.wait()
            else:
                await self._gate.wait()
