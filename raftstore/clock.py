"""What code that waits needs of its surroundings: a clock, and timers on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A callback that is still to come."""

    def cancel(self) -> None:
        """Make sure that the callback does not run; idempotent, and a no-op once it has run."""


class Clock(Protocol):
    """The time of one host or process, and callbacks after a delay."""

    def now_ns(self) -> int:
        """Monotonic nanoseconds."""

    def wall_ns(self) -> int:
        """Nanoseconds since the Unix epoch."""

    def after(self, delay_ns: int, callback: Callable[[], None], *, slack_ns: int = 0) -> Timer:
        """Run `callback` in `delay_ns`, or up to `slack_ns` later together with others."""
