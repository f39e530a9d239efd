"""`k8sactors run`: one scenario, live, with a verdict."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

import click

from k8sactors.cli.execution import make_console, read_scenario, run_scenario
from k8sactors.cli.input import EXPECTATION_FAILED
from k8sactors.cli.options import (
    Logs,
    json_option,
    log_format_option,
    log_level_option,
    manifest_option,
    scenario_file,
    seed_option,
    topology_option,
)
from k8sactors.cli.store import StoreAddress, check, store_options
from k8sactors.observe.logs import LogFormat, LogLevel
from k8sactors.observe.trace_file import TraceFile
from k8sactors.report.summary import print_report

EXAMPLES = """
\b
Examples:
  k8sactors run scenarios/failover-tour.yaml
  k8sactors run scenarios/real-app.yaml --manifest app.yaml --topology external
  k8sactors run scenarios/rolling-update.yaml --seed 7 --json
  k8sactors run scenarios/store-failover.yaml --trace messages.jsonl
  k8sactors run scenarios/store-failover.yaml --log-level info --log-format json 2>log.jsonl
  k8sactors run scenarios/rolling-update.yaml --store etcd://127.0.0.1:2379,127.0.0.1:2380
"""


@click.command(epilog=EXAMPLES, short_help="Run a scenario: does what it expects hold?")
@scenario_file
@seed_option
@topology_option
@manifest_option
@click.option(
    "--trace",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    help="Write every delivered message to this file, one JSON object per line.",
)
@store_options
@log_level_option
@log_format_option
@json_option
def run(
    file: Path,
    seed: int | None,
    topology: str | None,
    manifests: tuple[Path, ...],
    trace: Path | None,
    store: StoreAddress | None,
    log_level: LogLevel,
    log_format: LogFormat,
    as_json: bool,
) -> None:
    """Run the scenario FILE and tell whether its expectations held.

    Exit status: 0 all held, 1 one failed or a store cannot be used, 2 bad input.
    """
    scenario = read_scenario(
        file, seed=seed, topology=topology, manifests=manifests, as_json=as_json, store=store
    )
    if store is not None:
        check(store)
    console = None if as_json else make_console()
    with ExitStack() as stack:
        listener = None
        if trace is not None:
            listener = TraceFile(stack.enter_context(_opened(trace)))
        result = run_scenario(scenario, console, listener, Logs(log_level, log_format))
    if console is None:
        click.echo(json.dumps(result.to_json()))
    else:
        print_report(console, result)
    if not result.ok:
        raise SystemExit(EXPECTATION_FAILED)


def _opened(trace: Path) -> TextIO:
    try:
        return trace.open("w", encoding="utf-8")
    except OSError as error:
        reason = f"cannot write {str(trace)!r}: {error.strerror}"
        raise click.BadParameter(reason, param_hint="'--trace'") from None
