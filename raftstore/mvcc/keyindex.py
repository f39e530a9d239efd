"""The ordered key index: which keys exist, in byte order.

Most puts go to a follower that no client ranges over, or come in bursts between two ranges. So
changes are only noted when they are written, and merged into the order when a client reads in
order, or when they are many: no client shall have to wait until a million keys are sorted.

The order is a list of *blocks*, sorted lists of some hundred keys. A block can be replaced by equal
keys of other memory (`renew`), which is why this is no `SortedList`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Final

# Above this share of changes one pass over all keys is cheaper than single ones.
REBUILD_SHARE: Final = 4
# Merging so many takes about a millisecond.
MAX_NOTED: Final = 1024
# A block of more is cut in two.
BLOCK_KEYS: Final = 1024
LOWEST: Final = b""

Renew = Callable[[list[bytes]], list[bytes]]


class KeyIndex:
    """A sorted set of keys that merges its changes lazily."""

    __slots__ = ("_added", "_blocks", "_count", "_firsts", "_removed", "changes")

    def __init__(self) -> None:
        self._blocks: list[list[bytes]] = [[]]
        # Where each block begins: no key in it is lower, none in the block before is as high.
        self._firsts: list[bytes] = [LOWEST]
        self._count = 0
        # Keys that have come or gone since the last renewal, but for those only noted.
        self.changes = 0
        self._added: dict[bytes, None] = {}
        self._removed: dict[bytes, None] = {}

    def __len__(self) -> int:
        return self._count + len(self._added) - len(self._removed)

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

    def settle(self) -> None:
        """Merge what is noted, and so let go of the keys that are gone."""
        self._settle()

    def _settle(self) -> list[list[bytes]]:
        if not self._added and not self._removed:
            return self._blocks
        count, added, removed = len(self), self._added, self._removed
        self.changes += len(added) + len(removed)
        if (len(added) + len(removed)) * REBUILD_SHARE > self._count:
            keys = list(chain.from_iterable(self._blocks))
            if removed:
                keys = [key for key in keys if key not in removed]
            keys += added
            keys.sort()
            self._fill(keys)
        else:
            for key in removed:
                self._remove(key)
            for key in added:
                self._insert(key)
        self._added, self._removed, self._count = {}, {}, count
        return self._blocks

    def _fill(self, keys: list[bytes]) -> None:
        starts = range(0, max(1, len(keys)), BLOCK_KEYS // 2)
        self._blocks = [keys[start : start + BLOCK_KEYS // 2] for start in starts]
        self._firsts = [LOWEST, *(block[0] for block in self._blocks[1:])]

    def _insert(self, key: bytes) -> None:
        number = bisect_right(self._firsts, key) - 1
        block = self._blocks[number]
        insort(block, key)
        if len(block) > BLOCK_KEYS:
            middle = len(block) // 2
            self._blocks.insert(number + 1, block[middle:])
            self._firsts.insert(number + 1, block[middle])
            del block[middle:]

    def _remove(self, key: bytes) -> None:
        number, place = self._find(key)
        block = self._blocks[number]
        assert block[place] == key
        del block[place]
        if number and not block:
            del self._blocks[number]
            del self._firsts[number]
        elif number and not place:
            self._firsts[number] = block[0]

    def _find(self, key: bytes) -> tuple[int, int]:
        """The block that a key belongs to, and its place there."""
        number = bisect_right(self._firsts, key) - 1
        return number, bisect_left(self._blocks[number], key)

    def _bounds(self, start: bytes, end: bytes | None) -> tuple[int, int, int, int]:
        """Block and place where [start, end) begins, block and place where it ends."""
        if end is None:
            last = len(self._blocks) - 1
            return *self._find(start), last, len(self._blocks[last])
        return *self._find(start), *self._find(max(start, end))

    def between(self, start: bytes, end: bytes | None) -> Iterator[bytes]:
        """Keys in [start, end) in order; end None: to the last. Not to be changed meanwhile."""
        blocks = self._settle()
        first, first_place, last, last_place = self._bounds(start, end)
        if first == last:
            return iter(blocks[first][first_place:last_place])
        middle = chain.from_iterable(blocks[first + 1 : last])
        return chain(blocks[first][first_place:], middle, blocks[last][:last_place])

    def count(self, start: bytes, end: bytes | None) -> int:
        """How many keys [start, end) holds; looks at no key between."""
        blocks = self._settle()
        first, first_place, last, last_place = self._bounds(start, end)
        return sum(map(len, blocks[first:last])) + last_place - first_place

    def renew(self, renewed: Renew) -> Iterator[list[bytes]]:
        """Replace all keys by equal ones, block by block: `renewed` gives them.

        Yields the former keys of each block. The index may change between two blocks.
        """
        self._settle()
        self.changes = number = 0
        while number < len(self._blocks):
            former = self._blocks[number]
            block = self._blocks[number] = renewed(former)
            if number:
                self._firsts[number] = block[0]
            following = self._firsts[number + 1] if number + 1 < len(self._blocks) else None
            yield former
            # Blocks may have been cut in two, or have vanished, meanwhile.
            if following is None:
                return
            number = max(bisect_left(self._firsts, following), 1)
