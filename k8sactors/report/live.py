"""Live progress of a run: what happens now, how fast, and how the cluster is.

On a terminal a small panel is redrawn in place and finished steps scroll above it; elsewhere each
finished step is one line, and a long one says every few seconds that it continues.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from k8sactors.observe.stopwatch import Stopwatch
from k8sactors.observe.text import few
from k8sactors.report.style import RUNNING, clock, count, mark, span
from k8sactors.scenario.result import FAILED, PASSED, RunResult, StepResult
from k8sactors.scenario.runner import Progress
from k8sactors.simulation import SECOND

_REDRAW_S = 0.1
_LINE_S = 10.0
_DETAIL_LINES = 12
_POD_STYLES = {
    "Running": "green",
    "Succeeded": "green",
    "Pending": "yellow",
    "Terminating": "magenta",
    "Failed": "red",
}


class Quiet:
    """An observer that says nothing, for `--json`."""

    def planned(self, result: RunResult) -> None:
        """Say nothing."""

    def step_started(self, step: StepResult) -> None:
        """Say nothing."""

    def step_ended(self, step: StepResult) -> None:
        """Say nothing."""

    def progress(self, progress: Progress) -> None:
        """Say nothing."""


class LiveView:
    """An observer that shows a run on a console; use it as a context manager."""

    def __init__(self, console: Console, heading: str) -> None:
        self.console = console
        self.heading = heading
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._watch = Stopwatch()
        self._drawn_s = -1.0
        self._result: RunResult | None = None
        self._running: list[StepResult] = []
        self._progress: Progress | None = None

    def __enter__(self) -> Self:
        """Begin to draw."""
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove the panel; finished steps stay."""
        self._live.stop()

    def planned(self, result: RunResult) -> None:
        """Remember what will be done."""
        self._result = result
        self.console.print(Text(self.heading, style="bold"))

    def step_started(self, step: StepResult) -> None:
        """Show the step as current."""
        self._running.append(step)
        self._draw(at_once=True)

    def step_ended(self, step: StepResult) -> None:
        """Print the finished step above the panel."""
        self._running = [each for each in self._running if each is not step]
        self.console.print(finished_step(step))
        self._draw(at_once=True)

    def progress(self, progress: Progress) -> None:
        """Redraw the panel, not more often than one can see."""
        self._progress = progress
        self._draw()

    def _draw(self, *, at_once: bool = False) -> None:
        now_s = self._watch.seconds
        if not self.console.is_terminal:
            self._say_that_it_continues(now_s, ended=at_once)
            return
        if at_once or now_s - self._drawn_s >= _REDRAW_S:
            self._drawn_s = now_s
            self._live.update(self._panel(now_s), refresh=True)

    def _say_that_it_continues(self, now_s: float, *, ended: bool) -> None:
        progress = self._progress
        if ended or progress is None:
            self._drawn_s = now_s
        elif now_s - self._drawn_s >= _LINE_S:
            self._drawn_s = now_s
            titles = ", ".join(step.title for step in self._running) or "running"
            speed = progress.virtual_ns / SECOND / now_s
            line = f"{clock(progress.virtual_ns):>8} {RUNNING[0]}      {titles} ({speed:.0f}x)"
            self.console.print(Text(line, style="dim"))

    def _panel(self, wall_s: float) -> RenderableType:
        result, progress = self._result, self._progress
        lines: list[RenderableType] = []
        for step in self._running:
            total = len(result.steps) - 1 if result else 0
            lines.append(
                Text.assemble(RUNNING, f" step {step.number} of {total}  ", (step.title, "bold"))
            )
        if progress is not None:
            if progress.waiting_for:
                lines.append(Text(f"  waiting: {progress.waiting_for}", style="dim", no_wrap=True))
            lines.append(_figures(progress, wall_s))
        return Panel(Group(*lines), border_style="cyan", padding=(0, 1))


def _figures(progress: Progress, wall_s: float) -> RenderableType:
    virtual_s = progress.virtual_ns / SECOND
    grid = Table.grid(padding=(0, 2))
    for _ in range(4):
        grid.add_column()
    speed = virtual_s / wall_s if wall_s else 0.0
    leader = f"{progress.leader[0]}, term {progress.leader[1]}" if progress.leader else "none"
    rate = progress.messages / wall_s if wall_s else 0.0
    grid.add_row(
        Text("virtual time", style="dim"),
        f"{clock(progress.virtual_ns)}  ({speed:.0f}x real time)",
        Text("store leader", style="dim"),
        Text(leader, style="" if progress.leader else "bold red"),
    )
    pods = Text()
    for state, number in progress.pods.items():
        pods.append(f"{number} {state}  ", style=_POD_STYLES.get(state, ""))
    grid.add_row(
        Text("pods", style="dim"),
        pods or "none yet",
        Text("messages", style="dim"),
        f"{count(progress.messages)}  ({count(round(rate))}/s)",
    )
    return grid


def finished_step(step: StepResult) -> RenderableType:
    """A finished step: one line, what happened, and the table of a get step."""
    took = span((step.ended_ns - step.started_ns) / SECOND)
    line = Text.assemble(
        (f"{clock(step.started_ns):>8} ", "dim"), mark(step.status), f" {step.number:>4} "
    )
    style = "bold red" if step.status == FAILED else "yellow" if step.verb == "inject" else ""
    line.append(step.title, style=style)
    if step.ended_ns > step.started_ns:
        line.append(f"  {took}", style="dim")
    parts: list[RenderableType] = [line]
    for number, detail in enumerate(step.detail[:_DETAIL_LINES]):
        first = step.status == FAILED and number == 0
        parts.append(Text(f"{'':16}{detail}", style="red" if first else "dim"))
    if len(step.detail) > _DETAIL_LINES:
        parts.append(Text(f"{'':16}and {len(step.detail) - _DETAIL_LINES} more", style="dim"))
    if step.lost:
        parts.append(Text(f"{'':16}lost: {few(step.lost)}", style="dim yellow"))
    if step.table is not None and step.status == PASSED:
        parts.append(_table(step))
    return Group(*parts)


def _table(step: StepResult) -> RenderableType:
    assert step.table is not None
    table = Table(box=None, pad_edge=False, padding=(0, 2), header_style="bold")
    table.add_column("", width=14)
    for column in step.table.columns:
        table.add_column(column, no_wrap=True)
    for row in step.table.rows:
        table.add_row("", *row)
    return table
