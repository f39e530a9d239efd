"""What scheduler_perf prints: throughput, latencies, and what was not run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
from rich.console import Console
from rich.table import Table

from benches.scheduler_perf_client import PodRecord
from benches.scheduler_perf_files import Workload
from benches.scheduler_perf_timing import Attempts

__all__ = [
    "SAMPLE_S",
    "Measurement",
    "NotRun",
    "measured",
    "print_table",
    "sampled_rates",
    "to_json",
]

# Kubernetes samples each second; whole runs take less than that here.
SAMPLE_S = 0.1

# Of the table where there is no terminal to ask.
PRINTED_WIDTH = 150

Quantiles = dict[str, float]


@attrs.define
class NotRun:
    """A workload that needs what is not built, or that failed, and why."""

    workload: str
    not_run: str
    # Whether it was begun; otherwise something that it needs is not built.
    failed: bool


@attrs.define
class Measurement:
    """The figures of one collection of metrics."""

    workload: str
    pods: int
    seconds: float
    pods_per_second: float
    # Of this process: what the rate would be on cores that nothing else uses.
    pods_per_cpu_second: float
    sampled_pods_per_second: Quantiles
    # From the queue until the answer of the binding.
    attempt_ms: Quantiles
    # Those that found no node.
    unschedulable_attempts: int
    unschedulable_attempt_ms: Quantiles
    # The search for a node alone, whatever its outcome.
    decision_ms: Quantiles
    # From sending the create until the binding is seen.
    pod_ms: Quantiles
    # That Kubernetes demands of its own scheduler on its own machines; 0: none.
    threshold: float
    feature_gates: dict[str, bool]


def measured(
    workload: Workload,
    name: str,
    records: Sequence[PodRecord],
    attempts: Attempts,
    cpu_seconds: float,
) -> Measurement:
    """The figures of pods that were bound while metrics were collected."""
    bound_s = sorted(record.bound_s for record in records)
    first_s = min(record.sent_s for record in records)
    seconds = bound_s[-1] - first_s
    return Measurement(
        workload=workload.full_name + (f" {name}" if name else ""),
        pods=len(records),
        seconds=round(seconds, 4),
        pods_per_second=round(len(records) / seconds, 1),
        pods_per_cpu_second=round(len(records) / cpu_seconds, 1),
        sampled_pods_per_second=_quantiles(sampled_rates(first_s, bound_s), 1),
        attempt_ms=_milliseconds(attempts.scheduled_s),
        unschedulable_attempts=len(attempts.unschedulable_s),
        unschedulable_attempt_ms=_milliseconds(attempts.unschedulable_s),
        decision_ms=_milliseconds(attempts.decisions_s),
        pod_ms=_milliseconds([record.bound_s - record.sent_s for record in records]),
        threshold=workload.threshold,
        feature_gates=dict(workload.feature_gates),
    )


def sampled_rates(first_s: float, bound_s: Sequence[float]) -> list[float]:
    """Pods per second in each whole sample; the average when there is none."""
    duration_s = bound_s[-1] - first_s
    samples = [0] * int(duration_s / SAMPLE_S)
    if not samples:
        return [len(bound_s) / duration_s]
    for at_s in bound_s:
        number = int((at_s - first_s) / SAMPLE_S)
        if number < len(samples):
            samples[number] += 1
    return [count / SAMPLE_S for count in samples]


def _milliseconds(seconds: Sequence[float]) -> Quantiles:
    return _quantiles([1000 * value for value in seconds], 3)


def _quantiles(values: Sequence[float], digits: int) -> Quantiles:
    if not values:
        return {}
    ordered = sorted(values)
    return {
        f"p{share}": round(ordered[min(len(ordered) - 1, share * len(ordered) // 100)], digits)
        for share in (50, 90, 99)
    }


def print_table(results: Sequence[Measurement | NotRun]) -> None:
    """One row per measurement, then what was not run."""
    table = Table(title="scheduler_perf")
    table.add_column("workload", overflow="fold")
    columns = (
        "pods",
        "pods/s",
        "pods/CPU s",
        "sampled p50/p90/p99",
        "attempt ms",
        "decision ms",
        "pod ms",
        "bar",
    )
    for column in columns:
        table.add_column(column, justify="right")
    for result in results:
        if isinstance(result, Measurement):
            table.add_row(result.workload, *_cells(result))
    console = Console()
    if not console.is_terminal:
        console.width = PRINTED_WIDTH
    if table.row_count:
        console.print(table)
    gates = {g for r in results if isinstance(r, Measurement) for g in r.feature_gates}
    if gates:
        names = ", ".join(sorted(gates))
        console.print(f"feature gates that the file sets and nothing here reads: {names}")
    left_out = [result for result in results if isinstance(result, NotRun)]
    for result in left_out:
        console.print(f"not run: {result.workload}: {result.not_run}", soft_wrap=True, markup=False)
    console.print(f"{table.row_count} measured, {len(left_out)} not run")


def _cells(result: Measurement) -> list[str]:
    def together(quantiles: Quantiles) -> str:
        return " / ".join(f"{value:g}" for value in quantiles.values()) or "-"

    return [
        str(result.pods),
        f"{result.pods_per_second:g}",
        f"{result.pods_per_cpu_second:g}",
        together(result.sampled_pods_per_second),
        together(result.attempt_ms),
        together(result.decision_ms),
        together(result.pod_ms),
        f"{result.threshold:g}" if result.threshold else "-",
    ]


def to_json(results: Sequence[Measurement | NotRun]) -> list[dict[str, Any]]:
    """The same for machines."""
    return [attrs.asdict(result) for result in results]
