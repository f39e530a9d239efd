"""Client tasks that ask a store one thing after another and wait for each answer."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import attrs
import trio

from benches.collector import without_cyclic_collector
from benches.store_report import Figures, OnProgress, Stopwatch, latency_figures, report
from raftstore.client import StoreClient
from raftstore.wire import (
    COMPARE_MOD,
    EQUAL,
    Compare,
    PutRequest,
    RangeRequest,
    TxnRequest,
)

KEYS: Final = 10_000
PUT_SHARE: Final = 3
TXN_SHARE: Final = 1
# Of so many operations of the mixed load, this many are puts and transactions; the rest reads.
MIX: Final = 10

Operation = Callable[[StoreClient, int], Awaitable[None]]


def key_of(number: int) -> bytes:
    """The key of an operation: a round through all of them."""
    return b"bench/%08d" % (number % KEYS)


@attrs.define
class Work:
    """What is to be done, and what has been measured."""

    mode: str
    clients: int
    operations: int
    value: bytes
    begun: int = 0
    # So many of the operations took a revision.
    revisions: int = 0
    latencies_ns: list[int] = attrs.Factory(list)
    _keys_owned: int = 0

    async def prepare(self, client: StoreClient) -> None:
        """Write the keys that are going to be read."""
        if self.mode not in {"range", "range-serializable", "mixed"}:
            return
        keys = min(KEYS, self.operations)
        async with trio.open_nursery() as nursery:
            for first in range(0, keys, KEYS // 100):
                numbers = range(first, min(first + KEYS // 100, keys))
                nursery.start_soon(_put_all, client, numbers, self.value)

    async def run_client(self, client: StoreClient) -> None:
        """Work until all has been handed out."""
        operation = self._operation()
        latencies_ns, total = self.latencies_ns, self.operations
        now_ns = time.perf_counter_ns
        while self.begun < total:
            number = self.begun
            self.begun += 1
            begin_ns = now_ns()
            await operation(client, number)
            latencies_ns.append(now_ns() - begin_ns)

    def _operation(self) -> Operation:
        if self.mode == "txn":
            self._keys_owned += 1
            return GuardedPuts(self, b"bench/own/%08d" % self._keys_owned).update
        return {
            "put": self._put,
            "range": self._range,
            "range-serializable": self._range_serializable,
            "mixed": self._mixed,
        }[self.mode]

    async def _put(self, client: StoreClient, number: int) -> None:
        self.revisions += 1
        await client.put(key_of(number), self.value)

    async def _range(self, client: StoreClient, number: int) -> None:
        found = await client.get(key_of(number))
        assert found is not None, "the key was written before"

    async def _range_serializable(self, client: StoreClient, number: int) -> None:
        found = await client.get(key_of(number), serializable=True)
        assert found is not None, "the key was written before"

    async def _mixed(self, client: StoreClient, number: int) -> None:
        part = number % MIX
        if part < PUT_SHARE:
            await self._put(client, number)
        elif part < PUT_SHARE + TXN_SHARE:
            self.revisions += 1
            key = key_of(number)
            swap = TxnRequest([], [PutRequest(key, self.value), RangeRequest(key)])
            await client.txn(swap)
        else:
            await self._range(client, number)


class GuardedPuts:
    """Optimistic updates of a key of its own, as an API server writes: compare, then put."""

    def __init__(self, work: Work, key: bytes) -> None:
        self._key = key
        self._revision = 0
        self._work = work

    async def update(self, client: StoreClient, number: int) -> None:
        """One transaction, whose compare holds."""
        del number
        self._work.revisions += 1
        compare = Compare(EQUAL, COMPARE_MOD, self._key, self._revision)
        response = await client.txn([compare], [PutRequest(self._key, self._work.value)])
        assert response.succeeded, "no other client writes this key"
        self._revision = response.header.revision


async def _put_all(client: StoreClient, numbers: range, value: bytes) -> None:
    for number in numbers:
        await client.put(key_of(number), value)


async def measure(work: Work, clients: Sequence[StoreClient], on_progress: OnProgress) -> Figures:
    """Run the work, its tasks spread over the clients; the figures as they stand in the report.

    The cyclic garbage collector rests meanwhile: the store makes no cycles.
    """
    client = clients[0]
    await work.prepare(client)
    before = await client.put(b"bench", b"warm")
    with without_cyclic_collector():
        async with trio.open_nursery() as reporter:
            reporter.start_soon(report, lambda: len(work.latencies_ns), on_progress)
            stopwatch = Stopwatch()
            async with trio.open_nursery() as nursery:
                for number in range(work.clients):
                    nursery.start_soon(work.run_client, clients[number % len(clients)])
            rates = stopwatch.figures(work.operations)
            reporter.cancel_scope.cancel()
    on_progress(work.operations)
    after = await client.put(b"bench", b"done")
    taken = after.header.revision - before.header.revision - 1
    assert taken == work.revisions, f"{work.revisions} writes took {taken} revisions"
    return {
        "mode": work.mode,
        "clients": work.clients,
        "operations": len(work.latencies_ns),
        "value_bytes": len(work.value),
        **rates,
        "latency_ms": latency_figures(work.latencies_ns),
    }
