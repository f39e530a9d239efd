"""Runs the workload files of Kubernetes' own scheduler benchmark, unchanged.

    python -m benches.scheduler_perf FILE [--workload NAME]... [--label LABEL]... [--json]
        [--param measurePods=10000]...

A workload is named by its test case, or by test case and workload (`Preemption/500Nodes`). Each
runs against a store of three members with group commit on simulated disks, an API server and the
scheduler. The rate is pods divided by the time from the first create to the last binding that a
watch has shown; it is sampled every 0.1 s of wall time too.

What needs something that is not built is named and counted as not run; the exit code tells of
workloads that failed. `--param` gives another value to a parameter that a workload has.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import structlog
import yaml
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benches.scheduler_perf_files import Workload, WorkloadFileError, read_workloads
from benches.scheduler_perf_objects import NotBuiltError
from benches.scheduler_perf_report import Measurement, NotRun, print_table, to_json
from benches.scheduler_perf_run import Display, WorkloadError, missing, run_workload
from k8sactors import simulation


class _Silent:
    """Shows nothing."""

    def phase(self, name: str, total: int) -> None:
        """Nothing."""

    def update(self, done: int) -> None:
        """Nothing."""


class _Bar:
    """One bar, for the operation that runs."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None)
        self.workload = ""

    def phase(self, name: str, total: int) -> None:
        """Begin an operation."""
        self._progress.reset(self._task, total=total, description=f"{self.workload}: {name}")

    def update(self, done: int) -> None:
        """Show how far it is."""
        self._progress.update(self._task, completed=done)


def selected(
    workloads: Sequence[Workload], names: Sequence[str], labels: Sequence[str]
) -> list[Workload]:
    """The workloads of the given names (all without any) that have all the labels.

    Raises:
        ClickException: a name or the labels fit nothing.
    """
    for name in names:
        if not any(name in (w.case, w.name, w.full_name) for w in workloads):
            known = ", ".join(w.full_name for w in workloads)
            raise click.ClickException(f"no workload is named {name!r}; there are {known}")
    chosen = [
        w
        for w in workloads
        if (not names or any(name in (w.case, w.name, w.full_name) for name in names))
        and w.labels.issuperset(labels)
    ]
    if not chosen:
        known = ", ".join(sorted({label for w in workloads for label in w.labels})) or "none"
        raise click.ClickException(f"no workload has {' and '.join(labels)}; labels are: {known}")
    return chosen


def run_all(
    workloads: Sequence[Workload], seed: int, display: Display
) -> list[Measurement | NotRun]:
    """Run one after the other, each in a control plane of its own."""
    results: list[Measurement | NotRun] = []
    for workload in workloads:
        if isinstance(display, _Bar):
            display.workload = workload.full_name
        results += _run(workload, seed, display)
    return results


def _run(workload: Workload, seed: int, display: Display) -> Sequence[Measurement | NotRun]:
    needed = missing(workload)
    if needed:
        return [NotRun(workload.full_name, needed, failed=False)]

    async def main() -> list[Measurement]:
        return await run_workload(workload, display)

    try:
        return simulation.run(main, seed=seed)
    except NotBuiltError as error:
        return [NotRun(workload.full_name, str(error), failed=False)]
    except WorkloadError as error:
        return [NotRun(workload.full_name, str(error), failed=True)]


def _overrides(_context: click.Context, _option: click.Parameter, given: Sequence[str]) -> Any:
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.BadParameter(f"{text!r}: write NAME=VALUE, as in measurePods=1000")
        found[name] = yaml.safe_load(value)
    return found


@contextmanager
def _display(quiet: bool) -> Iterator[Display]:
    if quiet or not sys.stderr.isatty():
        yield _Silent()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as progress:
        yield _Bar(progress)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--workload", "names", multiple=True, help="Test case, or test case/workload.")
@click.option("--label", "labels", multiple=True, help="Only workloads that have this label.")
@click.option("--param", "params", multiple=True, callback=_overrides, help="NAME=VALUE")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def main(
    file: Path,
    names: tuple[str, ...],
    labels: tuple[str, ...],
    params: dict[str, Any],
    seed: int,
    as_json: bool,
) -> None:
    """Run workloads of Kubernetes' scheduler_perf."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger("error"),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        workloads = selected(read_workloads(file, params), names, labels)
        with _display(as_json) as display:
            results = run_all(workloads, seed, display)
    except WorkloadFileError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        print(json.dumps(to_json(results)))
    else:
        print_table(results)
    if any(isinstance(result, NotRun) and result.failed for result in results):
        sys.exit(1)


if __name__ == "__main__":
    main()
