"""One connection of a client: hypercorn's, with bounds on how long it may say nothing.

Who connects has to say what he speaks within `OPENING_TIMEOUT_S`: the head of a first request, or
the preface of HTTP/2 (behind TLS there is as much for the handshake). From then on the connection
may be idle for hypercorn's `keep_alive_timeout`, and it is over when its client has closed it.

Hypercorn has a task for each connection that waits until it has been idle for long enough. It is
not used: it outlives connections that have been closed, so that probes that only connect would
take every connection there is, and to start it after every request takes longer than most of them.
"""

from __future__ import annotations

from typing import Any, Final, cast

import trio
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol import ProtocolWrapper
from hypercorn.protocol.h2 import H2Protocol
from hypercorn.trio.tcp_server import MAX_RECV, TCPServer
from priority.priority import PriorityTree

from raftstore.gateway.backpressure import BoundedBuffers
from raftstore.gateway.turntaking import StreamRing

OPENING_TIMEOUT_S: Final = 10.0


class _Protocol(ProtocolWrapper):
    """HTTP/1.1 or HTTP/2, as the client begins."""

    @property
    def protocol(self) -> Any:
        return self._protocol

    @protocol.setter
    def protocol(self, chosen: Any) -> None:
        if isinstance(chosen, H2Protocol):
            chosen.priority = cast("PriorityTree", StreamRing())
            chosen.stream_buffers = BoundedBuffers(chosen.context.event_class)
        self._protocol = chosen


class Connection(TCPServer):
    """Hypercorn's connection, whose streams take turns."""

    _reading: trio.CancelScope
    """Ends with the time for which the connection may say nothing."""

    @property
    def protocol(self) -> Any:
        """What is spoken on it."""
        return self._protocol

    @protocol.setter
    def protocol(self, made: ProtocolWrapper) -> None:
        self._protocol = _Protocol(
            made.app,
            made.config,
            made.context,
            made.task_group,
            made.state,
            made.ssl,
            made.client,
            made.server,
            made.send,
            "h2" if isinstance(made.protocol, H2Protocol) else None,
        )

    async def protocol_send(self, event: Event) -> None:
        """Take what the protocol has for the client, or says about itself."""
        if isinstance(event, Updated):
            self._has_time(self.config.keep_alive_timeout if event.idle else float("inf"))
        else:
            await super().protocol_send(event)

    async def _read_data(self) -> None:
        with trio.CancelScope() as self._reading:
            self._has_time(OPENING_TIMEOUT_S)
            while data := await self._receive():
                await self.protocol.handle(RawData(data))
                protocol = self._protocol.protocol
                if isinstance(protocol, H2Protocol) and protocol.idle:
                    self._has_time(self.config.keep_alive_timeout)
        await self.protocol.handle(Closed())

    def _has_time(self, seconds: float) -> None:
        self._reading.deadline = trio.current_time() + seconds

    async def _receive(self) -> bytes:
        """What comes; nothing at the end, however it ends."""
        try:
            return bytes(await self.stream.receive_some(MAX_RECV))
        except (trio.ClosedResourceError, trio.BrokenResourceError):
            return b""

    async def _idle_timeout(self) -> None:
        """Nothing waits for the end of a time; see above."""
