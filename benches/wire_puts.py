"""Puts per second of a served store, as h2load asks for them: ``python -m benches.wire_puts``.

Three members in one process, state in memory; the leader is asked over gRPC by 100 clients, ten on
a connection. With ``--base PATH`` another working tree (with an environment in its ``.venv``) is
measured as well, in turn with this one, so that both meet the same machine; the last line tells the
ratio of the best rounds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from benches import h2load
from benches.served import served_raftstore

VALUE: Final = bytes(100)


@click.command()
@click.option("--base", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1))
@click.option("--operations", default=20_000, show_default=True, type=click.IntRange(100))
@click.option("--clients", default=100, show_default=True, type=click.IntRange(1))
@click.option("--mode", default="put", show_default=True, type=click.Choice(h2load.MODES))
@click.option("--bar", type=float, help="Fail if the ratio is below it.")
def main(
    base: Path | None, rounds: int, operations: int, clients: int, mode: str, bar: float | None
) -> None:
    """Measure puts over gRPC, next to those of another working tree."""
    sides = {"base": base, "this": None} if base is not None else {"this": None}
    best = dict.fromkeys(sides, 0)
    for number in range(1, rounds + 1):
        for name, checkout in sides.items():
            with served_raftstore(checkout=checkout) as served:
                # The first requests of a process are slower.
                h2load.ask(served.leader, mode, clients, operations // 10, VALUE)
                figures = h2load.ask(served.leader, mode, clients, operations, VALUE)
            best[name] = max(best[name], figures["per_second"])
            latency = figures["latency_ms"]
            click.echo(f"round {number} {name:5} {figures['per_second']:8,}/s  ms: {latency}")
    if base is not None:
        ratio = best["this"] / best["base"]
        click.echo(f"{mode}, {clients} clients: {best['this']:,}/s, {ratio:.2f} times the base")
        if bar is not None and ratio < bar:
            raise SystemExit(1)


if __name__ == "__main__":
    main()
