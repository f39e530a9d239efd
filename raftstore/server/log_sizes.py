"""How many bytes of entries lie between two places of the log.

A leader that keeps its log for a member that is catching up asks that at every snapshot. Half a
million entries are too many to be looked at one by one each time, so that some places are noted as
the log passes.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from raftstore.raft import Entry
from raftstore.raft.log import RaftLog, entry_data

# A place is noted after so many: no more, and those of one batch, must be looked at.
NOTED_ENTRIES: Final = 1024


class LogSizes:
    """The sizes of the entries that were applied."""

    def __init__(self) -> None:
        # Index, and the bytes up to it, in order.
        self._noted: deque[tuple[int, int]] = deque()
        # The same of the newest.
        self._end = (0, 0)

    def start_at(self, index: int) -> None:
        """A snapshot has taken the place of everything up to here."""
        self._noted.clear()
        self._end = index, 0

    def add(self, entries: list[Entry]) -> int:
        """These follow; returns their bytes."""
        size = len(entries[0].data)
        if len(entries) > 1:
            size = sum(map(len, map(entry_data, entries)))
        self._end = entries[-1].index, self._end[1] + size
        if not self._noted or self._end[0] - self._noted[-1][0] >= NOTED_ENTRIES:
            self._noted.append(self._end)
        return size

    def bounded(self, log: RaftLog, end: int, start: int, max_bytes: int) -> int:
        """The first index from `start` on behind which, up to `end`, are no more bytes.

        All three lie within what was added; of what is before `log`, nothing is known any more.
        """
        start = max(start, log.offset)
        noted = self._noted
        while noted and noted[0][0] < log.offset:
            noted.popleft()
        least = self._up_to(log, end) - max_bytes
        for index, up_to in (*noted, self._end):
            if up_to >= least and index >= start:
                # So late would do; and perhaps some entries earlier, but not before the last one.
                return _earliest(log, index, start, up_to - least)
        return end

    def _up_to(self, log: RaftLog, index: int) -> int:
        """The bytes up to an entry."""
        place, up_to = next((noted for noted in self._noted if noted[0] >= index), self._end)
        behind = log.entries[index - log.offset : place - log.offset]
        return up_to - sum(map(len, map(entry_data, behind)))


def _earliest(log: RaftLog, index: int, start: int, free_bytes: int) -> int:
    while index > start:
        free_bytes -= len(log.entries[index - log.offset - 1].data)
        if free_bytes < 0:
            break
        index -= 1
    return index
