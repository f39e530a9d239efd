"""The order in which the streams of an HTTP/2 connection send."""

from __future__ import annotations

from typing import NoReturn

import pytest
import trio
from priority.priority import (
    DeadlockError,
    DuplicateStreamError,
    MissingStreamError,
    PriorityTree,
)

from raftstore.gateway.app import Gateway
from raftstore.gateway.client import open_client
from raftstore.gateway.listener import Listener
from raftstore.gateway.serving import LocalBackend
from raftstore.gateway.turntaking import StreamRing
from raftstore.server.local import LocalCluster

TIMEOUT_S = 60


def test_streams_with_something_to_send_take_turns() -> None:
    ring = StreamRing()
    for stream_id in (1, 3, 5):
        ring.insert_stream(stream_id)
    assert [next(ring) for _ in range(6)] == [1, 3, 5, 1, 3, 5]
    ring.block(3)
    assert [next(ring) for _ in range(4)] == [1, 5, 1, 5]
    ring.unblock(3)
    ring.unblock(3)
    assert sorted(next(ring) for _ in range(3)) == [1, 3, 5]


def test_nobody_has_a_turn_when_all_are_blocked() -> None:
    ring = StreamRing()
    with pytest.raises(DeadlockError):
        next(ring)
    ring.insert_stream(1)
    ring.block(1)
    ring.block(1)
    with pytest.raises(DeadlockError):
        next(ring)


def test_an_ended_stream_leaves_nothing_behind_and_is_missed() -> None:
    ring = StreamRing()
    for stream_id in (1, 3):
        ring.insert_stream(stream_id)
    ring.block(3)
    for stream_id in (1, 3):
        with pytest.raises(DuplicateStreamError):
            ring.insert_stream(stream_id)
        ring.remove_stream(stream_id)
        for act in (ring.block, ring.unblock):
            with pytest.raises(MissingStreamError):
                act(stream_id)
    assert len(ring) == 0


def test_wishes_for_priority_take_no_memory() -> None:
    ring = StreamRing()
    for stream_id in range(1, 10_001, 2):
        ring.reprioritize(stream_id=stream_id, depends_on=None, weight=1, exclusive=False)
    assert len(ring) == 0


def test_served_connections_ask_no_tree_of_priorities(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("the tree was asked")

    for name in ("insert_stream", "remove_stream", "block", "unblock", "__next__"):
        monkeypatch.setattr(PriorityTree, name, refuse)

    async def main() -> None:
        async with LocalCluster(1) as cluster, trio.open_nursery() as nursery:
            nursery.cancel_scope.deadline = trio.current_time() + TIMEOUT_S
            await cluster.wait_leader()
            (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            nursery.start_soon(Listener(Gateway(LocalBackend(cluster, 1)), listener).run)
            port = listener.socket.getsockname()[1]
            async with open_client(f"etcd://127.0.0.1:{port}") as client:
                await client.put(b"key", b"value")
                assert await client.get(b"key") is not None
            nursery.cancel_scope.cancel()

    trio.run(main)
