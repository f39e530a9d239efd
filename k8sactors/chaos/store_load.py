"""Store clients that run through a chaos campaign and write down everything they were told.

Each client is an actor on the operator's machine that asks one thing after another of a few shared
keys, as its mix of requests has it. The recorded history is what the linearizability check judges.
"""

from collections.abc import Sequence
from typing import Any

import trio

from k8sactors.actors import Actor
from k8sactors.chaos.store_mix import KEYS, READ_SHARES, RequestMix
from k8sactors.checkers.kv_history import (
    Action,
    ActionKind,
    History,
    Outcome,
    Refusal,
    Request,
    Result,
)
from k8sactors.simulation import MILLISECOND, SECOND
from raftstore.client import StoreClient
from raftstore.errors import (
    COMPACTED,
    FUTURE_REVISION,
    LEASE_EXISTS,
    LEASE_NOT_FOUND,
    RaftStoreError,
    StoreError,
    UnknownOutcomeError,
)
from raftstore.wire import (
    Compare,
    DeleteRangeRequest,
    DeleteRangeResponse,
    PutRequest,
    RangeRequest,
    RangeResponse,
    TxnRequest,
)
from raftstore.wire.base import COMPARE_CREATE, COMPARE_VALUE, EQUAL

PREFIX = "/chaos/"
REQUEST_TIMEOUT_NS = 3 * SECOND
SHORTEST_THINK_NS = 10 * MILLISECOND
MOST_REMARKS = 10

REFUSALS = {
    LEASE_NOT_FOUND: Refusal.LEASE_NOT_FOUND,
    LEASE_EXISTS: Refusal.LEASE_EXISTS,
    COMPACTED: Refusal.COMPACTED,
    FUTURE_REVISION: Refusal.FUTURE_REVISION,
}
"""Answers that tell something of the store's state."""


class StoreLoad(Actor):
    """One client. `endpoints` are store addresses; it pauses while the history is at its limit.

    With `sync_ns` it asks so often for the addresses of the members of the moment.

    `features` are what the mix asks for beside reads and writes of single keys. Answers that no
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
        try:
            outcome = await ask(client, request)
        except UnknownOutcomeError:
            return  # stays in the history with an unknown outcome: that is its record
        except StoreError as error:
            refusal = REFUSALS.get(error.status)
            if refusal is None:
                self._history.discard(operation)
                if len(self.unexpected) < MOST_REMARKS:
                    self.unexpected.append(f"{self._name}: {request} was refused: {error}")
                return
            outcome = Outcome(refusal=refusal)
        except RaftStoreError:
            self._history.discard(operation)
            return
        self._history.complete(operation, outcome, self.ctx.now_ns())
        (action, *_) = request.success
        if outcome.refusal is Refusal.LEASE_NOT_FOUND or (
            action.kind is ActionKind.KEEP_ALIVE and outcome.results == (0,)
        ):
            self.mix.lost(action.lease)


async def ask(client: StoreClient, request: Request) -> Outcome:
    """Send a request and say what was answered.

    Raises:
        RaftStoreError: the answer is a refusal, or did not come.
    """
    (action, *others) = request.success
    if not others and not request.compares and action.kind in _ALONE:
        return await _ask_alone(client, request, action)
    response = await client.txn(to_txn(request), timeout_ns=REQUEST_TIMEOUT_NS)
    branch = request.success if response.succeeded else request.failure
    results = tuple(
        _result(each, item) for each, item in zip(branch, response.responses, strict=True)
    )
    return Outcome(response.succeeded, results, response.header.revision)


_ALONE = frozenset(
    (
        ActionKind.GET,
        ActionKind.RANGE,
        ActionKind.GRANT,
        ActionKind.REVOKE,
        ActionKind.KEEP_ALIVE,
        ActionKind.COMPACT,
    )
)
"""A plain read takes another way than a transaction: by ReadIndex, not through the log."""


async def _ask_alone(client: StoreClient, request: Request, action: Action) -> Outcome:
    timeout_ns = REQUEST_TIMEOUT_NS
    response: Any
    result: Result = None
    match action.kind:
        case ActionKind.GRANT:
            response = await client.lease_grant(action.ttl_s, action.lease, timeout_ns=timeout_ns)
            assert response.ttl == action.ttl_s, "the time asked for is one that is granted"
        case ActionKind.REVOKE:
            response = await client.lease_revoke(action.lease, timeout_ns=timeout_ns)
        case ActionKind.KEEP_ALIVE:
            response = await client.lease_keep_alive(action.lease, timeout_ns=timeout_ns)
            result = max(0, response.ttl)
        case ActionKind.COMPACT:
            response = await client.compact(action.revision, timeout_ns=timeout_ns)
        case _:
            wire = to_range(action, request.revision, serializable=request.serializable)
            response = await client.range(wire, timeout_ns=timeout_ns)
            result = _result(action, response)
    return Outcome(True, (result,), response.header.revision)


def _result(action: Action, response: Any) -> Result:
    if isinstance(response, DeleteRangeResponse):
        return response.deleted
    if not isinstance(response, RangeResponse):
        assert action.kind is ActionKind.PUT, f"{action} was answered by {response}"
        return None
    if action.kind is ActionKind.RANGE:
        start = len(PREFIX)
        return tuple((kv.key.decode()[start:], kv.value) for kv in response.kvs)
    return response.kvs[0].value if response.kvs else None


def to_txn(request: Request) -> TxnRequest:
    """The request as the store's wire has it."""
    compares = [
        Compare(EQUAL, COMPARE_CREATE, _key(compare.key), 0)
        if compare.value is None
        else Compare(EQUAL, COMPARE_VALUE, _key(compare.key), compare.value)
        for compare in request.compares
    ]
    return TxnRequest(
        compares, [_operation(a) for a in request.success], [_operation(a) for a in request.failure]
    )


def to_range(action: Action, revision: int = 0, *, serializable: bool = False) -> RangeRequest:
    """A read as the store's wire has it."""
    end = _key(action.end) if action.end else b""
    return RangeRequest(_key(action.key), end, revision=revision, serializable=serializable)


def _operation(action: Action) -> PutRequest | RangeRequest | DeleteRangeRequest:
    key = _key(action.key)
    if action.kind is ActionKind.PUT:
        return PutRequest(key, action.value, action.lease)
    if action.kind in {ActionKind.GET, ActionKind.RANGE}:
        return to_range(action)
    return DeleteRangeRequest(key, _key(action.end) if action.end else b"")


def _key(key: str) -> bytes:
    return (PREFIX + key).encode()


__all__ = ["KEYS", "PREFIX", "StoreLoad", "ask", "to_txn"]
