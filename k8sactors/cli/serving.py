"""What runs behind `k8sactors serve`: a cluster, its front door, and the way out."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import click
import trio

from k8sactors import simulation
from k8sactors.cli.access import ServedAccess
from k8sactors.cli.options import Logs
from k8sactors.cluster import Cluster
from k8sactors.cluster.data_directory import PKI, ClusterDirectory, open_cluster_directory
from k8sactors.cluster.restoring import companion, restore_directory, save_companion
from k8sactors.cluster.snapshot_file import save_snapshot
from k8sactors.cluster.spec import ClusterSpec
from k8sactors.gateway.pki import Pki
from k8sactors.observe.logs import configure_logs
from k8sactors.simulation import SECOND, RealClock
from raftstore.http.ports import is_loopback, listen

# Addresses at which a machine listens on all that it has.
UNSPECIFIED = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, not listened on

# After so many entries a member that keeps its log makes a snapshot (etcd: 10,000): a start reads
# all that came later.
KEPT_SNAPSHOT_ENTRIES = 10_000
KUBECONFIG = "admin.conf"
# Of real time, between two notes of how far the cluster's clock may have come. A note that is late,
# since the machine is busy, must still be ahead.
CLOCK_INTERVAL_S = 2.0
CLOCK_INTERVALS_AHEAD = 3


@attrs.frozen
class Serving:
    """What to serve, and where; `port` 0: an unused one."""

    spec: ClusterSpec
    host: str
    port: int
    access: ServedAccess
    objects: Sequence[dict[str, Any]] = ()
    kubeconfig: Path | None = None
    # Where the state is kept; None: in memory, or in the spec's remote store.
    data_dir: Path | None = None
    # Seconds of the cluster in a second of real time.
    speed: float = 1.0
    # Where the state is saved when serving ends in order.
    snapshot: Path | None = None
    # The snapshot that the cluster begins with.
    restore: Path | None = None


def run_until_signal(serving: Serving, logs: Logs) -> None:
    """Serve until interrupted or terminated.

    Raises:
        OSError: the port cannot be had, or the kubeconfig not be written.
        NotReadyError: the cluster did not come up.
        DataDirectoryError: the state cannot be kept there.
        StatusError: an object of a manifest was refused.
    """
    configure_logs(logs.level, logs.format)
    # What was made in the life before must not be made again, as uids and names of pods.
    seed = int.from_bytes(os.urandom(8), "big")
    with ExitStack() as stack:
        if serving.restore is not None and serving.data_dir is None:
            # What is restored lies on the disk, as long as it is served.
            made = tempfile.TemporaryDirectory(prefix="k8sactors-")
            data_dir = Path(stack.enter_context(made)) / "cluster"
            serving = attrs.evolve(serving, data_dir=data_dir)
        directory = stack.enter_context(_directory_of(serving))
        simulation.run(
            _until_signal, serving, directory, clock=_clock(serving, directory), seed=seed
        )


def _clock(serving: Serving, directory: ClusterDirectory | None) -> RealClock:
    bound_ns = 0 if directory is None else directory.clock_bound_ns()
    return RealClock.of_today(serving.speed, not_before_ns=bound_ns)


@contextmanager
def _directory_of(serving: Serving) -> Iterator[ClusterDirectory | None]:
    if serving.data_dir is None:
        yield None
        return
    if serving.restore is not None:
        restore_directory(serving.restore, serving.data_dir, serving.spec)
    directory = open_cluster_directory(serving.data_dir, serving.spec)
    try:
        yield directory
    finally:
        directory.release()


async def _until_signal(serving: Serving, directory: ClusterDirectory | None) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            ending = _Ending(nursery.cancel_scope)
            nursery.start_soon(ending.follow, signals)
            if directory is not None:
                nursery.start_soon(_keep_clock, directory, serving.speed)
            await _serve(serving, directory, ending)
            nursery.cancel_scope.cancel()


class _Ending:
    """What signals end: before the cluster is served, and by the second one, all at once."""

    def __init__(self, everything: trio.CancelScope) -> None:
        self._everything = everything
        self._signalled = trio.Event()
        self._serves = False

    async def follow(self, signals: AsyncIterator[int]) -> None:
        async for _ in signals:
            if not self._serves or self._signalled.is_set():
                self._everything.cancel()
            self._signalled.set()

    async def wait(self) -> None:
        """Wait for the first signal; then what is served ends in order."""
        self._serves = True
        await self._signalled.wait()


async def _keep_clock(directory: ClusterDirectory, speed: float) -> None:
    """Write down, ahead of time, how far the clock may have come when the process is killed."""
    interval_s = CLOCK_INTERVAL_S * speed
    while True:
        ahead_ns = round(CLOCK_INTERVALS_AHEAD * interval_s * SECOND)
        directory.keep_clock_bound(simulation.current().wall_ns() + ahead_ns)
        await trio.sleep(interval_s)


async def _serve(serving: Serving, directory: ClusterDirectory | None, ending: _Ending) -> None:
    # The port first: a cluster takes seconds to come up, and would be in vain without it.
    listener = await listen(serving.host, serving.port)
    own_listeners = await _own_listeners(serving)
    access = serving.access
    names = [] if serving.host in UNSPECIFIED else [serving.host]
    wall_ns = simulation.current().wall_ns()
    cert_dir = access.cert_dir
    if cert_dir is None and directory is not None:
        cert_dir = directory.pki
    if cert_dir is None and serving.snapshot is not None:
        # With the snapshot the keys are kept, too: tokens and certificates stay good.
        cert_dir = companion(serving.snapshot) / PKI
    pki = Pki.create(wall_ns, names) if cert_dir is None else Pki.keep(cert_dir, wall_ns, names)
    tls = pki.server_tls(access.client_ca)
    options = attrs.evolve(serving.spec.access, service_account_key=pki.token_key)
    # Pods find the CA in the ConfigMap kube-root-ca.crt of their namespace.
    root_ca = {"root_ca": pki.authority.pair.certificate_pem.decode()}
    settings = {**serving.spec.controller_settings, **root_ca}
    spec = attrs.evolve(serving.spec, access=options, controller_settings=settings)
    if directory is not None:
        spec = attrs.evolve(
            spec,
            open_disk=directory.open_disk,
            store=attrs.evolve(spec.store, snapshot_entries=KEPT_SNAPSHOT_ENTRIES),
        )
    click.echo(f"starting {_describe(serving)}", err=True)
    with _kubeconfig_path(serving) as path:
        async with Cluster(spec) as cluster:
            for reference, outcome in (await cluster.apply(serving.objects)).items():
                click.echo(f"{reference} {outcome}")
            async with AsyncExitStack() as stack:
                serve = partial(
                    cluster.serve,
                    host=serving.host,
                    tls=tls,
                    trust_plain=access.trust_plain,
                    plain_http=access.plain_http,
                )
                endpoint = await stack.enter_async_context(serve(listener=listener))
                own: dict[str, str] = {}
                for number, each in enumerate(own_listeners, start=1):
                    name = f"cp-{number}"
                    entered = serve(listener=each, control_plane=name)
                    own[name] = (await stack.enter_async_context(entered)).url
                endpoint.write_kubeconfig(path)
                click.echo(_greeting(serving, endpoint.url, path, own))
                sys.stdout.flush()
                await ending.wait()
            if serving.snapshot is not None:
                kept = None if directory is None or access.cert_dir else directory.pki
                now_ns = simulation.current().wall_ns()
                save_companion(serving.snapshot, serving.spec, kept, now_ns)
                save_snapshot(cluster.assembly, serving.snapshot)
                click.echo(f"saved {serving.snapshot}", err=True)


async def _own_listeners(serving: Serving) -> list[trio.SocketListener]:
    """A port for each API server, behind the one for all; one server alone needs no second one."""
    planes = serving.spec.planes
    if planes == 1:
        return []
    ports = [serving.port + number if serving.port else 0 for number in range(1, planes + 1)]
    return [await listen(serving.host, each) for each in ports]


@contextmanager
def _kubeconfig_path(serving: Serving) -> Iterator[Path]:
    """Where the kubeconfig is written: a temporary one is gone with the cluster."""
    if serving.kubeconfig is not None:
        yield serving.kubeconfig
    elif serving.data_dir is not None:
        yield serving.data_dir / KUBECONFIG
    else:
        with tempfile.TemporaryDirectory(prefix="k8sactors-") as directory:
            yield Path(directory) / KUBECONFIG


def _greeting(serving: Serving, url: str, kubeconfig: Path, own: Mapping[str, str]) -> str:
    lines = [
        f"kubeconfig: {kubeconfig}",
        "try:",
        f"  export KUBECONFIG={kubeconfig}",
        "  kubectl get nodes",
        "  kubectl create deployment web --image=nginx:1.27",
        "  kubectl get pods --all-namespaces",
        *(f"{name}: {address}" for name, address in own.items()),
        url,
    ]
    if serving.access.plain_http and (is_loopback(serving.host) or serving.host in UNSPECIFIED):
        # From this machine alone.
        lines.append(url.replace("https://", "http://"))
    return "\n".join([*lines, "ready"])


def _describe(serving: Serving) -> str:
    spec = serving.spec
    store = "in memory"
    if spec.remote_store:
        store = f"a real etcd at {', '.join(spec.remote_store)}"
    elif serving.data_dir is not None:
        store = f"in {serving.data_dir}"
    return f"a {spec.topology} cluster with {spec.workers} worker(s), state {store}"
