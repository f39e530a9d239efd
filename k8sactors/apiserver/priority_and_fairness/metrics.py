"""The metrics of flow control in Prometheus' text format, under the real server's names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from k8sactors.apiserver.priority_and_fairness.flow_control import PriorityAndFairness
from k8sactors.apiserver.priority_and_fairness.priority_level import PriorityLevel
from k8sactors.apiserver.priority_and_fairness.wait_times import BOUNDS_SECONDS
from k8sactors.simulation import SECOND

_PREFIX: Final = "apiserver_flowcontrol_"
_ESCAPED: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_WAIT: Final = "request_wait_duration_seconds"

_OF_LEVEL: Final[dict[str, Callable[[PriorityLevel], float]]] = {
    "nominal_limit_seats": lambda level: level.nominal,
    "lower_limit_seats": lambda level: level.least,
    "upper_limit_seats": lambda level: level.most,
    "current_limit_seats": lambda level: level.most if level.exempt else level.limit,
    "demand_seats_average": lambda level: level.demand.last.average,
    "demand_seats_stdev": lambda level: level.demand.last.deviation,
    "demand_seats_high_watermark": lambda level: level.demand.last.highest,
    "demand_seats_smoothed": lambda level: level.demand.last.smoothed,
    "current_r": lambda level: level.queues.now_r / SECOND if level.queues is not None else 0,
}


def exposition(flow: PriorityAndFairness) -> list[str]:
    """The lines."""
    flow.refresh()
    levels = list(flow.levels.values())
    lines = [
        f"# TYPE {_PREFIX}seat_fair_frac gauge",
        f"{_PREFIX}seat_fair_frac {flow.fair_fraction:g}",
    ]
    for name, value_of in _OF_LEVEL.items():
        lines.append(f"# TYPE {_PREFIX}{name} gauge")
        lines += [_sample(name, {"priority_level": each.name}, value_of(each)) for each in levels]
    lines += _dispatched(flow)
    lines.append(f"# TYPE {_PREFIX}rejected_requests_total counter")
    for level in levels:
        for (schema, reason), count in level.rejected.items():
            labels = {"flow_schema": schema, "priority_level": level.name, "reason": reason}
            lines.append(_sample("rejected_requests_total", labels, count))
    for level in levels:
        lines += _present(level)
    lines.append(f"# TYPE {_PREFIX}{_WAIT} histogram")
    for level in levels:
        lines += _waits(level)
    return lines


def _dispatched(flow: PriorityAndFairness) -> Iterator[str]:
    yield f"# TYPE {_PREFIX}dispatched_requests_total counter"
    for schema in flow.schemas:
        if schema.dispatched:
            labels = {"flow_schema": schema.name, "priority_level": schema.level_name}
            yield _sample("dispatched_requests_total", labels, schema.dispatched)


def _present(level: PriorityLevel) -> Iterator[str]:
    """What is served and what waits now, by schema."""
    counts: dict[str, Counter[str]] = {
        "current_executing_requests": Counter(),
        "current_executing_seats": Counter(),
        "current_inqueue_requests": Counter(),
        "current_inqueue_seats": Counter(),
    }
    for request in level.executing:
        counts["current_executing_requests"][request.flow.schema.name] += 1
        counts["current_executing_seats"][request.flow.schema.name] += request.seats
    for entry in level.queues.waiting() if level.queues is not None else ():
        counts["current_inqueue_requests"][entry.request.flow.schema.name] += 1
        counts["current_inqueue_seats"][entry.request.flow.schema.name] += entry.most_seats
    for name, by_schema in counts.items():
        for schema, count in by_schema.items():
            yield _sample(name, {"flow_schema": schema, "priority_level": level.name}, count)


def _waits(level: PriorityLevel) -> Iterator[str]:
    for (schema, executed), histogram in level.waits.histograms.items():
        labels = {
            "execute": str(executed).lower(),
            "flow_schema": schema,
            "priority_level": level.name,
        }
        total = 0
        for bound, count in zip((*BOUNDS_SECONDS, "+Inf"), histogram.counts, strict=True):
            total += count
            shown = bound if isinstance(bound, str) else f"{bound:g}"
            yield _sample(f"{_WAIT}_bucket", {**labels, "le": shown}, total)
        yield _sample(f"{_WAIT}_sum", labels, histogram.sum_ns / SECOND)
        yield _sample(f"{_WAIT}_count", labels, total)


def _sample(name: str, labels: Mapping[str, str], value: float) -> str:
    shown = ",".join(f'{label}="{text.translate(_ESCAPED)}"' for label, text in labels.items())
    return f"{_PREFIX}{name}{{{shown}}} {value:g}"
