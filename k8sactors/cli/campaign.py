"""What both `chaos` commands have in common: seeds, findings, shrinking, replay files."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from os import W_OK, X_OK, access
from pathlib import Path
from typing import Any, Protocol, TypeVar

import click
from click.core import ParameterSource
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from k8sactors.chaos.campaign import RunSeed, run_campaign
from k8sactors.chaos.outcome import Outcome
from k8sactors.chaos.replay import BadReplayError, Replay
from k8sactors.chaos.shrink import MOST_RUNS, Shrunk
from k8sactors.cli.input import EXPECTATION_FAILED
from k8sactors.cli.store_report import print_findings, print_shrunk
from k8sactors.observe.stopwatch import Stopwatch
from k8sactors.report.style import span

LINE_S = 10.0
"""How often a campaign whose output is no terminal says that it continues."""
MOST_SHRUNK = 3
"""How many failing seeds are made small; the others can be, one by one."""
INTERRUPTED = 130

ReplayT = TypeVar("ReplayT", bound=Replay[Any])


class Subject(Protocol):
    """What a campaign breaks: a store, or the cluster of a scenario."""

    @property
    def run_seed(self) -> RunSeed:
        """Runs one seed; picklable."""

    def again(self, seed: int) -> str:
        """The command that runs a seed again."""

    def write(self, path: Path, outcome: Outcome) -> None:
        """Write a seed's run to a file that replays it."""

    def shrink(self, outcome: Outcome, on_run: Callable[[int, int], None]) -> Shrunk[Any]:
        """Make a failing run smaller."""

    def write_shrunk(self, path: Path, shrunk: Shrunk[Any]) -> None:
        """Write the smaller run to a file that replays it."""


class Campaign:
    """Runs seeds, shows what they find, and makes the findings small."""

    def __init__(self, subject: Subject, report: Path, console: Console | None) -> None:
        self.outcomes: list[Outcome] = []
        self.files: dict[int, str] = {}
        self.watch = Stopwatch()
        self._subject = subject
        self._report = report
        self._hidden = console is None
        self._shown = console or Console(quiet=True)

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
        told_s, virtual_s = 0.0, 0.0
        progress = Progress(*columns, console=self._shown, transient=True, disable=self._hidden)
        try:
            with progress:
                task = progress.add_task("seeds", total=len(seeds), found=0, virtual=span(0))
                for outcome in run_campaign(self._subject.run_seed, seeds, jobs):
                    self.outcomes.append(outcome)
                    if outcome.findings:
                        self._found(outcome)
                    virtual_s += outcome.virtual_seconds
                    failed = len(self.failed)
                    progress.update(task, advance=1, virtual=span(virtual_s), found=failed)
                    if not self._shown.is_terminal and self.watch.seconds - told_s >= LINE_S:
                        told_s = self.watch.seconds
                        done = f"{len(self.outcomes)} of {len(seeds)} seeds"
                        self._shown.print(f"{done}, {failed} failed")
        except KeyboardInterrupt:
            return True
        finally:
            self.outcomes.sort(key=lambda each: each.seed)
        return False

    def shrink(self) -> bool:
        """Make the first failing seeds small; whether that was interrupted."""
        for outcome in self.failed[:MOST_SHRUNK]:
            if not outcome.trace_hash:
                continue  # it never ended
            try:
                shrunk = self._shrink(outcome)
            except KeyboardInterrupt:
                return True
            self._write(shrunk.outcome, partial(self._write_shrunk, shrunk))
            print_shrunk(self._shown, outcome, shrunk, self.files.get(outcome.seed, ""))
        return False

    def _write_shrunk(self, shrunk: Shrunk[Any], path: Path) -> None:
        self._subject.write_shrunk(path, shrunk)

    def _shrink(self, outcome: Outcome) -> Shrunk[Any]:
        text = f"shrinking seed {outcome.seed}"
        with self._shown.status(text) as status:

            def on_run(runs: int, faults: int) -> None:
                status.update(f"{text}: {runs} of at most {MOST_RUNS} runs, {faults} faults left")

            return self._subject.shrink(outcome, on_run)

    def _found(self, outcome: Outcome) -> None:
        """Show a finding, and write it down as it is, before anything else can go wrong."""
        print_findings(self._shown, outcome)
        self._write(outcome, lambda path: self._subject.write(path, outcome))

    def _write(self, outcome: Outcome, write: Callable[[Path], None]) -> None:
        seed = outcome.seed
        path = self._report / f"seed-{seed}.yaml"
        try:
            self._report.mkdir(parents=True, exist_ok=True)
            write(path)
            draw(path, outcome)
        except OSError as error:
            # The other seeds are still worth running, and this one can be run again.
            again = f"`{self._subject.again(seed)}` finds it again"
            click.echo(f"cannot write {path}: {error.strerror}; {again}", err=True)
            return
        self.files[seed] = str(path)


