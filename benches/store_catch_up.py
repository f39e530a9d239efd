"""How an empty member catches up by snapshot, and what the clients of the others notice.

``python -m benches.store_catch_up --history-gb 1``: two of three members in this process are filled
with so much history (every key several times). Then the third starts, with nothing, while client
tasks continue to put; its state comes in parts from the leader. Compared with a time before (two
members) and after (three): the latency of acknowledged puts, and the longest time in which none was
acknowledged.

All members share one core here, so whatever the transfer costs, clients wait for it. With
``--processes`` each has a process of its own (`benches.catch_up_processes`).
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import attrs
import click
import trio
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from benches.acknowledged import Puts, key_of
from benches.catch_up_processes import ProcessBench
from raftstore.client import StoreClient
from raftstore.collector import relaxed_collector
from raftstore.server.local import LocalCluster

FILLERS: Final = 1000
GIBIBYTE: Final = 1 << 30
REFRESH_S: Final = 0.1


@attrs.define
class Bench:
    """One run."""

    history_bytes: int
    value_bytes: int
    versions: int
    clients: int
    before_s: float
    on_progress: Callable[[str, int, int], None]
    figures: dict[str, Any] = attrs.Factory(dict)

    def run(self) -> None:
        """Fill, watch, start the missing follower, watch."""
        trio.run(self._run)

    async def _run(self) -> None:
        async with LocalCluster(3) as cluster:
            await self._measure(cluster)

    async def _measure(self, cluster: LocalCluster) -> None:
        leader = await cluster.wait_leader()
        follower = next(number for number in cluster.members if number != leader)
        cluster.kill(follower)
        revisions = self.history_bytes // (self.value_bytes + len(key_of(0)))
        keys = max(1, revisions // self.versions)
        client = cluster.client()
        await self._fill(client, revisions, keys)
        await cluster.wait_applied(revisions)
        gc.collect()
        gc.freeze()
        puts = Puts(b"w" * self.value_bytes, keys)
        async with trio.open_nursery() as nursery:
            for number in range(self.clients):
                nursery.start_soon(puts.run, client, number * 1_000_003)
            await trio.sleep(self.before_s / 4)
            begin_ns = time.perf_counter_ns()
            await trio.sleep(self.before_s)
            started_ns = time.perf_counter_ns()
            transfer = await self._start_follower(cluster, follower, puts)
            caught_up_ns = time.perf_counter_ns()
            await trio.sleep(self.before_s)
            end_ns = time.perf_counter_ns()
            nursery.cancel_scope.cancel()
        # Not before: to sort a million latencies takes a second, in which no client is answered.
        self.figures["before"] = puts.figures(begin_ns, started_ns)
        self.figures["during"] = puts.figures(started_ns, caught_up_ns)
        self.figures["after"] = puts.figures(caught_up_ns, end_ns)
        self.figures["transfer"] = transfer

    async def _fill(self, client: StoreClient, revisions: int, keys: int) -> None:
        value = b"v" * self.value_bytes
        done = 0

        async def work() -> None:
            nonlocal done
            while done < revisions:
                number, done = done, done + 1
                await client.put(key_of(number % keys), value)
                if number % 5_000 == 0:
                    self.on_progress("fill", number, revisions)

        async with trio.open_nursery() as nursery:
            for _ in range(FILLERS):
                nursery.start_soon(work)

    async def _start_follower(
        self, cluster: LocalCluster, follower: int, puts: Puts
    ) -> dict[str, Any]:
        """Start the member that is missing, and wait until it has caught up; how that went."""
        leader = cluster.members[await cluster.wait_leader()]
        member = cluster.start(follower)
        before = leader.statistics()["snapshot_parts_sent"]
        changes = leader.statistics()["leader_changes"]
        target = leader.store.revision
        starts = [0]
        member.store.after_restore.append(lambda: starts.append(time.perf_counter_ns()))
        begin_ns = time.perf_counter_ns()
        while (
            member.store.revision < target or member.store.revision + 1000 < leader.store.revision
        ):
            received = member.statistics()["snapshot_parts_received"]
            self.on_progress("snapshot", received * (64 << 10), self.history_bytes)
            await trio.sleep(REFRESH_S)
            target = max(target, leader.store.revision - FILLERS)
        end_ns = time.perf_counter_ns()
        return {
            "seconds_to_install": round((starts[-1] - begin_ns) / 1e9, 2),
            "seconds_to_catch_up": round((end_ns - begin_ns) / 1e9, 2),
            "parts_sent": leader.statistics()["snapshot_parts_sent"] - before,
            "parts_taken": member.statistics()["snapshot_parts_received"],
            "snapshots_installed": len(starts) - 1,
            "leader_changes": leader.statistics()["leader_changes"] - changes,
            "puts_failed": puts.failures,
        }


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  python -m benches.store_catch_up                                      0.1 GB, a minute
  python -m benches.store_catch_up --history-gb 1 --value-bytes 1024    needs 6 GB of memory
  python -m benches.store_catch_up --clients 1 --json
  python -m benches.store_catch_up --processes --history-gb 0.2 --value-bytes 1024
""",
)
@click.option("--history-gb", default=0.1, show_default=True, type=click.FloatRange(0.001, 16))
@click.option("--value-bytes", default=256, show_default=True, type=click.IntRange(1, 1 << 20))
@click.option("--versions", default=4, show_default=True, type=click.IntRange(1), help="Per key.")
@click.option("--clients", default=20, show_default=True, type=click.IntRange(1, 10_000))
@click.option("--before-s", default=5.0, show_default=True, type=click.FloatRange(0.1))
@click.option("--processes", is_flag=True, help="A process for each member, asked over gRPC.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object.")
def main(
    history_gb: float,
    value_bytes: int,
    versions: int,
    clients: int,
    before_s: float,
    processes: bool,
    as_json: bool,
) -> None:
    """Measure how an empty member catches up, and what clients notice of it."""
    progress = Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
        TimeRemainingColumn(),
        console=Console(file=sys.stderr),
        transient=True,
        auto_refresh=False,
    )

    def on_progress(name: str, done: int, total: int) -> None:
        progress.update(task, description=name, completed=done, total=total)
        progress.refresh()

    size = round(history_gb * GIBIBYTE)
    sort = ProcessBench if processes else Bench
    bench = sort(size, value_bytes, versions, clients, before_s, on_progress)
    with progress, relaxed_collector():
        task = progress.add_task("start")
        bench.run()
    if as_json:
        print(json.dumps(bench.figures))
    else:
        _print_tables(f"{history_gb} GB of history, {clients} clients", bench.figures)


def _print_tables(title: str, figures: dict[str, Any]) -> None:
    table = Table(title=f"Acknowledged puts: {title}")
    table.add_column("")
    phases = {name: figures[name] for name in ("before", "during", "after")}
    for column in phases["before"]:
        table.add_column(column, justify="right")
    for name, phase in phases.items():
        table.add_row(name, *(str(value) for value in phase.values()))
    transfer = Table(title="The transfer", show_header=False)
    for name, value in figures["transfer"].items():
        transfer.add_row(name, f"{value:,}")
    Console().print(table, transfer)


if __name__ == "__main__":
    main()
