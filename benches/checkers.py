"""How fast histories are checked: `python -m benches.checkers --operations 10000 --clients 20`.

The histories are sound ones of a perfect store, of the requests that chaos campaigns make. Each
kind is checked twice: as a black box (is there one order that explains all answers?), and exactly,
against the log that it comes from.
"""

from __future__ import annotations

import json
import time

import click
from rich.console import Console
from rich.table import Table

from k8sactors.chaos.store.generated_history import Scenario, generate_history
from k8sactors.chaos.store.mix import (
    COMPACTION,
    FEATURES,
    LEASES,
    PAST,
    RANGES,
    SERIALIZABLE,
    TRANSACTIONS,
)
from k8sactors.checkers.exact import check_exactly
from k8sactors.checkers.linearizability import Verdict, check_linearizable

KINDS: dict[str, tuple[str, ...]] = {
    "single keys": (),
    "transactions": (TRANSACTIONS,),
    "ranges": (RANGES,),
    "leases": (LEASES,),
    "old reads": (PAST, SERIALIZABLE, COMPACTION),
    "everything": FEATURES,
}


def _share(_context: click.Context, _parameter: click.Parameter, text: str) -> float:
    try:
        share = float(text.removesuffix("%")) / 100
    except ValueError:
        raise click.BadParameter(f"{text!r} is no percentage; write 5%") from None
    if not 0 <= share < 1:
        raise click.BadParameter(f"{text} is not from 0% to below 100%")
    return share


@click.command()
@click.option("--operations", type=click.IntRange(1), default=10_000, show_default=True)
@click.option("--clients", type=click.IntRange(1), default=20, show_default=True)
@click.option("--keys", type=click.IntRange(3), default=3, show_default=True)
@click.option(
    "--ambiguous",
    callback=_share,
    default="5%",
    show_default=True,
    help="Share of the operations whose outcome is unknown.",
)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def main(
    operations: int, clients: int, keys: int, ambiguous: float, seed: int, as_json: bool
) -> None:
    """Measure how long it takes to judge sound histories of each kind."""
    rows = []
    for kind, features in KINDS.items():
        names = tuple(f"key-{number}" for number in range(keys))
        scenario = Scenario(operations, clients, ambiguous, names, features, watchers=0)
        rows.append({"kind": kind, **_measure(scenario, seed)})
    if as_json:
        click.echo(json.dumps({"operations": operations, "clients": clients, "runs": rows}))
        return
    table = Table(title=f"{operations} operations, {clients} clients, {ambiguous:.0%} unanswered")
    for column in ("history", "black box, s", "verdict", "against the log, s", "findings"):
        table.add_column(column)
    for row in rows:
        table.add_row(
            str(row["kind"]),
            f"{row['search_seconds']:.2f}",
            str(row["verdict"]),
            f"{row['exact_seconds']:.2f}",
            str(row["exact_findings"]),
        )
    Console().print(table)


def _measure(scenario: Scenario, seed: int) -> dict[str, object]:
    generated = generate_history(scenario, seed)
    operations = generated.history.operations
    start = time.perf_counter()
    verdict: Verdict = check_linearizable(operations).verdict
    between = time.perf_counter()
    found = check_exactly(generated.committed, operations, generated.history.discarded).findings
    end = time.perf_counter()
    return {
        "search_seconds": round(between - start, 3),
        "verdict": verdict.value,
        "exact_seconds": round(end - between, 3),
        "exact_findings": len(found),
    }


if __name__ == "__main__":
    main()
