"""`k8sactors serve`: a cluster on real time, for `kubectl` and other Kubernetes clients."""

from __future__ import annotations

from pathlib import Path

import click

from k8sactors.api.errors import StatusError
from k8sactors.api.located_yaml import Problem
from k8sactors.cli.access import ServedAccess, access_options
from k8sactors.cli.admission import plugin_choice, read_admission_configuration
from k8sactors.cli.input import BAD_INPUT, print_problems
from k8sactors.cli.options import Logs, log_format_option, log_level_option
from k8sactors.cli.store import StoreAddress, check, store_options
from k8sactors.cluster.addresses import SERVICE_NETWORK
from k8sactors.cluster.data_directory import kept_topology
from k8sactors.cluster.defaults import (
    NODE_PORTS,
    REQUESTS_IN_FLIGHT,
    SERVED_TOPOLOGY,
    SERVED_WORKERS,
    TOPOLOGIES,
    TopologyName,
)
from k8sactors.cluster.errors import ClusterError, DataDirectoryError, ImpossibleClusterError
from k8sactors.cluster.restoring import snapshot_topology
from k8sactors.cluster.spec import ClusterSpec
from k8sactors.observe.logs import LogFormat, LogLevel
from k8sactors.scenario.manifests import read_manifests

MAX_PORT = 65_535
UNLIMITED = 1_000_000_000
EXAMPLES = """
\b
Examples:
  k8sactors serve                              the API on https://127.0.0.1:8001
  kubectl -s http://127.0.0.1:8001 get nodes   plain HTTP, on this machine only
  k8sactors serve --topology stacked --workers 5 app.yaml
  k8sactors serve --data-dir ./cluster         the state outlives the process
  k8sactors serve --kubeconfig ./kubeconfig    then: export KUBECONFIG=./kubeconfig
  k8sactors serve --token-auth-file tokens.csv --cert-dir ./pki
  k8sactors serve --store etcd://127.0.0.1:2379,127.0.0.1:2380,127.0.0.1:2381
"""


def _port_range(_ctx: click.Context, _param: click.Parameter, value: str) -> tuple[int, int]:
    first, separator, last = value.partition("-")
    if not (separator and first.isdigit() and last.isdigit()):
        raise click.BadParameter(f"{value!r} is no range of ports; write for instance 30000-32767")
    return int(first), int(last)


def _settings(_ctx: click.Context, _param: click.Parameter, value: str) -> dict[str, str]:
    pairs = (each.strip().partition("=") for each in value.split(",") if each.strip())
    return {key.strip(): text.strip() for key, _, text in pairs}


