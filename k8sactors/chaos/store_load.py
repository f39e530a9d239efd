"""Store clients that run through a chaos campaign and write down everything they were told.

Each client is an actor on the operator's machine that asks one transaction after another on a few
shared keys: put, get, delete, compare-and-set. Every value is written once only, so that a lost or
repeated write shows. The recorded history is what the linearizability check judges.
"""

import trio

from k8sactors.actors import Actor
from k8sactors.checkers.kv_history import (
    Action,
    ActionKind,
    History,
    Outcome,
    Request,
    compare_and_set,
    delete,
    get,
    put,
)
from k8sactors.simulation import MILLISECOND, SECOND, Random
from raftstore.client import StoreClient
from raftstore.errors import RaftStoreError, UnknownOutcomeError
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
KEYS = ("x", "y", "z")
REQUEST_TIMEOUT_NS = 3 * SECOND


class StoreLoad(Actor):
    """One client. `endpoints` are store addresses; it stops asking once `history_limit` is hit."""

    def __init__(self, name: str, endpoints: list[str], history: History, limit: int) -> None:
        self._name = name
        self._endpoints = endpoints
        self._history = history
        self._limit = limit
        self._values = 0
        self.running = True

    async def main(self) -> None:
        """Ask, think, ask again."""
        random = self.ctx.random
        client = StoreClient(self._endpoints, self.ctx.connect, self.ctx.after)
        while self.running and len(self._history.operations) < self._limit:
            request = self._draw(random)
            operation = self._history.invoke(self._name, request, self.ctx.now_ns())
            try:
                outcome = await self._ask(client, request)
            except UnknownOutcomeError:
                pass  # stays in the history with an unknown outcome: that is its record
            except RaftStoreError:
                self._history.discard(operation)
            else:
                self._history.complete(operation, outcome, self.ctx.now_ns())
            await trio.sleep(random.randrange(10 * MILLISECOND, 1500 * MILLISECOND) / SECOND)

    def _draw(self, random: Random) -> Request:
        key = random.choice(KEYS)
        kind = random.random()
        self._values += 1
        value = f"{self._name}-{self._values}".encode()
        if kind < 0.4:  # noqa: PLR2004 - the mix of requests reads best in one place
            return get(key)
        if kind < 0.7:  # noqa: PLR2004
            return put(key, value)
        if kind < 0.9:  # noqa: PLR2004
            return compare_and_set(key, self._last_seen(key), value)
        return delete(key)

    def _last_seen(self, key: str) -> bytes | None:
        """The value of the newest completed operation on the key: a fair guess for a compare."""
        for operation in reversed(self._history.operations[-50:]):
            if operation.outcome is None or key not in operation.request.keys:
                continue
            action = operation.request.success[0]
            if action.kind is ActionKind.PUT and operation.outcome.succeeded:
                return action.value
            if action.kind is ActionKind.GET:
                result = operation.outcome.results[0]
                assert not isinstance(result, int)
                return result
        return None

    async def _ask(self, client: StoreClient, request: Request) -> Outcome:
        response = await client.txn(to_txn(request), timeout_ns=REQUEST_TIMEOUT_NS)
        branch = request.success if response.succeeded else request.failure
        results: list[bytes | int | None] = []
        for action, item in zip(branch, response.responses, strict=True):
            if isinstance(item, RangeResponse):
                results.append(item.kvs[0].value if item.kvs else None)
            elif isinstance(item, DeleteRangeResponse):
                results.append(item.deleted)
            else:
                assert action.kind is ActionKind.PUT, f"{action} was answered by {item}"
                results.append(None)
        return Outcome(response.succeeded, tuple(results), response.header.revision)


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


def _operation(action: Action) -> PutRequest | RangeRequest | DeleteRangeRequest:
    key = _key(action.key)
    if action.kind is ActionKind.PUT:
        return PutRequest(key, action.value)
    if action.kind is ActionKind.GET:
        return RangeRequest(key)
    return DeleteRangeRequest(key)


def _key(key: str) -> bytes:
    return (PREFIX + key).encode()
