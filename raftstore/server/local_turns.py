"""The turns of all members of one program, one after the other, in one task.

A frame from member to member costs no switch of tasks then: a write that needs a turn of the
leader, of each follower, and of the leader again runs through in one go, and the event loop is
asked only when nothing of it is left to do. Turns come in the order in which the members got their
work, so that what happens does not depend on the order in which an event loop resumes its tasks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from trio.lowlevel import cancel_shielded_checkpoint, checkpoint

from raftstore.server.local_timers import Gate

TURNS_AT_ONCE: Final = 16
"""After so many turns other tasks run, even if members have still something to say to each other.

A commit takes two turns of the leader and one of each follower."""

Turn = Callable[[], None]


class Turns:
    """Who is to have a turn; `run` gives it to them."""

    __slots__ = ("_due", "_gate", "_lingering")

    def __init__(self) -> None:
        self._due: deque[Turn] = deque()
        self._gate = Gate()
        self._lingering: dict[Turn, None] = {}

    def add(self, turn: Turn) -> None:
        """Somebody has work for a turn; to be called once until the turn begins."""
        if not self._due:
            self._gate.open()
        self._due.append(turn)

    def linger(self, callback: Turn) -> None:
        """Call back once, when all tasks that a turn has resumed have run and nothing is due."""
        self._lingering[callback] = None

    async def run(self) -> None:
        """Give turns, for ever; what a turn raises ends it."""
        due = self._due
        while True:
            await self._gate.wait()
            while due:
                self._give(TURNS_AT_ONCE)
                if due:
                    await checkpoint()
                elif self._lingering:
                    await self._let_others_run()

    def _give(self, count: int) -> None:
        due = self._due
        for _ in range(count):
            # It stays in the queue meanwhile: what it causes needs no opening of the gate.
            due[0]()
            due.popleft()
            if not due:
                break

    async def _let_others_run(self) -> None:
        # A task that was resumed runs in the next round of the event loop, before this one or
        # after it. In the round after that it has run.
        await cancel_shielded_checkpoint()
        await cancel_shielded_checkpoint()
        self._gate.close()
        if not self._due:
            callbacks, self._lingering = self._lingering, {}
            for callback in callbacks:
                callback()
            self._gate.close()
