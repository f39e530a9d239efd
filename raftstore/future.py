"""A value that a callback will provide to one waiting task."""

from __future__ import annotations

from typing import Generic, TypeVar

import outcome
import trio

T = TypeVar("T")


class Future(Generic[T]):
    """Settled once; what comes later is ignored."""

    __slots__ = ("_outcome", "_task")

    def __init__(self) -> None:
        self._outcome: outcome.Value[T] | outcome.Error | None = None
        self._task: trio.lowlevel.Task | None = None

    def set_result(self, value: T) -> None:
        """Provide the value."""
        if self._outcome is None:
            self._outcome = result = outcome.Value(value)
            if self._task is not None:
                task, self._task = self._task, None
                trio.lowlevel.reschedule(task, result)

    def set_error(self, error: BaseException) -> None:
        """Make `wait` raise."""
        if self._outcome is None:
            self._outcome = result = outcome.Error(error)
            if self._task is not None:
                task, self._task = self._task, None
                trio.lowlevel.reschedule(task, result)

    @property
    def is_settled(self) -> bool:
        """Whether `wait` has nothing to wait for."""
        return self._outcome is not None

    def result(self) -> T:
        """The value of a settled one; or what `set_error` was given is raised."""
        assert self._outcome is not None, "no value has been provided"
        return self._outcome.unwrap()

    async def wait(self) -> T:
        """Wait for the value; the wait may be cancelled."""
        if self._outcome is not None:
            await trio.lowlevel.checkpoint()
            return self.result()
        self._task = trio.lowlevel.current_task()

        def abort(_raise_cancel: object) -> trio.lowlevel.Abort:
            self._task = None
            return trio.lowlevel.Abort.SUCCEEDED

        value: T = await trio.lowlevel.wait_task_rescheduled(abort)
        return value
