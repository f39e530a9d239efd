"""The tables of docs/scenario-format.md: steps, faults and conditions from their records."""

from __future__ import annotations

from collections.abc import Iterable

from k8sactors.faults import FAULTS
from k8sactors.scenario.binding import Kind, Struct, settings_of
from k8sactors.scenario.fault_settings import settings_of as settings_of_fault
from k8sactors.scenario.vocabulary import CONDITIONS, STEPS


def steps_table() -> str:
    """Every step: its settings and what it does."""
    rows = [(kind.verb, keys_of(kind.settings), kind.about) for kind in STEPS.values()]
    return _table("step", "does", rows)


def conditions_table() -> str:
    """Every condition: its settings and when it holds."""
    rows = [(kind.verb, keys_of(kind.settings), kind.about) for kind in CONDITIONS.values()]
    return _table("condition", "holds when", rows)


def faults_table() -> str:
    """Every fault that a scenario can inject: what it strikes, its parameters, what it does."""
    lines = ["| fault | strikes | does |", "|---|---|---|"]
    for fault in FAULTS.values():
        keys = ", ".join(settings_of_fault(fault))
        lines.append(f"| `{fault.name}: {{{keys}}}` | {fault.strikes.value} | {fault.title} |")
    return "\n".join(lines)


def keys_of(settings: Kind) -> str:
    """The settings of a step or condition as they are written."""
    return (
        "{" + ", ".join(settings_of(settings.model)) + "}" if isinstance(settings, Struct) else ""
    )


def _table(first: str, second: str, rows: Iterable[tuple[str, str, str]]) -> str:
    lines = [f"| {first} | {second} |", "|---|---|"]
    for verb, keys, about in rows:
        written = f"{verb}: {keys}" if keys else verb
        lines.append(f"| `{written}` | {about} |")
    return "\n".join(lines)
