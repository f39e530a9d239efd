"""The debug pages: what the levels, the queues and the requests that wait are like now.

They are below `/debug/api_priority_and_fairness/`, in the form of the real server's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from k8sactors.api import meta
from k8sactors.apiserver.priority_and_fairness.flow_control import PriorityAndFairness
from k8sactors.apiserver.priority_and_fairness.priority_level import PriorityLevel
from k8sactors.apiserver.priority_and_fairness.queue_set import Entry
from k8sactors.simulation import MILLISECOND, SECOND

PATH: Final = "/debug/api_priority_and_fairness/"
_CELL_WIDTH_MIN: Final = 8
_NONE: Final = "<none>"
_LEVEL_COLUMNS: Final = (
    "PriorityLevelName",
    "ActiveQueues",
    "IsIdle",
    "IsQuiescing",
    "WaitingRequests",
    "ExecutingRequests",
)
_QUEUE_COLUMNS: Final = (
    "PriorityLevelName",
    "Index",
    "PendingRequests",
    "ExecutingRequests",
    "SeatsInUse",
    "NextDispatchR",
    "InitialSeatsSum",
    "MaxSeatsSum",
    "TotalWorkSum",
)
_REQUEST_COLUMNS: Final = (
    "PriorityLevelName",
    "FlowSchemaName",
    "QueueIndex",
    "RequestIndexInQueue",
    "FlowDistingsher",
    "ArriveTime",
    "InitialSeats",
    "FinalSeats",
    "AdditionalLatency",
)

Row = Sequence[str]


class Dumps:
    """Makes the pages of one server; `offset_ns` leads from its clock to the wall's."""

    def __init__(self, flow: PriorityAndFairness, offset_ns: Callable[[], int]) -> None:
        self._flow = flow
        self._offset_ns = offset_ns

    def pages(self) -> dict[str, Callable[[], str]]:
        """What makes each page, by its path."""
        return {
            f"{PATH}dump_priority_levels": lambda: _table(_LEVEL_COLUMNS, self._level_rows()),
            f"{PATH}dump_queues": lambda: _table(_QUEUE_COLUMNS, self._queue_rows()),
            f"{PATH}dump_requests": lambda: _table(_REQUEST_COLUMNS, self._request_rows()),
        }

    def _levels(self) -> list[PriorityLevel]:
        self._flow.refresh()
        return list(self._flow.levels.values())

    def _level_rows(self) -> Iterable[Row]:
        for level in self._levels():
            queues = level.queues.queues if level.queues is not None else ()
            active = sum(bool(queue.waiting) for queue in queues)
            flags = [str(flag).lower() for flag in (level.idle, level.quiescing)]
            counts = (str(level.waiting), str(len(level.executing)))
            yield (level.name, str(active), *flags, *counts)

    def _queue_rows(self) -> Iterable[Row]:
        for level in self._levels():
            if level.queues is None:
                yield (level.name, *(_NONE for _ in _QUEUE_COLUMNS[1:]))
                continue
            for queue in level.queues.queues:
                yield (
                    level.name,
                    str(queue.index),
                    str(len(queue.waiting)),
                    str(queue.executing),
                    str(queue.seats_in_use),
                    _seat_seconds(queue.next_start_r),
                    str(sum(entry.seats for entry in queue.waiting)),
                    str(sum(entry.most_seats for entry in queue.waiting)),
                    _seat_seconds(queue.waiting_work),
                )

    def _request_rows(self) -> Iterable[Row]:
        for level in self._levels():
            queues = level.queues.queues if level.queues is not None else ()
            for queue in queues:
                for place, entry in enumerate(queue.waiting):
                    yield self._request_row(level, entry, queue.index, place)

    def _request_row(self, level: PriorityLevel, entry: Entry, index: int, place: int) -> Row:
        flow = entry.request.flow
        arrived = meta.format_micro_time(entry.arrived_ns + self._offset_ns())
        return (
            level.name,
            flow.schema.name,
            str(index),
            str(place),
            flow.distinguisher,
            arrived,
            str(entry.seats),
            str(entry.final_seats),
            f"{entry.extra_ns // MILLISECOND}ms" if entry.extra_ns else "0s",
        )


def _seat_seconds(work: int) -> str:
    return f"{work / SECOND:.8f}ss"


def _table(columns: Row, rows: Iterable[Row]) -> str:
    """Cells end in a comma, and each column is as wide as its widest cell."""
    lines = [[f"{cell}," for cell in row[:-1]] + [row[-1]] for row in (columns, *rows)]
    widths = [
        max(_CELL_WIDTH_MIN, *(len(line[column]) + 1 for line in lines))
        for column in range(len(columns) - 1)
    ]
    shown = [
        "".join(f"{cell:{width}}" for cell, width in zip(line[:-1], widths, strict=True)) + line[-1]
        for line in lines
    ]
    return "\n".join(shown) + "\n"
