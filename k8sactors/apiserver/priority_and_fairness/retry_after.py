"""How long a client that was refused should wait: longer while a level keeps refusing.

As in the real server, the time doubles when many requests were refused within it, and shrinks by a
second when few were.
"""

from __future__ import annotations

from collections import deque
from typing import Final

MAX_SECONDS: Final = 32
# So many refusals per second of the present time double it.
_MANY: Final = 3


class RetryAfter:
    """The refusals of one priority level."""

    def __init__(self) -> None:
        self.seconds = 1
        self._doubled_at = 0
        self._second = 0
        self._count = 0
        self._history: deque[tuple[int, int]] = deque(maxlen=MAX_SECONDS + 1)

    def note(self, second: int) -> None:
        """A request was refused in this second of the clock."""
        if second != self._second:
            self._history.append((self._second, self._count))
            self._second, self._count = second, 0
            self._adjust(second)
        self._count += 1

    def _adjust(self, second: int) -> None:
        refused = sum(count for when, count in self._history if second - when <= self.seconds)
        if second - self._doubled_at >= self.seconds and refused >= _MANY * self.seconds:
            self.seconds = min(2 * self.seconds, MAX_SECONDS)
            self._doubled_at = second
        elif refused < self.seconds and self.seconds > 1:
            self.seconds -= 1
