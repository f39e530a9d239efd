"""Bad input, said the same way by every command."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from k8sactors.api.located_yaml import Problem

EXPECTATION_FAILED = 1
BAD_INPUT = 2


def print_problems(problems: Sequence[Problem], warnings: Sequence[str] = ()) -> None:
    """Print mistakes and warnings to standard error, one per line."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    for problem in problems:
        line = Text(f"{problem.file}:{problem.line}:{problem.column}: ", style="bold")
        if problem.key:
            line.append(f"{problem.key}: ", style="cyan")
        line.append(problem.message, style="not bold")
        console.print(line)
    for warning in warnings:
        console.print(Text.assemble(("warning: ", "yellow"), warning))
    if problems:
        number = f"{len(problems)} mistake" + ("s" if len(problems) > 1 else "")
        console.print(Text(f"{number}; nothing was started", style="red"))
