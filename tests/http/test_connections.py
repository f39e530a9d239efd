"""Connections over loopback: slow, silent and hostile peers, defects, and the end of serving."""

from __future__ import annotations

import logging

import attrs
import pytest
import trio
from h2.connection import H2Connection
from h2.events import DataReceived, StreamEnded, TrailersReceived

from raftstore.http import (
    ArrivalTimeoutError,
    BodyTooLargeError,
    Exchange,
    HttpError,
    Limits,
    OverloadedError,
)
from tests.http.served import GET, PREFACE, read_all, read_until, run, serving
from tests.http.wire import REQUEST

LIMITS = Limits()
POST = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"


async def echo(exchange: Exchange) -> None:
    """Answer with the body."""
    try:
        with exchange.arriving():
            body = await exchange.body(1_000_000)
    except HttpError as error:
        await exchange.discard()
        await exchange.respond(500, b"text/plain", type(error).__name__.encode())
        return
    await exchange.respond(200, b"text/plain", body)


def test_requests_follow_each_other_on_one_connection() -> None:
    async def test() -> None:
        async with serving(echo) as port, port.connected() as stream:
            for text in (b"one", b"two"):
                await stream.send_all(POST % len(text) + text)
                assert text in await read_until(stream, text)
            await stream.send_all((POST % 1 + b"a") * 3)
            data = b""
            while data.count(b"HTTP/1.1 200") < 3:
                data += await stream.receive_some()

    run(test)


@pytest.mark.parametrize("first", [b"", b"GET /", GET[:-2], PREFACE[:10], PREFACE[:24]])
def test_a_client_that_does_not_begin_is_given_up(first: bytes) -> None:
    async def test() -> None:
        async with serving(echo) as port, port.connected(first) as stream:
            begun = trio.current_time()
            await read_all(stream)
            assert trio.current_time() - begun <= LIMITS.opening_timeout_s + 1
            await port.until_empty()

    run(test)


def test_idle_connections_end_in_time_and_trickled_heads_buy_none() -> None:
    limits = attrs.evolve(LIMITS, keep_alive_s=50)

    async def test() -> None:
        async with serving(echo, limits) as port:
            for first in (GET, PREFACE):
                async with port.connected(first) as stream:
                    begun = trio.current_time()
                    await read_all(stream)
                    assert 0 <= trio.current_time() - begun - 50 <= 1
            async with port.connected(GET) as stream:
                begun = trio.current_time()
                try:
                    while trio.current_time() - begun < 150:
                        await stream.send_all(b"G" if trio.current_time() == begun else b"E")
                        await trio.sleep(10)
                except trio.BrokenResourceError:
                    pass  # Given up, as is to be.
                assert trio.current_time() - begun <= 80
            await port.until_empty()

    run(test)


def test_a_request_under_way_is_not_idle() -> None:
    limits = attrs.evolve(LIMITS, keep_alive_s=5)

    async def slow(exchange: Exchange) -> None:
        await trio.sleep(100)
        await exchange.respond(200, b"text/plain", b"late")

    async def test() -> None:
        async with serving(slow, limits) as port, port.connected(GET) as stream:
            await read_until(stream, b"late")
            assert trio.current_time() >= 100

    run(test)


def test_a_client_that_goes_away_cancels_what_it_has_asked() -> None:
    cancelled: list[str] = []
    begun = trio.Event()

    async def endless(exchange: Exchange) -> None:
        await exchange.start(200, [])
        begun.set()
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            cancelled.append(exchange.head.version)
            raise

    async def test() -> None:
        nonlocal begun
        async with serving(endless) as port:
            for version, first in (("1.1", GET), ("2", PREFACE)):
                begun = trio.Event()
                async with port.connected(first) as stream:
                    if version == "2":
                        await stream.send_all(_h2_request())
                    await begun.wait()
                await port.until_empty()
                assert cancelled[-1] == version

    run(test)


def _h2_request() -> bytes:
    peer = H2Connection()
    peer.initiate_connection()
    peer.data_to_send()
    peer.send_headers(1, REQUEST, end_stream=True)
    return peer.data_to_send()


