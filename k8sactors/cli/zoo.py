"""`k8sactors zoo`: deliberate defects, and which check catches each."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from k8sactors.chaos.zoo.bugs import BUGS
from k8sactors.chaos.zoo.zoo import SEEDS, Hunt, hunt_all
from k8sactors.cli.execution import make_console
from k8sactors.cli.input import EXPECTATION_FAILED
from k8sactors.cli.options import jobs_option
from k8sactors.observe.stopwatch import Stopwatch
from k8sactors.report.style import span


@click.command(
    epilog="\b\nExample:\n  k8sactors zoo --bug 1 --bug 8",
    short_help="Build in known defects: are they caught?",
)
@click.option(
    "--bug",
    "numbers",
    type=click.Choice([str(number) for number in BUGS]),
    multiple=True,
    help="Only this defect; may be repeated.",
)
@click.option(
    "--seeds", type=click.IntRange(min=1), default=SEEDS, help="How many seeds each defect gets."
)
@jobs_option
@click.option("--json", "as_json", is_flag=True, help="Print only JSON.")
def zoo(numbers: tuple[str, ...], seeds: int, jobs: int, as_json: bool) -> None:
    """Build known defects into the system, one at a time, and see whether chaos catches them.

    The sound system is run over the same seeds and must pass. Exit status: 0 each defect is caught
    by a check that is meant for it, 1 one is not.
    """
    chosen = [int(number) for number in numbers] or list(BUGS)
    watch = Stopwatch()
    console = None if as_json else make_console()
    hunts = _hunt(chosen, seeds, jobs, console)
    ok = all(each.ok for each in hunts)
    if console is None:
        figures = {"ok": ok, "bugs": [_to_json(each) for each in hunts]}
        click.echo(json.dumps({**figures, "wall_seconds": round(watch.seconds, 3)}))
    else:
        console.print(_table(hunts))
        console.print(_sound_build(hunts))
        for each in hunts:
            for seed, alarm in each.false_alarms:
                console.print(Text(f"false alarm of bug {each.number}, seed {seed}: {alarm}"))
        caught = sum(each.ok for each in hunts)
        style = "bold green" if ok else "bold red"
        verdict = Text(f"{caught} of {len(hunts)} caught", style=style)
        console.print(verdict.append(f" in {span(watch.seconds)}", style="dim"))
    if not ok:
        raise SystemExit(EXPECTATION_FAILED)


def _hunt(numbers: list[int], seeds: int, jobs: int, console: Console | None) -> list[Hunt]:
    columns = (TextColumn("hunting"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    shown = console or Console(quiet=True)
    with Progress(*columns, console=shown, transient=True, disable=console is None) as progress:
        task = progress.add_task("bugs", total=len(numbers))
        hunts = []
        for each in hunt_all(numbers, seeds, jobs):
            hunts.append(each)
            progress.advance(task)
    return sorted(hunts, key=lambda each: each.number)


def _table(hunts: list[Hunt]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold dim")
    table.add_column("#", justify="right", style="dim")
    table.add_column("defect", ratio=3)
    table.add_column("known from", ratio=1, style="dim")
    table.add_column("caught by", no_wrap=True)
    for column in ("seeds", "virtual", "wall"):
        table.add_column(column, justify="right", no_wrap=True)
    for each in hunts:
        caught = (
            Text("not caught", style="bold red")
            if each.finding is None
            else Text(each.finding.check, style="green")
        )
        table.add_row(
            str(each.number),
            each.name,
            each.origin,
            caught,
            str(each.seeds),
            span(each.virtual_seconds),
            span(each.wall_seconds),
        )
    return table


def _sound_build(hunts: list[Hunt]) -> Text:
    """What became of the unbroken system over the same seeds."""
    seeds = sum(each.control_seeds for each in hunts)
    alarms = sum(len(each.false_alarms) for each in hunts)
    found = f"{alarms} false alarms" if alarms else "nothing found"
    style = "bold red" if alarms else "green"
    return Text(f"sound build, the same {seeds} seeds: ").append(found, style=style)


def _to_json(each: Hunt) -> dict[str, Any]:
    finding = each.finding
    return {
        "bug": each.number,
        "name": each.name,
        "origin": each.origin,
        "caught": finding is not None,
        "check": finding.check if finding else None,
        "message": finding.message if finding else None,
        "checks": list(each.checks),
        "seeds": each.seeds,
        "virtual_seconds": round(each.virtual_seconds, 3),
        "wall_seconds": round(each.wall_seconds, 3),
        "control_seeds": each.control_seeds,
        "false_alarms": [list(alarm) for alarm in each.false_alarms],
    }
