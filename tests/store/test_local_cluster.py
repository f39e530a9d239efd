"""A whole cluster in one trio program, on a clock that jumps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from raftstore import errors, wire
from raftstore.server.local import LocalCluster


def on_virtual_time(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Run a test on a clock that jumps when nothing can run."""

    @wraps(test)
    def run() -> None:
        trio.run(test, clock=MockClock(autojump_threshold=0))

    return run


@pytest.mark.covers("ST-01", "ST-05", "ST-19")
@on_virtual_time
async def test_every_member_answers_with_what_was_put_on_any() -> None:
    async with LocalCluster() as cluster:
        await cluster.wait_leader()
        clients = [cluster.client(first) for first in (1, 2, 3)]
        for number, client in enumerate(clients):
            await client.put(b"key-%d" % number, b"value")
        for client in clients:
            found = await client.get_prefix(b"key-")
            assert [kv.key for kv in found.kvs] == [b"key-0", b"key-1", b"key-2"]
        statuses = [await client.status() for client in clients]
        assert {cluster.leader()} == {status.leader for status in statuses}
        assert {1, 2, 3} == {status.header.member_id for status in statuses}


@pytest.mark.covers("ST-23")
@on_virtual_time
async def test_one_member_is_a_cluster_too() -> None:
    async with LocalCluster(members=1) as cluster:
        await cluster.wait_leader()
        await cluster.client().put(b"a", b"1")
        cluster.kill(1)
        cluster.start(1)
        await cluster.wait_leader()
        found = await cluster.client().get(b"a")
        assert found is not None
        assert found.value == b"1"


@pytest.mark.covers("ST-07")
@on_virtual_time
async def test_writes_continue_when_the_leader_dies_and_nothing_acknowledged_is_lost() -> None:
    async with LocalCluster(sync_latency_ns=1_000_000) as cluster:
        leader = await cluster.wait_leader()
        client = cluster.client()
        acknowledged: list[bytes] = []

        async def write(writer: int) -> None:
            for number in range(60):
                key = b"w%d/%03d" % (writer, number)
                try:
                    await client.put(key, b"v")
                except errors.UnknownOutcomeError:
                    continue
                acknowledged.append(key)
                await trio.sleep(0.05)

        async with trio.open_nursery() as nursery:
            for writer in range(4):
                nursery.start_soon(write, writer)
            await trio.sleep(1)
            cluster.kill(leader)
        assert await cluster.wait_leader() != leader
        cluster.start(leader)
        await trio.sleep(2)
        keys = {kv.key for kv in (await client.get_prefix(b"w", keys_only=True)).kvs}
        assert len(acknowledged) > 200
        assert set(acknowledged) <= keys
        hashes = {member.store.space.hash(member.store.revision) for member in _members(cluster)}
        assert len(hashes) == 1


def _members(cluster: LocalCluster) -> list[Any]:
    return list(cluster.members.values())


@pytest.mark.covers("ST-08")
@on_virtual_time
async def test_without_a_quorum_only_serializable_reads_are_answered() -> None:
    async with LocalCluster() as cluster:
        leader = await cluster.wait_leader()
        client = cluster.client()
        await client.put(b"a", b"1")
        await trio.sleep(1)
        rest = [member_id for member_id in (1, 2, 3) if member_id != leader]
        cluster.kill(leader)
        cluster.kill(rest[0])
        client = cluster.client(rest[1])
        found = await client.get(b"a", serializable=True)
        assert found is not None
        assert found.value == b"1"
        with pytest.raises(errors.ClientError):
            await client.get(b"a", timeout_ns=3_000_000_000)
        with pytest.raises(errors.ClientError):
            await client.put(b"a", b"2", timeout_ns=3_000_000_000)
        cluster.start(leader)
        await client.put(b"a", b"3", timeout_ns=20_000_000_000)
        found = await client.get(b"a")
        assert found is not None
        assert found.value == b"3"


