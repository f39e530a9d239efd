"""How fast virtual time runs in an idle cluster: `python -m benches.simulation --nodes 100`.

The cluster is complete: Raft heartbeats every 100 ms among three store members, a lease of every
node every 10 s, leader election. As in the scheduling benchmark there is one control plane; three
(`--control-planes 3`) cost about a sixth of the speed. They are nodes too and count as such. As in
the other benchmarks, disks take no time unless asked to.
"""

import json
import resource
import time

import click
import trio
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from k8sactors import simulation
from k8sactors.cluster import Cluster, ClusterSpec
from k8sactors.topology import StoreOptions

STEPS = 50


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
    async with Cluster(spec) as cluster:
        await trio.sleep(60)
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
        return {
            "nodes": len(cluster.assembly.node_names),
            "virtual_seconds": float(virtual_seconds),
            "wall_seconds": wall_s,
            "virtual_seconds_per_second": virtual_seconds / wall_s,
            "cpu_seconds": cpu_s,
            "frames_per_virtual_second": (sim.trace.frames - frames) / virtual_seconds,
            "crashes": len(cluster.network.crashes),
            "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "trace_hash": sim.trace.hexdigest(),
        }


if __name__ == "__main__":
    main()
