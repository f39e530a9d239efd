"""How fast virtual time runs in an idle cluster: `python -m benches.simulation --nodes 100`.

The cluster is complete: Raft heartbeats every 100 ms among three store members, a lease of every
node every 10 s, leader election. As in the scheduling benchmark there is one control plane; three
(`--control-planes 3`) cost about a sixth of the speed. They are nodes too and count as such. As in
the other benchmarks, disks take no time unless asked to.
"""

from __future__ import annotations

import json
import resource
import time

import click
import trio
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from k8sactors import simulation
from k8sactors.cluster import Cluster, ClusterSpec, StoreOptions

STEPS = 50
SETTLE_S = 60


@click.command()
@click.option(
    "--nodes",
    type=click.IntRange(2),
    default=100,
    show_default=True,
    help="Nodes of the cluster, control planes included.",
)
@click.option(
    "--control-planes",
    type=click.IntRange(1, 9),
    default=1,
    show_default=True,
    help="How many of them are control planes.",
)
@click.option("--virtual-seconds", default=600, show_default=True, help="Virtual time to run.")
@click.option("--sync-latency-us", default=0, show_default=True, help="Time that a disk takes.")
@click.option("--seed", default=1, show_default=True, help="Seed of the simulation.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def main(
    nodes: int,
    control_planes: int,
    virtual_seconds: int,
    sync_latency_us: int,
    seed: int,
    as_json: bool,
) -> None:
    """Measure virtual seconds per second of wall time, with idle nodes."""
    if control_planes >= nodes:
        raise click.UsageError(f"{control_planes} control planes leave no worker of {nodes} nodes")
    spec = ClusterSpec(
        topology="external",
        control_planes=control_planes,
        workers=nodes - control_planes,
        store=StoreOptions(sync_latency_ns=sync_latency_us * simulation.MICROSECOND),
    )
    result = simulation.run(measure, spec, virtual_seconds, not as_json, seed=seed)
    if as_json:
        print(json.dumps(result))
        return
    table = Table(title=f"{nodes} idle nodes")
    table.add_column("measure")
    table.add_column("value", justify="right")
    for name, value in result.items():
        table.add_row(name, f"{value:,.1f}" if isinstance(value, float) else str(value))
    Console().print(table)


async def measure(
    spec: ClusterSpec, virtual_seconds: int, show: bool
) -> dict[str, float | int | str]:
    """Start the cluster, let it settle for a minute, then time the idle phase."""
    sim = simulation.current()
    began_wall, began_cpu, began_virtual = time.perf_counter(), time.process_time(), sim.now_ns()
    async with Cluster(spec) as cluster:
        start_wall_s = time.perf_counter() - began_wall
        start_cpu_s = time.process_time() - began_cpu
        start_virtual_s = (sim.now_ns() - began_virtual) / simulation.SECOND
        nodes = len(cluster.assembly.node_names)
        await trio.sleep(SETTLE_S)
        frames = sim.trace.frames
        wall_s = cpu_s = 0.0
        with Progress(disable=not show, transient=True) as progress:
            task = progress.add_task("idle", total=virtual_seconds)
            for _ in range(STEPS):
                wall, cpu = time.perf_counter(), time.process_time()
                await trio.sleep(virtual_seconds / STEPS)
                wall_s += time.perf_counter() - wall
                cpu_s += time.process_time() - cpu
                progress.advance(task, virtual_seconds / STEPS)
        peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {
            "nodes": nodes,
            "start_virtual_seconds": start_virtual_s,
            "start_wall_seconds": start_wall_s,
            "start_cpu_ms_per_node": start_cpu_s * 1000 / nodes,
            "virtual_seconds": float(virtual_seconds),
            "wall_seconds": wall_s,
            "virtual_seconds_per_second": virtual_seconds / wall_s,
            "cpu_seconds": cpu_s,
            "idle_cpu_us_per_node_and_virtual_second": cpu_s * 1e6 / nodes / virtual_seconds,
            "frames_per_virtual_second": (sim.trace.frames - frames) / virtual_seconds,
            "crashes": len(cluster.network.crashes),
            "peak_rss_mb": peak_kib / 1024,
            "peak_rss_kb_per_node": peak_kib / nodes,
            "trace_hash": sim.trace.hexdigest(),
        }


if __name__ == "__main__":
    main()
