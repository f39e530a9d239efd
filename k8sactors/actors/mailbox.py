"""A bounded mailbox: a trio memory channel of frames, and what happens when it is full.

The channel holds up to `CAPACITY_FRAMES`. Frames of a connection that find it full wait in an
overflow queue with a limit in bytes (the receive window of a TCP socket, so to speak); over that
limit the mailbox refuses, and the network resets the connection that sent too much. Datagrams are
refused as soon as the channel is full. Both are counted.

The owner does not sleep in the channel's `receive`: it sleeps until something happens, a frame or a
timer, then takes what there is. So a timer needs no frame to wake it.
"""

from __future__ import annotations

from collections import deque

import attrs
import trio

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
    """Receives frames for one actor. `put` and `take` never block; `wait` does."""

    __slots__ = (
        "_overflow",
        "_overflow_bytes",
        "_peak_frames",
        "_queued",
        "_receive_nowait",
        "_refused_frames",
        "_send_nowait",
        "_sleeper",
        "_woken",
        "capacity_frames",
        "overflow_limit_bytes",
    )

    def __init__(
        self, capacity_frames: int = CAPACITY_FRAMES, overflow_limit_bytes: int = OVERFLOW_BYTES
    ) -> None:
        self.capacity_frames = capacity_frames
        self.overflow_limit_bytes = overflow_limit_bytes
        send, receive = trio.open_memory_channel[bytes](capacity_frames)
        self._send_nowait = send.send_nowait
        self._receive_nowait = receive.receive_nowait
        self._queued = 0
        self._sleeper: trio.lowlevel.Task | None = None
        self._woken = False
        self._overflow: deque[bytes] = deque()
        self._overflow_bytes = 0
        self._refused_frames = 0
        self._peak_frames = 0

    def put(self, frame: bytes, *, droppable: bool = False) -> bool:
        """Add a frame; False when it was refused."""
        if self._queued < self.capacity_frames and not self._overflow:
            self._send_nowait(frame)
            self._queued = queued = self._queued + 1
            self._peak_frames = max(self._peak_frames, queued)
            if self._sleeper is not None:
                self.wake()
            return True
        if droppable or self._overflow_bytes + len(frame) > self.overflow_limit_bytes:
            self._refused_frames += 1
            return False
        self._overflow.append(frame)
        self._overflow_bytes += len(frame)
        return True

    def wake(self) -> None:
        """End the owner's sleep, or its next one at once if it does not sleep."""
        sleeper = self._sleeper
        if sleeper is None:
            self._woken = True
        else:
            self._sleeper = None
            trio.lowlevel.reschedule(sleeper)

    async def wait(self) -> None:
        """Sleep until there is a frame, or until `wake`; lets other tasks run in any case."""
        if self._queued or self._overflow or self._woken:
            await trio.lowlevel.checkpoint()
        else:
            self._sleeper = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._abort)
        self._woken = False

    def _abort(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self._sleeper = None
        return trio.lowlevel.Abort.SUCCEEDED

    def take(self) -> bytes | None:
        """The next frame if there is one."""
        if self._queued:
            self._queued -= 1
            return self._receive_nowait()
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
