"""WebSocket over HTTP/1.1, as a client by wsproto speaks it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import attrs
import pytest
import trio
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    RejectConnection,
    Request,
    TextMessage,
)

from raftstore.http import Exchange, Limits, PeerError, WebSocketClosedError
from raftstore.http.websocket_frames import is_websocket, offered_subprotocols
from tests.http.served import GET, Port, read_until, run, serving


async def echo(exchange: Exchange) -> None:
    """Answer a WebSocket's messages until it is closed or says "bye"."""
    if not is_websocket(exchange.head):
        await exchange.respond(200, b"text/plain", b"plain")
        return
    offered = offered_subprotocols(exchange.head)
    try:
        websocket = await exchange.accept_websocket(offered[-1] if offered else None)
    except PeerError as error:
        await exchange.respond(400, b"text/plain", str(error).encode())
        return
    try:
        while (message := await websocket.receive()) != "bye":
            await websocket.send(message)
    except WebSocketClosedError as closed:
        heard.append(closed.code)


heard: list[int] = []


class Client:
    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._peer = WSConnection(ConnectionType.CLIENT)
        self._waiting: list[Event] = []

    async def send(self, *events: Event) -> None:
        await self._stream.send_all(b"".join(self._peer.send(event) for event in events))

    async def next(self) -> Event:
        while not self._waiting:
            self._peer.receive_data(await self._stream.receive_some() or None)
            self._waiting.extend(self._peer.events())
        return self._waiting.pop(0)


@asynccontextmanager
async def connected(port: Port, subprotocols: Sequence[str] = ()) -> AsyncIterator[Client]:
    async with port.connected() as stream:
        client = Client(stream)
        await client.send(Request("x", "/", subprotocols=list(subprotocols)))
        yield client


def test_messages_go_both_ways_whole() -> None:
    async def test() -> None:
        async with serving(echo) as port, connected(port, ["a", "v5.channel"]) as client:
            accepted = await client.next()
            assert isinstance(accepted, AcceptConnection)
            assert accepted.subprotocol == "v5.channel"
            await client.send(TextMessage("te", message_finished=False), TextMessage("xt"))
            text = await client.next()
            assert isinstance(text, TextMessage)
            assert (text.data, text.message_finished) == ("text", True)
            data = bytes(range(256)) * 1_000
            await client.send(BytesMessage(data))
            received = b""
            while len(received) < len(data):
                part = await client.next()
                assert isinstance(part, BytesMessage)
                received += bytes(part.data)
            assert received == data

    run(test)


def test_what_is_sent_behind_the_handshake_is_heard() -> None:
    async def test() -> None:
        async with serving(echo) as port, port.connected() as stream:
            handshake = WSConnection(ConnectionType.CLIENT).send(Request("x", "/"))
            # A masked frame of text, with a mask of zeros.
            await stream.send_all(handshake + b"\x81\x82\0\0\0\0hi")
            assert (await read_until(stream, b"\x81\x02hi")).startswith(b"HTTP/1.1 101 ")

    run(test)


def test_pings_are_answered_while_the_application_waits() -> None:
    async def test() -> None:
        async with serving(echo) as port, connected(port) as client:
            await client.next()
            await client.send(Ping(b"there?"))
            pong = await client.next()
            assert isinstance(pong, Pong)
            assert bytes(pong.payload) == b"there?"

    run(test)


def test_either_side_ends_it() -> None:
    async def test() -> None:
        async with serving(echo) as port:
            async with connected(port) as client:
                await client.next()
                await client.send(TextMessage("bye"))
                closed = await client.next()
                assert isinstance(closed, CloseConnection)
                assert closed.code == 1000
                await port.until_empty()
            async with connected(port) as client:
                await client.next()
                await client.send(CloseConnection(4_000, "enough"))
                closed = await client.next()
                assert isinstance(closed, CloseConnection)
                await port.until_empty()
        assert heard[-1] == 4_000

    run(test)


def test_a_peer_that_breaks_the_rules_is_told_and_cut_off() -> None:
    async def test() -> None:
        async with serving(echo) as port, port.connected() as stream:
            await stream.send_all(WSConnection(ConnectionType.CLIENT).send(Request("x", "/")))
            await read_until(stream, b"\r\n\r\n")
            # A frame without a mask: RFC 6455, section 5.1.
            await stream.send_all(b"\x81\x02hi")
            data = await read_until(stream, b"\x88")
            assert data[-1:] == b"\x88" or b"\x03\xea" in data
            await port.until_empty()

    run(test)


def test_a_malformed_handshake_is_refused_by_the_application() -> None:
    async def test() -> None:
        async with serving(echo) as port:
            about = b"host: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
            async with port.connected(b"GET / HTTP/1.1\r\n" + about + b"\r\n") as stream:
                assert (await read_until(stream, b"\r\n")).startswith(b"HTTP/1.1 400 ")
            async with port.connected(GET) as stream:
                await read_until(stream, b"plain")

    run(test)


def test_an_application_may_refuse() -> None:
    async def refuse(exchange: Exchange) -> None:
        await exchange.respond(403, b"text/plain", b"no")

    async def test() -> None:
        async with serving(refuse) as port, connected(port) as client:
            refused = await client.next()
            assert isinstance(refused, RejectConnection)
            assert refused.status_code == 403

    run(test)


def test_messages_that_are_not_read_hold_the_peer_up() -> None:
    release = trio.Event()

    async def deaf(exchange: Exchange) -> None:
        websocket = await exchange.accept_websocket()
        await release.wait()
        count = 0
        while await websocket.receive() != "end":
            count += 1
        await websocket.send(str(count))

    async def test() -> None:
        limits = attrs.evolve(Limits(), unread_bytes=1 << 20)
        async with serving(deaf, limits) as port, connected(port) as client:
            await client.next()
            sent = 0
            message = BytesMessage(bytes(1 << 16))
            # Until the sockets of both ends are full as well.
            with trio.move_on_after(5) as scope:
                while sent < 1_000:
                    await client.send(message)
                    sent += 1
            assert scope.cancelled_caught
            release.set()

    run(test)


@pytest.mark.parametrize("size", [1_000, 2_000])
def test_a_message_beyond_the_limit_ends_it(size: int) -> None:
    async def test() -> None:
        limits = attrs.evolve(Limits(), unread_bytes=1_500)
        async with serving(echo, limits) as port, connected(port) as client:
            await client.next()
            await client.send(BytesMessage(bytes(size)))
            answer = await client.next()
            assert isinstance(answer, BytesMessage if size < 1_500 else CloseConnection)
            if isinstance(answer, CloseConnection):
                assert answer.code == 1009

    run(test)
