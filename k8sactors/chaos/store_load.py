"""Store clients that run through a chaos campaign and write down everything they were told.

Each client is an actor on the operator's machine that asks one thing after another of a few shared
keys: a linearizable read, or a transaction that puts, deletes, compares and sets. Every value is
written once only, so that a lost or repeated write shows. The recorded history is what the
linearizability check judges.
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
SHORTEST_THINK_NS = 10 * MILLISECOND

# What part of its requests a client reads with; one that writes soon hangs at a cut-off leader, so
# some must only look.
READ_SHARES = (0.3, 0.5, 1.0)
# Of the writes; the rest deletes.
PUT_SHARE = 0.5
COMPARE_AND_SET_SHARE = 0.35


class StoreLoad(Actor):
    """One client. `endpoints` are store addresses; it pauses while the history is at its limit."""

    def __init__(
        self, name: str, endpoints: list[str], history: History, limit: int, think_ms: int
    ) -> None:
        self._name = name
        self._endpoints = endpoints
        self._history = history
        self.limit = limit
        self._think_ns = think_ms * MILLISECOND
        self._values = 0
        self._reads = 0.0
        self.running = True

    async def main(self) -> None:
        """Ask, think, ask again."""
        random = self.ctx.random
        self._reads = random.choice(READ_SHARES)
        client = StoreClient(self._endpoints, self.ctx.connect, self.ctx.after)
        while self.running:
            await trio.sleep(random.randrange(SHORTEST_THINK_NS, self._think_ns) / SECOND)
            if len(self._history.operations) >= self.limit:
                continue
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

    def _draw(self, random: Random) -> Request:
        key = random.choice(KEYS)
        if random.random() < self._reads:
            return get(key)
        self._values += 1
        value = f"{self._name}-{self._values}".encode()
        kind = random.random()
        if kind < PUT_SHARE:
            return put(key, value)
        if kind < PUT_SHARE + COMPARE_AND_SET_SHARE:
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
                assert result is None or isinstance(result, bytes)
                return result
        return None

    async def _ask(self, client: StoreClient, request: Request) -> Outcome:
        if request.is_read_only and not request.compares:
            return await self._read(client, request)
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

    async def _read(self, client: StoreClient, request: Request) -> Outcome:
        """A plain read takes another way than a transaction: by ReadIndex, not through the log."""
        (action,) = request.success
        wire = RangeRequest(_key(action.key))
        response = await client.range(wire, timeout_ns=REQUEST_TIMEOUT_NS)
        value = response.kvs[0].value if response.kvs else None
        return Outcome(True, (value,), response.header.revision)


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
