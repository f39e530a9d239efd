"""Options that several commands share."""

from collections.abc import Callable
from os import cpu_count
from pathlib import Path
from typing import Any

import click

from k8sactors.topology import TOPOLOGIES

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

scenario_file: Decorator = click.argument("file", type=click.Path(path_type=Path))
seed_option: Decorator = click.option(
    "--seed", type=click.IntRange(min=0), help="Decides all chance; replaces the file's seed."
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
