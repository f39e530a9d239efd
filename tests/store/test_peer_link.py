"""The sending end between two members, when a connection ends in one way or another."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
import trio.testing

from raftstore.errors import StoreError
from raftstore.server.peers import link
from raftstore.server.peers.link import PeerLink
from raftstore.server.peers.protocol import FrameReader, pack_frame

WAIT_S = 5.0


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - polled
        await trio.sleep(0.01)


def refused(refusal: StoreError) -> None:
    raise refusal


@pytest.mark.parametrize("failure", [trio.BrokenResourceError, trio.TooSlowError])
async def test_a_connection_that_breaks_while_something_is_sent_is_made_again(
    monkeypatch: pytest.MonkeyPatch, failure: type[Exception]
) -> None:
    """The reader may learn of it later than the sender does."""
    ends: list[trio.StapledStream[trio.abc.SendStream, trio.abc.ReceiveStream]] = []
    breaking = trio.Event()

    async def break_while_sending() -> None:
        if breaking.is_set() and len(ends) == 1:
            raise failure

    async def dial(_address: object, _tls: object) -> trio.abc.Stream:
        ours, theirs = trio.testing.memory_stream_pair()
        ours.send_stream.send_all_hook = break_while_sending
        await theirs.send_all(pack_frame([0, []]))
        ends.append(theirs)
        return ours

    monkeypatch.setattr(link, "dial", dial)
    peer = PeerLink(("127.0.0.1", 1), [], None, refused)
    with trio.fail_after(WAIT_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.run)
            await until(lambda: peer.connected)
            breaking.set()
            peer.send(b"message")
            await until(lambda: len(ends) > 1 and peer.connected)
            sent_before = peer.sent_bytes
            peer.send(b"message")
            await until(lambda: peer.sent_bytes > sent_before)
            nursery.cancel_scope.cancel()


async def test_messages_pass_the_parts_of_a_snapshot_that_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[bytes] = []
    going_on = trio.Event()

    ours, theirs = trio.testing.memory_stream_pair()
    carry = ours.send_stream.send_all_hook
    assert carry is not None

    async def wait_at_first() -> None:
        await going_on.wait()
        await carry()

    async def dial(_address: object, _tls: object) -> trio.abc.Stream:
        await theirs.send_all(pack_frame([0, []]))
        return ours

    monkeypatch.setattr(link, "dial", dial)
    peer = PeerLink(("127.0.0.1", 1), [], None, refused)
    with trio.fail_after(WAIT_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.run)
            reader = FrameReader(theirs)
            await reader.read()
            await until(lambda: peer.connected)
            ours.send_stream.send_all_hook = wait_at_first
            for number in range(3):
                peer.send(b"part %d" % number, behind=True)
            await until(lambda: len(peer._behind) == 2)
            peer.send(b"first")
            peer.send(b"second")
            going_on.set()
            while len(sent) < 5:
                frame = await reader.read()
                assert frame is not None
                sent.append(frame)
            nursery.cancel_scope.cancel()
    assert sent == [b"part 0", b"first", b"second", b"part 1", b"part 2"]
    assert peer._queued_bytes == 0
