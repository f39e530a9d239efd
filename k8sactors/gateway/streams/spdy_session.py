"""The streams of one SPDY connection, over anything that carries bytes."""

from __future__ import annotations

from collections import deque
from typing import Final, Protocol

import trio

from k8sactors.gateway.streams.spdy_frames import (
    REFUSED_STREAM,
    GoneAway,
    SpdyError,
    SpdyFrames,
    StreamData,
    StreamOpened,
    StreamReset,
)
from raftstore.http import WebSocketClosedError

MAX_STREAMS: Final = 500
# Of one stream, what has arrived and was not read; beyond it nothing more is received.
UNREAD_BYTES: Final = 256 << 10


class Carrier(Protocol):
    """The connection: an upgraded one, or a WebSocket."""

    async def receive(self) -> bytes | str:
        """What comes next.

        Raises:
            WebSocketClosedError: the peer has closed.
        """

    async def send(self, data: bytes) -> None:
        """Send; waits while the peer is slow."""


class SpdyStream:
    """One stream that the peer has opened."""

    def __init__(self, session: SpdySession, stream_id: int, headers: dict[str, str]) -> None:
        self.stream_id = stream_id
        self.headers = headers
        self.reset = False
        self._session = session
        self._arrived: deque[bytes] = deque()
        self._unread = 0
        self._peer_ended = False
        self._ended = False
        self._changed = trio.lowlevel.ParkingLot()

    async def receive(self) -> bytes:
        """What comes next; nothing at the end."""
        while not self._arrived and not self._peer_ended:
            await self._changed.park()
        if not self._arrived:
            return b""
        data = self._arrived.popleft()
        self._unread -= len(data)
        self._changed.unpark_all()
        return data

    async def send(self, data: bytes) -> None:
        """Send; on a stream that is over it is dropped."""
        if data and not self._ended and not self.reset:
            await self._session.send(SpdyFrames.data(self.stream_id, data))

    async def end(self) -> None:
        """Send no more."""
        if not self._ended and not self.reset:
            self._ended = True
            await self._session.send(SpdyFrames.data(self.stream_id, b"", ended=True))

    async def abort(self) -> None:
        """Give the stream up."""
        if not self.reset:
            self.give_up()
            await self._session.send(SpdyFrames.reset(self.stream_id))

    # Called by the session.

    async def arrive(self, data: bytes, *, ended: bool) -> None:
        """Take data; waits while too much is unread."""
        if data and not self.reset:
            self._arrived.append(data)
            self._unread += len(data)
        if ended:
            self._peer_ended = True
        self._changed.unpark_all()
        while self._unread > UNREAD_BYTES and not self.reset:
            await self._changed.park()

    def give_up(self) -> None:
        """It is over."""
        self.reset = self._peer_ended = True
        self._arrived.clear()
        self._unread = 0
        self._changed.unpark_all()


class SpdySession:
    """One connection; `run` receives until the peer has closed it."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier
        self._frames = SpdyFrames()
        self._streams: dict[int, SpdyStream] = {}
        self._last_id = 0
        self._opened, self.opened = trio.open_memory_channel[SpdyStream](MAX_STREAMS)

    async def send(self, frame: bytes) -> None:
        """Send a frame; on a connection that is closed it is dropped."""
        try:
            await self._carrier.send(frame)
        except WebSocketClosedError:
            return

    async def run(self) -> None:
        """Receive until the connection ends; `opened` gives the streams, and ends with it."""
        try:
            while True:
                data = await self._carrier.receive()
                if isinstance(data, str):
                    return
                for event in self._frames.receive(data):
                    await self._take(event)
                if self._frames.output:
                    output = bytes(self._frames.output)
                    self._frames.output.clear()
                    await self.send(output)
        except (SpdyError, WebSocketClosedError):
            return
        finally:
            self._opened.close()
            for stream in self._streams.values():
                stream.give_up()

    async def _take(self, event: StreamOpened | StreamData | StreamReset | GoneAway) -> None:
        match event:
            case StreamOpened(stream_id, headers, ended):
                if stream_id <= self._last_id or len(self._streams) >= MAX_STREAMS:
                    await self.send(SpdyFrames.reset(stream_id, REFUSED_STREAM))
                    return
                self._last_id = stream_id
                stream = self._streams[stream_id] = SpdyStream(self, stream_id, headers)
                await self.send(self._frames.reply(stream_id))
                await stream.arrive(b"", ended=ended)
                self._opened.send_nowait(stream)
            case StreamData(stream_id, data, ended):
                if (found := self._streams.get(stream_id)) is not None:
                    await found.arrive(data, ended=ended)
            case StreamReset(stream_id):
                if (gone := self._streams.pop(stream_id, None)) is not None:
                    gone.give_up()
            case GoneAway():
                return

    def forget(self, stream: SpdyStream) -> None:
        """A stream is over: hold nothing of it."""
        self._streams.pop(stream.stream_id, None)
