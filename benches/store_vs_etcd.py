"""A store in one process next to a real etcd of three, on the same machine, in the same minutes.

``python -m benches.store_vs_etcd``: for each row the real etcd (a process per member, loopback,
data on tmpfs, its defaults) is asked through its leader, then a store of three members in one
process is asked by client tasks. Of all rounds each side's best counts. Two programs ask etcd:

- its own client library, in a Go program (`benches.etcd_client`): what a program that uses etcd
  gets, as a program that embeds the store here gets what is measured here. The bars are about
  that, and so was the *anchor*, which etcd reached on an idle machine of this kind;
- h2load, a load generator in C that is no client: it takes hardly anything of the machine, so that
  etcd gets nearly all of it, and a lone request waits for nothing but etcd. No program gets that
  much out of it; it is the upper limit, and the peer where the client cannot be built.

What etcd pays for and the store in process does not: HTTP/2 and sockets between client and member
and between members, protobuf, system calls for its log and its database file on tmpfs, and the CPU
of the load generator on the same cores. It has all cores, the store here has one. So the ratio says
what a program gains that embeds its store; ``--wire`` adds the store served over gRPC, asked by the
same load generator as etcd: like for like.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import attrs
import click
import trio
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benches import etcd_client, h2load
from benches.served import Served, ServingError, real_etcd, served_raftstore
from benches.store_report import Figures, print_table
from raftstore.gateway.client import open_client


@attrs.frozen
class Row:
    """One comparison. `anchor`: puts or reads per second of etcd 3.4.23 with a good client."""

    mode: str
    clients: int
    operations: int
    anchor: int | None = None
    bar: float | None = None


ROWS: Final = (
    Row("put", 1, 5_000, anchor=1_367, bar=5.0),
    Row("put", 100, 40_000, anchor=13_553),
    Row("put", 1000, 60_000, anchor=18_611, bar=2.0),
    Row("range", 1, 5_000),
    Row("range", 100, 40_000),
    Row("range", 1000, 60_000, anchor=11_258),
    Row("range-serializable", 1000, 60_000, anchor=13_970),
)
# The store in process is asked so many times more: it must run as long to be measured as well.
OURS_SHARE: Final = 2
WIRE_SHARE: Final = 10
TIMEOUT_S: Final = 900.0


@attrs.define
class Outcome:
    """The best rounds of one row."""

    row: Row
    h2load: Figures
    client: Figures | None
    ours: Figures
    wire: Figures | None

    @property
    def etcd(self) -> Figures:
        """The peer: etcd as its own client finds it, or else the load generator."""
        return self.client or self.h2load

    @property
    def ratio(self) -> float:
        """Ours to etcd's, in this run."""
        return self._to(self.etcd)

    @property
    def ratio_to_h2load(self) -> float:
        """Ours to the most that can be got out of etcd."""
        return self._to(self.h2load)

    def _to(self, peer: Figures) -> float:
        return float(self.ours["per_second"]) / float(peer["per_second"])

    @property
    def to_anchor(self) -> float:
        """Ours to the anchor, for a row that has one."""
        assert self.row.anchor is not None
        return float(self.ours["per_second"]) / self.row.anchor

    @property
    def held(self) -> bool:
        """Whether the bar is reached, if there is one."""
        return self.row.bar is None or self.ratio >= self.row.bar

    def to_json(self) -> Figures:
        """For the report."""
        return {
            "mode": self.row.mode,
            "clients": self.row.clients,
            "raftstore": self.ours,
            "etcd": self.etcd,
            "etcd_asked_by": "its own client" if self.client else "h2load",
            "etcd_by_h2load": self.h2load,
            "etcd_anchor_per_second": self.row.anchor,
            "ratio": round(self.ratio, 2),
            "ratio_to_h2load": round(self.ratio_to_h2load, 2),
            "ratio_to_anchor": None if self.row.anchor is None else round(self.to_anchor, 2),
            "bar": self.row.bar,
            "held": self.held,
            "raftstore_over_grpc": self.wire,
        }


def in_process(row: Row, operations: int) -> Figures:
    """A store in a process of its own, with its clients."""
    command = [sys.executable, "-m", "benches.store", row.mode, "--json"]
    command += ["--clients", str(row.clients), "--operations", str(operations)]
    done = subprocess.run(  # noqa: S603 - ours
        command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
    )
    if done.returncode:
        raise ServingError(f"the store in process failed: {done.stderr.strip()[-500:]}")
    figures: Figures = json.loads(done.stdout)
    return figures


def over_the_wire(served: Served, row: Row, operations: int, value: bytes) -> Figures:
    """The leader of a served store; every put must have taken a revision."""
    operations = max(operations, row.clients)
    before = trio.run(_revision, served)
    figures = h2load.ask(served.leader, row.mode, row.clients, operations, value)
    taken = trio.run(_revision, served) - before
    if taken != (operations if row.mode == "put" else 0):
        raise h2load.LoadError(f"{operations} operations of {row.mode} took {taken} revisions")
    return figures


async def _revision(served: Served) -> int:
    async with open_client(f"etcd://{served.leader}") as client:
        # A put, so that reads find the key.
        if await client.get(h2load.KEY) is None:
            await client.put(h2load.KEY, b"")
        status = await client.status()
        return status.header.revision


