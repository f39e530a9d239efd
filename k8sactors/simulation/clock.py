"""Two clocks with one contract: virtual time that jumps, and real time at a chosen speed.

Theory of operation. Trio asks its clock for `deadline_to_sleep_time` exactly when no task can run.
That is the moment in which virtual time may move: the clock advances to the earliest of our timers
and trio's own deadlines, fires what is due, and answers that there is no need to sleep. No driver
task, no idle detection and no system call stand in between. On real time the same call fires what
has become due and returns how long to wait for the rest.

Time is an integer of nanoseconds; the float that trio sees is derived from it.
"""

from __future__ import annotations

import math
import time
from abc import abstractmethod
from collections.abc import Callable
from typing import Self

import trio

from k8sactors.simulation.timers import TimerQueue
from raftstore.units import SECOND

# 2025-01-01T00:00:00Z: what wall clocks show when a simulation starts.
EPOCH_NS = 1_735_689_600 * SECOND

# Polls without any timer or deadline after which a simulation counts as stalled.
IDLE_POLLS = 3


class _Clock(trio.abc.Clock):
    """State shared by both clocks."""

    # What wall clocks show at the start, in nanoseconds since the Unix epoch.
    epoch_ns = EPOCH_NS

    def __init__(self) -> None:
        self.timers = TimerQueue(self.now_ns)
        self.on_stall: Callable[[], None] = lambda: None
        self.on_error: Callable[[BaseException], None] = lambda _error: None

    def start_clock(self) -> None:
        """Trio calls this once when its loop starts."""

    @abstractmethod
    def now_ns(self) -> int:
        """Nanoseconds since the start of the simulation."""

    def current_time(self) -> float:
        """The same in seconds, for trio's deadlines."""
        return self.now_ns() / SECOND

    def _fire(self, now_ns: int) -> None:
        try:
            self.timers.fire(now_ns)
        except BaseException as error:  # noqa: BLE001 - it would unwind trio's loop; main gets it
            self.on_error(error)


class VirtualClock(_Clock):
    """Time that stands still while anything can run, then jumps to the next event."""

    def __init__(self) -> None:
        self._now_ns = 0
        self._idle_polls = 0
        super().__init__()

    def now_ns(self) -> int:
        """Nanoseconds since the start of the simulation."""
        return self._now_ns

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Nothing can run: advance to the next event. Never asks trio to sleep."""
        timer_ns = self.timers.next_ns()
        if math.isinf(deadline):
            if timer_ns is None:
                # Trio's own wake-up pipe may still have something to say: let it poll first.
                self._idle_polls += 1
                if self._idle_polls > IDLE_POLLS:
                    self.on_stall()
                return 0.0
            target_ns = timer_ns
        else:
            deadline_ns = math.ceil(deadline * SECOND)
            while deadline_ns / SECOND < deadline:
                deadline_ns += 1
            target_ns = deadline_ns if timer_ns is None else min(timer_ns, deadline_ns)
        self._idle_polls = 0
        self._now_ns = max(self._now_ns, target_ns)
        if timer_ns is not None and timer_ns <= self._now_ns:
            self._fire(self._now_ns)
        return 0.0


class RealClock(_Clock):
    """The wall clock, `speed` times as fast (10.0: ten simulated seconds in a real one).

    `epoch_ns` is what hosts' clocks show at its start; `RealClock.of_today` shows the real time.
    """

    @classmethod
    def of_today(cls, speed: float = 1.0, *, not_before_ns: int = 0) -> Self:
        """A clock that begins with what other programs see, or later if it must not go back."""
        return cls(speed, max(time.time_ns(), not_before_ns))

    def __init__(self, speed: float = 1.0, epoch_ns: int = EPOCH_NS) -> None:
        if not speed > 0:
            raise ValueError(f"speed must be above 0, got {speed}")
        self.speed = speed
        self.epoch_ns = epoch_ns
        self._start_ns = time.perf_counter_ns()
        super().__init__()

    def start_clock(self) -> None:
        """Time zero is when trio's loop starts."""
        self._start_ns = time.perf_counter_ns()

    def now_ns(self) -> int:
        """Nanoseconds since the start of the simulation, at its speed."""
        elapsed_ns = time.perf_counter_ns() - self._start_ns
        return elapsed_ns if self.speed == 1.0 else int(elapsed_ns * self.speed)

    def current_time(self) -> float:
        """Trio asks in every pass of its loop: due timers fire here even under load."""
        now_ns = self.now_ns()
        timer_ns = self.timers.next_ns()
        if timer_ns is not None and timer_ns <= now_ns:
            self._fire(now_ns)
        return now_ns / SECOND

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Seconds of real time until the next timer or deadline."""
        now_ns = self.now_ns()
        timer_ns = self.timers.next_ns()
        if timer_ns is not None and timer_ns <= now_ns:
            self._fire(now_ns)
            return 0.0
        until_timer = math.inf if timer_ns is None else (timer_ns - now_ns) / SECOND
        return max(0.0, min(until_timer, deadline - now_ns / SECOND)) / self.speed
