"""Connections, datagrams and failures as two small actors see them."""

from collections.abc import Callable
from typing import Any

import pytest
import trio

from k8sactors import simulation
from k8sactors.actors import Actor, AskTimeoutError, Connection, ConnectionClosedError, Message
from k8sactors.fabric import open_fabric
from k8sactors.simulation import MILLISECOND, SECOND


class Echo(Actor):
    def __init__(self) -> None:
        self.closed: list[str] = []
        self.seen: list[Any] = []

    def on_message(self, message: Message) -> None:
        self.seen.append(message.payload)
        if message.kind == "count":
            for number in range(message.payload):
                message.reply("number", number)
        elif message.kind == "crash":
            raise RuntimeError("told to")
        elif message.kind != "silent":
            message.reply("echo", message.payload)

    def on_disconnect(self, _connection: Connection, reason: str) -> None:
        self.closed.append(reason)


class Caller(Actor):
    pass


async def _until(condition: Callable[[], bool], step_s: float) -> None:
    with trio.fail_after(60):
        while not condition():  # noqa: ASYNC110 - what is observed has no event to wait for
            await trio.sleep(step_s)


async def _pair(network: Any) -> tuple[Echo, Caller]:
    network.add_host("a").spawn("echo", Echo)
    network.add_host("b").spawn("caller", Caller)
    await trio.sleep(0.001)
    return network.hosts["a"].actor("echo"), network.hosts["b"].actor("caller")


def test_an_ask_takes_one_round_trip_of_virtual_time() -> None:
    async def main() -> tuple[Any, int]:
        async with open_fabric(default_latency_ns=5 * MILLISECOND) as network:
            _, caller = await _pair(network)
            start_ns = simulation.current().now_ns()
            reply = await caller.ctx.connect("a/echo").ask(
                "hi", {"x": [1, b"2"]}, timeout_ns=SECOND
            )
            return reply.payload, simulation.current().now_ns() - start_ns

    assert simulation.run(main) == ({"x": [1, b"2"]}, 10 * MILLISECOND)


def test_mutating_what_was_sent_does_not_change_what_arrived() -> None:
    async def main() -> Any:
        async with open_fabric() as network:
            echo, caller = await _pair(network)
            payload = {"a": 1}
            await caller.ctx.connect("a/echo").ask("hi", payload, timeout_ns=SECOND)
            payload["a"] = 2
            return echo.seen

    assert simulation.run(main) == [{"a": 1}]


def test_a_stream_delivers_all_items_in_order() -> None:
    async def main() -> list[int]:
        async with open_fabric(default_latency_ns=MILLISECOND) as network:
            _, caller = await _pair(network)
            network.degrade("a", "b", jitter_ns=20 * MILLISECOND, loss=0.3)
            items: list[int] = []
            connection = caller.ctx.connect("a/echo")
            connection.stream("count", 100, lambda message: items.append(message.payload))
            await trio.sleep(30)
            return items

    assert simulation.run(main) == list(range(100))


def test_connecting_to_nobody_is_refused() -> None:
    async def main() -> str:
        async with open_fabric() as network:
            _, caller = await _pair(network)
            with pytest.raises(ConnectionClosedError) as caught:
                await caller.ctx.connect("a/nobody").ask("hi", None, timeout_ns=SECOND)
            return str(caught.value)

    assert "connection refused" in simulation.run(main)


def test_a_killed_process_resets_its_connections_at_once() -> None:
    async def main() -> tuple[list[str], int]:
        async with open_fabric(default_latency_ns=MILLISECOND) as network:
            _, caller = await _pair(network)
            reasons: list[str] = []
            caller.ctx.connect("a/echo", reasons.append)
            await trio.sleep(1)
            start_ns = simulation.current().now_ns()
            network.hosts["a"].kill_actor("echo")
            await _until(lambda: bool(reasons), 0.001)
            return reasons, simulation.current().now_ns() - start_ns

    reasons, delay_ns = simulation.run(main)
    assert reasons == ["connection reset by peer"]
    assert delay_ns <= 2 * MILLISECOND


