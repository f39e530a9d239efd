"""The `raftstore` command: see a store cluster work and survive faults; serve one to clients."""

from __future__ import annotations

import json
import sys

import click
import trio
from rich.console import Console
from rich.table import Table
from trio.testing import MockClock

from raftstore.demo import Demo, Step

EXIT_FAILED = 1
MAX_PORT = 65_535


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 all went well, 1 a step failed, 2 wrong usage.",
)
@click.version_option(package_name="k8sactors", prog_name="raftstore")
def main() -> None:
    """A replicated, revisioned key-value store with etcd's semantics, in Python."""


@main.command(
    epilog="""\b
Examples:
  raftstore demo                    three members, on real time
  raftstore demo --members 5        two may be lost
  raftstore demo --virtual --json   at once, for a program to read
"""
)
@click.option("--members", default=3, show_default=True, type=click.IntRange(1, 9))
@click.option("--seed", default=0, show_default=True, help="Decides who wins elections.")
@click.option("--virtual", is_flag=True, help="Let the clock jump over every wait.")
@click.option("--json", "as_json", is_flag=True, help="Print the steps as one JSON object.")
def demo(members: int, seed: int, virtual: bool, as_json: bool) -> None:
    """Start a cluster; put, get, watch and compare; kill the leader; see writes go on."""
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
        click.echo(json.dumps({"ok": running.ok, "steps": [vars_of(s) for s in running.steps]}))
    else:
        console.print(_table(running.steps))
    if not running.ok:
        sys.exit(EXIT_FAILED)


@main.command(
    epilog="""\b
Examples:
  raftstore serve                      members on 127.0.0.1:2379, 2380 and 2381
  raftstore serve --port 0             on unused ports, which are printed
  etcdctl --endpoints 127.0.0.1:2379 put greeting hello
  curl -d '{"key": "Zm9v"}' http://127.0.0.1:2379/v3/kv/range
"""
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port",
    default=2379,
    show_default=True,
    type=click.IntRange(0, 65_535),
    help="Of the first member; the others follow. 0: unused ports.",
)
@click.option("--members", default=3, show_default=True, type=click.IntRange(1, 9))
def serve(host: str, port: int, members: int) -> None:
    """Serve a cluster to etcd's clients: gRPC and JSON, one port per member.

    There is no TLS and no authentication, and the data lives in memory.
    """
    try:
        from raftstore.gateway.command import run  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        text = f"serving needs more packages ({error}): pip install 'k8sactors[serve]'"
        raise click.ClickException(text) from error
    if port + members - 1 > MAX_PORT:
        raise click.UsageError(f"{members} members from port {port} on: there is none so high")
    try:
        run(host, port, members)
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error}") from error


def vars_of(step: Step) -> dict[str, object]:
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


if __name__ == "__main__":
    main()
