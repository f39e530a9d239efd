"""The turns of all members of one program, one after the other, in one task.

A frame from member to member costs no switch of tasks then: a write that needs a turn of the
leader, of a follower, and of the leader again runs through in one go, and the event loop is asked
only when nothing of it is left to do. Turns come in the order in which the members got their work,
so that what happens does not depend on the order in which an event loop resumes its tasks.

Two rules let a follower take what several writes ask of it in one turn. A leader's turn comes
before those of followers: it commits as soon as a quorum has answered. And when it has answered
clients, their tasks run before the followers that were not needed for the quorum: the next write
then reaches those together with the last. They come first among the followers that it concerns,
so no member is passed over twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from trio.lowlevel import cancel_shielded_checkpoint, checkpoint

from raftstore.gate import Gate

# After so many turns other tasks run, even if members have still something to say to each other.
# A commit takes two turns of the leader and one of each follower.
TURNS_AT_ONCE: Final = 16
# After so many of its requests that are answered at once, a client's task lets others run.
ANSWERS_WITHOUT_OTHERS: Final = 8

Turn = Callable[[], None]


class Turns:
    """Who is to have a turn; `run` gives it to them."""

    __slots__ = (
        "_answered",
        "_are_back",
        "_awake",
        "_due",
        "_failure",
        "_first",
        "_gate",
        "_given_now",
        "_lingering",
    )

    def __init__(self) -> None:
        self._first: deque[Turn] = deque()
        self._due: deque[Turn] = deque()
        self._gate = Gate()
        self._awake = False
        self._answered = False
        self._given_now = 0
        self._failure: BaseException | None = None
        self._are_back: Callable[[], bool] = bool
        self._lingering: dict[Turn, None] = {}

    def add(self, turn: Turn, *, first: bool = False) -> None:
        """A member has work for a turn; to be called once until the turn begins."""
        (self._first if first else self._due).append(turn)
        if not self._awake:
            self._awake = True
            self._gate.open()

    def linger(self, callback: Turn, are_back: Callable[[], bool] | None) -> None:
        """Call back once when no member has work for a turn.

        If clients have been answered now, they run first: until they `are_back` with something
        else to ask, or have had the time for it.
        """
        if are_back is not None:
            self._answered = True
            self._are_back = are_back
        self._lingering[callback] = None

    async def run(self) -> None:
        """Give turns forever; what a turn raises ends it."""
        while True:
            await self._gate.wait()
            self._raise_failure()
            while self._give(TURNS_AT_ONCE):
                if self._answered:
                    await self._let_others_run()
                else:
                    await checkpoint()
            self._awake = False

    def _give(self, count: int) -> bool:
        """So many turns; False when nothing is left to do."""
        first, due = self._first, self._due
        for _ in range(count):
            if first:
                first.popleft()()
            elif self._answered:
                return True
            elif due:
                due.popleft()()
            elif self._lingering:
                callbacks, self._lingering = self._lingering, {}
                for callback in callbacks:
                    callback()
            else:
                return False
        return True

    def give_now(self) -> bool:
        """Give turns in the task that calls, if all whom a leader has answered are back with it.

        So the event loop is not asked for a switch of tasks by every write of a lone client. False
        if other tasks must run now before the calling task continues.
        """
        if not self._answered or not self._are_back():
            return False
        self._answered = False
        self._given_now += 1
        try:
            self._give(TURNS_AT_ONCE)
        except BaseException as failure:  # noqa: BLE001 - it is raised where turns belong
            self._failure = failure
            self._gate.open()
        return self._given_now % ANSWERS_WITHOUT_OTHERS != 0

    async def _let_others_run(self) -> None:
        given_now = -1
        while given_now != self._given_now:
            given_now = self._given_now
            # A task that was resumed runs in the next round of the event loop, before this one or
            # after it. In the round after that it has run.
            await checkpoint()
            if given_now == self._given_now and not self._are_back():
                await cancel_shielded_checkpoint()
            self._raise_failure()
        self._answered = False

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
