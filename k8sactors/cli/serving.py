"""What runs behind `k8sactors serve`: a cluster, its front door, and the way out."""

from __future__ import annotations

import ipaddress
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import click
import trio

from k8sactors import simulation
from k8sactors.cli.options import Logs
from k8sactors.cluster import Cluster
from k8sactors.gateway.front import Front
from k8sactors.observe.logs import configure_logs
from k8sactors.simulation import RealClock
from k8sactors.topology import ClusterSpec
from raftstore.gateway.listener import Listener
from raftstore.gateway.ports import endpoint_url

BACKLOG = 128


@attrs.frozen
class Serving:
    """What to serve, and where; `port` 0: an unused one."""

    spec: ClusterSpec
    host: str
    port: int
    objects: Sequence[dict[str, Any]] = ()
    kubeconfig: Path | None = None


def run_until_signal(serving: Serving, logs: Logs) -> None:
    """Serve until interrupted or terminated.

    Raises:
        OSError: the port cannot be had, or the kubeconfig not be written.
        NotReadyError: the cluster did not come up.
        StatusError: an object of a manifest was refused.
    """
    configure_logs(logs.level, logs.format)
    if not _is_loopback(serving.host):
        click.echo(
            f"warning: whoever reaches {serving.host} is the cluster's administrator", err=True
        )
    simulation.run(_until_signal, serving, clock=RealClock.of_today())


async def _until_signal(serving: Serving) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:

            async def stop_on_signal() -> None:
                async for _ in signals:
                    nursery.cancel_scope.cancel()
                    return

            nursery.start_soon(stop_on_signal)
            await _serve(serving)


async def _serve(serving: Serving) -> None:
    # The port first: a cluster takes seconds to come up, and would be in vain without it.
    opened = await trio.open_tcp_listeners(serving.port, host=serving.host, backlog=BACKLOG)
    async with trio.open_nursery() as nursery:
        for surplus in opened[1:]:
            await surplus.aclose()
        url = endpoint_url(serving.host, opened[0], None)
        click.echo(f"starting {_describe(serving.spec)}", err=True)
        async with Cluster(serving.spec) as cluster:
            for reference, outcome in (await cluster.apply(serving.objects)).items():
                click.echo(f"{reference} {outcome}")
            nursery.start_soon(Listener(Front(cluster.client), opened[0]).run)
            if serving.kubeconfig is not None:
                _write_kubeconfig(serving.kubeconfig, url)
            click.echo(f"{url}\nready")
            sys.stdout.flush()
            await trio.sleep_forever()


def _describe(spec: ClusterSpec) -> str:
    store = f"a real etcd at {', '.join(spec.remote_store)}" if spec.remote_store else "in memory"
    return f"a {spec.topology} cluster with {spec.workers} worker(s), state {store}"


def _write_kubeconfig(path: Path, url: str) -> None:
    name = "k8sactors"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": url}}],
        "users": [{"name": name, "user": {}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
