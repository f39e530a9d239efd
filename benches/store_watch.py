"""Watch fan-out: every event is delivered into the task of every watcher that it concerns.

Each watcher is a task with a client and a connection of its own, spread over the members, and looks
at every event: it must be of its range, and newer than the one before. Writers put with so much
concurrency; a member hands each watcher one item per batch that it applies, so the more is
written at once, the more events share an item. The figures say how many did.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

import attrs
import trio

from benches.collector import without_cyclic_collector
from benches.store_report import Figures, OnProgress, Stopwatch, latency_figures, report
from raftstore.client import StoreClient
from raftstore.client.operations import prefix_end
from raftstore.client.watch import EventStream
from raftstore.wire import NO_DELETE, WatchCreateRequest

SHARED: Final = b"bench/shared/"
# With ranges of their own, one put of so many goes to the keys that all watch.
SHARED_EVERY: Final = 10
PREV_KV_EVERY: Final = 2
FILTER_EVERY: Final = 3
TIME_BYTES: Final = 8


@attrs.define
class FanOut:
    """Watchers and writers; with `own_ranges` each watcher has a prefix next to the shared one."""

    watchers: int
    puts: int
    writers: int
    value: bytes
    own_ranges: bool
    begun: int = 0
    events: int = 0
    items: int = 0
    # From the begin of a put, which its value tells, to the delivery; one per item.
    delays_ns: list[int] = attrs.Factory(list)

    def key_of(self, number: int) -> bytes:
        """Where a put goes."""
        if not self.own_ranges or number % SHARED_EVERY == 0:
            return SHARED + b"%04d" % (number % 1000)
        return own_prefix(number % self.watchers) + b"key"

    def expected(self, watcher: int) -> int:
        """How many events a watcher is going to get."""
        if not self.own_ranges:
            return self.puts
        return sum(
            number % SHARED_EVERY == 0 or number % self.watchers == watcher
            for number in range(self.puts)
        )

    def requests(self, watcher: int) -> list[WatchCreateRequest]:
        """What a watcher watches."""
        shared = WatchCreateRequest(SHARED, prefix_end(SHARED))
        if not self.own_ranges:
            return [shared]
        shared.prev_kv = watcher % PREV_KV_EVERY == 0
        shared.filters = [NO_DELETE] if watcher % FILTER_EVERY == 0 else []
        prefix = own_prefix(watcher)
        return [shared, WatchCreateRequest(prefix, prefix_end(prefix))]

    async def write(self, client: StoreClient) -> None:
        """Put until all work has been handed out."""
        while self.begun < self.puts:
            number = self.begun
            self.begun += 1
            begin = time.perf_counter_ns().to_bytes(TIME_BYTES)
            await client.put(self.key_of(number), begin + self.value[TIME_BYTES:])

    async def watch(self, stream: EventStream, count: int, prefix: bytes) -> None:
        """Take events until so many have come."""
        last = 0
        while count:
            events, _ = await stream.__anext__()
            for _, kv, _ in events:
                assert kv[0].startswith(prefix), "an event of the watched range"
                assert kv[2] > last, "in order, and once"
                last = kv[2]
            count -= len(events)
            self.events += len(events)
            self.items += 1
            begin_ns = int.from_bytes(events[-1][1][4][:TIME_BYTES])
            self.delays_ns.append(time.perf_counter_ns() - begin_ns)


def own_prefix(watcher: int) -> bytes:
    """The range that only this watcher watches."""
    return b"bench/own/%05d/" % watcher


async def measure_fan_out(
    work: FanOut, writer: StoreClient, clients: Sequence[StoreClient], on_progress: OnProgress
) -> Figures:
    """Open the watches, write, and wait until every watcher has got everything."""
    expected = [work.expected(watcher) for watcher in range(work.watchers)]
    shared = work.puts if not work.own_ranges else -(-work.puts // SHARED_EVERY)
    with ExitStack() as streams:
        opened: list[tuple[EventStream, int, bytes]] = []
        for watcher in range(work.watchers):
            client = clients[watcher]
            counts = (shared, expected[watcher] - shared)
            prefixes = (SHARED, own_prefix(watcher))
            for request, count, prefix in zip(
                work.requests(watcher), counts, prefixes, strict=False
            ):
                stream = streams.enter_context(client.events(request))
                opened.append((stream, count, prefix))
            # Requests of a connection are taken in order: then the watches stand.
            await client.get(b"bench", serializable=True)
        figures = await _run(work, writer, opened, on_progress)
    assert work.events == sum(expected), "every watcher has got everything"
    return figures


async def _run(
    work: FanOut,
    writer: StoreClient,
    opened: list[tuple[EventStream, int, bytes]],
    on_progress: OnProgress,
) -> Figures:
    total = sum(count for _, count, _ in opened)
    with without_cyclic_collector():
        async with trio.open_nursery() as reporter:
            reporter.start_soon(report, lambda: work.events, on_progress)
            stopwatch = Stopwatch()
            async with trio.open_nursery() as nursery:
                for stream, count, prefix in opened:
                    nursery.start_soon(work.watch, stream, count, prefix)
                for _ in range(work.writers):
                    nursery.start_soon(work.write, writer)
            rates = stopwatch.figures(total)
            reporter.cancel_scope.cancel()
    on_progress(total)
    return {
        "mode": "watch-own-ranges" if work.own_ranges else "watch",
        "clients": work.watchers,
        "operations": total,
        "value_bytes": len(work.value),
        **rates,
        "puts": work.puts,
        "puts_per_second": round(work.puts / rates["wall_seconds"]),
        "writers": work.writers,
        "events_per_item": round(work.events / work.items, 2),
        "latency_ms": latency_figures(work.delays_ns),
    }
