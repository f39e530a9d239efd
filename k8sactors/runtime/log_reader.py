"""A stream of the lines of a container's log."""

from __future__ import annotations

from typing import Any

from k8sactors.actors import Stream
from k8sactors.api.meta import format_time
from k8sactors.api.streaming import CHUNK_BYTES, IN_ORDER, STDOUT
from k8sactors.runtime.container_log import LogLine
from k8sactors.runtime.container_process import ContainerProcess
from k8sactors.simulation import SECOND


class LogReader:
    """Sends the lines of a log, and those that are added, as the options say."""

    def __init__(self, stream: Stream, inside: ContainerProcess, options: dict[str, Any]) -> None:
        self._stream = stream
        self._inside = inside
        self._log = inside.log
        self._follows = bool(options.get("follow"))
        self._timestamps = bool(options.get("timestamps"))
        self._since_ns = int(options.get("since_ns") or 0)
        self._left_bytes: int | None = options.get("limit_bytes")
        wanted = options.get("stream") or "All"
        self._only = "" if wanted == "All" else wanted.lower()
        self._tail: int | None = options.get("tail_lines")
        self._next = 0
        self._continues = False

    def start(self) -> None:
        """Begin at the first line that is wanted."""
        stream, log = self._stream, self._log
        self._inside.catch_up()
        self._next = log.first
        if self._tail is not None:
            wanted = [
                log.first + place for place, line in enumerate(log.lines(0)) if self._wants(line)
            ]
            kept = wanted[-self._tail :] if self._tail else []
            self._next = kept[0] if kept else log.end
        stream.on_writable = self._pump
        stream.on_close = lambda _reason, _trailer: log.unfollow(self._pump)
        if self._follows:
            log.follow(self._pump)
        self._pump()

    def _wants(self, line: LogLine) -> bool:
        return line.time_ns >= self._since_ns and self._only in {"", line.stream}

    def _pump(self) -> None:
        stream, log = self._stream, self._log
        while stream.writable and self._next < log.end:
            self._next = max(self._next, log.first)
            batch = bytearray()
            for line in log.lines(self._next):
                self._next += 1
                if self._wants(line):
                    batch += self._text(line)
                if len(batch) >= CHUNK_BYTES:
                    break
            if self._left_bytes is not None:
                del batch[self._left_bytes :]
                self._left_bytes -= len(batch)
            if batch:
                stream.send(STDOUT, bytes(batch))
            if self._left_bytes == 0:
                self._finish()
                return
        if self._next >= log.end and (log.ended or not self._follows):
            self._finish()

    def _finish(self) -> None:
        self._log.unfollow(self._pump)
        self._stream.close("", IN_ORDER)

    def _text(self, line: LogLine) -> bytes:
        if not self._timestamps or self._continues:
            self._continues = not line.data.endswith(b"\n")
            return line.data
        self._continues = not line.data.endswith(b"\n")
        return f"{time_text(line.time_ns)} ".encode() + line.data


def time_text(time_ns: int) -> str:
    """An instant with nine digits of fraction (the kubelet's RFC3339NanoFixed)."""
    return f"{format_time(time_ns).removesuffix('Z')}.{time_ns % SECOND:09d}Z"
