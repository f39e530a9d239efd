"""How many pods per second are created, scheduled and bound: SchedulingBasic of scheduler_perf.

    python -m benches.scheduling --nodes 5000 --init-pods 1000 --pods 10000 [--json]

A store of three members with group commit on simulated disks, an API server, the scheduler, 30
concurrent creators, and a meter that watches pods. Each pod costs three writes (create, binding,
event), each committed by a majority. The rate is pods divided by the time from the first create
to the last binding that the meter has seen.

What the real kube-scheduler pays for and this does not: HTTP, TLS, authentication, and separate
processes. What this pays for and scheduler_perf's store does not: three members instead of one.

The cyclic garbage collector rests while pods are measured: requests leave no cycles behind, and it
would look at millions of living objects in vain. What that costs in memory is in peak_rss_mb.

`--access` has every request authorized by the Node authorizer and by roles, those of the creators,
of the meter and of the scheduler. Without it everything is allowed.

`--decisions-only` measures the decision alone, on one core, without API server and store.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter, process_time
from typing import Any

import attrs
import click
import structlog
import trio
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benches.collector import without_cyclic_collector
from benches.control_plane import start_control_plane
from benches.scheduling_decisions import measure_decisions
from benches.scheduling_load import (
    NAMESPACE,
    Creator,
    Meter,
    cluster_admin,
    node_object,
    pod_object,
)
from k8sactors import fabric, simulation
from k8sactors.api.user import ADMIN_USER

CREATORS = 30
SETUP_CONCURRENCY = 500
LIMIT_S = 3600.0
POLL_S = 0.01


class BenchmarkError(Exception):
    """The run did not do the work it was meant to measure."""


@attrs.define
class Result:
    """What was measured. Latency is from sending the create until the meter sees the binding."""

    nodes: int
    init_pods: int
    pods: int
    pods_per_second: float
    pods_per_second_with_events: float
    seconds: float
    cpu_seconds: float
    cpu_seconds_per_pod: float
    latency_ms: dict[str, float]
    peak_rss_mb: float
    virtual_seconds: float
    most_pods_on_a_node: int
    fewest_pods_on_a_node: int


class Display:
    """One progress bar per phase, on the terminal only."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._task: Any = None
        self._offset = 0

    def phase(self, name: str, total: int, offset: int = 0) -> None:
        """Begin a phase."""
        self._offset = offset
        if self._progress is not None:
            self._task = self._progress.add_task(name, total=total)

    def update(self, done: int) -> None:
        """Show how far the phase is."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=done - self._offset)


class Benchmark:
    """One run."""

    def __init__(
        self, nodes: int, init_pods: int, pods: int, display: Display, *, access: bool = False
    ) -> None:
        self._nodes, self._init_pods, self._pods = nodes, init_pods, pods
        self._access = access
        self._display = display
        self._sent_at_s: dict[str, float] = {}

    async def run(self) -> Result:
        """Set up, warm up, measure."""
        async with fabric.open_fabric(default_latency_ns=0) as network:
            self._network = network
            servers = start_control_plane(network, access=self._access)
            console = network.add_host("console")
            admin, self._creator = Creator(servers, ADMIN_USER), Creator(servers)
            console.spawn("admin", lambda: admin)
            console.spawn("creator", lambda: self._creator)
            self._meter = Meter(servers, self._display.update)
            await self._until(lambda: self._creator.ready, "the creator to start")
            await self._until(lambda: admin.ready, "the administrator to start")
            admin.create([("clusterrolebindings.rbac.authorization.k8s.io", cluster_admin())], 1)
            await self._until(lambda: admin.idle, "the rights of the creator")
            await self._prepare()
            console.spawn("meter", lambda: self._meter)
            await self._schedule("init pods", "init", self._init_pods, SETUP_CONCURRENCY)
            started_s, cpu_started_s = perf_counter(), process_time()
            virtual_started_ns = simulation.current().now_ns()
            with without_cyclic_collector():
                await self._schedule("pods", "pod", self._pods, CREATORS, self._note_sent)
                return self._result(started_s, cpu_started_s, virtual_started_ns)

    async def _prepare(self) -> None:
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": NAMESPACE},
        }
        for pair in (("namespaces", namespace), ("serviceaccounts", account)):
            self._creator.create([pair], 1)
            await self._until(lambda: self._creator.idle, "the namespace")
        self._display.phase("nodes", self._nodes)
        self._creator.create(
            [("nodes", node_object(i)) for i in range(self._nodes)], SETUP_CONCURRENCY
        )
        await self._until(lambda: self._creator.idle, "nodes to be created")
        self._display.update(self._nodes)

    async def _schedule(
        self, phase: str, prefix: str, count: int, concurrency: int, on_sent: Any = None
    ) -> None:
        meter = self._meter
        goal = len(meter.bound_at_s) + count
        self._display.phase(phase, count, offset=len(meter.bound_at_s))
        pods = [("pods", pod_object(f"{prefix}-{i}")) for i in range(count)]
        self._creator.create(pods, concurrency, on_sent)
        await self._until(lambda: len(meter.bound_at_s) >= goal, f"{phase} to be bound")
        await self._until(lambda: meter.scheduled_events >= goal, f"events of {phase}")

    def _note_sent(self, name: str, at_s: float) -> None:
        self._sent_at_s[name] = at_s

    async def _until(self, condition: Any, what: str) -> None:
        with trio.move_on_after(LIMIT_S):
            while not condition():
                await trio.sleep(POLL_S)
                self._raise_failures()
            return
        raise BenchmarkError(f"waited {LIMIT_S:.0f} virtual seconds for {what}")

    def _raise_failures(self) -> None:
        if self._network.crashes:
            raise BenchmarkError(f"a component crashed: {self._network.crashes[0]}")
        if self._meter.failures:
            raise BenchmarkError(f"the meter lost its watch: {self._meter.failures[0]}")
        if self._creator.errors:
            raise BenchmarkError(f"a create failed: {self._creator.errors[0]}")
        if self._meter.moved:
            raise BenchmarkError(f"pod {self._meter.moved[0]} was bound twice")

    def _result(self, started_s: float, cpu_started_s: float, virtual_started_ns: int) -> Result:
        finished_s, cpu_s = perf_counter(), process_time() - cpu_started_s
        bound_at_s = self._meter.bound_at_s
        latencies_ms = sorted(
            1000 * (bound_at_s[name] - sent_s) for name, sent_s in self._sent_at_s.items()
        )
        first_s = min(self._sent_at_s.values())
        seconds = max(bound_at_s[name] for name in self._sent_at_s) - first_s
        per_node = dict.fromkeys((f"node-{i}" for i in range(self._nodes)), 0)
        for node in self._meter.nodes.values():
            per_node[node] += 1
        return Result(
            nodes=self._nodes,
            init_pods=self._init_pods,
            pods=self._pods,
            pods_per_second=round(self._pods / seconds, 1),
            pods_per_second_with_events=round(self._pods / (finished_s - started_s), 1),
            seconds=round(seconds, 3),
            cpu_seconds=round(cpu_s, 3),
            cpu_seconds_per_pod=round(cpu_s / self._pods, 7),
            latency_ms={
                "p50": round(_quantile(latencies_ms, 0.50), 3),
                "p99": round(_quantile(latencies_ms, 0.99), 3),
            },
            peak_rss_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
            virtual_seconds=round((simulation.current().now_ns() - virtual_started_ns) / 1e9, 3),
            most_pods_on_a_node=max(per_node.values()),
            fewest_pods_on_a_node=min(per_node.values()),
        )


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@contextmanager
def _display(quiet: bool) -> Iterator[Display]:
    if quiet or not sys.stderr.isatty():
        yield Display(None)
        return
    columns = (TextColumn("{task.description:>10}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as progress:
        yield Display(progress)


def _print_table(title: str, rows: dict[str, Any]) -> None:
    table = Table(title=title, show_header=False)
    for key, value in rows.items():
        parts = value.items() if isinstance(value, dict) else [("", value)]
        table.add_row(key.replace("_", " "), ", ".join(f"{k} {v}".strip() for k, v in parts))
    Console().print(table)


@click.command()
@click.option("--nodes", type=click.IntRange(1, 100_000), default=5000, show_default=True)
@click.option("--init-pods", type=click.IntRange(0, 1_000_000), default=1000, show_default=True)
@click.option("--pods", type=click.IntRange(1, 1_000_000), default=10_000, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--access", is_flag=True, help="Authorize as kubeadm does: Node and RBAC.")
@click.option("--decisions-only", is_flag=True, help="Measure only the decision.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def main(
    nodes: int,
    init_pods: int,
    pods: int,
    seed: int,
    access: bool,
    decisions_only: bool,
    as_json: bool,
) -> None:
    """Measure how fast pods are created, scheduled and bound."""
    if init_pods + pods > 110 * nodes or 10 * (init_pods + pods) > 400 * nodes:
        raise click.UsageError(f"{init_pods + pods} pods of 100m do not fit on {nodes} nodes")
    # Standard output carries the result, and nothing else.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger("warning"),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    if decisions_only:
        rows = attrs.asdict(measure_decisions(nodes, init_pods, pods, seed))
    else:
        with _display(as_json) as display:
            benchmark = Benchmark(nodes, init_pods, pods, display, access=access)
            rows = attrs.asdict(simulation.run(benchmark.run, seed=seed))
    if as_json:
        print(json.dumps(rows))
    else:
        _print_table(f"scheduling {nodes}/{init_pods}/{pods}", rows)


if __name__ == "__main__":
    main()
