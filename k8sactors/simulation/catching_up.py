"""A real clock that begins in the past and may hurry until it has caught up."""

from __future__ import annotations

import math
import time

from k8sactors.simulation.clock import RealClock
from raftstore.units import SECOND


class CatchingUpClock(RealClock):
    """Real time that starts `behind_ns` before now: what happens until now takes no waiting.

    While it is behind, time jumps to the next event when nothing can run, as virtual time does, but
    never beyond what the wall clock shows. So a cluster that needs some seconds to come up is there
    as soon as the work is done, and from then on it shows the time that other programs see.
    """

    def __init__(self, behind_ns: int) -> None:
        super().__init__(epoch_ns=time.time_ns() - behind_ns)
        self._ahead_ns = behind_ns
        # What it shows while it is behind.
        self._reached_ns: int | None = 0

    def start_clock(self) -> None:
        """Time zero lies `behind_ns` before this moment."""
        super().start_clock()
        self._start_ns -= self._ahead_ns

    def now_ns(self) -> int:
        """Nanoseconds since the start of the simulation."""
        if self._reached_ns is None:
            return super().now_ns()
        return self._reached_ns

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Seconds of real time until the next timer or deadline: none while it is behind."""
        if self._reached_ns is None:
            return super().deadline_to_sleep_time(deadline)
        timer_ns = self.timers.next_ns()
        wall_ns = super().now_ns()
        next_ns = wall_ns if timer_ns is None else timer_ns
        if not math.isinf(deadline):
            next_ns = min(next_ns, math.ceil(deadline * SECOND) + 1)
        if next_ns >= wall_ns:
            self._reached_ns = None
            return super().deadline_to_sleep_time(deadline)
        self._reached_ns = max(self._reached_ns, next_ns)
        if timer_ns is not None and timer_ns <= self._reached_ns:
            self._fire(self._reached_ns)
        return 0.0
