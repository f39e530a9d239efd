"""`raftstore demo`: a cluster that works, and continues when its leader is killed."""

from __future__ import annotations

import json
import sys

import click
import trio
from rich.console import Console
from rich.table import Table
from trio.testing import MockClock

from raftstore.demo import Demo, Step
from raftstore.server.config import DEFAULT_MEMBERS

EXIT_FAILED = 1


@click.command(
    epilog="""\b
Examples:
  raftstore demo                    three members, on real time
  raftstore demo --members 5        two may be lost
  raftstore demo --virtual --json   at once, for a program to read
"""
)
@click.option("--members", default=DEFAULT_MEMBERS, show_default=True, type=click.IntRange(1, 9))
@click.option("--seed", default=0, show_default=True, help="Decides who wins elections.")
@click.option("--virtual", is_flag=True, help="Let the clock jump over every wait.")
@click.option("--json", "as_json", is_flag=True, help="Print the steps as one JSON object.")
def demo(members: int, seed: int, virtual: bool, as_json: bool) -> None:
    """Start a cluster; put, get, watch and compare; kill the leader; see writes continue."""
    console = Console(stderr=as_json)
    running = Demo(members, seed)
    clock = MockClock(autojump_threshold=0) if virtual else None
    with console.status("starting") as status:

        def on_step(step: Step) -> None:
            mark = "[green]ok[/]" if step.ok else "[red]failed[/]"
            console.print(f"{step.seconds:8.3f} s  {mark}  {step.name}", highlight=False)
            status.update("...")

        trio.run(running.run, on_step, clock=clock)
    if as_json:
        click.echo(json.dumps({"ok": running.ok, "steps": [_vars_of(s) for s in running.steps]}))
    else:
        console.print(_table(running.steps))
    if not running.ok:
        sys.exit(EXIT_FAILED)


def _vars_of(step: Step) -> dict[str, object]:
    """A step as JSON has it."""
    return {"name": step.name, "ok": step.ok, "seconds": step.seconds, "detail": step.detail}


def _table(steps: list[Step]) -> Table:
    table = Table(title="What happened", title_justify="left")
    table.add_column("step")
    table.add_column("took", justify="right")
    table.add_column("result")
    for step in steps:
        style = None if step.ok else "red"
        table.add_row(step.name, f"{step.seconds:.3f} s", step.detail, style=style)
    return table