def test_a_dead_host_is_noticed_after_the_connection_timeout() -> None:
    async def main() -> tuple[list[str], float]:
        async with open_fabric(default_latency_ns=MILLISECOND) as network:
            _, caller = await _pair(network)
            reasons: list[str] = []
            caller.ctx.connect("a/echo", reasons.append)
            await trio.sleep(1)
            start = trio.current_time()
            network.hosts["a"].kill()
            await _until(lambda: bool(reasons), 0.1)
            return reasons, trio.current_time() - start

    reasons, seconds = simulation.run(main)
    assert reasons == ["connection timed out"]
    assert 15 <= seconds < 15.2


def test_a_short_cut_delays_a_connection_and_a_long_one_breaks_it() -> None:
    async def main() -> tuple[Any, list[str]]:
        async with open_fabric(default_latency_ns=MILLISECOND) as network:
            echo, caller = await _pair(network)
            reasons: list[str] = []
            connection = caller.ctx.connect("a/echo", reasons.append)
            await connection.ask("hi", 0, timeout_ns=SECOND)
            network.cut("a", "b")
            connection.send("silent", 1)
            connection.send("silent", 2)
            await trio.sleep(10)
            assert echo.seen == [0]
            network.mend("a", "b")
            await trio.sleep(1)
            seen = list(echo.seen)
            network.cut("a", "b")
            await trio.sleep(16)
            return seen, reasons

    assert simulation.run(main) == ([0, 1, 2], ["connection timed out"])


def test_an_unanswered_request_fails_by_its_timeout() -> None:
    async def main() -> None:
        async with open_fabric() as network:
            _, caller = await _pair(network)
            with pytest.raises(AskTimeoutError):
                await caller.ctx.connect("a/echo").ask("silent", None, timeout_ns=SECOND)

    simulation.run(main)


def test_a_crashed_actor_is_restarted_with_doubling_back_off_and_recorded() -> None:
    async def main() -> tuple[list[str], int]:
        async with open_fabric() as network:
            echo, caller = await _pair(network)
            for _ in range(3):
                connection = caller.ctx.connect("a/echo")
                with pytest.raises(ConnectionClosedError):
                    await connection.ask("crash", None, timeout_ns=SECOND)
                await _until(lambda: network.hosts["a"].actor("echo") is not None, 0.1)
            assert network.hosts["a"].actor("echo") is not echo
            return [crash.cause for crash in network.crashes], simulation.current().now_ns()

    causes, now_ns = simulation.run(main)
    assert causes == ["RuntimeError: told to"] * 3
    assert 7 * SECOND <= now_ns < 8 * SECOND


def test_a_paused_host_handles_what_waited_once_it_resumes() -> None:
    async def main() -> list[Any]:
        async with open_fabric() as network:
            echo, caller = await _pair(network)
            connection = caller.ctx.connect("a/echo")
            await connection.ask("hi", 0, timeout_ns=SECOND)
            network.hosts["a"].pause()
            connection.send("silent", 1)
            await trio.sleep(5)
            before = list(echo.seen)
            network.hosts["a"].resume()
            await trio.sleep(1)
            return [before, echo.seen]

    assert simulation.run(main) == [[0], [0, 1]]


def test_datagrams_over_a_cut_link_are_lost() -> None:
    async def main() -> tuple[Any, int]:
        async with open_fabric() as network:
            echo, caller = await _pair(network)
            caller.ctx.datagram("a/echo", "silent", 1)
            await trio.sleep(1)
            network.cut("b", "a", one_way=True)
            caller.ctx.datagram("a/echo", "silent", 2)
            await trio.sleep(1)
            return echo.seen, network.dropped_datagrams

    assert simulation.run(main) == ([1], 1)


def test_a_host_clock_with_offset_and_drift_differs_from_the_others() -> None:
    async def main() -> tuple[int, int]:
        async with open_fabric() as network:
            host = network.add_host("a")
            host.clock.drift_ppm = 100_000
            host.clock.offset_ns = 3 * SECOND
            await trio.sleep(10)
            clock = host.clock
            return clock.now_ns(), clock.wall_ns() - simulation.EPOCH_NS

    assert simulation.run(main) == (11 * SECOND, 14 * SECOND)
