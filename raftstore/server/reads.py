"""Linearizable reads in batches: one round of ReadIndex for all reads that came in together.

A read *waits* until a round starts, is *asked* while the quorum confirms the leader, and
*confirmed* until this member has applied what was committed when the round began. Then it reads the
local state.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

import attrs

from raftstore.errors import (
    LEADER_CHANGED,
    NO_LEADER,
    TIMEOUT,
    TOO_MANY_REQUESTS,
    Status,
    StoreError,
)
from raftstore.raft import RawNode, ReadState
from raftstore.server.requests import Request, RequestKeys

# A round without an answer is asked again after so long (etcd: readIndexRetryTime, 500 ms).
RETRY_TICKS = 5


@attrs.define(eq=False)
class Round:
    """Reads that share one ReadIndex. It may be asked for more than once, the first answer counts.

    Any of them does: each was asked after all reads of the round had come in.
    """

    requests: list[Request]
    asked_tick: int


class ReadQueue:
    """The linearizable reads of one member."""

    def __init__(
        self,
        keys: RequestKeys,
        answer: Callable[[str, list[Any]], list[Any]],
        max_requests: int,
    ) -> None:
        self.waiting: list[Request] = []
        # Reads that were refused, since the start.
        self.failed_count = 0
        # How often a round had to be asked again, since the start.
        self.slow_count = 0
        self._count = 0
        self._keys = keys
        self._answer = answer
        self._max_requests = max_requests
        # What an answer to each context confirms.
        self._rounds: dict[bytes, list[Round]] = {}
        self.confirmed: list[tuple[int, list[Request]]] = []

    def __len__(self) -> int:
        return self._count

    def add(self, request: Request) -> None:
        """Take a read, to be asked for with the next round.

        Raises:
            StoreError: too many wait already.
        """
        if self._count >= self._max_requests:
            raise StoreError(*TOO_MANY_REQUESTS)
        self._count += 1
        self.waiting.append(request)

    def ask(self, node: RawNode, tick: int) -> None:
        """Start a round for everything that waits."""
        if self.start(node, [Round(self.waiting, tick)]):
            self.waiting = []

    def start(self, node: RawNode, rounds: list[Round]) -> bool:
        """Ask for rounds, under a context never used before; False when no leader is known.

        An answer to a context that was used before might be one from before these reads.
        """
        context = self._keys.next()
        if not node.read_index(context):
            return False
        self._rounds[context] = rounds
        return True

    def confirm(self, states: list[ReadState]) -> None:
        """The quorum has confirmed rounds."""
        for state in states:
            for asked in self._rounds.pop(state.context, ()):
                if asked.requests:
                    self.confirmed.append((state.index, asked.requests))
                    asked.requests = []

    def serve(self, applied: int) -> None:
        """Answer the confirmed reads whose index is applied."""
        if not self.confirmed:
            return
        later = []
        for index, requests in self.confirmed:
            if index > applied:
                later.append((index, requests))
                continue
            self._count -= len(requests)
            for request in requests:
                request.respond(self._answer(request.op, request.fields))
        self.confirmed = later

    def retry(self, node: RawNode, tick: int) -> None:
        """Ask again for rounds without an answer, all at once: a message may be lost.

        What was asked before stays valid. Where the way there and back takes longer than the
        patience here, no later answer would come any sooner.
        """
        self._forget_settled()
        late = {
            asked: None
            for rounds in self._rounds.values()
            for asked in rounds
            if asked.requests and tick - asked.asked_tick >= RETRY_TICKS
        }
        if late and self.start(node, list(late)):
            self.slow_count += len(late)
            for asked in late:
                asked.asked_tick = tick

    def _forget_settled(self) -> None:
        """Answers to other contexts of a round are awaited no longer."""
        for context in list(self._rounds):
            if not any(asked.requests for asked in self._rounds[context]):
                del self._rounds[context]

    def leader_changed(self) -> None:
        """The leader that was asked cannot answer any more (etcd answers the same)."""
        rounds, self._rounds = self._rounds, {}
        for asked in chain.from_iterable(rounds.values()):
            requests, asked.requests = asked.requests, []
            self._refuse(requests, LEADER_CHANGED)

    def refuse_waiting(self) -> None:
        """No leader is known."""
        requests, self.waiting = self.waiting, []
        self._refuse(requests, NO_LEADER)

    def expire(self, now_ns: int) -> None:
        """Answer what has waited too long."""
        self.waiting = self._expire(self.waiting, now_ns)
        for asked in chain.from_iterable(self._rounds.values()):
            asked.requests = self._expire(asked.requests, now_ns)
        self.confirmed = [
            (index, self._expire(requests, now_ns)) for index, requests in self.confirmed
        ]

    def _expire(self, requests: list[Request], now_ns: int) -> list[Request]:
        if not requests or requests[0].deadline_ns > now_ns:
            return requests
        self._refuse([request for request in requests if request.deadline_ns <= now_ns], TIMEOUT)
        return [request for request in requests if request.deadline_ns > now_ns]

    def _refuse(self, requests: list[Request], status: Status) -> None:
        self._count -= len(requests)
        self.failed_count += len(requests)
        for request in requests:
            request.respond(list(status))
