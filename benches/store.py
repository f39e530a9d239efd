"""How much a three-member store carries out per second, and how long each operation takes.

``python -m benches.store put range --clients 1 --clients 1000``: a cluster in this process, client
tasks that ask one thing after another and wait for each answer. Every write is committed: appended
and synced on a quorum of simulated disks, and applied. What a networked store pays for and this
one does not: sockets, gRPC, TLS, processes, a disk's latency (see ``--sync-latency-us``). With
``--wire`` the store is a process of its own, asked over gRPC by clients in this one, and with
``--with-etcd`` a real etcd is asked by the same clients, in the same minutes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from functools import partial
from typing import Final

import attrs
import click
import trio

from benches.served import ServingError, real_etcd, served_raftstore
from benches.store_load import Work, measure
from benches.store_report import Figures, OnProgress, peak_rss_mb, print_runs, progress_bar
from benches.store_watch import FanOut, measure_fan_out
from raftstore.client import StoreClient
from raftstore.gateway.client import open_client
from raftstore.server.config import DEFAULT_MEMBERS
from raftstore.server.local import LocalCluster

MODES: Final = (
    "put",
    "range",
    "range-serializable",
    "txn",
    "mixed",
    "watch",
    "watch-own-ranges",
)
OPERATIONS: Final = 100_000
OPERATIONS_OF_FEW: Final = 10_000
FEW_CLIENTS: Final = 10
WIRE_OPERATIONS: Final = 3_000
WIRE_OPERATIONS_OF_FEW: Final = 1_000
WATCHED_PUTS_OF_WIRE: Final = 300
WATCHED_PUTS: Final = 3_000
# Over the wire so many tasks share a client and its connection, as in etcd's own benchmark.
TASKS_PER_CONNECTION: Final = 10


@attrs.frozen
class Options:
    """What all runs of an invocation share."""

    members: int
    value: bytes
    operations: int | None
    writers: int
    sync_latency_ns: int
    wire: bool
    target: str

    def operations_of(self, mode: str, clients: int) -> int:
        """As asked for, or so many that a run takes some seconds."""
        if self.operations is not None:
            return self.operations
        over_wire = self.wire or self.target
        if mode.startswith("watch"):
            return WATCHED_PUTS_OF_WIRE if over_wire else WATCHED_PUTS
        if clients < FEW_CLIENTS:
            return WIRE_OPERATIONS_OF_FEW if over_wire else OPERATIONS_OF_FEW
        return WIRE_OPERATIONS if over_wire else OPERATIONS


class Store:
    """The store of one run, and clients of it."""

    def __init__(self, stack: AsyncExitStack, target: str, cluster: LocalCluster | None) -> None:
        self._stack = stack
        self._target = target
        self._cluster = cluster
        self._shared: dict[int, StoreClient] = {}

    async def client(self) -> StoreClient:
        """A client that asks the leader first."""
        if self._cluster is not None:
            return self._cluster.client()
        return await self._stack.enter_async_context(open_client(self._target))

    async def clients(self, tasks: int) -> list[StoreClient]:
        """Clients for so many tasks."""
        connections = 1 if self._cluster is not None else -(-tasks // TASKS_PER_CONNECTION)
        return [await self.client() for _ in range(connections)]

    async def watchers(self, count: int) -> list[StoreClient]:
        """Clients of watchers; in process each has its own, spread over the members."""
        cluster = self._cluster
        if cluster is not None:
            members = len(cluster.members)
            return [cluster.client(number % members + 1) for number in range(count)]
        connected = await self.clients(count)
        return [connected[number % len(connected)] for number in range(count)]


@asynccontextmanager
async def _local_store(options: Options) -> AsyncIterator[Store]:
    async with AsyncExitStack() as stack:
        cluster = LocalCluster(options.members, sync_latency_ns=options.sync_latency_ns)
        await stack.enter_async_context(cluster)
        await cluster.wait_leader()
        yield Store(stack, "", cluster)


@asynccontextmanager
async def _served_store(target: str) -> AsyncIterator[Store]:
    async with AsyncExitStack() as stack:
        yield Store(stack, target, None)


async def _measure(
    mode: str, clients: int, options: Options, target: str, on_progress: OnProgress
) -> Figures:
    operations = options.operations_of(mode, clients)
    async with _served_store(target) if target else _local_store(options) as store:
        if mode.startswith("watch"):
            own_ranges = mode == "watch-own-ranges"
            fan_out = FanOut(clients, operations, options.writers, options.value, own_ranges)
            watchers = await store.watchers(clients)
            writer = await store.client()
            return await measure_fan_out(fan_out, writer, watchers, on_progress)
        work = Work(mode, clients, operations, options.value)
        return await measure(work, await store.clients(clients), on_progress)


def run(mode: str, clients: int, options: Options) -> Figures:
    """One run on a new store."""
    with ExitStack() as stack:
        target = options.target
        if options.wire:
            target = stack.enter_context(served_raftstore(options.members)).target
        operations = options.operations_of(mode, clients)
        total = operations * {"watch": clients, "watch-own-ranges": clients // 10 + 1}.get(mode, 1)
        on_progress = stack.enter_context(progress_bar(f"{mode}, {clients} clients", total))
        figures = trio.run(partial(_measure, mode, clients, options, target, on_progress))
    figures["transport"] = "gRPC" if target else "in process"
    if mode == "put":
        figures |= {"puts": figures["operations"], "puts_per_second": figures["per_second"]}
    figures["peak_rss_mb"] = peak_rss_mb()
    return figures


def run_with_etcd(mode: str, clients: int, options: Options) -> Figures:
    """One run against a served store, then the same against a real etcd."""
    figures = run(mode, clients, options)
    with real_etcd(options.members) as etcd:
        peer = run(mode, clients, attrs.evolve(options, wire=False, target=etcd.target))
    figures["etcd_per_second"] = peer["per_second"]
    figures["etcd_latency_ms"] = peer["latency_ms"]
    figures["ratio_to_etcd"] = round(figures["per_second"] / peer["per_second"], 3)
    return figures


EXAMPLES: Final = """Examples:

