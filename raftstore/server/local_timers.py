"""One queue of timers on trio's clock, and the gate that wakes a task without a channel."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Final

import trio

SECOND_NS: Final = 1_000_000_000


class Gate:
    """Lets one task wait until somebody opens; opening an unattended gate is remembered."""

    __slots__ = ("_open", "_task")

    def __init__(self) -> None:
        self._open = False
        self._task: trio.lowlevel.Task | None = None

    def open(self) -> None:
        """Let the task go on."""
        if self._task is not None:
            task, self._task = self._task, None
            trio.lowlevel.reschedule(task)
        else:
            self._open = True

    def close(self) -> None:
        """Forget that the gate was opened."""
        self._open = False

    async def wait(self) -> None:
        """Wait until opened, and close again."""
        if self._open:
            self._open = False
            await trio.lowlevel.checkpoint()
            return
        self._task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._abort)

    def _abort(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED


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
        return int(current_time_s() * SECOND_NS)

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
        """Call back what is due, for ever."""
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
                with trio.move_on_at((queue[0][0] + 1) / SECOND_NS):
                    await self._gate.wait()
            else:
                await self._gate.wait()
