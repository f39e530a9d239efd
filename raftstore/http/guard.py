"""A TCP stream that gives up on peers that take nothing, and counts what goes over it."""

from __future__ import annotations

from typing import Any

import trio

from raftstore.http.limits import Traffic


class GuardedStream:
    """The part of a trio stream that a connection needs."""

    def __init__(
        self, stream: trio.SocketStream, traffic: Traffic, *, stall_timeout_s: float
    ) -> None:
        self._stream = stream
        self._traffic = traffic
        self._stall_timeout_s = stall_timeout_s

    @property
    def socket(self) -> Any:
        """For the addresses of both ends."""
        return self._stream.socket

    async def send_all(self, data: bytes) -> None:
        """Send, unless the peer takes nothing for too long.

        Raises:
            trio.BrokenResourceError: it did not, and the connection is closed.
        """
        with trio.move_on_after(self._stall_timeout_s) as scope:
            await self._stream.send_all(data)
        if scope.cancelled_caught:
            self.abort()
            raise trio.BrokenResourceError("the peer does not read")
        self._traffic.sent_bytes += len(data)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receive what comes; nothing at the end."""
        data = bytes(await self._stream.receive_some(max_bytes))
        self._traffic.received_bytes += len(data)
        return data

    async def wait_send_all_might_not_block(self) -> None:
        """For TLS on top: there may be room for more."""
        await self._stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """Nothing more will be sent."""
        await self._stream.send_eof()

    async def aclose(self) -> None:
        """Close."""
        await self._stream.aclose()

    def abort(self) -> None:
        """Close at once; a task that waits in a send or receive gets an error."""
        self._stream.socket.close()
