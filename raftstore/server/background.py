"""Work that would hold up a member if it were done at once: done in steps, between batches.

Freeing what compactions dropped, and hashing the whole key space: seconds for a million keys. A
step takes about a millisecond. Small states are through with the first ones, at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from typing import Any, Final

from raftstore.collector import give_back
from raftstore.errors import TOO_MANY_REQUESTS, StoreError
from raftstore.mvcc import Store
from raftstore.server.requests import Respond

# Of a hash, when it is asked for.
STEPS_AT_ONCE: Final = 8
STEPS_PER_BATCH: Final = 1
# When there are no batches, ticks must do.
STEPS_PER_TICK: Final = 12
# Of a sweep. So many free some MB at most, and that takes a millisecond.
STEPS_UNTIL_GIVEN_BACK: Final = 32
MAX_WAITING: Final = 16

Job = Generator[None, None, list[Any]]


class BackgroundWork:
    """The background work of one member, and the requests that wait for them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._steps_until_given_back = STEPS_UNTIL_GIVEN_BACK
        self._jobs: deque[tuple[Job, Respond]] = deque()
        self._until_swept: list[tuple[Respond, list[Any]]] = []

    def __bool__(self) -> bool:
        return bool(self._jobs or self._until_swept or self._store.space.unswept)

    def hash_kv(self, fields: list[Any], respond: Respond) -> None:
        """Answer with the hash of the key space as it is now.

        Raises:
            StoreError: too many wait for theirs.
        """
        if len(self._jobs) >= MAX_WAITING:
            raise StoreError(*TOO_MANY_REQUESTS)
        self._jobs.append((self._store.hash_kv_in_steps(fields), respond))
        if len(self._jobs) == 1:
            self._resume(STEPS_AT_ONCE)

    def after_sweep(self, respond: Respond) -> Respond:
        """For a compaction that is to be answered when the memory is free (``physical``)."""

        def respond_later(payload: list[Any]) -> None:
            if self._store.space.unswept and len(self._until_swept) < MAX_WAITING:
                self._until_swept.append((respond, payload))
            else:
                respond(payload)

        return respond_later

    def work(self, steps: int) -> None:
        """Continue with what there is to do."""
        space = self._store.space
        if space.unswept:
            space.sweep(steps)
            self._steps_until_given_back -= steps
            if self._steps_until_given_back <= 0 or not space.unswept:
                self._steps_until_given_back = STEPS_UNTIL_GIVEN_BACK
                give_back()
        elif self._jobs:
            self._resume(steps)
        if self._until_swept and not space.unswept:
            waiting, self._until_swept = self._until_swept, []
            for respond, payload in waiting:
                respond(payload)

    def _resume(self, steps: int) -> None:
        job, respond = self._jobs[0]
        try:
            for _ in range(steps):
                next(job)
        except StopIteration as end:
            self._jobs.popleft()
            respond(end.value)
        except StoreError as refusal:
            self._jobs.popleft()
            respond(refusal.to_wire())
