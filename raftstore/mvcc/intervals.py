"""Which of many key ranges hold a given key: a segment tree over their bounds.

Each range is stored at O(log n) nodes, and the ranges that hold a key are those on the path from
the key's leaf to the root: a put finds its watchers in O(log n + found) however many ranges are
watched. The tree is static; what has come since it was built is searched one by one, what has gone
is skipped, and when either has grown too many the tree is built again by the next search.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

T = TypeVar("T", bound=Hashable)

FEW: Final = 8


def covers(start: bytes, end: bytes | None, key: bytes) -> bool:
    """Whether [start, end) holds the key; end None: no end."""
    return start <= key and (end is None or key < end)


class IntervalMap(Generic[T]):
    """Items by the key range they stand for."""

    def __init__(self) -> None:
        self._placed: dict[T, tuple[bytes, bytes | None]] = {}
        self._fresh: dict[T, tuple[bytes, bytes | None]] = {}
        self._gone: dict[T, None] = {}
        self._bounds: list[bytes] = []
        self._nodes: list[list[T]] = []

    def __len__(self) -> int:
        return len(self._placed) + len(self._fresh)

    def add(self, item: T, start: bytes, end: bytes | None) -> None:
        """Add an item that has never been in the map."""
        self._fresh[item] = (start, end)

    def remove(self, item: T) -> None:
        """Remove an item of the map."""
        if item in self._fresh:
            del self._fresh[item]
        else:
            del self._placed[item]
            self._gone[item] = None

    def holding(self, key: bytes) -> list[T]:
        """The items whose range holds the key, in an order that only the calls made determine."""
        fresh, gone = self._fresh, self._gone
        if len(fresh) > FEW or len(gone) > FEW:
            # With at most about sqrt(n) loose ones, a search stays cheap and rebuilding rare.
            loose = max(len(fresh), len(gone))
            if loose * loose > 4 * len(self._placed):
                self._build()
                fresh, gone = self._fresh, self._gone
        found = [item for item, (start, end) in fresh.items() if covers(start, end, key)]
        segment = bisect_right(self._bounds, key) - 1
        if segment < 0:
            return found
        nodes = self._nodes
        node = segment + len(self._bounds)
        while node:
            if nodes[node]:
                found += nodes[node]
            node >>= 1
        if gone:
            return [item for item in found if item not in gone]
        return found

    def _build(self) -> None:
        self._placed.update(self._fresh)
        self._fresh = {}
        self._gone = {}
        ends = {bound for pair in self._placed.values() for bound in pair if bound is not None}
        bounds = self._bounds = sorted(ends)
        places = {bound: place for place, bound in enumerate(bounds)}
        size = len(bounds)
        nodes: list[list[T]] = [[] for _ in range(2 * size)]
        for item, (start, end) in self._placed.items():
            left = places[start] + size
            right = (size if end is None else places[end]) + size
            while left < right:
                if left & 1:
                    nodes[left].append(item)
                    left += 1
                if right & 1:
                    right -= 1
                    nodes[right].append(item)
                left >>= 1
                right >>= 1
        self._nodes = nodes
