"""Store clients that run through a chaos campaign and write down everything they were told.

Each client is an actor on the operator's machine that asks one thing after another of a few shared
keys, as its mix of requests has it. The recorded history is what the check of
linearizability looks at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import trio

from k8sactors.actors import Actor
from k8sactors.chaos.store.mix import KEYS, READ_SHARES, RequestMix
from k8sactors.checkers.kv_history import ActionKind, History, Outcome, Refusal, Request
from k8sactors.checkers.kv_wire import refused, to_message, to_outcome
from k8sactors.simulation import MILLISECOND, SECOND
from raftstore.client import StoreClient
from raftstore.errors import NO_SPACE, RaftStoreError, StoreError, UnknownOutcomeError

PREFIX = "/chaos/"
REQUEST_TIMEOUT_NS = 3 * SECOND
SHORTEST_THINK_NS = 10 * MILLISECOND
MOST_REMARKS = 10


class StoreLoad(Actor):
    """One client. `endpoints` are store addresses; it pauses while the history is at its limit.

    With `sync_ns` it asks so often for the addresses of the members of the moment.

    `features` are what the mix asks for next to reads and writes of single keys. Answers that no
    sound request gets are kept in `unexpected`.
    """

    def __init__(
        self,
        name: str,
        endpoints: list[str],
        history: History,
        limit: int,
        think_ms: int,
        features: Sequence[str] = (),
        sync_ns: int = 0,
    ) -> None:
        self.limit = limit
        self.running = True
        self.asking = False
        self.unexpected: list[str] = []
        self.mix = RequestMix(name, history, features)
        self._name = name
        self._endpoints = endpoints
        self._history = history
        self._think_ns = think_ms * MILLISECOND
        self._sync_ns = sync_ns

    async def main(self) -> None:
        """Ask, think, ask again."""
        random = self.ctx.random
        self.mix.read_share = random.choice(READ_SHARES)
        client = StoreClient(
            self._endpoints, self.ctx.connect, self.ctx.after, sync_ns=self._sync_ns
        )
        while self.running:
            if len(self._history.operations) < self.limit:
                self.asking = True
                await self._one(client, self.mix.draw(random))
                self.asking = False
            await trio.sleep(random.randrange(SHORTEST_THINK_NS, self._think_ns) / SECOND)

    async def _one(self, client: StoreClient, request: Request) -> None:
        """Ask once and write down what came of it."""
        operation = self._history.invoke(self._name, request, self.ctx.now_ns())
        answer = None
        try:
            outcome, answer = await ask(client, request)
        except UnknownOutcomeError:
            return  # stays in the history with an unknown outcome: that is its record
        except StoreError as error:
            known = refused(error.status)
            if known is None:
                self._history.discard(operation)
                if error.status != NO_SPACE and len(self.unexpected) < MOST_REMARKS:
                    self.unexpected.append(f"{self._name}: {request} was refused: {error}")
                return
            outcome = known
        except RaftStoreError:
            self._history.discard(operation)
            return
        self._history.complete(operation, outcome, self.ctx.now_ns(), answer)
        (action, *_) = request.success
        if outcome.refusal is Refusal.LEASE_NOT_FOUND or (
            action.kind is ActionKind.KEEP_ALIVE and outcome.results == (0,)
        ):
            self.mix.lost(action.lease)


async def ask(client: StoreClient, request: Request) -> tuple[Outcome, list[Any]]:
    """Send a request; returns what was answered, in short and in full.

    Raises:
        RaftStoreError: the answer is a refusal, or did not come.
    """
    message = to_message(request, PREFIX)
    answer = await client.ask_wire(message.op, message.to_wire(), REQUEST_TIMEOUT_NS)
    return to_outcome(request, answer, PREFIX), answer


__all__ = ["KEYS", "PREFIX", "StoreLoad", "ask"]
