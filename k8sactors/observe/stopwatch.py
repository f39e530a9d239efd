"""Real time, for the people who wait: the only place outside the simulation that looks at it."""

from __future__ import annotations

import time  # noqa: TID251 - how long the user waited is not simulated


class Stopwatch:
    """Runs from its creation."""

    def __init__(self) -> None:
        self._started = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Real seconds since the start."""
        return time.perf_counter() - self._started