@pytest.mark.covers("ST-13")
@on_virtual_time
async def test_a_watch_misses_and_repeats_nothing_across_a_failover() -> None:
    async with LocalCluster() as cluster:
        leader = await cluster.wait_leader()
        client = cluster.client()
        revisions: list[int] = []

        async def consume() -> None:
            request = wire.WatchCreateRequest(b"k", b"l", 2, prev_kv=True)
            with client.events(request) as stream:
                async for events, _ in stream:
                    revisions.extend(event[1][2] for event in events)
                    if events[-1][1][0] == b"k-last":
                        return

        async with trio.open_nursery() as nursery:
            nursery.start_soon(consume)
            for number in range(40):
                if number == 20:
                    cluster.kill(leader)
                try:
                    await client.put(b"k%d" % number, b"v")
                except errors.UnknownOutcomeError:
                    continue
                await trio.sleep(0.02)
            await client.put(b"k-last", b"v")
        assert list(range(2, revisions[-1] + 1)) == revisions


@on_virtual_time
async def test_a_compacted_watch_fails_in_the_iterator() -> None:
    async with LocalCluster() as cluster:
        await cluster.wait_leader()
        client = cluster.client()
        for _ in range(5):
            await client.put(b"a", b"1")
        await client.compact(5)
        with client.events(wire.WatchCreateRequest(b"a", start_revision=2)) as stream:
            with pytest.raises(errors.WatchCancelledError) as error:
                await stream.__anext__()
            assert error.value.compact_revision == 5


@on_virtual_time
async def test_a_lease_expires_with_its_keys_unless_it_is_kept_alive() -> None:
    async with LocalCluster() as cluster:
        await cluster.wait_leader()
        client = cluster.client()
        grant = await client.lease_grant(5)
        await client.put(b"a", b"1", lease=grant.id)
        keeper = client.keep_alive(grant.id, grant.ttl, lambda: None)
        await trio.sleep(20)
        assert await client.get(b"a") is not None
        assert (await client.lease_time_to_live(grant.id, keys=True)).keys == [b"a"]
        keeper.stop()
        await trio.sleep(8)
        assert await client.get(b"a") is None
        assert await client.leases() == []


@pytest.mark.covers("ST-27")
@on_virtual_time
async def test_of_a_hundred_concurrent_compares_one_wins_per_version() -> None:
    async with LocalCluster() as cluster:
        await cluster.wait_leader()
        client = cluster.client()
        first = await client.put(b"a", b"0")
        outcomes: list[bool] = []

        async def compete(number: int) -> None:
            compare = wire.Compare(wire.EQUAL, wire.COMPARE_MOD, b"a", first.header.revision)
            response = await client.txn([compare], [wire.PutRequest(b"a", b"%d" % number)])
            outcomes.append(response.succeeded)

        async with trio.open_nursery() as nursery:
            for number in range(100):
                nursery.start_soon(compete, number)
        assert outcomes.count(True) == 1
        await cluster.wait_applied(first.header.revision + 1)
        revisions = {member.store.revision for member in cluster.members.values()}
        assert revisions == {first.header.revision + 1}


@on_virtual_time
async def test_an_isolated_leader_steps_down_and_its_clients_move_on() -> None:
    async with LocalCluster() as cluster:
        leader = await cluster.wait_leader()
        client = cluster.client(leader)
        await client.put(b"a", b"1")
        cluster.isolate(leader)
        await trio.sleep(5)
        assert not cluster.members[leader].is_leader
        await client.put(b"a", b"2", timeout_ns=20_000_000_000)
        cluster.network.heal()
        await trio.sleep(3)
        assert len({member.store.revision for member in _members(cluster)}) == 1


@on_virtual_time
async def test_leadership_moves_on_request() -> None:
    async with LocalCluster() as cluster:
        leader = await cluster.wait_leader()
        target = leader % 3 + 1
        await cluster.client(leader).move_leader(target)
        await trio.sleep(1)
        assert target == await cluster.wait_leader()
