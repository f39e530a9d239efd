"""The watches of one stream: order, identity, progress, slow readers, lost members."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from raftstore import errors
from raftstore.client import StoreClient
from raftstore.gateway.messages import message
from raftstore.gateway.serving import LocalBackend
from raftstore.gateway.watching import DUPLICATE_ID, EMPTY_RANGE, FRAGMENT_BYTES, WatchSession
from raftstore.server.local import LocalCluster

WatchRequest = message("WatchRequest")


@attrs.frozen
class Stage:
    """A single member, a client of it, and a stream of watches."""

    cluster: LocalCluster
    client: StoreClient
    session: WatchSession


def watching(test: Callable[[Stage], Awaitable[None]]) -> Callable[[], None]:
    """Run a test on a clock that jumps."""

    async def run() -> None:
        async with LocalCluster(1) as cluster:
            await cluster.wait_leader()
            session = WatchSession(LocalBackend(cluster, 1), max_buffered_bytes=4096)
            with trio.fail_after(60):
                await test(Stage(cluster, cluster.client(), session))
            session.close()

    return lambda: trio.run(run, clock=MockClock(autojump_threshold=0))


def create(session: WatchSession, **fields: Any) -> None:
    session.request(WatchRequest(create_request=fields))


async def take(session: WatchSession, count: int) -> list[Any]:
    """So many events, from as many responses as it takes."""
    events: list[Any] = []
    while len(events) < count:
        events += (await session.next()).events
    return events


@watching
async def test_a_watch_is_confirmed_and_then_gets_its_events(stage: Stage) -> None:
    await stage.client.put(b"a", b"0")
    create(stage.session, key=b"a", prev_kv=True)
    created = await stage.session.next()
    assert (created.created, created.watch_id, created.header.revision) == (True, 0, 2)
    await stage.client.put(b"a", b"1")
    await stage.client.delete(b"a")
    put, deleted = await take(stage.session, 2)
    assert (put.type, put.kv.value, put.prev_kv.value) == (0, b"1", b"0")
    assert (deleted.type, deleted.kv.mod_revision, deleted.prev_kv.value) == (1, 4, b"1")


@watching
async def test_ids_are_given_or_chosen_and_never_double(stage: Stage) -> None:
    for watch_id in (0, 7, 0, 7):
        create(stage.session, key=b"a", watch_id=watch_id)
    first, chosen, second, refused = [await stage.session.next() for _ in range(4)]
    assert [first.watch_id, chosen.watch_id, second.watch_id] == [0, 7, 1]
    assert (refused.watch_id, refused.canceled, refused.cancel_reason) == (-1, True, DUPLICATE_ID)
    stage.session.request(WatchRequest(cancel_request={"watch_id": 7}))
    stage.session.request(WatchRequest(cancel_request={"watch_id": 99}))
    ended = await stage.session.next()
    assert (ended.watch_id, ended.canceled) == (7, True)
    await stage.client.put(b"a", b"1")
    assert {(await stage.session.next()).watch_id for _ in range(2)} == {0, 1}


@watching
async def test_ranges_are_read_as_etcd_reads_them(stage: Stage) -> None:
    create(stage.session, key=b"b", range_end=b"a")
    refused = await stage.session.next()
    assert (refused.created, refused.canceled, refused.cancel_reason) == (True, True, EMPTY_RANGE)
    create(stage.session, range_end=b"\0")
    assert (await stage.session.next()).created, "no key and an open end: everything"
    await stage.client.put(b"any", b"")
    assert [event.kv.key for event in await take(stage.session, 1)] == [b"any"]


@watching
async def test_a_negative_start_is_the_beginning(stage: Stage) -> None:
    await stage.client.put(b"a", b"1")
    create(stage.session, key=b"a", start_revision=-(2**63))
    assert [event.kv.mod_revision for event in await take(stage.session, 1)] == [2]


@watching
async def test_a_slow_reader_misses_nothing_and_costs_bounded_memory(stage: Stage) -> None:
    create(stage.session, key=b"a")
    for number in range(300):
        await stage.client.put(b"a", b"%d" % number + bytes(200))
    hub = stage.cluster.members[1].watches
    assert len(hub) == 0, "the watch was stopped at the member"
    assert sum(len(item.packed) for item in stage.session._items) < 8192
    revisions = [event.kv.mod_revision for event in await take(stage.session, 300)]
    assert revisions == list(range(2, 302))
    await stage.client.get(b"a")
    assert len(hub) == 1, "and taken up again, in the member's next turn"


@watching
async def test_a_slow_reader_whose_history_is_gone_is_told_from_where_it_could_continue(
    stage: Stage,
) -> None:
    create(stage.session, key=b"a")
    for _ in range(100):
        await stage.client.put(b"a", bytes(200))
    await stage.client.compact(90)
    response = await stage.session.next()
    while not response.canceled:
        response = await stage.session.next()
    assert response.compact_revision == 90
    assert response.cancel_reason == ""


@watching
async def test_a_progress_answer_comes_behind_everything_it_speaks_of(stage: Stage) -> None:
    for _ in range(20):
        await stage.client.put(b"a", bytes(10))
    create(stage.session, key=b"a", start_revision=1)
    stage.session.request(WatchRequest(progress_request={}))
    seen = []
    response = await stage.session.next()
    while response.watch_id != -1:
        seen += [event.kv.mod_revision for event in response.events]
        response = await stage.session.next()
    assert response.header.revision == 21
    assert seen == list(range(2, 22))
    assert not response.events


@watching
async def test_a_large_response_comes_in_fragments_if_asked_for(stage: Stage) -> None:
    for _ in range(5):
        await stage.client.put(b"a", bytes(FRAGMENT_BYTES // 2))
    create(stage.session, key=b"a", start_revision=1, fragment=True)
    assert (await stage.session.next()).created
    pieces = []
    while sum(len(piece.events) for piece in pieces) < 5:
        pieces.append(await stage.session.next())
    assert [piece.fragment for piece in pieces] == [True] * (len(pieces) - 1) + [False]
    assert all(piece.ByteSize() <= FRAGMENT_BYTES + 1024 for piece in pieces)


@watching
async def test_the_stream_ends_with_its_member(stage: Stage) -> None:
    create(stage.session, key=b"a")
    assert (await stage.session.next()).created
    stage.cluster.kill(1)
    with pytest.raises(errors.StoreError) as lost:
        await stage.session.next()
    assert lost.value.status == errors.TIMEOUT_CONNECTION_LOST


@watching
async def test_the_member_forgets_the_watches_of_a_closed_stream(stage: Stage) -> None:
    create(stage.session, key=b"a")
    create(stage.session, key=b"b")
    await stage.session.next()
    stage.session.close()
    await stage.client.put(b"a", b"")
    assert len(stage.cluster.members[1].watches) == 0
