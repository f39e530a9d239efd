"""Waiting in a program: what its coroutine yields until it may continue.

Programs are coroutines that `tasks` drives by hand, in the turns of the container runtime: no task
of the event loop and no message stands behind them, so that a container costs nothing while its
program sleeps or reads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator


class Wait:
    """One reason to wait; `await` it, and call `release` when it is over."""

    __slots__ = ("_released", "_resume")

    def __init__(self) -> None:
        self._released = False
        self._resume: Callable[[], None] | None = None

    def __await__(self) -> Generator[Wait, None, None]:
        """Suspend the program until `release`."""
        if not self._released:
            yield self

    def park(self, resume: Callable[[], None]) -> None:
        """Run `resume` on release."""
        if self._released:
            resume()
        else:
            self._resume = resume

    def release(self) -> None:
        """The waiting is over. Idempotent."""
        if self._released:
            return
        self._released = True
        resume, self._resume = self._resume, None
        if resume is not None:
            resume()


class WaitQueue:
    """Programs that wait for the same thing."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: deque[Wait] = deque()

    def wait(self) -> Wait:
        """Something to await until the next `release_all`."""
        waiting = Wait()
        self._waiting.append(waiting)
        return waiting

    def release_all(self) -> None:
        """Let all continue that wait now."""
        waiting, self._waiting = self._waiting, deque()
        for each in waiting:
            each.release()