def compare(
    rows: list[Row], scale: float, rounds: int, *, wire: bool, own_client: bool
) -> list[Outcome]:
    """Both sides, row by row, alternating."""
    value = b"v" * 256
    columns = (TextColumn("[bold]{task.description}"), BarColumn(), TimeElapsedColumn())
    with ExitStack() as stack:
        progress = stack.enter_context(
            Progress(
                *columns,
                console=Console(stderr=True),
                transient=True,
                disable=not sys.stderr.isatty(),
            )
        )
        task = progress.add_task("starting etcd", total=len(rows) * rounds)
        program = None
        if own_client and etcd_client.is_available():
            program = etcd_client.build(Path(stack.enter_context(TemporaryDirectory())))
        etcd = stack.enter_context(real_etcd())
        served = stack.enter_context(served_raftstore()) if wire else None
        outcomes = []
        for row in rows:
            progress.update(task, description=f"{row.mode}, {row.clients} clients")
            count = max(row.clients, round(row.operations * scale))
            peers, own, ours, wired = [], [], [], []
            for _ in range(rounds):
                peers.append(over_the_wire(etcd, row, count, value))
                if program is not None:
                    asked = program, etcd.leader, row.mode, row.clients, count, len(value)
                    own.append(etcd_client.ask(*asked))
                ours.append(in_process(row, count * OURS_SHARE))
                if served is not None:
                    wired.append(over_the_wire(served, row, count // WIRE_SHARE, value))
                progress.advance(task)
            outcomes.append(
                Outcome(
                    row,
                    h2load=_best(peers),
                    client=_best(own) if own else None,
                    ours=_best(ours),
                    wire=_best(wired) if wired else None,
                )
            )
        return outcomes


def _best(rounds: list[Figures]) -> Figures:
    return max(rounds, key=lambda figures: float(figures["per_second"]))


EXAMPLES: Final = """Examples:

\b
  python -m benches.store_vs_etcd --wire
  python -m benches.store_vs_etcd --clients 1 --rounds 5 --check
"""


@click.command(context_settings={"help_option_names": ["-h", "--help"]}, epilog=EXAMPLES)
@click.option("--rounds", default=2, show_default=True, type=click.IntRange(1, 20))
@click.option("--scale", default=1.0, show_default=True, type=click.FloatRange(0.001, 100))
@click.option("--clients", multiple=True, type=click.IntRange(1), help="Only rows with so many.")
@click.option("--wire", is_flag=True, help="Also ask the store over gRPC.")
@click.option(
    "--own-client/--no-own-client",
    default=True,
    show_default=True,
    help="Ask etcd by its own client as well, if that can be built here.",
)
@click.option("--check", is_flag=True, help="Exit with 1 if a bar is missed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def main(
    rounds: int,
    scale: float,
    clients: tuple[int, ...],
    wire: bool,
    own_client: bool,
    check: bool,
    as_json: bool,
) -> None:
    """Compare a store in this process with a real three-member etcd; the best of some rounds."""
    rows = [row for row in ROWS if not clients or row.clients in clients]
    if not rows:
        known = ", ".join(str(count) for count in sorted({row.clients for row in ROWS}))
        raise click.UsageError(f"there are rows of {known} clients")
    if h2load.H2LOAD is None:
        raise click.ClickException(h2load.WITHOUT_H2LOAD)
    try:
        outcomes = compare(rows, scale, rounds, wire=wire, own_client=own_client)
    except (ServingError, h2load.LoadError, etcd_client.ClientError) as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        print(json.dumps({"rows": [outcome.to_json() for outcome in outcomes]}))
    else:
        _print_table(outcomes, wire=wire)
        if outcomes[0].client is None and own_client:
            click.echo(f"etcd was asked by h2load alone: {etcd_client.WITHOUT_CLIENT}", err=True)
    if check and not all(outcome.held for outcome in outcomes):
        raise SystemExit(1)


def _print_table(outcomes: list[Outcome], *, wire: bool) -> None:
    table = Table(title="Operations per second: three members here, three members of etcd")
    names = ["clients", "here", "p50 ms", "p99 ms", "etcd", "p50 ms", "p99 ms", "ratio", "bar"]
    names += ["anchor", "h2load", "ratio to it"]
    table.add_column("")
    for name in [*names, "here, gRPC"] if wire else names:
        table.add_column(name, justify="right", no_wrap=True)
    for outcome in outcomes:
        row, bar = outcome.row, outcome.row.bar
        cells = [*_rate(outcome.ours), *_rate(outcome.etcd)]
        cells.append(f"{outcome.ratio:.2f}")
        cells.append("" if bar is None else f"{bar:g} {'held' if outcome.held else 'MISSED'}")
        cells.append("" if row.anchor is None else f"{row.anchor:,}")
        cells += [f"{outcome.h2load['per_second']:,}", f"{outcome.ratio_to_h2load:.2f}"]
        cells += [f"{outcome.wire['per_second']:,}"] if outcome.wire is not None else []
        table.add_row(row.mode.replace("-serializable", ", ser."), f"{row.clients:,}", *cells)
    print_table(table)


def _rate(figures: Figures) -> list[str]:
    latency_ms = figures["latency_ms"]
    return [f"{figures['per_second']:,}", f"{latency_ms['p50']:.2f}", f"{latency_ms['p99']:.1f}"]


if __name__ == "__main__":
    main()
