"""Many pods from Deployments to Running: `python -m benches.scale --nodes 1000 --pods 30000`.

Everything takes part: controllers, scheduler, a kubelet and a container runtime on each node, the
store's three members. A pod counts when its Deployment reports it as ready: it then runs, and its
status has come all the way back through the controllers.
"""

from __future__ import annotations

import json
import resource
import time
from typing import Any

import click
import trio
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from k8sactors import simulation
from k8sactors.cluster import Cluster, ClusterSpec

NAMESPACE = "default"
POLL_S = 0.5


def deployment(index: int, replicas: int) -> dict[str, Any]:
    """A Deployment of small pods."""
    labels = {"app": f"app-{index}"}
    container = {
        "name": "web",
        "image": "registry.k8s.io/pause:3.10",
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"app-{index}", "namespace": NAMESPACE},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


@click.command()
@click.option("--nodes", type=click.IntRange(1), default=1000, show_default=True)
@click.option("--pods", type=click.IntRange(1), default=30_000, show_default=True)
@click.option("--deployments", type=click.IntRange(1), default=100, show_default=True)
@click.option(
    "--limit-s",
    type=click.FloatRange(min=0, min_open=True),
    default=3600.0,
    show_default=True,
    help="Virtual seconds after which the run fails.",
)
@click.option("--seed", default=1, show_default=True, help="Seed of the simulation.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def main(nodes: int, pods: int, deployments: int, limit_s: float, seed: int, as_json: bool) -> None:
    """Measure how long it takes until all pods of some Deployments run on their nodes."""
    if pods % deployments:
        raise click.UsageError(f"{pods} pods are no whole number for each of {deployments}")
    result = simulation.run(measure, nodes, pods, deployments, limit_s, not as_json, seed=seed)
    if as_json:
        print(json.dumps(result))
        return
    table = Table(title=f"{pods:,} pods of {deployments:,} Deployments on {nodes:,} nodes")
    table.add_column("measure")
    table.add_column("value", justify="right")
    for name, value in result.items():
        table.add_row(name, f"{value:,.1f}" if isinstance(value, float) else f"{value:,}")
    Console().print(table)


async def measure(
    nodes: int, pods: int, deployments: int, limit_s: float, show: bool
) -> dict[str, float | int]:
    """Start the cluster, create the Deployments, and wait for their pods."""
    sim = simulation.current()
    began_wall = time.perf_counter()
    async with Cluster(
        ClusterSpec(topology="external", control_planes=1, workers=nodes)
    ) as cluster:
        start_wall_s = time.perf_counter() - began_wall
        frames, virtual_ns = sim.trace.frames, sim.now_ns()
        wall, cpu = time.perf_counter(), time.process_time()
        for index in range(deployments):
            await cluster.client.create("deployments.apps", deployment(index, pods // deployments))
        with Progress(disable=not show, transient=True) as progress:
            task = progress.add_task("pods ready", total=pods)
            ready = 0
            while ready < pods:
                passed_s = (sim.now_ns() - virtual_ns) / simulation.SECOND
                if passed_s > limit_s:
                    raise click.ClickException(
                        f"{ready} of {pods} pods are ready after {limit_s} s"
                    )
                await trio.sleep(POLL_S)
                ready = await count_ready(cluster)
                progress.update(task, completed=ready)
        wall_s = time.perf_counter() - wall
        return {
            "start_wall_seconds": start_wall_s,
            "wall_seconds": wall_s,
            "cpu_seconds": time.process_time() - cpu,
            "pods_per_second": pods / wall_s,
            "virtual_seconds": (sim.now_ns() - virtual_ns) / simulation.SECOND,
            "messages": sim.trace.frames - frames,
            "messages_per_pod": (sim.trace.frames - frames) / pods,
            "crashes": len(cluster.network.crashes),
            "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }


async def count_ready(cluster: Cluster) -> int:
    """The pods that all Deployments report as ready."""
    found = await cluster.client.list("deployments.apps", NAMESPACE)
    return sum((item.get("status") or {}).get("readyReplicas", 0) for item in found["items"])


if __name__ == "__main__":
    main()
