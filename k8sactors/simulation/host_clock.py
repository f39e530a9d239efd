"""Each host's own idea of time, derived from the simulation's clock.

`offset_ns` shifts the wall clock only (a step of the clock); `drift_ppm` makes both the wall and
the monotonic clock run fast or slow from the moment it is set, and -1000000 stops them.
"""

from __future__ import annotations

from k8sactors.simulation.runner import Simulation
from raftstore.units import SECOND

_MILLION = 1_000_000

# The drift of a clock that stands still.
STOPPED_PPM = -_MILLION

# How far ahead a delay on a wrong clock is computed: by then it may run at another speed.
LONGEST_GUESS_NS = SECOND


class HostClock:
    """Monotonic and wall time of one host."""

    def __init__(self, simulation: Simulation) -> None:
        self._global_now_ns = simulation.now_ns
        self._epoch_ns = simulation.epoch_ns
        # Whether this clock has always run at the right speed, as most do.
        self._true = True
        self._drift_ppm = 0
        self._anchor_global_ns = 0
        self._anchor_local_ns = 0
        self.offset_ns = 0

    @property
    def drift_ppm(self) -> int:
        """Parts per million by which this clock runs fast (negative: slow)."""
        return self._drift_ppm

    @drift_ppm.setter
    def drift_ppm(self, drift_ppm: int) -> None:
        if drift_ppm < STOPPED_PPM:
            raise ValueError(f"drift_ppm must be -1000000 (stopped) or above, got {drift_ppm}")
        self._anchor_local_ns = self.now_ns()
        self._anchor_global_ns = self._global_now_ns()
        self._drift_ppm = drift_ppm
        self._true = drift_ppm == 0 and self._anchor_global_ns == self._anchor_local_ns

    def now_ns(self) -> int:
        """Monotonic nanoseconds; never steps."""
        global_ns = self._global_now_ns()
        if self._true:
            return global_ns
        elapsed_ns = global_ns - self._anchor_global_ns
        return self._anchor_local_ns + elapsed_ns + elapsed_ns * self._drift_ppm // _MILLION

    def wall_ns(self) -> int:
        """Nanoseconds since the Unix epoch as this host shows them."""
        now_ns = self._global_now_ns() if self._true else self.now_ns()
        return self._epoch_ns + now_ns + self.offset_ns

    def to_global_ns(self, delay_ns: int) -> int:
        """How long a delay measured on this host lasts in undisturbed time.

        Only a guess, and never more than a second, while the clock runs at a wrong speed: a caller
        that waits should look at the clock again then.
        """
        if self._drift_ppm == 0:
            return delay_ns
        if self._drift_ppm == STOPPED_PPM:
            return LONGEST_GUESS_NS
        exact_ns = -(-delay_ns * _MILLION // (_MILLION + self._drift_ppm))
        return min(exact_ns, LONGEST_GUESS_NS)
