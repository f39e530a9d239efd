"""Streams: windows, half-close, closing from either end, and what a lost connection does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from k8sactors import fabric, simulation
from k8sactors.actors import Actor, Connection, Message, Stream, StreamBlockedError
from k8sactors.actors.stream import INITIAL_WINDOW
from k8sactors.simulation import MILLISECOND


class Log:
    """What happened at one end of a stream."""

    def __init__(self) -> None:
        self.items: list[tuple[str, Any]] = []
        self.ended = 0
        self.closes: list[tuple[str, Any]] = []
        self.opened = 0

    def follow(self, stream: Stream) -> Stream:
        stream.on_item = lambda message: self.items.append((message.kind, message.payload))
        stream.on_end = self._end
        stream.on_close = lambda reason, trailer: self.closes.append((reason, trailer))
        stream.on_writable = self._open
        return stream

    def _end(self) -> None:
        self.ended += 1

    def _open(self) -> None:
        self.opened += 1


class Server(Actor):
    """Accepts every stream."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.log = Log()
        self.streams: list[Stream] = []
        self.strays: list[str] = []

    def on_message(self, message: Message) -> None:
        if message.kind != "open":
            self.strays.append(message.kind)
            return
        stream = message.accept_stream(**self.settings)
        assert stream is not None
        self.streams.append(self.log.follow(stream))


class Client(Actor):
    def on_start(self) -> None:
        self.strays: list[str] = []

    def on_message(self, message: Message) -> None:
        self.strays.append(message.kind)


class Scene:
    def __init__(self, network: Any, server: Server, client: Client) -> None:
        self.network = network
        self.server = server
        self.client = client
        self.connection: Connection = client.ctx.connect("a/server")
        self.log = Log()

    async def open(self, **settings: Any) -> tuple[Stream, Stream]:
        stream = self.log.follow(self.connection.open_stream("open", None, **settings))
        await trio.sleep(0.1)
        return stream, self.server.streams[-1]


def run(body: Callable[[Scene], Awaitable[None]], **settings: Any) -> None:
    async def main() -> None:
        async with fabric.open_fabric(default_latency_ns=MILLISECOND) as network:
            server = Server(**settings)
            client = Client()
            network.add_host("a").spawn("server", lambda: server)
            network.add_host("b").spawn("client", lambda: client)
            await trio.sleep(0.1)
            await body(Scene(network, server, client))
            assert not network.crashes, network.crashes

    simulation.run(main)


def test_items_go_both_ways_in_order() -> None:
    async def body(scene: Scene) -> None:
        mine, theirs = await scene.open()
        for number in range(3):
            mine.send("up", [number])
            theirs.send("down", b"x" * number)
        await trio.sleep(0.1)
        assert scene.server.log.items == [("up", [0]), ("up", [1]), ("up", [2])]
        assert scene.log.items == [("down", b""), ("down", b"x"), ("down", b"xx")]

    run(body)


def test_a_sender_stops_when_the_window_is_closed_and_is_told_when_it_opens() -> None:
    async def body(scene: Scene) -> None:
        mine, theirs = await scene.open()
        sent = 0
        while mine.writable:
            mine.send("up", b"x" * 1000)
            sent += 1
        assert sent == INITIAL_WINDOW // 1000 + 1
        with pytest.raises(StreamBlockedError):
            mine.send("up", b"x")
        await trio.sleep(0.1)
        assert not mine.writable
        theirs.consume(INITIAL_WINDOW)
        await trio.sleep(0.1)
        assert (mine.writable, scene.log.opened) == (True, 1)

    run(body, manual_credit=True)


def test_a_receiver_that_reads_keeps_the_window_open() -> None:
    async def body(scene: Scene) -> None:
        mine, _ = await scene.open()
        for _ in range(20):
            # Half a window may not have been returned yet.
            for _ in range(INITIAL_WINDOW // 2000):
                mine.send("up", b"x" * 1000)
            await trio.sleep(0.1)
        assert len(scene.server.log.items) == 20 * (INITIAL_WINDOW // 2000)

    run(body)


def test_a_larger_window_is_announced_with_the_stream() -> None:
    async def body(scene: Scene) -> None:
        mine, theirs = await scene.open(window=10 * INITIAL_WINDOW)
        assert theirs.credit == 10 * INITIAL_WINDOW
        assert mine.credit == 2 * INITIAL_WINDOW

    run(body, window=2 * INITIAL_WINDOW)


def test_one_direction_ends_and_the_other_continues() -> None:
    async def body(scene: Scene) -> None:
        mine, theirs = await scene.open()
        mine.send("up", 1)
        mine.end()
        mine.send("up", 2)
        await trio.sleep(0.1)
        assert (scene.server.log.items, scene.server.log.ended) == ([("up", 1)], 1)
        theirs.send("down", 3)
        theirs.end()
        await trio.sleep(0.1)
        assert (scene.log.items, scene.log.ended) == ([("down", 3)], 1)
        assert mine.closed
        assert theirs.closed
        assert scene.log.closes == scene.server.log.closes == []
        assert scene.connection.statistics()["streams"] == 0

    run(body)


@pytest.mark.parametrize("closer", ["opener", "acceptor"])
def test_either_end_closes_with_a_reason_and_a_trailer(closer: str) -> None:
    async def body(scene: Scene) -> None:
        mine, theirs = await scene.open()
        first, second = (mine, theirs) if closer == "opener" else (theirs, mine)
        log = scene.server.log if closer == "opener" else scene.log
        first.send("last", 1)
        first.close("enough", [410, b"status"])
        second.send("late", 2)
        await trio.sleep(0.1)
        assert log.items == [("last", 1)]
        assert log.closes == [("enough", [410, b"status"])]
        assert second.closed
        second.send("later", 3)
        await trio.sleep(0.1)
        other = scene.log if closer == "opener" else scene.server.log
        assert (other.items, other.closes) == ([], [])
        assert scene.server.strays == []

    run(body)


def test_a_trailer_needs_no_open_window() -> None:
    async def body(scene: Scene) -> None:
        mine, theirs = await scene.open()
        theirs.send("down", b"x" * 2 * INITIAL_WINDOW)
        assert not theirs.writable
        theirs.close("expired", [410, b""])
        await trio.sleep(0.1)
        assert scene.log.closes == [("expired", [410, b""])]
        assert mine.closed

    run(body)


def test_streams_end_with_their_connection() -> None:
    async def body(scene: Scene) -> None:
        await scene.open()
        scene.network.hosts["a"].kill_actor("server")
        await trio.sleep(0.1)
        [(reason, trailer)] = scene.log.closes
        assert reason
        assert trailer is None

    run(body)


def test_a_stream_on_a_closed_connection_is_closed() -> None:
    async def body(scene: Scene) -> None:
        scene.connection.close()
        stream = scene.connection.open_stream("open", None)
        assert stream.closed
        stream.send("up", 1)
        await trio.sleep(0.1)
        assert scene.server.streams == []

    run(body)


def test_a_peer_that_ignores_the_window_is_cut_off() -> None:
    async def body(scene: Scene) -> None:
        mine, _ = await scene.open()
        for _ in range(3):
            mine._credit = INITIAL_WINDOW
            mine.send("up", b"x" * INITIAL_WINDOW)
        await trio.sleep(0.1)
        assert len(scene.server.log.items) == 1
        assert scene.log.closes == [("flow control: more was sent than the window allows", None)]

    run(body, manual_credit=True)
