"""Exec and attach over a WebSocket: the first byte of a message is its channel.

`v5` adds a message that closes a channel (KEP-4006); `v4` and later end with a Status on the error
channel; the first version, without a name of its own, puts a text there. In the `base64` variants
messages are text: a digit and base64.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import trio

from k8sactors.api import streaming
from k8sactors.client.remote_stream import RemoteStream
from k8sactors.gateway.streams import channels
from k8sactors.simulation import unwrap_groups
from raftstore.http import Exchange, WebSocket, WebSocketClosedError, offered_subprotocols

PROTOCOLS: Final = (
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "channel.k8s.io",
    "base64.channel.k8s.io",
)
_CLOSE: Final = 255


def choose(exchange: Exchange) -> str | None:
    """The subprotocol: the client's first choice that is known; "" if it offers none."""
    offered = offered_subprotocols(exchange.head)
    if not offered:
        return ""
    return next((name for name in offered if name in PROTOCOLS), None)


async def serve(
    exchange: Exchange, protocol: str, remote: RemoteStream, options: Mapping[str, Any]
) -> None:
    """Serve one command until it ends, or its client goes."""
    websocket = await exchange.accept_websocket(protocol or None)
    client = _Client(websocket, protocol)
    with suppress(WebSocketClosedError), unwrap_groups():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_receive, client, remote, nursery.cancel_scope)
            for name, channel in (("stdout", channels.STDOUT), ("stderr", channels.STDERR)):
                if options.get(name):
                    # The real server tells with an empty message that it is ready.
                    await client.send(channel, b"")
                    break
            await channels.send_output(remote, client)
            nursery.cancel_scope.cancel()


async def _receive(client: _Client, remote: RemoteStream, scope: trio.CancelScope) -> None:
    """Take what the client sends; when it goes, all ends."""
    try:
        while True:
            channel, data = await client.receive()
            if channel == channels.STDIN:
                await remote.send_bytes(streaming.STDIN, data)
            elif channel == channels.RESIZE:
                await channels.resize(remote, data)
            elif channel == _CLOSE and client.closes_channels and data == b"\0":
                await remote.send(streaming.STDIN_CLOSED, None)
    except WebSocketClosedError:
        scope.cancel()


class _Client:
    """The client's end of the WebSocket."""

    def __init__(self, websocket: WebSocket, protocol: str) -> None:
        self._websocket = websocket
        self._base64 = "base64" in protocol
        self._has_status = protocol.startswith(("v4.", "v5."))
        self.closes_channels = protocol.startswith("v5.")

    async def receive(self) -> tuple[int, bytes]:
        """The next message; one that is malformed is for no channel."""
        message = await self._websocket.receive()
        if isinstance(message, bytes):
            return (message[0], message[1:]) if message else (-1, b"")
        if not message[:1].isdecimal():
            return -1, b""
        try:
            return int(message[0]), base64.b64decode(message[1:])
        except (binascii.Error, ValueError):
            return -1, b""

    async def send(self, channel: int, data: bytes) -> None:
        """Send to the client."""
        if self._base64:
            await self._websocket.send(f"{channel}{base64.b64encode(data).decode()}")
        else:
            await self._websocket.send(bytes([channel]) + data)

    async def finish(self, status: Mapping[str, Any]) -> None:
        """Tell how it has ended, and close."""
        if self._has_status:
            await self.send(channels.ERROR, json.dumps(status).encode())
        elif status.get("status") != "Success":
            await self.send(channels.ERROR, str(status.get("message") or "").encode())
        await self._websocket.close()
