"""The processes of one container, driven on the container's own time.

Theory of operation. Time in a container (`Processes.now_ns`, Unix nanoseconds) only moves in
`advance`, which wakes the sleepers that are due, each at its own instant. So a container whose
program no client looks at need not run: its processes are made with its first reader, from the
instant of its start, and brought up to the present. What they have written, and when, is the same
as if they had been run all the time, since all that a program depends on is its input and the time.

Commands take time, a little each (`COMMAND_NS`); a program that works on without ever waiting is
slowed down after `BURST_COMMANDS` to one step in `THROTTLED_NS`, as a container at its CPU limit. A
program that has slept through more than `CATCH_UP_WAKES` of its wake-ups skips the rest.
"""

from __future__ import annotations

import heapq
from collections.abc import Awaitable, Callable, Coroutine
from inspect import isawaitable
from typing import Any, Final

from k8sactors.runtime.pipes import BrokenPipe
from k8sactors.runtime.waits import Wait, WaitQueue
from k8sactors.simulation import MICROSECOND, MILLISECOND

COMMAND_NS: Final = 10 * MICROSECOND
THROTTLED_NS: Final = 10 * MILLISECOND
BURST_COMMANDS: Final = 1_000
CATCH_UP_WAKES: Final = 100_000
MAX_TASKS: Final = 500
SIGPIPE_CODE: Final = 141
KILLED_CODE: Final = 137
CRASHED_CODE: Final = 139

Result = Awaitable[int | None] | int | None


class ProgramExit(Exception):  # noqa: N818 - no failure: exit(2)
    """A program ends here, with this exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exit {code}")
        self.code = code


class TooManyTasksError(Exception):
    """The container has as many processes as it may have (fork: EAGAIN)."""


async def finish(result: Result) -> int:
    """The exit code of a program that has been called."""
    if isawaitable(result):
        result = await result
    return 0 if result is None else int(result)


class Task:
    """One process; `exit_code` is None while it runs."""

    def __init__(self, tasks: Processes, main: Coroutine[Any, Any, int]) -> None:
        self.exit_code: int | None = None
        # What a program raised that it should not have.
        self.error: BaseException | None = None
        self._tasks = tasks
        self._main = main
        self._ended = WaitQueue()
        self._on_end: list[Callable[[int], None]] = []
        self._stepping = False
        self._again = False

    def when_ended(self, callback: Callable[[int], None]) -> None:
        """Tell the exit code, at once if there is one."""
        if self.exit_code is None:
            self._on_end.append(callback)
        else:
            callback(self.exit_code)

    async def wait(self) -> int:
        """The exit code, when there is one."""
        while self.exit_code is None:
            await self._ended.wait()
        return self.exit_code

    def step(self) -> None:
        """Run until the program waits or ends."""
        if self._stepping:
            self._again = True
            return
        self._stepping = True
        try:
            while self.exit_code is None:
                self._again = False
                self._step()
                if not self._again:
                    break
        finally:
            self._stepping = False

    def _step(self) -> None:
        try:
            waiting: Wait = self._main.send(None)
        except StopIteration as stop:
            self._end(stop.value)
        except ProgramExit as ending:
            self._end(ending.code)
        except BrokenPipe:
            self._end(SIGPIPE_CODE)
        except Exception as error:  # noqa: BLE001 - a program's mistake ends that program alone
            self.error = error
            self._end(CRASHED_CODE)
        else:
            waiting.park(self.step)

    def kill(self, exit_code: int = KILLED_CODE) -> None:
        """End it here."""
        if self.exit_code is None:
            if not self._stepping:
                self._main.close()
            self._end(exit_code)

    def _end(self, exit_code: int) -> None:
        if self.exit_code is not None:
            return
        self.exit_code = exit_code
        self._tasks.forget(self)
        self._ended.release_all()
        callbacks, self._on_end = self._on_end, []
        for callback in callbacks:
            callback(exit_code)


class Processes:
    """All tasks of one container, and its time. `start_ns`: when the container was started."""

    def __init__(self, start_ns: int) -> None:
        self.now_ns = start_ns
        self._sleepers: list[tuple[int, int, Wait]] = []
        self._serial = 0
        self._tasks: dict[Task, None] = {}
        self._burst = 0

    @property
    def next_wake_ns(self) -> int | None:
        """When the next sleeper is due, None if nothing sleeps."""
        return self._sleepers[0][0] if self._sleepers else None

    def start(self, main: Coroutine[Any, Any, int]) -> Task:
        """Run a process from now on.

        Raises:
            TooManyTasksError: there are too many.
        """
        if len(self._tasks) >= MAX_TASKS:
            main.close()
            raise TooManyTasksError
        task = Task(self, main)
        self._tasks[task] = None
        task.step()
        return task

    def forget(self, task: Task) -> None:
        """A task has ended."""
        self._tasks.pop(task, None)

    def sleep(self, delay_ns: int) -> Wait:
        """Something to await for so long."""
        if delay_ns >= THROTTLED_NS:
            self._burst = 0
        return self._sleep(delay_ns)

    def _sleep(self, delay_ns: int) -> Wait:
        self._serial += 1
        waiting = Wait()
        heapq.heappush(self._sleepers, (self.now_ns + delay_ns, self._serial, waiting))
        return waiting

    def work(self) -> Wait:
        """The time that one command takes."""
        self._burst += 1
        return self._sleep(COMMAND_NS if self._burst <= BURST_COMMANDS else THROTTLED_NS)

    def advance(self, to_ns: int) -> None:
        """Run everything that is due up to an instant."""
        left = CATCH_UP_WAKES
        while self._sleepers and self._sleepers[0][0] <= to_ns:
            if left == 0:
                self._skip(to_ns)
                break
            left -= 1
            due_ns, _, waiting = heapq.heappop(self._sleepers)
            self.now_ns = max(self.now_ns, due_ns)
            waiting.release()
        self.now_ns = max(self.now_ns, to_ns)

    def _skip(self, to_ns: int) -> None:
        """Let all that is overdue be due at this instant."""
        self._sleepers = [(max(due, to_ns + 1), serial, w) for due, serial, w in self._sleepers]
        heapq.heapify(self._sleepers)

    def kill_all(self) -> None:
        """End every task."""
        for task in list(self._tasks):
            task.kill()
        self._sleepers.clear()
