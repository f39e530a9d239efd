"""How many seats a priority level has asked for over a time: mean, deviation and highest."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

# How fast the smoothed demand falls, per period; it rises at once.
_SMOOTHING: Final = 0.977


class Demand(NamedTuple):
    """The demand of one period, in seats; `smoothed` also remembers the periods before."""

    average: float
    deviation: float
    highest: int
    smoothed: float


class SeatDemand:
    """Sums up the demand of a level over virtual or real time."""

    def __init__(self) -> None:
        self._seats = 0
        self._since_ns = 0
        self._start_ns = 0
        self._area = 0
        self._area_of_squares = 0
        self._highest = 0
        self.last = Demand(0.0, 0.0, 0, 0.0)

    def start(self, seats: int, now_ns: int) -> None:
        """Begin a period."""
        self._start_ns = self._since_ns = now_ns
        self._area = self._area_of_squares = 0
        self._seats = self._highest = seats

    def set(self, seats: int, now_ns: int) -> None:
        """So many seats are in use or waited for from now on."""
        elapsed_ns = now_ns - self._since_ns
        if elapsed_ns:
            self._area += self._seats * elapsed_ns
            self._area_of_squares += self._seats * self._seats * elapsed_ns
            self._since_ns = now_ns
        self._seats = seats
        self._highest = max(self._highest, seats)

    def end_period(self, now_ns: int) -> Demand:
        """The demand of the period that ends; the next one begins."""
        self.set(self._seats, now_ns)
        elapsed_ns = max(1, now_ns - self._start_ns)
        average = self._area / elapsed_ns
        deviation = math.sqrt(max(0.0, self._area_of_squares / elapsed_ns - average * average))
        envelope = average + deviation
        smoothed = _SMOOTHING * self.last.smoothed + (1 - _SMOOTHING) * envelope
        self.last = Demand(average, deviation, self._highest, max(envelope, smoothed))
        self.start(self._seats, now_ns)
        return self.last
