"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from os import cpu_count
from pathlib import Path
from typing import Any

import attrs
import click

from k8sactors.cluster.defaults import TOPOLOGIES
from k8sactors.observe.logs import FORMATS, LEVELS, LogFormat, LogLevel

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _whole_number(
    _context: click.Context, _parameter: click.Parameter, text: str | None
) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()):
        raise click.BadParameter(f"expected a whole number, 0 or more; got {text!r}")
    return int(text)


def parse_seeds(_context: click.Context, _parameter: click.Parameter, value: str) -> range:
    """`A..B`, both included, or a single seed; anything else is bad input."""
    first, dots, last = value.partition("..")
    if not (first.isdecimal() and (last.isdecimal() if dots else not last)):
        raise click.BadParameter(
            f"{value!r} is no range of seeds; expected A..B, as in 1..200, or one seed"
        )
    seeds = range(int(first), int(last or first) + 1)
    if not seeds:
        raise click.BadParameter(f"{value!r} is empty: {first} comes after {last}")
    return seeds


@attrs.frozen
class Logs:
    """What is logged during a run, and how."""

    level: LogLevel = "error"
    format: LogFormat = "text"


scenario_file: Decorator = click.argument("file", type=click.Path(path_type=Path))
seed_option: Decorator = click.option(
    "--seed",
    metavar="NUMBER",
    callback=_whole_number,
    help="Decides all chance; replaces the file's seed.",
)
topology_option: Decorator = click.option(
    "--topology", type=click.Choice(TOPOLOGIES), help="Replaces the file's topology."
)
manifest_option: Decorator = click.option(
    "--manifest",
    "manifests",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Kubernetes YAML for scenarios that apply the caller's manifests; may be repeated.",
)
json_option: Decorator = click.option("--json", "as_json", is_flag=True, help="Print only JSON.")
jobs_option: Decorator = click.option(
    "--jobs", type=click.IntRange(min=1), default=cpu_count, help="Processes; default: all cores."
)
log_level_option: Decorator = click.option(
    "--log-level",
    type=click.Choice(LEVELS),
    default="error",
    show_default=True,
    help="What components log, to standard error.",
)
log_format_option: Decorator = click.option(
    "--log-format",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="json: one object per line with ts (virtual seconds), actor, host, event.",
)