def test_refusals_are_typed() -> None:
    async def test() -> None:
        limits = attrs.evolve(LIMITS, all_unread_bytes=500_000)
        async with serving(echo, attrs.evolve(limits, all_unread_bytes=5_000_000)) as port:
            async with port.connected(POST % 2_000_000) as stream:
                await stream.send_all(bytes(2_000_000))
                assert BodyTooLargeError.__name__.encode() in await read_all(stream)
            async with port.connected(POST % 5 + b"a") as stream:
                assert ArrivalTimeoutError.__name__.encode() in await read_all(stream)
                assert trio.current_time() >= LIMITS.arrival_timeout_s
        async with serving(echo, limits) as port, port.connected(POST % 900_000) as stream:
            await stream.send_all(bytes(900_000))
            assert OverloadedError.__name__.encode() in await read_until(stream, b"Error")

    run(test)


def test_a_peer_that_does_not_read_holds_a_bounded_answer_and_is_given_up() -> None:
    written = 0

    async def flood(exchange: Exchange) -> None:
        nonlocal written
        await exchange.start(200, [])
        while True:
            await exchange.write(bytes(1 << 16))
            written += 1 << 16

    async def test() -> None:
        async with serving(flood) as port, port.connected(GET):
            await port.until_empty()
            # What the sockets of both ends hold, and little more.
            assert written < 32 << 20
            assert trio.current_time() >= LIMITS.stall_timeout_s

    run(test)


def test_a_body_that_is_not_read_holds_its_client_up() -> None:
    release = trio.Event()
    size = 64 << 20

    async def late(exchange: Exchange) -> None:
        await release.wait()
        read = 0
        while part := await exchange.read_some():
            read += len(part)
        await exchange.respond(200, b"text/plain", b"read %d." % read)

    async def test() -> None:
        nonlocal release
        limits = attrs.evolve(LIMITS, unread_bytes=1 << 20)
        async with serving(late, limits) as port:
            async with port.connected(POST % size) as stream, trio.open_nursery() as nursery:
                nursery.start_soon(stream.send_all, bytes(size))
                await trio.sleep(5)
                assert port.listener.traffic.received_bytes < 4 << 20
                release.set()
                await read_until(stream, b"read %d." % size)
            release = trio.Event()
            async with port.connected() as stream:
                peer = H2Connection()
                peer.initiate_connection()
                peer.send_headers(1, REQUEST)
                await stream.send_all(peer.data_to_send())
                peer.receive_data(await stream.receive_some())
                sent = await _fill_window(peer, stream)
                assert sent <= 4 << 20
                release.set()
                peer.receive_data(await stream.receive_some())
                assert peer.local_flow_control_window(1) > 0

    run(test)


async def _fill_window(peer: H2Connection, stream: trio.SocketStream) -> int:
    """Send as much as may be sent; how much that was."""
    sent = 0
    while True:
        while room := peer.local_flow_control_window(1):
            part = min(room, peer.max_outbound_frame_size)
            peer.send_data(1, bytes(part))
            sent += part
            await stream.send_all(peer.data_to_send())
        with trio.move_on_after(2) as scope:
            peer.receive_data(await stream.receive_some())
        if scope.cancelled_caught:
            return sent


def test_a_closed_window_holds_up_its_stream_alone() -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.start(200, [])
        await exchange.write(bytes(1 << 20) if exchange.head.path == "/large" else b"small")
        await exchange.end([(b"done", b"1")])

    async def test() -> None:
        async with serving(answer) as port, port.connected() as stream:
            peer = H2Connection()
            peer.initiate_connection()
            peer.increment_flow_control_window(1 << 24)
            for stream_id, path in ((1, "/large"), (3, "/small"), (5, "/large")):
                head = [REQUEST[0], REQUEST[1], (":path", path), REQUEST[3]]
                peer.send_headers(stream_id, head, end_stream=True)
            received = {1: 0, 3: 0, 5: 0}
            ended: list[int] = []

            async def hear(*, until: int) -> None:
                while len(ended) < until:
                    await stream.send_all(peer.data_to_send())
                    for event in peer.receive_data(await stream.receive_some()):
                        if isinstance(event, DataReceived):
                            received[event.stream_id] += len(event.data)
                            if event.stream_id != 1:
                                peer.acknowledge_received_data(
                                    event.flow_controlled_length, event.stream_id
                                )
                        elif isinstance(event, TrailersReceived):
                            assert event.headers == [(b"done", b"1")]
                        elif isinstance(event, StreamEnded):
                            ended.append(event.stream_id)

            await hear(until=2)
            assert sorted(ended) == [3, 5]
            assert received == {1: 65_535, 3: 5, 5: 1 << 20}
            peer.increment_flow_control_window(1 << 21, 1)
            await hear(until=3)
            assert received[1] == 1 << 20

    run(test)


