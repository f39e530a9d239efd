"""`raftstore chaos`: the store under random faults, seed by seed, judged by every checker."""

import json
from collections.abc import Sequence
from functools import partial
from os import W_OK, X_OK, access
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from k8sactors.chaos.campaign import run_campaign
from k8sactors.chaos.outcome import Outcome
from k8sactors.chaos.replay import BadReplayError, Replay, read_replay, write_replay
from k8sactors.chaos.shrink import MOST_RUNS, Shrunk, shrink
from k8sactors.chaos.store_options import StoreChaos
from k8sactors.chaos.store_run import run_store
from k8sactors.chaos.swarm import GROUPS, draw_chaos, kinds_of, run_swarm
from k8sactors.cli.execution import make_console
from k8sactors.cli.input import EXPECTATION_FAILED
from k8sactors.cli.options import jobs_option, json_option, parse_seeds
from k8sactors.cli.store_report import (
    exercised_table,
    print_findings,
    print_shrunk,
    to_json,
    verdict,
)
from k8sactors.faults import UnknownFaultError
from k8sactors.observe.logs import configure_logs
from k8sactors.observe.stopwatch import Stopwatch
from k8sactors.observe.style import span

LINE_S = 10.0
"""How often a campaign whose output is no terminal says that it goes on."""
MOST_SHRUNK = 3
"""How many failing seeds are made small; the others can be, one by one."""
INTERRUPTED = 130

EXAMPLES = """
\b
Examples:
  raftstore chaos --seeds 1..1000 --jobs 2
  raftstore chaos --seeds 1..200 --members 5 --faults network,process
  raftstore chaos --seeds 17..17                       one seed, in detail
  raftstore chaos --replay chaos-report/seed-17.yaml   a finding, once more
"""


def _parse_faults(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    names = [name.strip() for value in values for name in value.split(",") if name.strip()]
    if values and not names:
        raise click.BadParameter(f"names no fault; there are the groups {', '.join(GROUPS)}")
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
    help=f"Only these kinds of fault, or groups of them: {', '.join(GROUPS)}. Default: all.",
)
@click.option(
    "--report",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("chaos-report"),
    show_default=True,
    help="Where the replay files of failing seeds go; made when needed.",
)
@click.option("--shrink/--no-shrink", "shrinking", default=True, help="Make failing runs small.")
@click.option(
    "--replay",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Run what a replay file says instead, exactly.",
)
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
        _refuse_beside_replay()
        _replay(replay, console)
        return
    _check_report(report)
    campaign = Campaign(int(members), kinds, report, console)
    interrupted = campaign.run(seeds, jobs)
    if shrinking and not interrupted:
        interrupted = campaign.shrink()
    campaign.tell(len(seeds))
    if interrupted:
        raise SystemExit(INTERRUPTED)
    if campaign.failed:
        raise SystemExit(EXPECTATION_FAILED)


def _refuse_beside_replay() -> None:
    """A file says all of this already; it would be taken for what is run."""
    context = click.get_current_context()
    for name in ("seeds", "members", "kinds"):
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            (option,) = [each for each in context.command.params if each.name == name]
            raise click.UsageError(f"{option.opts[0]} does not go with --replay: the file says it")


def _check_report(report: Path) -> None:
    """Findings must not be lost at the end of a long campaign."""
    place = next(each for each in (report, *report.absolute().parents) if each.exists())
    if not place.is_dir() or not access(place, W_OK | X_OK):
        raise click.BadParameter(
            f"cannot write to {place}; choose another directory", param_hint="'--report'"
        )