@click.command(epilog=EXAMPLES, short_help="Serve a cluster to kubectl, on real time.")
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port",
    default=8001,
    show_default=True,
    type=click.IntRange(0, MAX_PORT),
    help="0: an unused one, which is printed.",
)
@click.option(
    "--topology",
    type=click.Choice(TOPOLOGIES),
    help=f"[default: that of --data-dir, else {SERVED_TOPOLOGY}]",
)
@click.option(
    "--workers",
    type=click.IntRange(0, 1000),
    default=SERVED_WORKERS,
    show_default=True,
    help="How many nodes.",
)
@click.option(
    "--speed",
    type=click.FloatRange(0.01, 1000),
    default=1.0,
    show_default=True,
    help="Seconds of the cluster in a second of yours. Clients see the cluster's time.",
)
@click.option(
    "--kubeconfig",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write the administrator's configuration for kubectl.  [default: a temporary "
    "file, which is printed]",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the state is kept, with the CA and the keys: the next start continues with it, "
    "also after the process was killed.  [default: in memory]",
)
@click.option(
    "--snapshot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the state is saved on stop, as a snapshot for etcdctl and etcdutl.",
)
@click.option(
    "--restore",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A file of --snapshot, of which the cluster is made; with --data-dir a new directory.",
)
@click.option(
    "--service-cluster-ip-range",
    "service_cidr",
    default=str(SERVICE_NETWORK),
    show_default=True,
    metavar="CIDR",
    help="Where Services have their cluster IPs from.",
)
@click.option(
    "--service-node-port-range",
    "node_ports",
    default="-".join(map(str, NODE_PORTS)),
    show_default=True,
    metavar="FIRST-LAST",
    callback=_port_range,
    help="Where Services have their node ports from.",
)
@access_options
@click.option(
    "--runtime-config",
    default="",
    metavar="KEY=BOOL,...",
    callback=_settings,
    help="Versions of API groups to serve or not: api/all=false, apps/v1=true, /v1=true.",
)
@click.option(
    "--feature-gates",
    default="",
    metavar="NAME=BOOL,...",
    callback=_settings,
    help="Features to turn on or off, with the names and defaults of the real server.",
)
@click.option(
    "--max-requests-inflight",
    type=click.IntRange(0, UNLIMITED),
    default=REQUESTS_IN_FLIGHT,
    show_default=True,
    help="Reads in flight; with --max-mutating-requests-inflight the seats that priority levels "
    "share. 0: no limit.",
)
@click.option(
    "--max-mutating-requests-inflight",
    type=click.IntRange(0, UNLIMITED),
    default=REQUESTS_IN_FLIGHT,
    show_default=True,
    help="Writes in flight. 0: no limit.",
)
@click.option(
    "--enable-priority-and-fairness",
    type=click.BOOL,
    default=True,
    show_default=True,
    help="Off: the two limits are limits, and what finds no room gets 429.",
)
@click.option(
    "--enable-admission-plugins",
    "enabled",
    default="",
    metavar="NAMES",
    help="Admission plugins to run next to those that run by default, separated by commas.",
)
@click.option(
    "--disable-admission-plugins",
    "disabled",
    default="",
    metavar="NAMES",
    help="Admission plugins not to run, separated by commas.",
)
@click.option(
    "--admission-control-config-file",
    "admission_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="An AdmissionConfiguration: how plugins are configured.",
)
@click.option(
    "--controllers",
    default="*",
    metavar="NAMES",
    help="Controllers to run, separated by commas: * for all, a name, -name for all but that one.",
)
@store_options
@log_level_option
@log_format_option
def serve(
    files: tuple[Path, ...],
    host: str,
    port: int,
    topology: TopologyName | None,
    workers: int,
    speed: float,
    kubeconfig: Path | None,
    data_dir: Path | None,
    snapshot: Path | None,
    restore: Path | None,
    service_cidr: str,
    node_ports: tuple[int, int],
    access: ServedAccess,
    runtime_config: dict[str, str],
    feature_gates: dict[str, str],
    max_requests_inflight: int,
    max_mutating_requests_inflight: int,
    enable_priority_and_fairness: bool,
    enabled: str,
    disabled: str,
    admission_file: Path | None,
    controllers: str,
    store: StoreAddress | None,
    log_level: LogLevel,
    log_format: LogFormat,
) -> None:
    """Run a cluster on real time and serve its API until interrupted.

    The objects in each FILE of Kubernetes YAML are applied at the start.

    Its state is in memory, unless --data-dir or --store says where it is kept: then the cluster
    continues with the state that is there already. Nodes of the same names register again, and the
    containers of their pods are started again.

    The port speaks TLS with a certificate of the cluster's own CA; the kubeconfig has what a client
    needs. Programs of the same machine may use plain HTTP on the same port, and are the
    administrator unless --token-auth-file or --anonymous-auth is given.

    Exit status: 0 interrupted, 1 a port or a store cannot be used, 2 bad input.
    """
    try:
        from k8sactors.cli.serving import Serving, run_until_signal  # noqa: PLC0415 - an extra
        from k8sactors.gateway.pki import CertificateFileError  # noqa: PLC0415 - an extra
    except ImportError as error:
        text = f"serving needs more packages ({error}): pip install 'k8sactors[serve]'"
        raise click.ClickException(text) from error
    try:
        on, off = plugin_choice(enabled, disabled)
        spec = ClusterSpec(
            topology=topology
            or kept_topology(data_dir)
            or snapshot_topology(restore)
            or SERVED_TOPOLOGY,
            workers=workers,
            access=access.options,
            service_cidr=service_cidr,
            node_ports=node_ports,
            enable_admission_plugins=on,
            disable_admission_plugins=off,
            admission_configuration=read_admission_configuration(admission_file),
            runtime_config=runtime_config,
            feature_gates=feature_gates,
            max_readonly_in_flight=max_requests_inflight or UNLIMITED,
            max_mutating_in_flight=max_mutating_requests_inflight or UNLIMITED,
            enable_priority_and_fairness=enable_priority_and_fairness,
            controllers=tuple(filter(None, (each.strip() for each in controllers.split(",")))),
        )
        if store is not None:
            spec = spec.on_store(store.endpoints, store.tls)
    except ImpossibleClusterError as error:
        raise click.UsageError(str(error)) from error
    except DataDirectoryError as error:
        raise click.ClickException(str(error)) from error
    if data_dir is not None and store is not None:
        raise click.UsageError(
            "the state is kept either in --data-dir or in --store; leave one out"
        )
    if snapshot is not None and store is not None:
        raise click.UsageError("--snapshot: save it from the etcd of --store, with etcdctl")
    if restore is not None and store is not None:
        raise click.UsageError("--restore: restore it with etcdutl, into the etcd of --store")
    if spec.problems():
        raise click.UsageError("; ".join(spec.problems()))
    problems: list[Problem] = []
    objects = [each for path in files for each in read_manifests(path, str(path), problems)]
    if problems:
        print_problems(problems)
        raise SystemExit(BAD_INPUT)
    if store is not None:
        check(store, empty=False)
    serving = Serving(
        spec, host, port, access, objects, kubeconfig, data_dir, speed, snapshot, restore
    )
    try:
        run_until_signal(serving, Logs(log_level, log_format))
    except (OSError, ClusterError, StatusError, CertificateFileError) as error:
        raise click.ClickException(str(error)) from error
