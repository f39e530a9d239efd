"""How long something took, counted by size: what a histogram of Prometheus shows."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

# From one millisecond on, each twice the one before, as etcd's histograms of the disk.
BOUNDS_S: Final = tuple(0.001 * 2**number for number in range(14))


class Durations:
    """Durations in seconds, by the bound that they do not exceed."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        self.sum_s = 0.0

    def observe(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.sum_s += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Bound and how many did not exceed it, the last one without a bound."""
        total = 0
        found: list[tuple[str, float]] = []
        for bound, count in zip((*map(repr, BOUNDS_S), "+Inf"), self.counts, strict=True):
            total += count
            found.append((bound, total))
        return found
