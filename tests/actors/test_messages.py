"""What crosses between actors, and what happens when a mailbox is full."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
import trio

from k8sactors import simulation
from k8sactors.actors import Actor, Future, Mailbox, Message, UnencodableError, encode_frame
from k8sactors.fabric import open_fabric
from k8sactors.simulation import SECOND


class Sink(Actor):
    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.batches: list[int] = []

    def on_message(self, message: Message) -> None:
        self.messages.append(message)

    def on_batch_end(self) -> None:
        self.batches.append(len(self.messages))


class Source(Actor):
    pass


@pytest.mark.covers("DC-02")
def test_every_item_on_a_channel_is_bytes_that_decode_to_an_envelope(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spied: list[Any] = []
    put = Mailbox.put

    def spy(self: Mailbox, frame: bytes, *, droppable: bool = False) -> bool:
        spied.append(frame)
        return put(self, frame, droppable=droppable)

    monkeypatch.setattr(Mailbox, "put", spy)

    async def main() -> None:
        async with open_fabric() as network:
            network.add_host("a").spawn("sink", Sink)
            network.add_host("b").spawn("source", Source)
            await trio.sleep(1)
            source = network.hosts["b"].actor("source")
            assert source is not None
            source.ctx.connect("a/sink").send("greeting", {"text": "hello"})
            await trio.sleep(1)

    simulation.run(main)
    assert all(isinstance(frame, bytes) for frame in spied)
    sender, recipient, _connection, messages = msgpack.unpackb(spied[0])
    assert (sender, recipient) == ("b/source", "a/sink")
    kind, message_id, cause, payload = messages[-1]
    assert (kind, cause, payload) == ("greeting", 0, {"text": "hello"})
    assert message_id > 0


def test_what_is_said_in_one_turn_travels_in_one_frame_and_is_handled_in_one_batch() -> None:
    async def main() -> tuple[int, list[int]]:
        async with open_fabric() as network:
            network.add_host("a").spawn("sink", Sink)
            network.add_host("b").spawn("source", Source)
            await trio.sleep(1)
            source, sink = network.hosts["b"].actor("source"), network.hosts["a"].actor("sink")
            assert isinstance(sink, Sink)
            assert source is not None
            connection = source.ctx.connect("a/sink")
            for number in range(500):
                connection.send("n", number)
            before = simulation.current().trace.frames
            await trio.sleep(1)
            return simulation.current().trace.frames - before, sink.batches

    assert simulation.run(main) == (1, [0, 500])


def test_a_payload_that_is_not_plain_data_is_refused_by_name() -> None:
    with pytest.raises(UnencodableError, match=r"a/x to b/y \(strange\)"):
        encode_frame("a/x", "b/y", 1, [("strange", 1, 0, object())])


@pytest.mark.covers("DC-18")
def test_a_full_mailbox_refuses_datagrams_and_then_connections_over_their_window() -> None:
    async def main() -> tuple[list[bool], int, list[bytes | None]]:
        mailbox = Mailbox(capacity_frames=2, overflow_limit_bytes=3)
        results = [mailbox.put(b"1"), mailbox.put(b"2"), mailbox.put(b"3", droppable=True)]
        results += [mailbox.put(b"ab"), mailbox.put(b"cd")]
        refused = mailbox.statistics().refused_frames
        return results, refused, [mailbox.take(), mailbox.take(), mailbox.take()]

    results, refused, received = trio.run(main)
    assert results == [True, True, False, True, False]
    assert refused == 2
    assert received == [b"1", b"2", b"ab"]


def test_a_flooded_actor_loses_nothing_that_came_by_connection() -> None:
    async def main() -> int:
        async with open_fabric() as network:
            network.add_host("a").spawn("sink", Sink)
            await trio.sleep(1)
            sink = network.hosts["a"].actor("sink")
            assert isinstance(sink, Sink)
            for number in range(50):
                host = network.add_host(f"b{number}")
                host.spawn("source", Source)
            await trio.sleep(1)
            for number in range(50):
                source = network.hosts[f"b{number}"].actor("source")
                assert source is not None
                for _ in range(200):
                    connection = source.ctx.connect("a/sink")
                    connection.send("n", number)
            await trio.sleep(1)
            return len(sink.messages)

    assert simulation.run(main) == 10_000


def test_a_future_keeps_its_first_outcome() -> None:
    async def main() -> int:
        future: Future[int] = Future()
        future.set_result(1)
        future.set_error(ValueError("late"))
        return await future.wait()

    assert trio.run(main) == 1


def test_a_timer_of_a_dead_actor_does_not_fire() -> None:
    fired: list[str] = []

    class Sleeper(Actor):
        def on_start(self) -> None:
            self.ctx.after(10 * SECOND, lambda: fired.append("late"))
            self.ctx.after(1 * SECOND, lambda: fired.append("early"))

    async def main() -> None:
        async with open_fabric() as network:
            host = network.add_host("a")
            host.spawn("sleeper", Sleeper)
            await trio.sleep(5)
            host.kill_actor("sleeper")
            await trio.sleep(60)

    simulation.run(main)
    assert fired == ["early"]
