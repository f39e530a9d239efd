"""How many puts per second a three-member store commits, and how long each takes.

``python -m benches.store --clients 1000 --puts 200000``: a cluster in this process, C client tasks
that put one key after another and wait for each answer. Every put is committed: appended and synced
on a quorum of simulated disks, and applied. What a networked store pays for and this one does not:
sockets, gRPC, TLS, processes, a disk's latency (see ``--sync-latency-us``).
"""

from __future__ import annotations

import gc
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import attrs
import click
import trio
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from raftstore.client import StoreClient
from raftstore.server.local import LocalCluster

KEYS: Final = 10_000
REFRESH_S: Final = 0.25
GC_YOUNG_OBJECTS: Final = 50_000


@attrs.define
class Work:
    """What is to be done, and what has been measured."""

    clients: int
    puts: int
    value: bytes
    begun: int = 0
    latencies_ns: list[int] = attrs.Factory(list)

    async def run_client(self, client: StoreClient) -> None:
        """Put until all work has been handed out."""
        latencies_ns, value = self.latencies_ns, self.value
        while self.begun < self.puts:
            number = self.begun
            self.begun += 1
            begin_ns = time.perf_counter_ns()
            await client.put(b"bench/%08d" % (number % KEYS), value)
            latencies_ns.append(time.perf_counter_ns() - begin_ns)


async def measure(
    work: Work, *, members: int, sync_latency_ns: int, on_progress: Callable[[int], None]
) -> dict[str, Any]:
    """Run the work; the figures as they stand in the JSON report."""
    async with LocalCluster(members, sync_latency_ns=sync_latency_ns) as cluster:
        await cluster.wait_leader()
        client = cluster.client()
        await client.put(b"bench", b"warm")
        begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
        async with trio.open_nursery() as reporter:
            reporter.start_soon(_report, work, on_progress)
            with _rare_collections():
                async with trio.open_nursery() as nursery:
                    for _ in range(work.clients):
                        nursery.start_soon(work.run_client, client)
            wall_s = time.perf_counter() - begin_s
            cpu_s = time.process_time() - begin_cpu_s
            reporter.cancel_scope.cancel()
        on_progress(len(work.latencies_ns))
        revisions = [member.store.revision for member in cluster.members.values()]
        assert max(revisions) == work.puts + 2, "every put takes one revision"
    return _figures(work, wall_s, cpu_s)


@contextmanager
def _rare_collections() -> Iterator[None]:
    """The store holds no cycles: young collections at the default rate would only walk its log."""
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_YOUNG_OBJECTS, 10, 10)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


async def _report(work: Work, on_progress: Callable[[int], None]) -> None:
    while True:
        await trio.sleep(REFRESH_S)
        on_progress(len(work.latencies_ns))


def _figures(work: Work, wall_s: float, cpu_s: float) -> dict[str, Any]:
    latencies_ns = sorted(work.latencies_ns)
    count = len(latencies_ns)
    return {
        "clients": work.clients,
        "puts": count,
        "value_bytes": len(work.value),
        "puts_per_second": round(count / wall_s),
        "wall_seconds": round(wall_s, 3),
        "cpu_seconds": round(cpu_s, 3),
        "latency_ms": {
            "p50": round(latencies_ns[count // 2] / 1e6, 3),
            "p99": round(latencies_ns[min(count - 1, count * 99 // 100)] / 1e6, 3),
        },
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--clients", default=1000, show_default=True, type=click.IntRange(1, 100_000))
@click.option("--puts", default=100_000, show_default=True, type=click.IntRange(1))
@click.option("--value-bytes", default=256, show_default=True, type=click.IntRange(0, 1 << 20))
@click.option("--members", default=3, show_default=True, type=click.IntRange(1, 7))
@click.option("--sync-latency-us", default=0, show_default=True, type=click.IntRange(0))
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object.")
def main(
    clients: int, puts: int, value_bytes: int, members: int, sync_latency_us: int, as_json: bool
) -> None:
    """Measure committed puts per second of a store cluster in this process."""
    work = Work(clients, puts, b"v" * value_bytes)
    progress = Progress(
        TextColumn("[bold]puts"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}/s"),
        TimeRemainingColumn(),
        console=Console(file=sys.stderr),
        transient=True,
        auto_refresh=False,
    )
    begin_s = time.perf_counter()

    def on_progress(done: int) -> None:
        rate = round(done / (time.perf_counter() - begin_s))
        progress.update(task, completed=done, rate=f"{rate:,}")
        progress.refresh()

    with progress:
        task = progress.add_task("puts", total=puts, rate="0")
        figures: dict[str, Any] = {}

        async def run() -> None:
            figures.update(
                await measure(
                    work,
                    members=members,
                    sync_latency_ns=sync_latency_us * 1000,
                    on_progress=on_progress,
                )
            )

        trio.run(run)
    if as_json:
        print(json.dumps(figures))
    else:
        _print_table(figures)


def _print_table(figures: dict[str, Any]) -> None:
    table = Table(title="Committed puts", show_header=False)
    for name, value in figures.items():
        if isinstance(value, dict):
            for part, inner in value.items():
                table.add_row(f"{name} {part}", str(inner))
        else:
            table.add_row(name, f"{value:,}")
    Console().print(table)


if __name__ == "__main__":
    main()
