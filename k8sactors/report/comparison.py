"""Two runs of one scenario on different topologies, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from k8sactors.observe.text import few
from k8sactors.report.style import mark, span
from k8sactors.scenario.result import PASSED, RunResult, StepResult
from k8sactors.simulation import SECOND


def comparison_table(results: Sequence[RunResult]) -> Table:
    """One column per topology: what was lost at each fault, how long what was unavailable."""
    table = Table(box=SIMPLE_HEAD, header_style="bold", title_style="bold", pad_edge=False)
    table.title = f"{results[0].scenario}: what the same failures cost"
    table.add_column("")
    for result in results:
        table.add_column(result.topology, justify="left")
    table.add_row("steps passed", *(_passed(result) for result in results))
    table.add_section()
    _add_faults(table, results)
    table.add_section()
    rows: list[tuple[str, Callable[[RunResult], str | Text]]] = [
        ("writes unavailable, longest", lambda run: _longest(run, "writes")),
        ("writes unavailable, in all", lambda run: _total(run, "writes")),
        ("reconciliation unavailable, longest", lambda run: _longest(run, "reconciliation")),
        ("reconciliation unavailable, in all", lambda run: _total(run, "reconciliation")),
        ("acknowledged writes", lambda run: str(run.acknowledged_writes)),
        ("acknowledged writes lost", _lost),
        ("changes of the store's leader", lambda run: str(max(0, len(run.leader_changes) - 1))),
        ("crashes of components", lambda run: str(len(run.crashes))),
        ("virtual time", lambda run: span(run.virtual_ns / SECOND)),
        ("real time", lambda run: span(run.wall_seconds)),
        ("trace", lambda run: run.trace_hash[:16]),
    ]
    for name, cell in rows:
        table.add_row(name, *(cell(result) for result in results))
    return table


def _passed(result: RunResult) -> Text:
    passed = sum(step.status == PASSED for step in result.steps)
    text = Text(f"{passed} of {len(result.steps)}", style="green" if result.ok else "red")
    failed = [step for step in result.steps if step.status == "failed"]
    if failed:
        text.append(f", failed: {failed[0].title}")
    return text


def _add_faults(table: Table, results: Sequence[RunResult]) -> None:
    faults = [[step for step in result.steps if step.verb == "inject"] for result in results]
    for row in zip(*faults, strict=False):
        table.add_row(Text(row[0].title, style="yellow"), *(_fault(step) for step in row))
    recoveries = [[step for step in result.steps if step.verb == "expect"] for result in results]
    table.add_section()
    for row in zip(*recoveries, strict=False):
        table.add_row(row[0].title, *(_recovery(step) for step in row))


def _fault(step: StepResult) -> Text:
    hit = "; ".join(step.detail) if step.status == PASSED else "not reached"
    text = Text(hit)
    if step.lost:
        names = sorted(each.partition("/")[2] for each in step.lost)
        text.append(f"\nlost {len(names)}: {few(names)}", style="dim")
    return text


def _recovery(step: StepResult) -> Text:
    text = mark(step.status)
    if step.status == PASSED:
        text.append(f" {span((step.ended_ns - step.started_ns) / SECOND)}", style="default")
    elif step.detail:
        text.append(f" {step.detail[0]}")
    return text


def _longest(result: RunResult, service: str) -> str:
    outages = result.outage_seconds(service)
    return span(max(outages)) if outages else "never"


def _total(result: RunResult, service: str) -> str:
    outages = result.outage_seconds(service)
    times = f" ({len(outages)} times)" if len(outages) > 1 else ""
    return span(sum(outages)) + times if outages else "never"


def _lost(result: RunResult) -> Text:
    return Text(str(result.lost_writes), style="bold red" if result.lost_writes else "green")
