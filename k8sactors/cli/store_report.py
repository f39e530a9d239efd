"""How `raftstore chaos` shows what it did and found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from k8sactors.chaos.outcome import Outcome
from k8sactors.chaos.shrink import Shrunk
from k8sactors.report.style import count, span

FAULT = "fault "
"""How the names of faults begin among what a run exercised."""
MOST_FINDINGS = 5


def print_findings(console: Console, outcome: Outcome) -> None:
    """What one seed found, the first few in full."""
    if not outcome.findings:
        return
    console.print(Text(f"seed {outcome.seed}", style="bold red"))
    for finding in outcome.findings[:MOST_FINDINGS]:
        console.print(Text(f"  {finding}", style="red"), soft_wrap=True)
    if len(outcome.findings) > MOST_FINDINGS:
        console.print(Text(f"  and {len(outcome.findings) - MOST_FINDINGS} more", style="red"))


def print_shrunk(console: Console, before: Outcome, shrunk: Shrunk[Any], path: str) -> None:
    """The small run next to the big one."""
    left = f"{len(before.faults)} faults -> {len(shrunk.outcome.faults)}"
    console.print(Text(f"seed {before.seed} shrunk in {shrunk.runs} runs: {left}", style="bold"))
    for fault in shrunk.outcome.faults:
        console.print(Text(f"  {fault}"), soft_wrap=True)
    print_findings(console, shrunk.outcome)
    if path:
        console.print(Text(f"  written to {path}", style="dim"), soft_wrap=True)


def exercised(outcomes: Sequence[Outcome], kinds: Sequence[str]) -> dict[str, tuple[int, int]]:
    """By name: in how many seeds something happened, and how often in all."""
    names = dict.fromkeys(FAULT + kind for kind in kinds)
    for outcome in outcomes:
        names.update(dict.fromkeys(outcome.exercised))
    found = {}
    for name in sorted(names, key=lambda each: (not each.startswith(FAULT), each)):
        counts = [outcome.exercised.get(name, 0) for outcome in outcomes]
        found[name] = (sum(number > 0 for number in counts), sum(counts))
    return found


def exercised_table(outcomes: Sequence[Outcome], kinds: Sequence[str]) -> Table:
    """What happened how often: what never did was not tested."""
    table = Table(
        box=SIMPLE_HEAD,
        pad_edge=False,
        header_style="bold dim",
        title="What was exercised",
        title_justify="left",
    )
    table.add_column("what")
    table.add_column("seeds", justify="right")
    table.add_column("times", justify="right")
    for name, (seeds, times) in exercised(outcomes, kinds).items():
        style = "yellow" if not times else ""
        table.add_row(name, count(seeds) if times else "none", count(times), style=style)
    return table


def verdict(outcomes: Sequence[Outcome], wanted: int, wall_seconds: float) -> Text:
    """One line: what came of it."""
    broken = [outcome for outcome in outcomes if outcome.findings]
    text = Text()
    if broken:
        text.append("FAILED", style="bold red")
        text.append(f"  {len(broken)} of {count(len(outcomes))} seeds violate a guarantee")
    elif len(outcomes) < wanted:
        text.append("INTERRUPTED", style="bold yellow")
        text.append(f"  {count(len(outcomes))} of {count(wanted)} seeds, no guarantee violated")
    else:
        text.append("PASSED", style="bold green")
        text.append(f"  {count(len(outcomes))} seeds, no guarantee violated")
    virtual = sum(outcome.virtual_seconds for outcome in outcomes)
    operations = sum(outcome.operations for outcome in outcomes)
    figures = f"  {span(virtual)} simulated in {span(wall_seconds)}, {count(operations)} operations"
    return text.append(figures, style="dim")


def to_json(
    outcomes: Sequence[Outcome], files: Mapping[int, str], wall_seconds: float
) -> dict[str, Any]:
    """The same for a program to read."""
    return {
        "ok": not any(outcome.findings for outcome in outcomes),
        "seeds": len(outcomes),
        "findings": [
            {
                "seed": outcome.seed,
                "check": finding.check,
                "message": finding.message,
                "time_s": finding.time_ns / 1e9,
                "replay": files.get(outcome.seed),
            }
            for outcome in outcomes
            for finding in outcome.findings
        ],
        "virtual_seconds": round(sum(outcome.virtual_seconds for outcome in outcomes), 3),
        "wall_seconds": round(wall_seconds, 3),
        "exercised": {
            name: {"seeds": seeds, "times": times}
            for name, (seeds, times) in exercised(outcomes, ()).items()
        },
        "runs": [
            {
                "seed": outcome.seed,
                "trace_hash": outcome.trace_hash,
                "faults": list(outcome.faults),
                "virtual_seconds": round(outcome.virtual_seconds, 3),
                "wall_seconds": round(outcome.wall_seconds, 3),
                "operations": outcome.operations,
            }
            for outcome in outcomes
        ],
    }
