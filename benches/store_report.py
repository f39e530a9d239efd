"""What a measurement of the store says: figures, progress, tables."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import trio
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

REFRESH_S: Final = 0.25
TABLE_WIDTH: Final = 160

Figures = dict[str, Any]
OnProgress = Callable[[int], None]


def latency_figures(latencies_ns: list[int]) -> dict[str, float]:
    """Median and 99th percentile, in milliseconds."""
    ordered = sorted(latencies_ns)
    count = len(ordered)
    assert count, "something was measured"
    return {
        "p50": round(ordered[count // 2] / 1e6, 3),
        "p99": round(ordered[min(count - 1, count * 99 // 100)] / 1e6, 3),
    }


def peak_rss_mb() -> int:
    """The most memory that this process has had."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


class Stopwatch:
    """Wall and CPU time of this process since it was made."""

    def __init__(self) -> None:
        self._wall_s, self._cpu_s = time.perf_counter(), time.process_time()

    def figures(self, operations: int) -> Figures:
        """The rate of so many operations, and what they took."""
        wall_s = time.perf_counter() - self._wall_s
        cpu_s = time.process_time() - self._cpu_s
        return {
            "per_second": round(operations / wall_s),
            "wall_seconds": round(wall_s, 3),
            "cpu_seconds": round(cpu_s, 3),
            "cpu_us_per_operation": round(1e6 * cpu_s / operations, 2),
        }


@contextmanager
def progress_bar(title: str, total: int) -> Iterator[OnProgress]:
    """Show how far it is, on standard error: standard output is for the figures."""
    progress = Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}/s"),
        TimeRemainingColumn(),
        console=Console(file=sys.stderr),
        transient=True,
        auto_refresh=False,
        disable=not sys.stderr.isatty(),
    )
    begin_s = time.perf_counter()
    with progress:
        task = progress.add_task(title, total=total, rate="0")

        def on_progress(done: int) -> None:
            rate = round(done / (time.perf_counter() - begin_s))
            progress.update(task, completed=done, rate=f"{rate:,}")
            progress.refresh()

        yield on_progress


async def report(done: Callable[[], int], on_progress: OnProgress) -> None:
    """Look at the work now and then, until cancelled."""
    while True:
        await trio.sleep(REFRESH_S)
        on_progress(done())


def print_runs(runs: Sequence[Figures], *, as_json: bool) -> None:
    """One JSON object, or one table; several runs stand in a list, or side by side."""
    if as_json:
        print(json.dumps(runs[0] if len(runs) == 1 else {"runs": runs}))
        return
    flat = [_flatten(run) for run in runs]
    names = list(dict.fromkeys(name for run in flat for name in run))
    table = Table(title="Store")
    table.add_column("")
    for run in runs:
        table.add_column(f"{run['mode']}, {run['clients']}", justify="right")
    for name in names:
        if name not in {"mode", "clients"}:
            table.add_row(name.replace("_", " "), *[_text(run.get(name)) for run in flat])
    print_table(table)


def print_table(table: Table) -> None:
    """On a terminal as wide as it is, else as wide as the table."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=TABLE_WIDTH)
    console.print(table)


def _flatten(figures: Figures) -> Figures:
    flat: Figures = {}
    for name, value in figures.items():
        if isinstance(value, dict):
            flat |= {f"{name} {part}": inner for part, inner in value.items()}
        else:
            flat[name] = value
    return flat


def _text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int | float) else str(value)
