"""What comes to a peer port that is no member of the cluster, or no longer, or not alone."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio
import trio.testing

from raftstore.errors import MEMBER_REMOVED, StoreError
from raftstore.raft import Message
from raftstore.raft.messages import APPEND, HEARTBEAT
from raftstore.server import forwarding, transfer
from raftstore.server.forwarding import ASK_LEADER
from raftstore.server.peers import network
from raftstore.server.peers.link import PeerLink, check_answer
from raftstore.server.peers.network import MAX_STRANGERS, PeerNetwork
from raftstore.server.peers.protocol import (
    FrameReader,
    PeerProtocolError,
    check_messages,
    hello,
    pack_frame,
)

TIMEOUT_S = 10.0
CLUSTER, OWN, OTHER = 7, 1, 2
HEARTBEAT_OF_OTHER = Message(HEARTBEAT, OWN, OTHER, 3).to_wire()


class Recorder:
    """A member that only notes what it is told."""

    def __init__(self) -> None:
        self.listed: Any = []
        self.taken: list[tuple[int, list[Any]]] = []
        self.urls: dict[int, str] = {}
        self.former: set[int] = set()
        self.is_removed = False

    def take(self, sender: int, messages: list[Any], /) -> None:
        self.taken.append((sender, messages))

    def members(self) -> list[Any]:
        found: list[Any] = self.listed
        return found

    def is_former(self, member_id: int, /) -> bool:
        return member_id in self.former

    def met(self, member_id: int, url: str, /) -> None:
        self.urls[member_id] = url

    def told_removed(self) -> None:
        self.is_removed = True


class Port:
    """A peer port, open until the block ends."""

    def __init__(self, nursery: trio.Nursery, cluster_id: int = CLUSTER) -> None:
        self.host = Recorder()
        self.network = PeerNetwork(cluster_id, OWN, "http://own:1", (None, None), self.host)
        self._nursery = nursery
        self.address = "", 0

    async def open(self) -> None:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.address = listener.socket.getsockname()[:2]
        await self._nursery.start(self.network.run, listener)

    async def connect(self, greeting: list[Any] | None = None) -> trio.SocketStream:
        stream = await trio.open_tcp_stream(*self.address)
        if greeting is not None:
            await stream.send_all(pack_frame(greeting))
            try:
                check_answer(await FrameReader(stream).read())
            except StoreError:
                await stream.aclose()
                raise
        return stream

    async def until(self, **sizes: int) -> None:
        with trio.fail_after(TIMEOUT_S):
            while not sizes.items() <= self.network.statistics().items():  # noqa: ASYNC110 - polled
                await trio.sleep(0.01)


async def is_closed(stream: trio.SocketStream) -> bool:
    async with stream:
        with trio.fail_after(TIMEOUT_S):
            try:
                return not await stream.receive_some()
            except trio.BrokenResourceError:
                return True


async def test_a_new_connection_of_a_member_takes_the_place_of_the_old(
    nursery: trio.Nursery,
) -> None:
    port = Port(nursery)
    await port.open()
    # The machine at the other end of the first lost its power: it will never close it.
    half_open = await port.connect(hello(CLUSTER, OTHER, OWN, "http://other:1"))
    await port.until(peer_senders=1)
    async with await port.connect(hello(CLUSTER, OTHER, OWN, "http://other:2")) as again:
        assert await is_closed(half_open)
        await again.send_all(pack_frame([True, OTHER, [HEARTBEAT_OF_OTHER]]))
        with trio.fail_after(TIMEOUT_S):
            while not port.host.taken:  # noqa: ASYNC110 - polled
                await trio.sleep(0.01)
    assert port.host.taken == [(OTHER, [HEARTBEAT_OF_OTHER])]
    assert port.host.urls == {OTHER: "http://other:2"}
    await port.until(peer_senders=0)


async def test_silent_connections_are_few_and_keep_no_client_out(
    nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = Port(nursery)
    await port.open()
    silent = [await port.connect() for _ in range(MAX_STRANGERS)]
    await port.until(peer_strangers=MAX_STRANGERS)
    async with await port.connect(hello(CLUSTER, OTHER, OWN)):
        assert await is_closed(silent[0])
        await port.until(peer_strangers=MAX_STRANGERS - 1, peer_senders=1)
    for stream in silent:
        await stream.aclose()
    await port.until(peer_strangers=0)
    monkeypatch.setattr(network, "HELLO_TIMEOUT_S", 0.05)
    assert await is_closed(await port.connect())


async def test_a_former_member_is_told_and_so_learns_it(nursery: trio.Nursery) -> None:
    port = Port(nursery)
    await port.open()
    port.host.former.add(OTHER)
    with pytest.raises(StoreError) as refused:
        await port.connect(hello(CLUSTER, OTHER, OWN))
    assert refused.value.status == MEMBER_REMOVED
    former = PeerNetwork(CLUSTER, OTHER, "", (None, None), Recorder())
    told: list[StoreError] = []
    link = PeerLink(port.address, hello(CLUSTER, OTHER, OWN), None, told.append)
    nursery.start_soon(link.run)
    with trio.fail_after(TIMEOUT_S):
        while not told:  # noqa: ASYNC110 - polled
            await trio.sleep(0.01)
    former._refused(told[0])
    assert isinstance(former._host, Recorder)
    assert former._host.is_removed
    link.scope.cancel()


@pytest.mark.parametrize(
    ("greeting", "words"),
    [
        (hello(8, OTHER, OWN), "cluster ID mismatch: this is a member of 7, not of 8"),
        (hello(CLUSTER, OTHER, 3), "this is member 1, not 3"),
        (hello(CLUSTER, OWN, OWN), "no other member has the id 1"),
        (["raftstore-peer", 99, 0], "speaks version 1"),
        (["GET", "/"], "for members of a raftstore cluster"),
        (["raftstore-peer", 1, 0, [], {}, None, 5], "of another form"),
        (["raftstore-peer", 1, 0, CLUSTER], "the greeting is incomplete"),
    ],
)
async def test_a_wrong_greeting_is_answered_and_logged_once(
    nursery: trio.Nursery,
    caplog: pytest.LogCaptureFixture,
    greeting: list[Any],
    words: str,
) -> None:
    port = Port(nursery)
    await port.open()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            with pytest.raises(StoreError, match=words):
                await port.connect(greeting)
            await port.until(peer_strangers=0)
            await trio.testing.wait_all_tasks_blocked()
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 1
    assert lines[0].startswith("a connection from 127.0.0.1 to the peer port ended: ")
    assert words in lines[0]


@pytest.mark.parametrize(
    "messages",
    [
        7,
        [7],
        [[]],
        [[[]]],
        [[HEARTBEAT]],
        [["8", OWN, OTHER, 3, 0, 0, 0]],
        [[HEARTBEAT, OWN, OTHER, "3", 0, 0, 0]],
        [[HEARTBEAT, OWN, OTHER, -3, 0, 0, 0]],
        [[HEARTBEAT, OWN, 3, 3, 0, 0, 0]],
        [[HEARTBEAT, OWN, OTHER, 3, 0, 0, 0, 0]],
        [[APPEND, OWN, OTHER, 3, 0, 0, 0, [[1, 2]], False, 0, b"", None]],
        [[APPEND, OWN, OTHER, 3, 0, 0, 0, [[1, 2, 0, "text"]], False, 0, b"", None]],
        [[APPEND, OWN, OTHER, 3, 0, 0, 0, {}, False, 0, b"", None]],
        [[APPEND, OWN, OTHER, 3, 0, 0, 0, [], False, 0, b"", [1, 2, 3, 4]]],
        [[ASK_LEADER, 1, "member_remove"]],
        [[ASK_LEADER, 1, 2, []]],
        [[99, 1, 2]],
    ],
)
async def test_messages_of_another_form_end_the_connection_before_the_member_sees_them(
    nursery: trio.Nursery, messages: Any
) -> None:
    port = Port(nursery)
    await port.open()
    async with await port.connect(hello(CLUSTER, OTHER, OWN)) as stream:
        await stream.send_all(pack_frame([True, OTHER, messages]))
        assert await is_closed(stream)
    assert port.host.taken == []


def test_every_kind_of_message_has_a_form() -> None:
    kinds = {
        value
        for module in (forwarding, transfer)
        for value in vars(module).values()
        if isinstance(value, int) and ASK_LEADER <= value < forwarding.MAX_REMEMBERED
    }
    assert kinds == {*forwarding.SHAPES, *transfer.SHAPES}


def test_messages_of_the_right_form_pass() -> None:
    append = [APPEND, OWN, OTHER, 3, 0, 0, 0, [[1, 2, 0, b"data"]], False, 0, b"", None]
    asking = [ASK_LEADER, 1, "lease_keep_alive", [1]]
    messages = [HEARTBEAT_OF_OTHER, append, asking, [forwarding.INQUIRY]]
    payload = pack_frame([True, OTHER, messages])[4:]
    assert check_messages(payload, OTHER) == messages
    with pytest.raises(PeerProtocolError, match="of its own"):
        check_messages(payload, 3)


async def test_a_frame_of_absurd_length_is_not_waited_for(nursery: trio.Nursery) -> None:
    port = Port(nursery)
    await port.open()
    async with await port.connect() as stranger:
        await stranger.send_all(b"\0\0\4\1")
        assert await is_closed(stranger)
    async with await port.connect(hello(CLUSTER, OTHER, OWN)) as member:
        await member.send_all(b"\xff\xff\xff\xff")
        assert await is_closed(member)