def test_pings_whose_answers_are_not_read_are_not_received_forever() -> None:
    ping = b"\0\0\x08\6\0\0\0\0\0" + bytes(8)

    async def test() -> None:
        async with serving(echo) as port, port.connected(PREFACE) as stream:
            sent = 0
            with trio.move_on_after(LIMITS.stall_timeout_s * 2):
                try:
                    while True:
                        await stream.send_all(ping * 10_000)
                        sent += len(ping) * 10_000
                except trio.BrokenResourceError:
                    pass  # Given up, as is to be.
            assert sent < 64 << 20
            await port.until_empty()

    run(test)


def test_answers_under_way_end_with_a_connection_that_breaks_the_rules(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.answer(200, [], bytes(40 << 20))

    async def test() -> None:
        async with serving(answer) as port, port.connected() as stream:
            peer = H2Connection()
            peer.initiate_connection()
            peer.increment_flow_control_window(1 << 30)
            peer.send_headers(1, REQUEST)
            peer.increment_flow_control_window(1 << 30, 1)
            await stream.send_all(peer.data_to_send())
            # The answer has filled the sockets; the rest of it waits for them.
            await trio.sleep(5)
            # Data on a stream that was never opened.
            await stream.send_all(b"\0\0\1\0\0\0\0\0\x63a")
            await trio.sleep(1)
            assert len(await read_all(stream)) < 40 << 20
            await port.until_empty()

    run(test)
    assert [record.getMessage() for record in caplog.records] == []


def test_streams_that_are_given_up_at_once_do_not_pile_up() -> None:
    running = peak = 0

    async def stubborn(_exchange: Exchange) -> None:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        try:
            with trio.CancelScope(shield=True):
                await trio.sleep(20)
        finally:
            running -= 1

    async def test() -> None:
        limits = attrs.evolve(LIMITS, streams=10)
        async with serving(stubborn, limits) as port, port.connected() as stream:
            peer = H2Connection()
            peer.initiate_connection()
            for batch in range(6):
                streams = range(1 + 10 * batch, 11 + 10 * batch, 2)
                for stream_id in streams:
                    peer.send_headers(stream_id, REQUEST, end_stream=True)
                await stream.send_all(peer.data_to_send())
                while running < min(5 * (batch + 1), 10):  # noqa: ASYNC110 - a number has no event
                    await trio.sleep(0.001)
                for stream_id in streams:
                    peer.reset_stream(stream_id)
                await stream.send_all(peer.data_to_send())
            peer.ping(b"12345678")
            await stream.send_all(peer.data_to_send())
            await read_until(stream, b"12345678")
            assert peak == 10

    run(test)


def test_a_defect_of_the_application_is_logged_and_ends_its_answer_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(exchange: Exchange) -> None:
        if exchange.head.path == "/late":
            await exchange.start(200, [])
            await exchange.write(b"begun")
            await trio.sleep(1)
        if exchange.head.path != "/well":
            raise KeyError("a defect")
        await exchange.respond(200, b"text/plain", b"well")

    async def test() -> None:
        async with serving(broken) as port:
            async with port.connected(GET) as stream:
                assert (await read_until(stream, b"Error\n")).startswith(b"HTTP/1.1 500")
                await stream.send_all(GET.replace(b"/", b"/well", 1))
                await read_until(stream, b"well")
            async with port.connected(GET.replace(b"/", b"/late", 1)) as stream:
                data = await read_all(stream)
                assert b"begun" in data
                assert not data.endswith(b"0\r\n\r\n"), "it is seen to be cut short"

    with caplog.at_level(logging.ERROR):
        run(test)
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]


