"""Compare a bench of this checkout with the same bench of another one, taking turns in one run.

    python -m benches.against scheduling --base ../before [--rounds 5] [-- --nodes 100 --pods 1000]

A machine's speed drifts by more than most changes cost, so figures of two runs an hour apart say
little. Here the checkouts alternate, each with its own interpreter (`.venv/bin/python`), and the
one that begins changes from round to round; medians are compared. Everything after `--` goes to
both benches; what only one of them understands goes to `--here-argument` or `--base-argument`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import attrs
import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

HERE = Path(__file__).resolve().parent.parent
# What a bench counts per second of wall time: the more the better.
RATE = "per_second"
SHOWN_OUTPUT_LINES = 20

Figures = dict[str, float]


@attrs.frozen
class Side:
    """One of the two checkouts, and what its bench is told."""

    name: str
    checkout: Path
    python: Path
    arguments: tuple[str, ...]

    def measure(self, bench: str) -> Figures:
        """Run the bench once.

        Raises:
            ClickException: the bench failed, or printed something else than JSON.
        """
        command = [str(self.python), "-m", f"benches.{bench}", *self.arguments, "--json"]
        done = subprocess.run(  # noqa: S603 - a bench of a checkout that the caller names
            command, cwd=self.checkout, capture_output=True, text=True, check=False
        )
        figures = _parsed(done.stdout) if done.returncode == 0 else None
        if figures is not None:
            return dict(numbers(figures))
        output = "\n".join((done.stdout + done.stderr).splitlines()[-SHOWN_OUTPUT_LINES:])
        raise click.ClickException(
            f"{' '.join(command)} in {self.checkout} ended with {done.returncode}:\n{output}"
        )


@attrs.frozen
class Comparison:
    """The medians of one figure."""

    here: float
    base: float

    @property
    def ratio(self) -> float | None:
        """This checkout's figure divided by the other's; None where that says nothing."""
        return self.here / self.base if self.base else None


def compare(bench: str, here: Side, base: Side, rounds: int, show: bool) -> dict[str, Comparison]:
    """Run both in turn, and compare the medians of the figures that both have."""
    runs: dict[str, list[Figures]] = {here.name: [], base.name: []}
    with Progress(console=Console(stderr=True), disable=not show, transient=True) as progress:
        task = progress.add_task(bench, total=2 * rounds)
        for number in range(rounds):
            for side in (base, here) if number % 2 == 0 else (here, base):
                runs[side.name].append(side.measure(bench))
                progress.advance(task)
    shared = [
        name
        for name in runs[here.name][0]
        if all(name in figures for taken in runs.values() for figures in taken)
    ]
    return {
        name: Comparison(
            median(figures[name] for figures in runs[here.name]),
            median(figures[name] for figures in runs[base.name]),
        )
        for name in shared
    }


def _parsed(output: str) -> Any:
    try:
        return json.loads(output)
    except json.JSONDecodeError:
        return None


def numbers(value: Any, prefix: str = "") -> Iterator[tuple[str, float]]:
    """Every number in a bench's JSON, named by its path; runs are named by mode and clients."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from numbers(inner, f"{prefix} {key}".strip())
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for number, inner in enumerate(value, 1):
            named = isinstance(inner, Mapping) and {"mode", "clients"} <= inner.keys()
            label = f"{inner['mode']} {inner['clients']}" if named else str(number)
            yield from numbers(inner, f"{prefix} {label}".strip())
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield prefix, value


def _print_table(bench: str, comparisons: Mapping[str, Comparison], rounds: int) -> None:
    table = Table(title=f"{bench}: medians of {rounds} rounds")
    table.add_column("")
    for heading in ("here", "base", "here / base"):
        table.add_column(heading, justify="right")
    for name, comparison in comparisons.items():
        ratio = comparison.ratio
        table.add_row(
            name.replace("_", " "),
            f"{comparison.here:,.6g}",
            f"{comparison.base:,.6g}",
            "" if ratio is None else f"{ratio:.3f}",
        )
    Console().print(table)


@click.command()
@click.argument("bench")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--base",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The other checkout, with its own .venv.",
)
@click.option("--rounds", type=click.IntRange(1, 1000), default=3, show_default=True)
@click.option("--here-argument", multiple=True, help="Only for this checkout's bench; repeatable.")
@click.option("--base-argument", multiple=True, help="Only for the other's bench; repeatable.")
@click.option(
    "--at-least",
    type=click.FloatRange(min=0),
    help="Fail when a rate of this checkout is below this share of the other's.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def main(
    bench: str,
    arguments: tuple[str, ...],
    base: Path,
    rounds: int,
    here_argument: tuple[str, ...],
    base_argument: tuple[str, ...],
    at_least: float | None,
    as_json: bool,
) -> None:
    """Run BENCH (scheduling, store, simulation, ...) here and in another checkout, in turn."""
    other_python = base.resolve() / ".venv" / "bin" / "python"
    if not other_python.exists():
        raise click.UsageError(f"{base} has no interpreter of its own: {other_python} is missing")
    here_side = Side("here", HERE, Path(sys.executable), (*arguments, *here_argument))
    base_side = Side("base", base.resolve(), other_python, (*arguments, *base_argument))
    comparisons = compare(bench, here_side, base_side, rounds, not as_json)
    if as_json:
        measures = {
            name: {"here": found.here, "base": found.base, "ratio": found.ratio}
            for name, found in comparisons.items()
        }
        print(json.dumps({"bench": bench, "rounds": rounds, "measures": measures}))
    else:
        _print_table(bench, comparisons, rounds)
    slow = [
        f"{name} {found.ratio:.3f}"
        for name, found in comparisons.items()
        if at_least is not None
        and name.endswith(RATE)
        and found.ratio is not None
        and found.ratio < at_least
    ]
    if slow:
        raise click.ClickException(f"below {at_least:g} of the other checkout: {', '.join(slow)}")


if __name__ == "__main__":
    main()
