"""`k8sactors compare`: one scenario on two topologies, side by side."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import click

from k8sactors.cli.execution import make_console, read_scenario, run_scenario
from k8sactors.cli.input import EXPECTATION_FAILED
from k8sactors.cli.options import json_option, manifest_option, scenario_file, seed_option
from k8sactors.report.comparison import comparison_table
from k8sactors.report.summary import print_report

COMPARED = ("stacked", "external")


EXAMPLES = """
\b
Examples:
  k8sactors compare scenarios/failover-tour.yaml
  k8sactors compare scenarios/store-failover.yaml --seed 3 --json
"""


@click.command(epilog=EXAMPLES, short_help="Run a scenario on two topologies, side by side.")
@scenario_file
@seed_option
@manifest_option
@json_option
def compare(file: Path, seed: int | None, manifests: tuple[Path, ...], as_json: bool) -> None:
    """Run the scenario FILE on both highly available topologies and compare what failures cost.

    The table shows what each fault took down and how long writes and reconciliation were
    unavailable, in virtual time.
    """
    scenarios = [
        read_scenario(file, seed=seed, topology=topology, manifests=manifests, as_json=as_json)
        for topology in COMPARED
    ]
    console = None if as_json else make_console()
    results = []
    for scenario in scenarios:
        measured = attrs.evolve(scenario, file=attrs.evolve(scenario.file, measure=True))
        result = run_scenario(measured, console)
        results.append(result)
        if console is not None:
            print_report(console, result)
            console.print()
    if console is None:
        click.echo(json.dumps({result.topology: result.to_json() for result in results}))
    else:
        console.print(comparison_table(results))
    if not all(result.ok for result in results):
        raise SystemExit(EXPECTATION_FAILED)
