"""Where programs read and write: pipes with a bound, and outputs that go to several places.

A pipe holds at most `PIPE_BYTES` (Linux: pipe(7)); a program that writes to a full one waits. The
other end may be another program, or a stream to a client, which is told by callbacks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from k8sactors.runtime.waits import WaitQueue

PIPE_BYTES: Final = 64 << 10


class BrokenPipe(Exception):  # noqa: N818 - the name of the signal's cause
    """Nothing reads what a program writes: it ends, as by SIGPIPE."""


class Sink(Protocol):
    """What a program writes to."""

    async def write(self, data: bytes) -> None:
        """Write; waits while the reader is slow.

        Raises:
            BrokenPipe: nothing reads it any more.
        """


def _nothing() -> None:
    return


class Pipe:
    """Bytes from one end to the other.

    `on_data` says that there is something to take, or the end; `on_room` that a full pipe has room.
    """

    def __init__(self, limit_bytes: int = PIPE_BYTES) -> None:
        self.on_data: Callable[[], None] = _nothing
        self.on_room: Callable[[], None] = _nothing
        # The writer has finished.
        self.ended = False
        # The reader has gone.
        self.broken = False
        self._limit_bytes = limit_bytes
        self._buffer = bytearray()
        self._readers = WaitQueue()
        self._writers = WaitQueue()

    def __len__(self) -> int:
        return len(self._buffer)

    @property
    def full(self) -> bool:
        """Whether a writer has to wait."""
        return len(self._buffer) >= self._limit_bytes

    # The writer

    async def write(self, data: bytes) -> None:
        """Write all; waits while the pipe is full."""
        view = memoryview(data)
        while view:
            while self.full and not self.broken:
                await self._writers.wait()
            if self.broken:
                raise BrokenPipe
            room = self._limit_bytes - len(self._buffer)
            self.feed(bytes(view[:room]))
            view = view[room:]

    def feed(self, data: bytes) -> None:
        """Put bytes in without waiting: the caller keeps to the bound."""
        if data and not self.broken and not self.ended:
            self._buffer += data
            self._readers.release_all()
            self.on_data()

    def end(self) -> None:
        """Write no more. Idempotent."""
        if not self.ended:
            self.ended = True
            self._readers.release_all()
            self.on_data()

    # The reader

    async def read(self, max_bytes: int = PIPE_BYTES) -> bytes:
        """What is there, at least one byte; nothing at the end."""
        while not self._buffer and not self.ended:
            await self._readers.wait()
        return self.take(max_bytes)

    async def read_line(self) -> bytes:
        """A line with its newline; the rest without one, and nothing, at the end."""
        while True:
            found = self._buffer.find(b"\n")
            if found >= 0:
                return self.take(found + 1)
            if self.ended or self.full:
                return self.take(len(self._buffer))
            await self._readers.wait()

    async def read_all(self, limit_bytes: int) -> bytes:
        """Everything up to the end, but not more than the limit."""
        parts = bytearray()
        while len(parts) < limit_bytes:
            data = await self.read(limit_bytes - len(parts))
            if not data:
                break
            parts += data
        return bytes(parts)

    def take(self, max_bytes: int) -> bytes:
        """What is there now."""
        data = bytes(self._buffer[:max_bytes])
        del self._buffer[: len(data)]
        if data:
            self._writers.release_all()
            self.on_room()
        return data

    def break_(self) -> None:
        """Read no more: a writer gets `BrokenPipe`. Idempotent."""
        if not self.broken:
            self.broken = True
            self._buffer.clear()
            self._writers.release_all()
            self.on_room()


class Discard:
    """/dev/null."""

    async def write(self, data: bytes) -> None:
        """Take it."""


class Output:
    """A standard output: into `record`, and into the pipes of those that are attached."""

    def __init__(self, record: Callable[[bytes], None]) -> None:
        self._record = record
        self._pipes: list[Pipe] = []

    def attach(self, pipe: Pipe) -> None:
        """Copy what is written from now on."""
        self._pipes.append(pipe)

    def end(self) -> None:
        """Nothing more is written."""
        pipes, self._pipes = self._pipes, []
        for pipe in pipes:
            pipe.end()

    async def write(self, data: bytes) -> None:
        """Write; an attached client that does not read holds the program up."""
        self._record(data)
        if self._pipes:
            self._pipes = [pipe for pipe in self._pipes if not pipe.broken]
            for pipe in list(self._pipes):
                try:
                    await pipe.write(data)
                except BrokenPipe:
                    self._pipes.remove(pipe)
