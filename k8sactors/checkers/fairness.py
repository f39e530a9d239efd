"""Judges how seats were shared: by when requests came, began and ended, and by nothing else.

Two flows that both have requests waiting over a time must be served about equally in it, and no
seat may stay free while a request waits that fits. Times are nanoseconds of one clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import attrs


@attrs.frozen
class ServedRequest:
    """One request of a flow, which held `seats` from its start to its end."""

    flow: str
    arrived_ns: int
    started_ns: int
    ended_ns: int
    seats: int = 1


Interval = tuple[int, int]


def unfair_times(history: Sequence[ServedRequest], tolerance_seat_ns: int) -> list[str]:
    """The times in which one of two waiting flows was served more than the other; as text."""
    by_flow: dict[str, list[ServedRequest]] = {}
    for request in history:
        by_flow.setdefault(request.flow, []).append(request)
    backlogs = {
        flow: _union((r.arrived_ns, r.started_ns) for r in by_flow[flow]) for flow in by_flow
    }
    found = []
    for one, other in combinations(by_flow, 2):
        for interval in _common(backlogs[one], backlogs[other]):
            served = [_service(by_flow[flow], interval) for flow in (one, other)]
            if abs(served[0] - served[1]) > tolerance_seat_ns:
                text = f"from {interval[0]} to {interval[1]}: {one} got {served[0]} seat-ns, "
                found.append(f"{text}{other} {served[1]}")
    return found


def overfull_times(history: Sequence[ServedRequest], seats: int) -> list[str]:
    """The instants at which more seats were held than there are, by more than one request."""
    found = []
    for instant in sorted({request.started_ns for request in history}):
        held = [r for r in history if r.started_ns <= instant < r.ended_ns]
        if len(held) > 1 and sum(request.seats for request in held) > seats:
            found.append(f"at {instant}: {sum(request.seats for request in held)} of {seats}")
    return found


def idle_times(history: Sequence[ServedRequest], seats: int) -> list[str]:
    """The instants at which a request began to wait, or still waited, though all would fit."""
    found = []
    for instant in sorted({time for r in history for time in (r.arrived_ns, r.ended_ns)}):
        held = sum(r.seats for r in history if r.started_ns <= instant < r.ended_ns)
        waiting = [r.seats for r in history if r.arrived_ns <= instant < r.started_ns]
        if waiting and held + max(waiting) <= seats:
            found.append(f"at {instant}: {len(waiting)} wait, {held} of {seats} seats are held")
    return found


def _union(intervals: Iterator[Interval]) -> list[Interval]:
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        if start == end:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _common(some: Sequence[Interval], others: Sequence[Interval]) -> Iterator[Interval]:
    for start, end in some:
        for other_start, other_end in others:
            first, last = max(start, other_start), min(end, other_end)
            if first < last:
                yield first, last


def _service(requests: Sequence[ServedRequest], interval: Interval) -> int:
    start, end = interval
    return sum(r.seats * max(0, min(end, r.ended_ns) - max(start, r.started_ns)) for r in requests)
