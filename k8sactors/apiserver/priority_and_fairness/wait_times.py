"""How long requests have waited for their seats, as a histogram.

The buckets are those of the real server's `apiserver_flowcontrol_request_wait_duration_seconds`.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

import attrs

from k8sactors.simulation import SECOND

BOUNDS_SECONDS: Final = (0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0)
_BOUNDS_NS: Final = tuple(round(bound * SECOND) for bound in BOUNDS_SECONDS)


@attrs.define
class Histogram:
    """Waits of one kind: how many fell into each bucket, and their sum."""

    counts: list[int] = attrs.field(factory=lambda: [0] * (len(BOUNDS_SECONDS) + 1))
    sum_ns: int = 0


class WaitTimes:
    """Waits by schema, and whether the request was served in the end."""

    def __init__(self) -> None:
        self.histograms: dict[tuple[str, bool], Histogram] = {}

    def note(self, schema_name: str, executed: bool, waited_ns: int) -> None:
        """A request has waited so long."""
        histogram = self.histograms.setdefault((schema_name, executed), Histogram())
        histogram.counts[bisect_left(_BOUNDS_NS, waited_ns)] += 1
        histogram.sum_ns += waited_ns
