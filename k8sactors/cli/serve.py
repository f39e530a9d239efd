"""`k8sactors serve`: a cluster on real time, for `kubectl` and other Kubernetes clients."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from k8sactors.api.errors import StatusError
from k8sactors.api.located_yaml import Problem
from k8sactors.cli.input import BAD_INPUT, print_problems
from k8sactors.cli.options import Logs, log_format_option, log_level_option
from k8sactors.cli.store import StoreAddress, check, store_options
from k8sactors.errors import ImpossibleClusterError, NotReadyError
from k8sactors.observe.logs import LogFormat, LogLevel
from k8sactors.scenario.manifests import read_manifests
from k8sactors.topology import TOPOLOGIES, ClusterSpec

if TYPE_CHECKING:
    from k8sactors.topology import TopologyName

MAX_PORT = 65_535
EXAMPLES = """
\b
Examples:
  k8sactors serve                              the API on http://127.0.0.1:8001
  kubectl -s http://127.0.0.1:8001 get nodes
  k8sactors serve --topology stacked --workers 5 --manifest app.yaml
  k8sactors serve --kubeconfig ./kubeconfig    then: export KUBECONFIG=./kubeconfig
  k8sactors serve --store etcd://127.0.0.1:2379,127.0.0.1:2380,127.0.0.1:2381
"""


@click.command(epilog=EXAMPLES, short_help="Serve a cluster to kubectl, on real time.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port",
    default=8001,
    show_default=True,
    type=click.IntRange(0, MAX_PORT),
    help="0: an unused one, which is printed.",
)
@click.option("--topology", type=click.Choice(TOPOLOGIES), default="single", show_default=True)
@click.option(
    "--workers", type=click.IntRange(0, 1000), default=2, show_default=True, help="How many nodes."
)
@click.option(
    "--manifest",
    "manifests",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Kubernetes YAML to apply at the start; may be repeated.",
)
@click.option(
    "--kubeconfig",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a configuration for kubectl to this file.",
)
@store_options
@log_level_option
@log_format_option
def serve(
    host: str,
    port: int,
    topology: TopologyName,
    workers: int,
    manifests: tuple[Path, ...],
    kubeconfig: Path | None,
    store: StoreAddress | None,
    log_level: LogLevel,
    log_format: LogFormat,
) -> None:
    """Run a cluster on real time and serve its API until interrupted.

    Without --store its state is in memory. With it, state that is there already is gone on with:
    nodes of the same names register again, and controllers continue. Whoever reaches the port is
    the administrator.

    Exit status: 0 interrupted, 1 a port or a store cannot be used, 2 bad input.
    """
    try:
        from k8sactors.cli.serving import Serving, run_until_signal  # noqa: PLC0415 - an extra
    except ImportError as error:
        text = f"serving needs more packages ({error}): pip install 'k8sactors[serve]'"
        raise click.ClickException(text) from error
    try:
        spec = ClusterSpec(topology=topology, workers=workers)
        if store is not None:
            spec = spec.on_store(store.endpoints, store.tls)
    except ImpossibleClusterError as error:
        raise click.UsageError(str(error)) from error
    problems: list[Problem] = []
    objects = [each for path in manifests for each in read_manifests(path, str(path), problems)]
    if problems:
        print_problems(problems)
        raise SystemExit(BAD_INPUT)
    if store is not None:
        check(store, empty=False)
    serving = Serving(spec, host, port, objects, kubeconfig)
    try:
        run_until_signal(serving, Logs(log_level, log_format))
    except (OSError, NotReadyError, StatusError) as error:
        raise click.ClickException(str(error)) from error
