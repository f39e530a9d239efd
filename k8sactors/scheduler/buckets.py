"""Rows grouped by rank, for "a random one of the best" in constant time."""

from __future__ import annotations

import heapq
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from k8sactors.scheduler.table import Rows

__all__ = ["RankBuckets"]

_ABSENT = -1


class RankBuckets:
    """Each row has at most one rank (not negative). Removal swaps with the last of the bucket."""

    def __init__(self, size: int, rows: Rows, ranks: NDArray[np.int64]) -> None:
        self._rank: list[int] = [_ABSENT] * size
        self._position: list[int] = [0] * size
        self._buckets: dict[int, list[int]] = {}
        # Negated ranks, some of them of buckets that are empty by now.
        self._heap: list[int] = []
        for row, rank in zip(rows.tolist(), ranks.tolist(), strict=True):
            self.set(row, rank)

    def __contains__(self, row: int) -> bool:
        return row < len(self._rank) and self._rank[row] != _ABSENT

    def set(self, row: int, rank: int) -> None:
        """Give a row its rank."""
        old = self._rank[row]
        if old == rank:
            return
        if old != _ABSENT:
            self._take_out(row, old)
        bucket = self._buckets.get(rank)
        if bucket is None:
            self._buckets[rank] = [row]
            self._position[row] = 0
            heapq.heappush(self._heap, -rank)
        else:
            self._position[row] = len(bucket)
            bucket.append(row)
        self._rank[row] = rank

    def grow(self, more: int) -> None:
        """Make place for more rows."""
        self._rank.extend([_ABSENT] * more)
        self._position.extend([0] * more)

    def discard(self, row: int) -> None:
        """Take a row out, if it is in."""
        rank = self._rank[row]
        if rank != _ABSENT:
            self._take_out(row, rank)
            self._rank[row] = _ABSENT

    def best(self, draw: Callable[[], float]) -> int:
        """A row of the highest rank, -1 when there is none; `draw` gives numbers in [0, 1)."""
        heap = self._heap
        while heap:
            bucket = self._buckets.get(-heap[0])
            if bucket is not None:
                return bucket[int(draw() * len(bucket))] if len(bucket) > 1 else bucket[0]
            heapq.heappop(heap)
        return _ABSENT

    def _take_out(self, row: int, rank: int) -> None:
        bucket = self._buckets[rank]
        last = bucket.pop()
        if last != row:
            position = self._position[row]
            bucket[position] = last
            self._position[last] = position
        elif not bucket:
            del self._buckets[rank]
