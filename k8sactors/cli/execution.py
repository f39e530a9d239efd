"""Runs a scenario for a command: reads it, shows it, times it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import attrs
import click
from rich.console import Console

from k8sactors.cli.input import BAD_INPUT, print_problems
from k8sactors.cli.options import Logs
from k8sactors.cli.store import StoreAddress
from k8sactors.observe.logs import configure_logs
from k8sactors.observe.stopwatch import Stopwatch
from k8sactors.report.live import LiveView, Quiet
from k8sactors.scenario.errors import BadScenarioError
from k8sactors.scenario.load import load_scenario
from k8sactors.scenario.model import Scenario
from k8sactors.scenario.result import RunResult
from k8sactors.scenario.runner import Observer, execute
from k8sactors.simulation import RealClock
from k8sactors.simulation.trace import FrameListener

PIPE_WIDTH = 120


def read_scenario(
    file: Path,
    *,
    seed: int | None,
    topology: str | None,
    manifests: Sequence[Path],
    as_json: bool,
    store: StoreAddress | None = None,
) -> Scenario:
    """Read and check a scenario; bad input ends the program with status 2."""
    try:
        scenario = load_scenario(
            file,
            seed=seed,
            topology=topology,
            manifests=manifests,
            store=store.endpoints if store else (),
            store_tls=store.tls if store else None,
        )
    except BadScenarioError as error:
        if as_json:
            problems = [attrs.asdict(problem) for problem in error.problems]
            click.echo(json.dumps({"ok": False, "problems": problems}))
        else:
            print_problems(error.problems)
        raise SystemExit(BAD_INPUT) from None
    if not as_json:
        print_problems([], scenario.warnings)
    return scenario


def make_console() -> Console:
    """A console for reports; wide enough for the tables when the output is a file or a pipe."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PIPE_WIDTH)


def run_scenario(
    scenario: Scenario,
    console: Console | None,
    listener: FrameListener | None = None,
    logs: Logs | None = None,
) -> RunResult:
    """Run a scenario, live on a console if one is given."""
    logs = logs or Logs()
    configure_logs(logs.level, logs.format)
    watch = Stopwatch()
    view: AbstractContextManager[Observer] = (
        nullcontext(Quiet())
        if console is None
        else LiveView(
            console,
            f"{scenario.name} on topology {scenario.cluster.topology}, seed {scenario.seed}",
        )
    )
    with view as observer:
        # What a real store does takes real time.
        clock = RealClock() if scenario.cluster.remote_store else None
        result = execute(scenario, observer, listener, clock)
    result.wall_seconds = watch.seconds
    return result
