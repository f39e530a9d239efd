"""Connections, datagrams and failures as two small actors see them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
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
            connection.subscribe("count", 100, lambda message: items.append(message.payload))
            await trio.sleep(30)
            return items

    assert simulation.run(main) == list(range(100))


def test_connecting_to_an_unused_address_is_refused() -> None:
    async def main() -> str:
        async with open_fabric() as network:
            _, caller = await _pair(network)
            with pytest.raises(ConnectionClosedError) as caught:
                await caller.ctx.connect("a/absent").ask("hi", None, timeout_ns=SECOND)
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


class Listener(Actor):
    """Notes when which message arrives, in milliseconds."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, Any]] = []

    def on_message(self, message: Message) -> None:
        now_ms = simulation.current().now_ns() // MILLISECOND
        self.heard.append((now_ms, message.payload))


async def _listening(network: Any) -> tuple[Listener, Caller]:
    network.add_host("a").spawn("ear", Listener)
    network.add_host("b").spawn("mouth", Caller)
    await trio.sleep(0.001)
    return network.hosts["a"].actor("ear"), network.hosts["b"].actor("mouth")


def test_a_held_link_keeps_datagrams_and_frames_and_releases_them_in_order() -> None:
    async def main() -> list[tuple[int, Any]]:
        async with open_fabric(default_latency_ns=MILLISECOND) as network:
            ear, mouth = await _listening(network)
            connection = mouth.ctx.connect("a/ear")
            network.hold("b", "a", one_way=True)
            for number in range(3):
                mouth.ctx.datagram("a/ear", "n", number)
                connection.send("n", 10 + number)
                await trio.sleep(0.01)
            assert ear.heard == []
            network.release("a", "b")
            await trio.sleep(0.01)
            mouth.ctx.datagram("a/ear", "n", "later")
            await trio.sleep(0.01)
            return ear.heard

    heard = [payload for _, payload in simulation.run(main)]
    assert [each for each in heard if isinstance(each, int) and each < 10] == [0, 1, 2]
    assert [each for each in heard if isinstance(each, int) and each >= 10] == [10, 11, 12]
    assert heard[-1] == "later"


def test_a_thin_line_sends_one_frame_after_the_other_and_drops_what_queues_too_long() -> None:
    async def main() -> tuple[list[int], int]:
        async with open_fabric() as network:
            ear, mouth = await _listening(network)
            network.throttle("a", "b", bytes_per_s=1_000)
            for _ in range(30):
                mouth.ctx.datagram("a/ear", "n", b"x" * 60)
                await trio.sleep(0.001)
            await trio.sleep(10)
            return [time_ms for time_ms, _ in ear.heard], network.dropped_datagrams

    times_ms, dropped = simulation.run(main)
    gaps_ms = [later - earlier for earlier, later in pairwise(times_ms)]
    assert min(gaps_ms) >= 60
    assert 5 < len(times_ms) < 30
    assert dropped == 30 - len(times_ms)


def test_a_reset_breaks_the_connections_of_one_host_on_both_ends() -> None:
    async def main() -> tuple[list[str], list[str], bool]:
        async with open_fabric() as network:
            echo, caller = await _pair(network)
            reasons: list[str] = []
            connection = caller.ctx.connect("a/echo", reasons.append)
            await connection.ask("hi", 1, timeout_ns=SECOND)
            network.reset_connections("a")
            await trio.sleep(0.01)
            again = await caller.ctx.connect("a/echo").ask("hi", 2, timeout_ns=SECOND)
            return reasons, echo.closed, again.payload == 2

    reasons, closed, again = simulation.run(main)
    assert reasons == closed == ["connection reset by peer"]
    assert again


def test_a_stuttering_host_answers_between_its_stalls_until_it_runs_smoothly() -> None:
    async def main() -> tuple[list[int], list[int]]:
        async with open_fabric() as network:
            ear, mouth = await _listening(network)
            network.host("a").stutter(10 * MILLISECOND, 90 * MILLISECOND)
            for _ in range(50):
                mouth.ctx.datagram("a/ear", "n", None)
                await trio.sleep(0.01)
            slow = [time_ms % 100 for time_ms, _ in ear.heard]
            network.host("a").run_smoothly()
            ear.heard.clear()
            sent = []
            for _ in range(20):
                sent.append(simulation.current().now_ns() // MILLISECOND)
                mouth.ctx.datagram("a/ear", "n", None)
                await trio.sleep(0.01)
            return slow, [time_ms - at for (time_ms, _), at in zip(ear.heard, sent, strict=False)]

    slow, smooth = simulation.run(main)
    # Stalls begin at 1 ms; in each 100 ms the host runs for 10.
    assert set(slow) <= set(range(91, 100)) | {0, 1}
    assert len(smooth) == 20


def test_a_stopped_clock_fires_no_timer_and_resumes_where_it_was() -> None:
    async def main() -> list[int]:
        async with open_fabric() as network:
            _, mouth = await _listening(network)
            fired: list[int] = []
            clock = network.host("b").clock
            clock.drift_ppm = -1_000_000
            stopped_ns = clock.now_ns()

            def note() -> None:
                fired.append(simulation.current().now_ns() // MILLISECOND)

            mouth.ctx.after(500 * MILLISECOND, note)
            mouth.ctx.after(500 * MILLISECOND, note).cancel()
            await trio.sleep(20)
            assert clock.now_ns() == stopped_ns
            assert fired == []
            clock.drift_ppm = 0
            await trio.sleep(5)
            return fired

    (fired_ms,) = simulation.run(main)
    # The timer looks at its clock once a second while that is wrong.
    assert 20_500 <= fired_ms <= 21_600
