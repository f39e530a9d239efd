r"""Which keys a set of permissions covers: their ranges merged, so that one search decides.

A range is `key` and `range_end` as in a request: b"" means the one key, b"\0" everything from `key`
on. Ranges that touch become one, so a request may span several permissions.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Final

READ: Final = 0
WRITE: Final = 1
READWRITE: Final = 2

Range = tuple[bytes, bytes]
_OPEN: Final = b"\0"


def is_valid(key: bytes, range_end: bytes) -> bool:
    """Whether a permission on the range can mean anything."""
    return bool(key) and (range_end in {b"", _OPEN} or key < range_end)


def _interval(key: bytes, range_end: bytes) -> tuple[bytes, bytes | None]:
    """Half open; None: no end. A range that ends before it begins is its first key."""
    if range_end == _OPEN:
        return key, None
    if not range_end or range_end <= key:
        return key, key + b"\0"
    return key, range_end


class KeyRanges:
    """A union of ranges."""

    __slots__ = ("_ends", "_starts")

    def __init__(self, ranges: Iterable[Range]) -> None:
        self._starts: list[bytes] = []
        self._ends: list[bytes | None] = []
        for start, end in sorted(
            (_interval(*item) for item in ranges), key=lambda interval: interval[0]
        ):
            last = self._ends[-1] if self._ends else b""
            if self._ends and (last is None or start <= last):
                if last is not None and (end is None or end > last):
                    self._ends[-1] = end
            else:
                self._starts.append(start)
                self._ends.append(end)

    def covers(self, key: bytes, range_end: bytes = b"") -> bool:
        """Whether every key of the range is in the union."""
        start, end = _interval(key, range_end)
        place = bisect_right(self._starts, start) - 1
        if place < 0:
            return False
        last = self._ends[place]
        return last is None or (end is not None and end <= last)
