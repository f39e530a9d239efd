"""What a host's container engine really ran, for those who judge a run from outside.

The log stands on the host's disk and survives the daemon and the power. A run that a power cut
ended has no end of its own: `boot` tells which start of the host it belonged to, and the host knows
when that ended.
"""

from __future__ import annotations

from collections import deque

import attrs

MAX_RUNS = 200_000


@attrs.define
class Run:
    """One process of one container, in the host's monotonic nanoseconds."""

    namespace: str
    pod: str
    boot: int
    started_ns: int
    ended_ns: int | None = None


@attrs.define
class RunLog:
    """The runs of one host, oldest first; the oldest go when there are too many."""

    boot: int = 0
    runs: deque[Run] = attrs.field(factory=lambda: deque(maxlen=MAX_RUNS))
    _open: dict[str, Run] = attrs.field(factory=dict)

    def booted(self, boot: int) -> None:
        """The host has booted: nothing of the former boot runs any more."""
        self.boot = boot
        self._open.clear()

    def started(self, container_id: str, namespace: str, pod: str, now_ns: int) -> None:
        """A container's process runs."""
        run = self._open[container_id] = Run(namespace, pod, self.boot, now_ns)
        self.runs.append(run)

    def ended(self, container_id: str, now_ns: int) -> None:
        """It has ended."""
        run = self._open.pop(container_id, None)
        if run is not None:
            run.ended_ns = now_ns