def draw(path: Path, outcome: Outcome) -> Path | None:
    """The picture of a finding next to its file; where there is none, an old one goes.

    Raises:
        OSError: that is not possible.
    """
    picture = path.with_suffix(".svg")
    if not outcome.picture:
        picture.unlink(missing_ok=True)
        return None
    picture.write_text(outcome.picture, encoding="utf-8")
    return picture


def refuse_with_replay(*names: str) -> None:
    """A replay file says all of this already; it would be taken for what is run."""
    context = click.get_current_context()
    for name in names:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            (parameter,) = [each for each in context.command.params if each.name == name]
            shown = parameter.opts[0] if isinstance(parameter, click.Option) else "FILE"
            raise click.UsageError(f"{shown} does not go with --replay: the file says it")


def check_report(report: Path) -> None:
    """Findings must not be lost at the end of a long campaign."""
    place = next(each for each in (report, *report.absolute().parents) if each.exists())
    if not place.is_dir() or not access(place, W_OK | X_OK):
        raise click.BadParameter(
            f"cannot write to {place}; choose another directory", param_hint="'--report'"
        )


def print_run(console: Console, outcome: Outcome) -> None:
    """What one wants to know of a single seed."""
    console.print(Text("faults", style="bold"))
    for fault in outcome.faults:
        console.print(Text(f"  {fault}"))
    console.print(Text(f"trace {outcome.trace_hash}", style="dim"))


def run_replay(
    path: Path,
    console: Console | None,
    read: Callable[[Path], ReplayT],
    run: Callable[[ReplayT], Outcome],
    to_json: Callable[[Outcome], dict[str, Any]],
) -> None:
    """Run a replay file; the exit status says whether it still finds something.

    Args:
        path: the file.
        console: where its result is printed; None for JSON.
        read: reads the file, raises BadReplayError.
        run: runs what was read.
        to_json: the result as JSON.
    """
    try:
        replay = read(path)
    except BadReplayError as error:
        raise click.UsageError(str(error)) from error
    try:
        outcome = run(replay)
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    if console is None:
        same = outcome.trace_hash == replay.trace_hash
        click.echo(json.dumps({**to_json(outcome), "same_trace": same}))
    else:
        _print_replay(console, outcome, replay.trace_hash)
        picture = _drawn(path, outcome)
        if picture is not None:
            console.print(Text(f"drawn in {picture}", style="dim"), soft_wrap=True)
    if outcome.findings:
        raise SystemExit(EXPECTATION_FAILED)


def _drawn(path: Path, outcome: Outcome) -> Path | None:
    """The picture of a finding next to its file, as when it was found, where that is possible."""
    try:
        return draw(path, outcome)
    except OSError:
        return None


def _print_replay(console: Console, outcome: Outcome, recorded_hash: str) -> None:
    """What a replay found, and whether it was the run that was recorded."""
    print_run(console, outcome)
    print_findings(console, outcome)
    if not outcome.findings:
        console.print(Text("nothing found", style="bold green"))
    if recorded_hash and outcome.trace_hash != recorded_hash:
        text = (
            "the trace differs from the recorded one: the file was edited, or the code is another"
            " version"
        )
        console.print(Text(text, style="yellow"))


report_option = click.option(
    "--report",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("chaos-report"),
    show_default=True,
    help="Where the replay files of failing seeds go; made when needed.",
)
shrink_option = click.option(
    "--shrink/--no-shrink", "shrinking", default=True, help="Make failing runs small."
)
replay_option = click.option(
    "--replay",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Run what a replay file says instead, exactly.",
)
