"""The ordered key index: which keys exist, in byte order.

Most puts go to a follower that nobody ranges over, or come in bursts between two ranges. So
changes are only noted when they are written, and merged into the sorted list when somebody reads
in order, or when they are many: nobody shall have to wait until a million keys are sorted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sortedcontainers import SortedList

# Above this share of removals one filtering pass is cheaper than single deletions.
REBUILD_SHARE: Final = 8
MAX_NOTED: Final = 1024
"""Merging so many takes about a millisecond."""


class KeyIndex:
    """A sorted set of keys that merges its changes lazily."""

    __slots__ = ("_added", "_keys", "_removed")

    def __init__(self) -> None:
        self._keys: SortedList[bytes] = SortedList()
        self._added: dict[bytes, None] = {}
        self._removed: dict[bytes, None] = {}

    def __len__(self) -> int:
        return len(self._keys) + len(self._added) - len(self._removed)

    def add(self, key: bytes) -> None:
        """Note a key that is not in the index."""
        if key in self._removed:
            del self._removed[key]
        else:
            self._added[key] = None
            if len(self._added) >= MAX_NOTED:
                self._settle()

    def discard(self, key: bytes) -> None:
        """Note that a key of the index is gone."""
        if key in self._added:
            del self._added[key]
        else:
            self._removed[key] = None
            if len(self._removed) >= MAX_NOTED:
                self._settle()

    def _settle(self) -> SortedList[bytes]:
        if self._removed:
            if len(self._removed) * REBUILD_SHARE > len(self._keys):
                removed = self._removed
                self._keys = SortedList(key for key in self._keys if key not in removed)
            else:
                for key in self._removed:
                    self._keys.remove(key)
            self._removed = {}
        if self._added:
            self._keys.update(self._added)
            self._added = {}
        return self._keys

    def between(self, start: bytes, end: bytes | None) -> Iterator[bytes]:
        """Keys in [start, end) in order; end None: to the last. Not to be changed meanwhile."""
        return self._settle().irange(start, end, inclusive=(True, False))

    def count(self, start: bytes, end: bytes | None) -> int:
        """How many keys [start, end) holds, in logarithmic time."""
        keys = self._settle()
        last = len(keys) if end is None else keys.bisect_left(end)
        return max(0, last - keys.bisect_left(start))
