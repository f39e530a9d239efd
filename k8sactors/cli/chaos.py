"""`k8sactors chaos`: a scenario under random faults, over many seeds, judged by every checker."""

import json
import shlex
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from k8sactors.chaos.campaign import run_campaign
from k8sactors.chaos.outcome import Outcome
from k8sactors.chaos.scenario_run import run_scenario_seed
from k8sactors.cli.execution import make_console, read_scenario
from k8sactors.cli.input import EXPECTATION_FAILED
from k8sactors.cli.options import (
    jobs_option,
    json_option,
    parse_seeds,
    scenario_file,
    topology_option,
)
from k8sactors.observe.stopwatch import Stopwatch
from k8sactors.observe.style import count, span

EXAMPLES = """
\b
Examples:
  k8sactors chaos scenarios/chaos-stacked.yaml --seeds 1..100 --jobs 2
  k8sactors chaos scenarios/chaos-external.yaml --seeds 17..17
"""
LINE_S = 10.0
"""How often a campaign whose output is no terminal says that it goes on."""


@click.command(epilog=EXAMPLES, short_help="Break a scenario's cluster at random, seed by seed.")
@scenario_file
@click.option(
    "--seeds",
    metavar="A..B",
    callback=parse_seeds,
    default="1..20",
    show_default=True,
    help="The seeds to run, both ends included.",
)
@topology_option
@jobs_option
@json_option
def chaos(file: Path, seeds: range, topology: str | None, jobs: int, as_json: bool) -> None:
    """Set up the cluster of scenario FILE, break it at random, heal it, and check everything.

    Each seed draws which faults strike, when, and how hard. A finding comes with the command that
    replays its seed, which does so exactly. Exit status: 0 nothing found, 1 a guarantee was
    violated, 2 bad input.
    """
    read_scenario(file, seed=None, topology=topology, manifests=(), as_json=as_json)
    watch = Stopwatch()
    console = None if as_json else make_console()
    replay = partial(_replay_command, file, topology)
    outcomes = _run(partial(run_scenario_seed, file, topology), seeds, jobs, console, replay)
    if console is None:
        click.echo(json.dumps(_to_json(outcomes, watch.seconds, replay)))
    else:
        if len(outcomes) == 1:
            _print_run(console, outcomes[0])
        console.print(_verdict(outcomes, watch.seconds))
    if any(outcome.findings for outcome in outcomes):
        raise SystemExit(EXPECTATION_FAILED)


def _run(
    run_seed: Callable[[int], Outcome],
    seeds: Sequence[int],
    jobs: int,
    console: Console | None,
    replay: Callable[[int], str],
) -> list[Outcome]:
    """All outcomes in order of their seeds; findings are shown as they come."""
    columns = (
        TextColumn("seeds"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[found]} findings, {task.fields[virtual]} simulated", style="dim"),
        TimeElapsedColumn(),
    )
    outcomes: list[Outcome] = []
    watch, told_s = Stopwatch(), 0.0
    shown = console or Console(quiet=True)
    with Progress(*columns, console=shown, transient=True, disable=console is None) as progress:
        task = progress.add_task("seeds", total=len(seeds), found=0, virtual=span(0))
        for outcome in run_campaign(run_seed, seeds, jobs):
            outcomes.append(outcome)
            if console is not None and outcome.findings:
                _print_findings(console, outcome, replay(outcome.seed))
            found = sum(len(each.findings) for each in outcomes)
            virtual = span(sum(each.virtual_seconds for each in outcomes))
            progress.update(task, advance=1, found=found, virtual=virtual)
            if not shown.is_terminal and watch.seconds - told_s >= LINE_S:
                told_s = watch.seconds
                shown.print(f"{len(outcomes)} of {len(seeds)} seeds, {found} findings")
    return sorted(outcomes, key=lambda each: each.seed)


def _replay_command(file: Path, topology: str | None, seed: int) -> str:
    words = ["k8sactors", "chaos", str(file), "--seeds", f"{seed}..{seed}"]
    if topology is not None:
        words += ["--topology", topology]
    return shlex.join(words)


def _print_findings(console: Console, outcome: Outcome, replay: str) -> None:
    console.print(Text(f"seed {outcome.seed}", style="bold red"))
    for finding in outcome.findings:
        console.print(Text(f"  {finding}", style="red"))
    console.print(Text(f"  replay: {replay}"), soft_wrap=True)


def _print_run(console: Console, outcome: Outcome) -> None:
    """What one wants to know of a single seed."""
    console.print(Text("faults", style="bold"))
    for fault in outcome.faults:
        console.print(Text(f"  {fault}"))
    console.print(Text(f"trace {outcome.trace_hash}", style="dim"))


def _verdict(outcomes: list[Outcome], wall_seconds: float) -> Text:
    broken = [outcome for outcome in outcomes if outcome.findings]
    virtual = sum(outcome.virtual_seconds for outcome in outcomes)
    operations = sum(outcome.operations for outcome in outcomes)
    text = Text()
    if broken:
        text.append("FAILED", style="bold red")
        text.append(f"  {len(broken)} of {len(outcomes)} seeds violate a guarantee")
    else:
        text.append("PASSED", style="bold green")
        text.append(f"  {count(len(outcomes))} seeds, no guarantee violated")
    figures = f"  {span(virtual)} simulated in {span(wall_seconds)}, {count(operations)} operations"
    return text.append(figures, style="dim")


def _to_json(
    outcomes: list[Outcome], wall_seconds: float, replay: Callable[[int], str]
) -> dict[str, Any]:
    return {
        "ok": not any(outcome.findings for outcome in outcomes),
        "seeds": len(outcomes),
        "findings": [
            {
                "seed": outcome.seed,
                "check": finding.check,
                "message": finding.message,
                "replay": replay(outcome.seed),
            }
            for outcome in outcomes
            for finding in outcome.findings
        ],
        "virtual_seconds": round(sum(outcome.virtual_seconds for outcome in outcomes), 3),
        "wall_seconds": round(wall_seconds, 3),
        "runs": [
            {
                "seed": outcome.seed,
                "trace_hash": outcome.trace_hash,
                "virtual_seconds": round(outcome.virtual_seconds, 3),
                "wall_seconds": round(outcome.wall_seconds, 3),
                "operations": outcome.operations,
            }
            for outcome in outcomes
        ],
    }
