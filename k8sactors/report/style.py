"""How reports look: one place for marks, colours and the wording of times."""

from __future__ import annotations

from rich.text import Text

from k8sactors.scenario.result import FAILED, PASSED, SKIPPED
from k8sactors.simulation import SECOND

MARKS = {PASSED: ("✔", "green"), FAILED: ("✘", "bold red"), SKIPPED: ("·", "dim")}
RUNNING = ("▶", "bold cyan")


def mark(status: str) -> Text:
    """A coloured mark for a step's status."""
    symbol, style = MARKS[status]
    return Text(symbol, style=style)


def clock(time_ns: int) -> str:
    """Virtual time as minutes and seconds: `02:07.5`."""
    seconds = time_ns / SECOND
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes):02d}:{rest:04.1f}"


def span(seconds: float) -> str:
    """A length of time: `350 ms`, `12.3 s`, `2 min 5 s`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:  # noqa: PLR2004 - two minutes read better as seconds
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def count(number: int) -> str:
    """A large number in groups of three."""
    return f"{number:,}".replace(",", " ")