class Campaign:
    """Runs seeds, shows what they find, and makes the findings small."""

    def __init__(
        self, members: int, kinds: tuple[str, ...], report: Path, console: Console | None
    ) -> None:
        self.outcomes: list[Outcome] = []
        self.files: dict[int, str] = {}
        self._members = members
        self._kinds = kinds
        self._report = report
        self._console = console
        self._shown = console or Console(quiet=True)
        self._watch = Stopwatch()

    @property
    def failed(self) -> list[Outcome]:
        """The outcomes with findings."""
        return [outcome for outcome in self.outcomes if outcome.findings]

    def run(self, seeds: Sequence[int], jobs: int) -> bool:
        """Run all seeds; whether that was interrupted."""
        columns = (
            TextColumn("seeds"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(
                "{task.fields[found]} failed, {task.fields[virtual]} simulated", style="dim"
            ),
            TimeElapsedColumn(),
        )
        told_s, virtual_s, failed = 0.0, 0.0, 0
        hidden = self._console is None
        run_seed = partial(run_swarm, self._members, self._kinds)
        try:
            with Progress(
                *columns, console=self._shown, transient=True, disable=hidden
            ) as progress:
                task = progress.add_task("seeds", total=len(seeds), found=0, virtual=span(0))
                for outcome in run_campaign(run_seed, seeds, jobs):
                    self.outcomes.append(outcome)
                    if outcome.findings:
                        self._found(outcome)
                    virtual_s += outcome.virtual_seconds
                    failed += bool(outcome.findings)
                    progress.update(task, advance=1, virtual=span(virtual_s), found=failed)
                    if not self._shown.is_terminal and self._watch.seconds - told_s >= LINE_S:
                        told_s = self._watch.seconds
                        done = f"{len(self.outcomes)} of {len(seeds)} seeds"
                        self._shown.print(f"{done}, {failed} failed")
        except KeyboardInterrupt:
            return True
        finally:
            self.outcomes.sort(key=lambda each: each.seed)
        return False

    def _found(self, outcome: Outcome) -> None:
        """Show a finding, and write it down as it is, before anything else can go wrong."""
        print_findings(self._shown, outcome)
        self._write(outcome.seed, draw_chaos(outcome.seed, self._members, self._kinds), outcome)

    def _write(self, seed: int, chaos: StoreChaos, outcome: Outcome) -> None:
        path = self._report / f"seed-{seed}.yaml"
        try:
            self._report.mkdir(parents=True, exist_ok=True)
            write_replay(path, seed, chaos, outcome)
            picture = path.with_suffix(".svg")
            if outcome.picture:
                picture.write_text(outcome.picture, encoding="utf-8")
            else:
                picture.unlink(missing_ok=True)
        except OSError as error:
            # The other seeds are still worth running, and this one can be run again.
            again = f"`raftstore chaos --seeds {seed}` finds it again"
            click.echo(f"cannot write {path}: {error.strerror}; {again}", err=True)
            return
        self.files[seed] = str(path)

    def shrink(self) -> bool:
        """Make the first failing seeds small; whether that was interrupted."""
        for outcome in self.failed[:MOST_SHRUNK]:
            if not outcome.trace_hash:
                continue  # it never ended
            try:
                shrunk = self._shrink(outcome)
            except KeyboardInterrupt:
                return True
            self._write(outcome.seed, shrunk.chaos, shrunk.outcome)
            print_shrunk(self._shown, outcome, shrunk, self.files.get(outcome.seed, ""))
        return False

    def _shrink(self, outcome: Outcome) -> Shrunk:
        chaos = draw_chaos(outcome.seed, self._members, self._kinds)
        text = f"shrinking seed {outcome.seed}"
        with self._shown.status(text) as status:

            def on_run(runs: int, faults: int) -> None:
                status.update(f"{text}: {runs} of at most {MOST_RUNS} runs, {faults} faults left")

            return shrink(
                partial(run_store, seed=outcome.seed),
                chaos,
                outcome,
                outcome.checks[0],
                on_run=on_run,
            )

    def tell(self, wanted: int) -> None:
        """The summary, on the console or as JSON."""
        if self._console is None:
            click.echo(json.dumps(to_json(self.outcomes, self.files, self._watch.seconds)))
            return
        if len(self.outcomes) == 1:
            _print_run(self._console, self.outcomes[0])
        if self.outcomes:
            self._console.print(exercised_table(self.outcomes, self._kinds))
        self._console.print(verdict(self.outcomes, wanted, self._watch.seconds))
        for seed, path in self.files.items():
            text = f"replay seed {seed}: raftstore chaos --replay {path}"
            self._console.print(Text(text), soft_wrap=True)


def _replay(path: Path, console: Console | None) -> None:
    """Run a replay file; the exit status says whether it still finds something."""
    try:
        replay = read_replay(path)
    except BadReplayError as error:
        raise click.UsageError(str(error)) from error
    try:
        outcome = run_store(replay.chaos, replay.seed)
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    same = outcome.trace_hash == replay.trace_hash
    if console is None:
        click.echo(json.dumps(_replay_to_json(replay, outcome)))
    else:
        _print_run(console, outcome)
        print_findings(console, outcome)
        picture = path.with_suffix(".svg")
        if outcome.picture and _draw(picture, outcome):
            console.print(Text(f"drawn in {picture}", style="dim"), soft_wrap=True)
        if not outcome.findings:
            console.print(Text("nothing found", style="bold green"))
        if replay.trace_hash and not same:
            console.print(
                Text(
                    "the trace differs from the recorded one: the file was edited, or the code is"
                    " another version",
                    style="yellow",
                )
            )
    if outcome.findings:
        raise SystemExit(EXPECTATION_FAILED)


def _draw(path: Path, outcome: Outcome) -> bool:
    """The picture of a finding beside its file, as when it was found."""
    try:
        path.write_text(outcome.picture, encoding="utf-8")
    except OSError:
        return False
    return True


def _replay_to_json(replay: Replay, outcome: Outcome) -> dict[str, Any]:
    return {
        **to_json([outcome], {}, 0.0),
        "same_trace": outcome.trace_hash == replay.trace_hash,
    }


def _print_run(console: Console, outcome: Outcome) -> None:
    """What one wants to know of a single seed."""
    console.print(Text("faults", style="bold"))
    for fault in outcome.faults:
        console.print(Text(f"  {fault}"))
    console.print(Text(f"trace {outcome.trace_hash}", style="dim"))
