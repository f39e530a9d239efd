"""Forwarded ports: SPDY streams in pairs, over an upgrade or inside of a WebSocket.

Of each connection that a user makes, the client opens two streams with the same `requestid`: one
for errors, one for data, both with the header `port`. Newer clients tunnel SPDY through a WebSocket
(KEP-4006). Sources: `cri-streaming/portforward`, `apimachinery/pkg/util/portforward`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio

from k8sactors.api import streaming
from k8sactors.api.errors import StatusError
from k8sactors.client.remote_stream import RemoteStream
from k8sactors.gateway.streams.spdy_session import SpdySession, SpdyStream
from raftstore.http import Exchange, offered_subprotocols

PROTOCOL: Final = "portforward.k8s.io"
TUNNEL: Final = "SPDY/3.1+portforward.k8s.io"
PROTOCOL_HEADER: Final = b"x-stream-protocol-version"
MAX_PORT: Final = 65_535

# Opens a stream to a port of the pod.
Dial = Callable[[int], RemoteStream]


def tunnels(exchange: Exchange) -> bool:
    """Whether the client offers the tunnel."""
    return TUNNEL in offered_subprotocols(exchange.head)


async def serve_tunnel(exchange: Exchange, dial: Dial) -> None:
    """Serve SPDY inside of a WebSocket."""
    await _serve(SpdySession(await exchange.accept_websocket(TUNNEL)), dial)


async def serve_upgrade(exchange: Exchange, dial: Dial) -> None:
    """Serve SPDY."""
    headers = [(PROTOCOL_HEADER, PROTOCOL.encode())]
    await _serve(SpdySession(await exchange.accept_upgrade("SPDY/3.1", headers)), dial)


async def _serve(session: SpdySession, dial: Dial) -> None:
    waiting: dict[str, SpdyStream] = {}
    async with trio.open_nursery() as nursery:

        async def receive() -> None:
            await session.run()
            nursery.cancel_scope.cancel()

        nursery.start_soon(receive)
        async for stream in session.opened:
            request = stream.headers.get("requestid", "")
            other = waiting.pop(request, None)
            if other is None:
                waiting[request] = stream
                continue
            pair = {each.headers.get("streamtype"): each for each in (stream, other)}
            if pair.keys() != {"data", "error"}:
                await stream.abort()
                await other.abort()
                continue
            nursery.start_soon(_connect, session, pair["data"], pair["error"], dial)


async def _connect(session: SpdySession, data: SpdyStream, error: SpdyStream, dial: Dial) -> None:
    """Serve one connection."""
    try:
        port = data.headers.get("port", "")
        if not port.isdecimal() or not 0 < int(port) <= MAX_PORT:
            await error.send(f'unable to parse "{port}" as a port'.encode())
            return
        with dial(int(port)) as remote:
            try:
                await remote.opened()
            except StatusError as failure:
                await error.send(failure.message.encode())
                return
            await _exchange(data, remote)
    finally:
        with trio.CancelScope(shield=True) as scope:
            scope.deadline = trio.current_time() + 1
            await data.end()
            await error.end()
        session.forget(data)
        session.forget(error)


async def _exchange(data: SpdyStream, remote: RemoteStream) -> None:
    async with trio.open_nursery() as nursery:

        async def send() -> None:
            while part := await data.receive():
                await remote.send_bytes(streaming.STDIN, part)
            await remote.send(streaming.STDIN_CLOSED, None)
            if data.reset:
                nursery.cancel_scope.cancel()

        nursery.start_soon(send)
        try:
            while (item := await remote.receive()) is not None:
                await data.send(item[1])
        except StatusError:
            await data.abort()
        nursery.cancel_scope.cancel()
