"""Backpressure towards clients that do not read what they asked for, over HTTP/2.

Hypercorn lets a writer go on whenever little was taken out of a stream's buffer, and so also when
nothing could be taken because the client's flow-control window is closed. Then everything that a
watch has to tell goes from its session, which is bounded, into a buffer that is not. Here a writer
goes on when there is little left in the buffer.
"""

from __future__ import annotations

from hypercorn.protocol.h2 import BUFFER_LOW_WATER, StreamBuffer
from hypercorn.typing import Event


class BoundedBuffer(StreamBuffer):
    """What waits for the window of one stream: a message or two beyond Hypercorn's high mark."""

    async def pop(self, max_length: int) -> bytes:
        """Take what may be sent now."""
        length = min(len(self.buffer), max_length)
        data = bytes(self.buffer[:length])
        del self.buffer[:length]
        if len(self.buffer) < BUFFER_LOW_WATER:
            await self._paused.set()
        if not self.buffer:
            await self._is_empty.set()
        return data


class BoundedBuffers(dict[int, StreamBuffer]):
    """The buffers of a connection, by stream: what Hypercorn puts in is replaced."""

    def __init__(self, event_class: type[Event]) -> None:
        super().__init__()
        self._event_class = event_class

    def __setitem__(self, stream_id: int, _buffer: StreamBuffer) -> None:
        """A stream begins."""
        super().__setitem__(stream_id, BoundedBuffer(self._event_class))
