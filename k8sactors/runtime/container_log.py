"""The log of one container: its last lines, with time and stream, bounded.

The real runtime writes a file in the CRI format (time, stream, P or F, text) which the kubelet
rotates by size; here the oldest lines go when the log is full.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Final

import attrs

LOG_BYTES: Final = 1 << 20
# A longer line is written in parts (containerd: max_container_log_line_size).
LINE_BYTES: Final = 16 << 10
STDOUT: Final = "stdout"
STDERR: Final = "stderr"


@attrs.frozen
class LogLine:
    """A line, or a part of one that is too long."""

    # Unix time.
    time_ns: int
    stream: str
    # With its newline, unless it is a part.
    data: bytes


class ContainerLog:
    """Lines by their number since the start; `first` is the oldest that is kept."""

    def __init__(self, limit_bytes: int = LOG_BYTES) -> None:
        self.first = 0
        self.size_bytes = 0
        self.ended = False
        self._limit_bytes = limit_bytes
        self._lines: deque[LogLine] = deque()
        self._open: dict[str, bytearray] = {}
        self._followers: dict[Callable[[], None], None] = {}

    @property
    def end(self) -> int:
        """The number of the next line."""
        return self.first + len(self._lines)

    def append(self, time_ns: int, stream: str, data: bytes) -> None:
        """Take what a program has written; lines that are not complete wait for their rest."""
        rest = self._open.setdefault(stream, bytearray())
        rest += data
        begin = self.end
        while (newline := rest.find(b"\n")) >= 0 or len(rest) >= LINE_BYTES:
            size = newline + 1 if 0 <= newline < LINE_BYTES else LINE_BYTES
            self._add(LogLine(time_ns, stream, bytes(rest[:size])))
            del rest[:size]
        if self.end != begin:
            self._tell()

    def close(self, time_ns: int) -> None:
        """The process has ended: what is left of its last lines is a line too. Idempotent."""
        if self.ended:
            return
        self.ended = True
        for stream, rest in self._open.items():
            if rest:
                self._add(LogLine(time_ns, stream, bytes(rest)))
        self._open.clear()
        self._tell()
        self._followers.clear()

    def _add(self, line: LogLine) -> None:
        self._lines.append(line)
        self.size_bytes += len(line.data)
        while self.size_bytes > self._limit_bytes:
            self.size_bytes -= len(self._lines.popleft().data)
            self.first += 1

    def lines(self, start: int) -> list[LogLine]:
        """The lines from a number on, as far as they are kept."""
        return list(islice(self._lines, max(start - self.first, 0), None))

    def follow(self, callback: Callable[[], None]) -> None:
        """Be told of new lines and of the end."""
        self._followers[callback] = None

    def unfollow(self, callback: Callable[[], None]) -> None:
        """Be told no longer."""
        self._followers.pop(callback, None)

    def _tell(self) -> None:
        for callback in list(self._followers):
            callback()
