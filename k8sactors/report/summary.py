"""The end of a run on the terminal: timeline, pass/fail table, what broke, the figures."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from k8sactors.report.style import clock, count, mark, span
from k8sactors.scenario.result import FAILED, PASSED, RunResult, StepResult
from k8sactors.simulation import SECOND

_BAR_WIDTH = 44
_LEAST_BAR_WIDTH = 16
_TEXT_WIDTH = 76
_COLOURS = {PASSED: "green", FAILED: "red"}


def print_report(console: Console, result: RunResult) -> None:
    """Print everything about a finished run."""
    console.print()
    console.print(steps_table(result, console.width))
    _print_outages(console, result)
    for crash in result.crashes:
        console.print(Text(f"crash    {crash}", style="red"))
    for finding in result.findings:
        console.print(Text(f"broken   {finding}", style="red"))
    if result.lost_writes:
        console.print(Text("lost     an acknowledged write is gone", style="bold red"))
    if result.error:
        console.print(Text(f"error    {result.error}", style="bold red"))
    console.print(verdict(result))


def steps_table(result: RunResult, width: int) -> Table:
    """One row per step: pass or fail, when, how long, and where on the timeline.

    On a narrow terminal the timeline gets shorter, and goes when there is no room for it.
    """
    bar_width = min(_BAR_WIDTH, width - _TEXT_WIDTH)
    has_bar = bar_width >= _LEAST_BAR_WIDTH
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold dim")
    table.add_column("")
    table.add_column("#", justify="right", style="dim")
    table.add_column("step", ratio=1, overflow="fold")
    table.add_column("at", justify="right", style="dim", no_wrap=True)
    table.add_column("took", justify="right", no_wrap=True)
    if has_bar:
        table.add_column(
            f"0 {'─' * (bar_width - 10)} {clock(result.virtual_ns)}", width=bar_width, no_wrap=True
        )
    for step in result.steps:
        ran = step.ended_ns > 0 or step.status != "skipped"
        cells: list[Text | str] = [
            mark(step.status),
            step.number,
            Text(step.title, style=_title_style(step)),
            clock(step.started_ns) if ran else "",
            span((step.ended_ns - step.started_ns) / SECOND) if ran else "",
        ]
        if has_bar:
            cells.append(_bar(step, result.virtual_ns, bar_width) if ran else "")
        table.add_row(*cells)
    return table


def _title_style(step: StepResult) -> str:
    if step.status == FAILED:
        return "bold red"
    if step.status != PASSED:
        return "dim"
    return "yellow" if step.verb == "inject" else ""


def _bar(step: StepResult, total_ns: int, width: int) -> Text:
    """Where a step lies in the run; an instant is a point."""
    scale = width / max(1, total_ns)
    begin = min(int(step.started_ns * scale), width - 1)
    length = max(1, round((step.ended_ns - step.started_ns) * scale))
    length = min(length, width - begin)
    instant = step.ended_ns == step.started_ns
    symbol = "⚡" if step.verb == "inject" else "│" if instant else "━" * length
    style = "yellow" if step.verb == "inject" else _COLOURS.get(step.status, "dim")
    return Text(" " * begin + symbol, style=style)


def _print_outages(console: Console, result: RunResult) -> None:
    if not result.measured:
        return
    for service in ("writes", "reconciliation"):
        outages = [outage for outage in result.outages if outage.service == service]
        line = Text(f"{service:<15}", style="bold")
        if not outages:
            line.append("never unavailable", style="green")
        else:
            total = sum(outage.seconds for outage in outages)
            line.append(f"unavailable for {span(total)} in all: ", style="yellow")
            line.append(
                ", ".join(f"{span(each.seconds)} at {clock(each.from_ns)}" for each in outages)
            )
        console.print(line)


def verdict(result: RunResult) -> Text:
    """The last line."""
    passed = sum(step.status == PASSED for step in result.steps)
    wall = max(result.wall_seconds, 1e-9)
    virtual = result.virtual_ns / SECOND
    text = Text()
    if result.ok:
        text.append("PASSED", style="bold green")
    else:
        text.append("FAILED", style="bold red")
    text.append(f"  {passed} of {len(result.steps)} steps", style="bold")
    text.append(
        f" · {span(virtual)} of virtual time in {span(wall)} ({virtual / wall:.0f}x)"
        f" · {count(result.messages)} messages · seed {result.seed}"
        f" · trace {result.trace_hash[:16]}",
        style="dim",
    )
    return text