\b
  python -m benches.store put --clients 1 --clients 1000
  python -m benches.store watch watch-own-ranges
  python -m benches.store put range txn mixed --wire --with-etcd --clients 100
"""


@click.command(context_settings={"help_option_names": ["-h", "--help"]}, epilog=EXAMPLES)
@click.argument("modes", nargs=-1, type=click.Choice(MODES))
@click.option(
    "--clients",
    multiple=True,
    default=(1000,),
    show_default=True,
    type=click.IntRange(1, 100_000),
    help="Client tasks, or watchers; may be given several times.",
)
@click.option(
    "--operations",
    "--puts",
    "operations",
    type=click.IntRange(1),
    help="How much to ask; by default what takes some seconds.",
)
@click.option("--value-bytes", default=256, show_default=True, type=click.IntRange(0, 1 << 20))
@click.option("--members", default=DEFAULT_MEMBERS, show_default=True, type=click.IntRange(1, 7))
@click.option(
    "--writers",
    default=100,
    show_default=True,
    type=click.IntRange(1, 10_000),
    help="Tasks that put what is watched.",
)
@click.option("--sync-latency-us", default=0, show_default=True, type=click.IntRange(0))
@click.option("--wire", is_flag=True, help="Ask a store in a process of its own, over gRPC.")
@click.option(
    "--with-etcd", is_flag=True, help="With --wire: ask a real etcd as well, by the same clients."
)
@click.option("--target", default="", help="Ask the store at etcd://HOST:PORT,... instead.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object.")
def main(
    modes: tuple[str, ...],
    clients: tuple[int, ...],
    operations: int | None,
    value_bytes: int,
    members: int,
    writers: int,
    sync_latency_us: int,
    wire: bool,
    with_etcd: bool,
    target: str,
    as_json: bool,
) -> None:
    """Measure a store cluster: MODES (by default put), each with each number of clients."""
    if (wire or target) and sync_latency_us:
        raise click.UsageError("--sync-latency-us is for a store in this process")
    if with_etcd and (target or not wire):
        raise click.UsageError("--with-etcd goes with --wire")
    value = b"v" * value_bytes
    options = Options(members, value, operations, writers, sync_latency_us * 1000, wire, target)
    measured = run_with_etcd if with_etcd else run
    try:
        runs = [measured(mode, count, options) for mode in modes or ("put",) for count in clients]
    except ServingError as error:
        raise click.ClickException(str(error)) from error
    print_runs(runs, as_json=as_json)


if __name__ == "__main__":
    main()
