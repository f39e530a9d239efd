"""A gate in front of one task, cheaper than an event that is made again for each wait."""

from __future__ import annotations

import trio


class Gate:
    """Lets one task wait until it is opened; opening it while no task waits is remembered."""

    __slots__ = ("_is_open", "_task")

    def __init__(self) -> None:
        self._is_open = False
        self._task: trio.lowlevel.Task | None = None

    def open(self) -> None:
        """Let the task continue."""
        if self._task is not None:
            task, self._task = self._task, None
            trio.lowlevel.reschedule(task)
        else:
            self._is_open = True

    def close(self) -> None:
        """Forget that the gate was opened."""
        self._is_open = False

    async def wait(self) -> None:
        """Wait until opened, and close again."""
        if self._is_open:
            self._is_open = False
            await trio.lowlevel.checkpoint()
            return
        assert self._task is None, "one task waits at a gate"
        self._task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._abort)

    def _abort(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED
