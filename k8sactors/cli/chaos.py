"""`k8sactors chaos`: a scenario under random faults, over many seeds, under every check."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import click
from rich.console import Console
from rich.text import Text

from k8sactors.chaos.campaign import RunSeed
from k8sactors.chaos.cluster.options import ClusterChaos
from k8sactors.chaos.cluster.replay import read_replay, write_replay
from k8sactors.chaos.cluster.scenario_run import (
    options_of,
    read_once,
    run_scenario_seed,
    run_with_options,
)
from k8sactors.chaos.outcome import Outcome
from k8sactors.chaos.shrink import Shrunk, shrink
from k8sactors.cli.campaign import (
    INTERRUPTED,
    Campaign,
    check_report,
    print_run,
    refuse_with_replay,
    replay_option,
    report_option,
    run_replay,
    shrink_option,
)
from k8sactors.cli.execution import make_console, read_scenario
from k8sactors.cli.input import EXPECTATION_FAILED
from k8sactors.cli.options import jobs_option, json_option, parse_seeds, topology_option
from k8sactors.cli.store_report import verdict
from k8sactors.observe.logs import configure_logs

EXAMPLES = """
\b
Examples:
  k8sactors chaos scenarios/chaos-stacked.yaml --seeds 1..100 --jobs 2
  k8sactors chaos scenarios/chaos-external.yaml --seeds 17..17
  k8sactors chaos --replay chaos-report/seed-17.yaml   a finding, once more
"""


@attrs.frozen
class ScenarioCluster:
    """The cluster of a scenario (see `cli.campaign.Subject`)."""

    file: Path
    topology: str | None

    @property
    def run_seed(self) -> RunSeed:
        """Runs one seed."""
        return partial(run_scenario_seed, self.file, self.topology)

    def again(self, seed: int) -> str:
        """The command that runs a seed again."""
        words = ["k8sactors", "chaos", str(self.file), "--seeds", f"{seed}..{seed}"]
        if self.topology is not None:
            words += ["--topology", self.topology]
        return shlex.join(words)

    def write(self, path: Path, outcome: Outcome) -> None:
        """Write a seed's run to a file that replays it."""
        write_replay(path, self.file, self.topology, self._options(outcome), outcome)

    def shrink(self, outcome: Outcome, on_run: Callable[[int, int], None]) -> Shrunk[ClusterChaos]:
        """Make a failing run smaller."""

        def run(options: ClusterChaos) -> Outcome:
            return run_with_options(self.file, self.topology, outcome.seed, options)

        return shrink(run, self._options(outcome), outcome, outcome.checks[0], on_run=on_run)

    def write_shrunk(self, path: Path, shrunk: Shrunk[ClusterChaos]) -> None:
        """Write the smaller run to a file that replays it."""
        write_replay(path, self.file, self.topology, shrunk.options, shrunk.outcome)

    def _options(self, outcome: Outcome) -> ClusterChaos:
        """Those of the scenario, with the faults that the seed drew."""
        return options_of(read_once(self.file, self.topology)).with_plan(outcome.plan)


@click.command(epilog=EXAMPLES, short_help="Break a scenario's cluster at random, seed by seed.")
@click.argument("file", type=click.Path(path_type=Path), required=False)
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
@report_option
@shrink_option
@replay_option
@json_option
def chaos(
    file: Path | None,
    seeds: range,
    topology: str | None,
    jobs: int,
    report: Path,
    shrinking: bool,
    replay: Path | None,
    as_json: bool,
) -> None:
    """Set up the cluster of scenario FILE, break it at random, heal it, and check everything.

    Each seed draws which faults strike, when, and how hard. A seed that violates a guarantee is
    shrunk to a small schedule of faults and written to a file that replays it exactly. Exit status:
    0 nothing found, 1 a guarantee was violated, 2 bad input, 130 interrupted.
    """
    configure_logs("error")
    console = None if as_json else make_console()
    if replay is not None:
        refuse_with_replay("file", "seeds", "topology")
        _replay(replay, console)
        return
    if file is None:
        raise click.UsageError("name a scenario FILE, or give --replay FILE")
    read_scenario(file, seed=None, topology=topology, manifests=(), as_json=as_json)
    check_report(report)
    subject = ScenarioCluster(file, topology)
    campaign = Campaign(subject, report, console)
    interrupted = campaign.run(seeds, jobs)
    if shrinking and not interrupted:
        interrupted = campaign.shrink()
    if console is None:
        click.echo(json.dumps(_to_json(campaign, subject)))
    else:
        if len(campaign.outcomes) == 1:
            print_run(console, campaign.outcomes[0])
        console.print(verdict(campaign.outcomes, len(seeds), campaign.watch.seconds))
        for outcome in campaign.failed:
            text = f"replay seed {outcome.seed}: {_replay_command(campaign, subject, outcome.seed)}"
            console.print(Text(text), soft_wrap=True)
    if interrupted:
        raise SystemExit(INTERRUPTED)
    if campaign.failed:
        raise SystemExit(EXPECTATION_FAILED)


def _replay(path: Path, console: Console | None) -> None:
    """Run a replay file; the exit status says whether it still finds something."""
    run_replay(
        path,
        console,
        read_replay,
        lambda replay: run_with_options(
            replay.scenario, replay.topology, replay.seed, replay.options
        ),
        _outcome_to_json,
    )


def _outcome_to_json(outcome: Outcome) -> dict[str, Any]:
    findings = [{"check": each.check, "message": each.message} for each in outcome.findings]
    return {
        "ok": not findings,
        "findings": findings,
        "faults": list(outcome.faults),
        "trace_hash": outcome.trace_hash,
    }


def _replay_command(campaign: Campaign, subject: ScenarioCluster, seed: int) -> str:
    """The command that replays a finding: its file where there is one."""
    path = campaign.files.get(seed)
    return subject.again(seed) if path is None else f"k8sactors chaos --replay {shlex.quote(path)}"


def _to_json(campaign: Campaign, subject: ScenarioCluster) -> dict[str, Any]:
    outcomes = campaign.outcomes
    return {
        "ok": not campaign.failed,
        "seeds": len(outcomes),
        "findings": [
            {
                "seed": outcome.seed,
                "check": finding.check,
                "message": finding.message,
                "replay": _replay_command(campaign, subject, outcome.seed),
            }
            for outcome in outcomes
            for finding in outcome.findings
        ],
        "virtual_seconds": round(sum(outcome.virtual_seconds for outcome in outcomes), 3),
        "wall_seconds": round(campaign.watch.seconds, 3),
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
