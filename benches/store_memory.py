"""How much memory a store cluster takes, and what compaction gives back.

``python -m benches.store_memory --keys 1000000``: three members in this process, C client tasks
that put every key, put every key again, compact, put every key a third time, delete every other
key, and compact again. After each phase, once all members have applied, swept and freed everything:
the resident set of the process (everything in it: members, their simulated disks, the log, the
client) and the memory blocks that Python objects occupy. What a compaction leaves is packed, so
that what it frees goes back to the operating system. The longest turn is the longest time in which
no other task ran; on a shared machine, its CPU time says more.
"""

from __future__ import annotations

import ctypes
import gc
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import attrs
import click
import trio
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from raftstore.client import StoreClient
from raftstore.collector import relaxed_collector
from raftstore.server.config import DEFAULT_MEMBERS
from raftstore.server.local import LocalCluster

MEBIBYTE: Final = 1 << 20
COMPACTION_TIMEOUT_NS: Final = 600 * 10**9
POLL_S: Final = 0.05
REFRESH_S: Final = 0.25

Step = Callable[[int], Awaitable[object]]


@attrs.define
class Measurement:
    """A run: how far it is, and the figures so far."""

    keys: int
    value_bytes: int
    clients: int
    on_progress: Callable[[str, int, int], None]
    phases: dict[str, dict[str, Any]] = attrs.Factory(dict)

    async def run(self, cluster: LocalCluster) -> None:
        """All phases."""
        await cluster.wait_leader()
        client = cluster.client()
        self._note("empty", 0.0)
        for name, value in (("loaded", b"1"), ("overwritten", b"2")):
            put = partial(_put, client, value * self.value_bytes)
            await self._each(name, self.keys, put, cluster)
        await self._compact("compacted", client, cluster)
        put = partial(_put, client, b"3" * self.value_bytes)
        await self._each("overwritten again", self.keys, put, cluster)
        await self._each(
            "deleted", self.keys // 2, lambda n: client.delete(b"bench/%08d" % (2 * n)), cluster
        )
        await self._compact("compacted again", client, cluster)

    async def _each(self, name: str, count: int, step: Step, cluster: LocalCluster) -> None:
        begin_s = time.perf_counter()
        done = 0

        async def work() -> None:
            nonlocal done
            while done < count:
                number, done = done, done + 1
                await step(number)

        async with trio.open_nursery() as reporter:

            async def report() -> None:
                while True:
                    await trio.sleep(REFRESH_S)
                    self.on_progress(name, done, count)

            reporter.start_soon(report)
            async with trio.open_nursery() as nursery:
                for _ in range(self.clients):
                    nursery.start_soon(work)
            reporter.cancel_scope.cancel()
        await self._settled(cluster)
        self._note(name, time.perf_counter() - begin_s)

    async def _compact(self, name: str, client: StoreClient, cluster: LocalCluster) -> None:
        begin_s = time.perf_counter()
        self.on_progress(name, 0, 1)
        revision = max(member.store.revision for member in cluster.members.values())
        longest_s = longest_cpu_s = 0.0

        async def watch_turns() -> None:
            nonlocal longest_s, longest_cpu_s
            while True:
                before_s, before_cpu_s = time.perf_counter(), time.process_time()
                await trio.lowlevel.checkpoint()
                longest_s = max(longest_s, time.perf_counter() - before_s)
                longest_cpu_s = max(longest_cpu_s, time.process_time() - before_cpu_s)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch_turns)
            await client.compact(revision, physical=True, timeout_ns=COMPACTION_TIMEOUT_NS)
            # Something must follow for the disks to let go of the state before.
            await client.put(b"bench", b"")
            await self._settled(cluster)
            nursery.cancel_scope.cancel()
        self._note(name, time.perf_counter() - begin_s)
        self.phases[name]["longest_turn_ms"] = round(longest_s * 1000, 1)
        self.phases[name]["longest_turn_cpu_ms"] = round(longest_cpu_s * 1000, 1)

    async def _settled(self, cluster: LocalCluster) -> None:
        members = list(cluster.members.values())
        while True:
            revision = max(member.store.revision for member in members)
            if all(
                member.store.revision == revision and not member.store.space.unswept
                for member in members
            ):
                return
            await trio.sleep(POLL_S)

    def _note(self, name: str, wall_s: float) -> None:
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        self.phases[name] = {
            "rss_mb": round(_rss_bytes() / MEBIBYTE),
            "python_blocks": sys.getallocatedblocks(),
            "wall_seconds": round(wall_s, 1),
        }


async def _put(client: StoreClient, value: bytes, number: int) -> None:
    await client.put(b"bench/%08d" % number, value)


def _rss_bytes() -> int:
    with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 - no path of a file
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    raise click.ClickException("/proc/self/status has no VmRSS: this needs Linux")


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  python -m benches.store_memory                     100,000 keys, about a minute
  python -m benches.store_memory --keys 1000000      needs 4 GB and ten minutes
  python -m benches.store_memory --members 1 --json
""",
)
@click.option("--keys", default=100_000, show_default=True, type=click.IntRange(2))
@click.option("--value-bytes", default=256, show_default=True, type=click.IntRange(0, 1 << 20))
@click.option("--members", default=DEFAULT_MEMBERS, show_default=True, type=click.IntRange(1, 7))
@click.option("--clients", default=1000, show_default=True, type=click.IntRange(1, 10_000))
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object.")
def main(keys: int, value_bytes: int, members: int, clients: int, as_json: bool) -> None:
    """Measure the memory of a store cluster in this process, before and after compactions."""
    progress = Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(file=sys.stderr),
        transient=True,
        auto_refresh=False,
    )

    def on_progress(name: str, done: int, total: int) -> None:
        progress.update(task, description=name, completed=done, total=total)
        progress.refresh()

    measurement = Measurement(keys, value_bytes, clients, on_progress)

    async def run() -> None:
        async with LocalCluster(members) as cluster:
            await measurement.run(cluster)

    with progress, relaxed_collector():
        task = progress.add_task("start")
        trio.run(run)
    figures = {
        "keys": keys,
        "value_bytes": value_bytes,
        "members": members,
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "phases": measurement.phases,
    }
    if as_json:
        print(json.dumps(figures))
    else:
        _print_table(figures)


def _print_table(figures: dict[str, Any]) -> None:
    title = "{keys:,} keys of {value_bytes} bytes in {members} members".format_map(figures)
    table = Table(
        title=title,
        caption=f"peak RSS {figures['peak_rss_mb']:,} MB; each after gc.collect and malloc_trim",
    )
    columns = ("after", "RSS MB", "Python blocks", "wall s", "longest turn ms", "longest CPU ms")
    for column in columns:
        table.add_column(column, justify="left" if column == "after" else "right")
    for name, phase in figures["phases"].items():
        table.add_row(
            name,
            f"{phase['rss_mb']:,}",
            f"{phase['python_blocks']:,}",
            f"{phase['wall_seconds']:,}",
            str(phase.get("longest_turn_ms", "")),
            str(phase.get("longest_turn_cpu_ms", "")),
        )
    Console().print(table)


if __name__ == "__main__":
    main()
