"""`raftstore chaos`: the store under random faults, seed by seed, under every check."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import attrs
import click
from rich.console import Console
from rich.text import Text

from k8sactors.chaos.campaign import RunSeed
from k8sactors.chaos.outcome import Outcome
from k8sactors.chaos.shrink import Shrunk, shrink
from k8sactors.chaos.store.options import StoreChaos
from k8sactors.chaos.store.replay import read_replay, write_replay
from k8sactors.chaos.store.run import run_store
from k8sactors.chaos.store.swarm import draw_chaos, kinds_of, run_swarm
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
from k8sactors.cli.execution import make_console
from k8sactors.cli.input import EXPECTATION_FAILED
from k8sactors.cli.options import jobs_option, json_option, parse_seeds
from k8sactors.cli.store_report import exercised_table, to_json, verdict
from k8sactors.faults import UnknownFaultError, faults_of_groups
from k8sactors.observe.logs import configure_logs

EXAMPLES = """
\b
Examples:
  raftstore chaos --seeds 1..1000 --jobs 2
  raftstore chaos --seeds 1..200 --members 5 --faults network,process
  raftstore chaos --seeds 17..17                       one seed, in detail
  raftstore chaos --replay chaos-report/seed-17.yaml   a finding, once more
"""


@attrs.frozen
class Store:
    """A store of some members, broken by some kinds of fault (see `cli.campaign.Subject`)."""

    members: int
    kinds: tuple[str, ...]

    @property
    def run_seed(self) -> RunSeed:
        """Draws and runs one seed."""
        return partial(run_swarm, self.members, self.kinds)

    def again(self, seed: int) -> str:
        """The command that runs a seed again."""
        return f"raftstore chaos --seeds {seed}"

    def write(self, path: Path, outcome: Outcome) -> None:
        """Write a seed's run to a file that replays it."""
        write_replay(path, draw_chaos(outcome.seed, self.members, self.kinds), outcome)

    def shrink(self, outcome: Outcome, on_run: Callable[[int, int], None]) -> Shrunk[StoreChaos]:
        """Make a failing run smaller."""
        options = draw_chaos(outcome.seed, self.members, self.kinds)
        run = partial(run_store, seed=outcome.seed)
        return shrink(run, options, outcome, outcome.checks[0], on_run=on_run)

    def write_shrunk(self, path: Path, shrunk: Shrunk[StoreChaos]) -> None:
        """Write the smaller run to a file that replays it."""
        write_replay(path, shrunk.options, shrunk.outcome)


def _parse_faults(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    names = [name.strip() for value in values for name in value.split(",") if name.strip()]
    if values and not names:
        raise click.BadParameter(
            f"names no fault; there are the groups {', '.join(faults_of_groups())}"
        )
    try:
        return kinds_of(names)
    except UnknownFaultError as error:
        raise click.BadParameter(str(error)) from None


@click.command(epilog=EXAMPLES, short_help="Break a cluster at random, seed by seed.")
@click.option(
    "--seeds",
    metavar="A..B",
    callback=parse_seeds,
    default="1..100",
    show_default=True,
    help="The seeds to run, both ends included.",
)
@jobs_option
@click.option(
    "--members", type=click.Choice(["3", "5"]), default="3", show_default=True, help="Of a cluster."
)
@click.option(
    "--faults",
    "kinds",
    metavar="KIND,...",
    multiple=True,
    callback=_parse_faults,
    help=(
        "Only these kinds of fault, or groups of them: "
        f"{', '.join(faults_of_groups())}. Default: all."
    ),
)
@report_option
@shrink_option
@replay_option
@json_option
def chaos(
    seeds: range,
    jobs: int,
    members: str,
    kinds: tuple[str, ...],
    report: Path,
    shrinking: bool,
    replay: Path | None,
    as_json: bool,
) -> None:
    """Run clusters of the store on a simulated network, break them, heal them, check everything.

    Each seed draws which faults strike, when and how hard, and what the clients ask for. After the
    faults everything is healed, and the cluster must serve again and agree. A seed that violates a
    guarantee is shrunk to a small schedule of faults and written to a file that replays it. Exit
    status: 0 nothing found, 1 a guarantee was violated, 2 wrong usage, 130 interrupted.
    """
    configure_logs("error")
    console = None if as_json else make_console()
    if replay is not None:
        refuse_with_replay("seeds", "members", "kinds")
        _replay(replay, console)
        return
    check_report(report)
    campaign = Campaign(Store(int(members), kinds), report, console)
    interrupted = campaign.run(seeds, jobs)
    if shrinking and not interrupted:
        interrupted = campaign.shrink()
    _tell(campaign, len(seeds), kinds, console)
    if interrupted:
        raise SystemExit(INTERRUPTED)
    if campaign.failed:
        raise SystemExit(EXPECTATION_FAILED)


def _tell(campaign: Campaign, wanted: int, kinds: tuple[str, ...], console: Console | None) -> None:
    """The summary, on the console or as JSON."""
    outcomes = campaign.outcomes
    if console is None:
        click.echo(json.dumps(to_json(outcomes, campaign.files, campaign.watch.seconds)))
        return
    if len(outcomes) == 1:
        print_run(console, outcomes[0])
    if outcomes:
        console.print(exercised_table(outcomes, kinds))
    console.print(verdict(outcomes, wanted, campaign.watch.seconds))
    for seed, path in campaign.files.items():
        text = f"replay seed {seed}: raftstore chaos --replay {path}"
        console.print(Text(text), soft_wrap=True)


def _replay(path: Path, console: Console | None) -> None:
    """Run a replay file; the exit status says whether it still finds something."""
    run_replay(
        path,
        console,
        read_replay,
        lambda replay: run_store(replay.options, replay.seed),
        lambda outcome: to_json([outcome], {}, 0.0),
    )
