"""Sets of completion indexes in the compressed form of a Job's status: `0,2-4,7`."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator

import attrs

Interval = tuple[int, int]


@attrs.frozen
class Indexes:
    """Indexes as ordered intervals (first, last) with gaps between them."""

    intervals: tuple[Interval, ...] = ()

    @classmethod
    def parse(cls, text: str, completions: int) -> Indexes:
        """The indexes below `completions` that a text names; what is not well-formed is ignored."""
        found: list[Interval] = []
        for part in text.split(",") if text else ():
            first, _, last = part.partition("-")
            if not first.isdigit() or (last and not last.isdigit()):
                continue
            if int(first) >= completions:
                break
            found.append((int(first), min(int(last or first), completions - 1)))
        return cls(_merged(found))

    def with_indexes(self, more: Iterable[int]) -> Indexes:
        """These and `more`."""
        added = [(index, index) for index in more]
        return Indexes(_merged(sorted([*self.intervals, *added]))) if added else self

    def with_all(self, others: Indexes) -> Indexes:
        """These and others."""
        return Indexes(_merged(sorted([*self.intervals, *others.intervals])))

    def __len__(self) -> int:
        """How many indexes there are."""
        return sum(last - first + 1 for first, last in self.intervals)

    def __contains__(self, index: int) -> bool:
        """Whether an index is one of these."""
        at = bisect_left(self.intervals, index, key=lambda interval: interval[1])
        return at < len(self.intervals) and self.intervals[at][0] <= index

    def __str__(self) -> str:
        """As in a status: two neighbours are listed, three and more are a range."""
        return ",".join(
            str(first) if first == last else f"{first}{',' if last == first + 1 else '-'}{last}"
            for first, last in self.intervals
        )

    def missing(self, completions: int) -> Iterator[int]:
        """The indexes below `completions` that are not here, in order."""
        candidate = 0
        for first, last in self.intervals:
            yield from range(candidate, min(first, completions))
            candidate = max(candidate, last + 1)
        yield from range(candidate, completions)

    def shared_with(self, others: Indexes) -> int:
        """How many indexes are in both."""
        count, left, right = 0, 0, 0
        while left < len(self.intervals) and right < len(others.intervals):
            one, other = self.intervals[left], others.intervals[right]
            count += max(0, min(one[1], other[1]) - max(one[0], other[0]) + 1)
            if one[1] <= other[1]:
                left += 1
            if other[1] <= one[1]:
                right += 1
        return count


def _merged(ordered: Iterable[Interval]) -> tuple[Interval, ...]:
    merged: list[Interval] = []
    for first, last in ordered:
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return tuple(merged)