def test_an_application_that_leaves_without_an_answer_is_answered_for() -> None:
    async def silent(_exchange: Exchange) -> None:
        await trio.lowlevel.checkpoint()

    async def test() -> None:
        async with serving(silent) as port, port.connected(GET) as stream:
            assert (await read_until(stream, b"Error\n")).startswith(b"HTTP/1.1 500")

    run(test)


class AtOnce:
    """Answers without a task, unless it is asked for "/task"."""

    def __init__(self) -> None:
        self.tasks = 0
        self.later: list[Exchange] = []

    def begin(self, exchange: Exchange) -> bool:
        if exchange.head.path == "/task":
            return False
        if exchange.head.path == "/later":
            self.later.append(exchange)
        else:
            body = exchange.take(exchange.unread_bytes)
            exchange.answer(200, [(b"content-length", b"%d" % len(body))], body)
        return True

    async def __call__(self, exchange: Exchange) -> None:
        self.tasks += 1
        await exchange.respond(200, b"text/plain", await exchange.body(1_000_000))


def test_whole_requests_may_be_answered_without_a_task() -> None:
    async def test() -> None:
        application = AtOnce()
        async with serving(application) as port, port.connected() as stream:
            await stream.send_all((POST % 3 + b"abc") * 2)
            await read_until(stream, b"abc")
            # One that has not arrived whole gets a task.
            await stream.send_all(POST % 3 + b"d")
            await trio.testing.wait_all_tasks_blocked(0.01)
            await stream.send_all(b"ef")
            await read_until(stream, b"def")
            assert application.tasks == 1
            # A large one waits for nothing but the peer.
            large = bytes(300_000) + b"end"
            await stream.send_all(POST % len(large) + large)
            await read_until(stream, b"end")
            await stream.send_all(GET.replace(b"/", b"/later", 1))
            await trio.testing.wait_all_tasks_blocked(0.01)
            over: list[bool] = []
            application.later[0].on_over = lambda: over.append(True)
            application.later[0].answer(200, [(b"content-length", b"4")], b"late")
            await read_until(stream, b"late")
            assert over == [True]

    run(test)


def test_an_answer_to_a_client_that_has_gone_is_dropped() -> None:
    async def test() -> None:
        application = AtOnce()
        async with serving(application) as port:
            async with port.connected(GET.replace(b"/", b"/later", 1)):
                while not application.later:  # noqa: ASYNC110 - a list has no event
                    await trio.sleep(0.01)
                over: list[bool] = []
                application.later[0].on_over = lambda: over.append(True)
            await port.until_empty()
            assert over == [True]
            application.later[0].answer(200, [], b"late")

    run(test)


def test_a_stopped_port_finishes_what_is_under_way_and_takes_nothing_new() -> None:
    release = trio.Event()

    async def slow(exchange: Exchange) -> None:
        await release.wait()
        await exchange.respond(200, b"text/plain", b"finished")

    async def test() -> None:
        async with (
            serving(slow) as port,
            port.connected(GET) as stream,
            port.connected(GET) as idle,
        ):
            async with trio.open_nursery() as nursery:
                await trio.testing.wait_all_tasks_blocked(0.01)
                nursery.start_soon(port.listener.stop, 60)
                await trio.testing.wait_all_tasks_blocked(0.01)
                with pytest.raises(OSError, match="all attempts to connect"):
                    await trio.open_tcp_stream("127.0.0.1", port.number)
                release.set()
                for each in (stream, idle):
                    assert (await read_all(each)).endswith(b"connection: close\r\n\r\nfinished")
            assert port.listener.traffic.connections == 0

    run(test)


def test_what_does_not_end_in_time_is_closed_when_a_port_stops() -> None:
    async def endless(_exchange: Exchange) -> None:
        await trio.sleep_forever()

    async def test() -> None:
        async with serving(endless) as port, port.connected(GET) as stream:
            await trio.testing.wait_all_tasks_blocked(0.01)
            begun = trio.current_time()
            await port.listener.stop(7)
            await read_all(stream)
            assert 7 <= trio.current_time() - begun <= 8

    run(test)
