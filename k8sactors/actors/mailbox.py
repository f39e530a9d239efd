"""A bounded mailbox: a trio memory channel of frames, and what happens when it is full.

The channel holds up to `CAPACITY_FRAMES`. Frames of a connection that find it full wait in an
overflow queue with a limit in bytes (the receive window of a TCP socket, so to speak); over that
limit the mailbox refuses, and the network resets the connection that sent too much. Datagrams are
refused as soon as the channel is full. Both are counted.
"""

from collections import deque

import attrs
import trio

from k8sactors.actors.codec import WAKE

CAPACITY_FRAMES = 4096
OVERFLOW_BYTES = 256 * 1024 * 1024


@attrs.frozen
class MailboxStatistics:
    """How full a mailbox is, and what it refused."""

    queued_frames: int
    overflow_frames: int
    overflow_bytes: int
    refused_frames: int
    peak_frames: int


class Mailbox:
    """Receives frames for one actor. `put` never blocks; `receive` waits, `take` does not."""

    __slots__ = (
        "_overflow",
        "_overflow_bytes",
        "_peak_frames",
        "_queued",
        "_receive",
        "_refused_frames",
        "_send",
        "_waiting",
        "capacity_frames",
        "overflow_limit_bytes",
    )

    def __init__(
        self, capacity_frames: int = CAPACITY_FRAMES, overflow_limit_bytes: int = OVERFLOW_BYTES
    ) -> None:
        self.capacity_frames = capacity_frames
        self.overflow_limit_bytes = overflow_limit_bytes
        self._send, self._receive = trio.open_memory_channel[bytes](capacity_frames)
        self._queued = 0
        self._waiting = False
        self._overflow: deque[bytes] = deque()
        self._overflow_bytes = 0
        self._refused_frames = 0
        self._peak_frames = 0

    def put(self, frame: bytes, *, droppable: bool = False) -> bool:
        """Add a frame; False when it was refused."""
        if self._queued < self.capacity_frames and not self._overflow:
            self._send.send_nowait(frame)
            self._queued += 1
            self._peak_frames = max(self._peak_frames, self._queued)
            return True
        if droppable or self._overflow_bytes + len(frame) > self.overflow_limit_bytes:
            self._refused_frames += 1
            return False
        self._overflow.append(frame)
        self._overflow_bytes += len(frame)
        return True

    def wake(self) -> None:
        """Make a waiting receiver run a turn. One that is not waiting will run one anyway."""
        if self._waiting and self._queued == 0:
            self._send.send_nowait(WAKE)
            self._queued += 1

    async def receive(self) -> bytes:
        """The next frame; waits for it."""
        if self._queued == 0:
            if self._overflow:
                await trio.lowlevel.checkpoint()
                frame = self._overflow.popleft()
                self._overflow_bytes -= len(frame)
                return frame
            self._waiting = True
            try:
                frame = await self._receive.receive()
            finally:
                self._waiting = False
        else:
            frame = await self._receive.receive()
        self._queued -= 1
        return frame

    def take(self) -> bytes | None:
        """The next frame if there is one."""
        if self._queued:
            self._queued -= 1
            return self._receive.receive_nowait()
        if self._overflow:
            frame = self._overflow.popleft()
            self._overflow_bytes -= len(frame)
            return frame
        return None

    def statistics(self) -> MailboxStatistics:
        """A snapshot of the queue's state."""
        return MailboxStatistics(
            queued_frames=self._queued,
            overflow_frames=len(self._overflow),
            overflow_bytes=self._overflow_bytes,
            refused_frames=self._refused_frames,
            peak_frames=self._peak_frames,
        )
