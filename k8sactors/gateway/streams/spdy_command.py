"""Exec and attach over SPDY (`kubectl` before 1.31): a stream for each channel.

The client opens them with the header `streamtype`; the error stream carries a Status at the end
from protocol v4 on, a text before. Source: `k8s.io/apimachinery/pkg/util/httpstream`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import trio

from k8sactors.api import streaming
from k8sactors.client.remote_stream import RemoteStream
from k8sactors.gateway.streams import channels
from k8sactors.gateway.streams.spdy_session import SpdySession, SpdyStream
from raftstore.http import Exchange

PROTOCOL_HEADER: Final = b"x-stream-protocol-version"
PROTOCOLS: Final = (
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "v3.channel.k8s.io",
    "v2.channel.k8s.io",
    "channel.k8s.io",
)
STREAMS_TIMEOUT_S: Final = 30.0
_CHANNELS: Final = {channels.STDOUT: "stdout", channels.STDERR: "stderr"}


def choose(exchange: Exchange) -> str | None:
    """The protocol: the client's first choice that is known; the oldest if it offers none."""
    offered = b",".join(exchange.head.get_all(PROTOCOL_HEADER)).decode("latin-1")
    names = [name for name in (part.strip() for part in offered.split(",")) if name]
    if not names:
        return "channel.k8s.io"
    return next((name for name in names if name in PROTOCOLS), None)


async def serve(
    exchange: Exchange, protocol: str, remote: RemoteStream, options: Mapping[str, Any]
) -> None:
    """Serve one command until it ends, or its client goes."""
    headers = [(PROTOCOL_HEADER, protocol.encode())]
    session = SpdySession(await exchange.accept_upgrade("SPDY/3.1", headers))
    async with trio.open_nursery() as nursery:

        async def receive() -> None:
            await session.run()
            nursery.cancel_scope.cancel()

        nursery.start_soon(receive)
        streams = await _wait_for_streams(session, options)
        if streams is None:
            nursery.cancel_scope.cancel()
            return
        if "stdin" in streams:
            nursery.start_soon(_send_input, streams["stdin"], remote)
        if "resize" in streams:
            nursery.start_soon(_send_sizes, streams["resize"], remote)
        await channels.send_output(remote, _Client(streams, protocol))
        # The client closes when it has read everything.
        with trio.move_on_after(STREAMS_TIMEOUT_S):
            await trio.sleep_forever()
        nursery.cancel_scope.cancel()


async def _wait_for_streams(
    session: SpdySession, options: Mapping[str, Any]
) -> dict[str, SpdyStream] | None:
    """The streams that the options promise; None: they do not come."""
    wanted = {name for name in ("stdin", "stdout", "stderr") if options.get(name)} | {"error"}
    if options.get("tty"):
        wanted.discard("stderr")
    found: dict[str, SpdyStream] = {}
    with trio.move_on_after(STREAMS_TIMEOUT_S):
        async for stream in session.opened:
            found[stream.headers.get("streamtype", "")] = stream
            if wanted <= found.keys() and (not options.get("tty") or "resize" in found):
                return found
            if wanted <= found.keys():
                # Whether a terminal's size comes too depends on the client's protocol.
                with trio.move_on_after(0.2):
                    more = await session.opened.receive()
                    found[more.headers.get("streamtype", "")] = more
                return found
    return None


async def _send_input(stream: SpdyStream, remote: RemoteStream) -> None:
    while data := await stream.receive():
        await remote.send_bytes(streaming.STDIN, data)
    await remote.send(streaming.STDIN_CLOSED, None)


async def _send_sizes(stream: SpdyStream, remote: RemoteStream) -> None:
    while data := await stream.receive():
        for line in data.splitlines():
            await channels.resize(remote, line)


class _Client:
    """The client's streams."""

    def __init__(self, streams: dict[str, SpdyStream], protocol: str) -> None:
        self._streams = streams
        self._has_status = protocol.startswith(("v4.", "v5."))

    async def send(self, channel: int, data: bytes) -> None:
        """Send to the client."""
        stream = self._streams.get(_CHANNELS[channel])
        if stream is not None:
            await stream.send(data)

    async def finish(self, status: Mapping[str, Any]) -> None:
        """Tell how it has ended, and close."""
        error = self._streams["error"]
        if self._has_status:
            await error.send(json.dumps(status).encode())
        elif status.get("status") != "Success":
            await error.send(str(status.get("message") or "").encode())
        for name in ("stdout", "stderr", "error", "stdin"):
            if name in self._streams:
                await self._streams[name].end()
