"""Clients in process that log in: when asked to, and again when forgotten."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from raftstore.auth import refusals
from raftstore.auth.tokens import TTL_NS
from raftstore.client import StoreClient
from raftstore.errors import StoreError, UnavailableError
from raftstore.server.credentials import Credentials
from raftstore.server.local import LocalCluster
from raftstore.units import SECOND
from raftstore.wire import WatchCreateRequest

CHEAP = Credentials(password_cost=4)


def cluster_test(test: Callable[[LocalCluster], Awaitable[None]]) -> Callable[[], None]:
    async def run() -> None:
        def often(config: Any) -> Any:
            return attrs.evolve(config, snapshot_entries=50, catch_up_entries=5)

        async with LocalCluster(3, credentials=CHEAP, configure=often) as cluster:
            await cluster.wait_leader()
            with trio.fail_after(3_000):
                await test(cluster)

    return lambda: trio.run(run, clock=MockClock(autojump_threshold=0))


async def guard(cluster: LocalCluster) -> StoreClient:
    """Switch auth on; ann may do everything under a/. A client of root's."""
    client = cluster.client()
    for op, fields in (
        ("auth_user_add", ["root", "secret", False]),
        ("auth_user_add", ["ann", "pw", False]),
        ("auth_role_add", ["a"]),
        ("auth_role_grant_permission", ["a", [2, b"a/", b"a0"]]),
        ("auth_user_grant_role", ["ann", "a"]),
        ("auth_user_grant_role", ["root", "root"]),
        ("auth_enable", []),
    ):
        await client.ask_wire(op, fields)
    return cluster.client(user="root", password="secret")


async def status_of(awaitable: Awaitable[Any]) -> Any:
    with pytest.raises(StoreError) as caught:
        await awaitable
    return caught.value.status


@cluster_test
async def test_a_password_costs_nothing_while_it_is_not_asked_for(cluster: LocalCluster) -> None:
    client = cluster.client(user="ann", password="wrong")
    await client.put(b"a", b"1")
    assert client.token == ""


@cluster_test
async def test_a_client_is_who_it_says(cluster: LocalCluster) -> None:
    root = await guard(cluster)
    ann = cluster.client(user="ann", password="pw")
    await root.put(b"b", b"1")
    await ann.put(b"a/1", b"1")
    assert (await ann.get(b"a/1", serializable=True)) is not None
    assert await status_of(ann.get(b"b")) == refusals.PERMISSION_DENIED
    assert await status_of(ann.put(b"b", b"2")) == refusals.PERMISSION_DENIED
    assert await status_of(cluster.client().get(b"b")) == refusals.USER_EMPTY
    wrong = cluster.client(user="ann", password="wrong")
    for _ in range(2):
        assert await status_of(wrong.get(b"a/1")) == refusals.AUTH_FAILED


@cluster_test
async def test_requests_continue_when_the_token_is_forgotten(cluster: LocalCluster) -> None:
    root = await guard(cluster)
    ann = cluster.client(user="ann", password="pw")
    await ann.put(b"a/1", b"1")
    first = ann.token
    await trio.sleep(TTL_NS / SECOND + 1)
    await ann.put(b"a/1", b"2")
    assert ann.token != first
    # A member that starts again from a snapshot knows no tokens.
    for _ in range(60):
        await root.put(b"b", b"1")
    for member_id in (1, 2, 3):
        cluster.kill(member_id)
        cluster.start(member_id)
        await cluster.wait_leader()
        await ann.put(b"a/1", b"3")
    found = await ann.get(b"a/1")
    assert found is not None
    assert found.version == 5


@cluster_test
async def test_requests_continue_when_permissions_change_meanwhile(cluster: LocalCluster) -> None:
    root = await guard(cluster)
    ann = cluster.client(user="ann", password="pw")
    await ann.put(b"a/0", b"")
    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(ann.put, b"a/%d" % number, b"x")
            nursery.start_soon(root.ask_wire, "auth_role_add", [f"role-{number}"])
    assert len((await ann.get_prefix(b"a/")).kvs) == 20


@cluster_test
async def test_watches_are_opened_as_the_user_and_opened_again(cluster: LocalCluster) -> None:
    root = await guard(cluster)
    ann = cluster.client(user="ann", password="pw")
    seen: list[bytes] = []

    async def follow() -> None:
        with ann.events(WatchCreateRequest(b"a/", b"a0", 1)) as events:
            async for batch, _ in events:
                seen.extend(event[1][0] for event in batch)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow)
        await root.put(b"a/1", b"")
        await trio.sleep(1)
        assert seen == [b"a/1"]
        await trio.sleep(TTL_NS / SECOND + 1)
        # The token has run out; the watch has to be resumed elsewhere.
        leader = cluster.leader() or 1
        cluster.kill(leader)
        cluster.start(leader)
        await cluster.wait_leader()
        await root.put(b"a/2", b"")
        await trio.sleep(10)
        assert seen == [b"a/1", b"a/2"]
        nursery.cancel_scope.cancel()
    with (
        pytest.raises(StoreError, match="permission denied"),
        ann.events(WatchCreateRequest(b"b", b"", 1)) as denied,
    ):
        await denied.__anext__()


@cluster_test
async def test_a_login_without_an_answer_ends_in_time(cluster: LocalCluster) -> None:
    await guard(cluster)
    ann = cluster.client(user="ann", password="pw")
    await ann.put(b"a/1", b"")
    for member_id in (1, 2, 3):
        cluster.kill(member_id)
    with pytest.raises(UnavailableError):
        await ann.get(b"a/1")


@cluster_test
async def test_it_can_be_switched_off_again(cluster: LocalCluster) -> None:
    root = await guard(cluster)
    ann = cluster.client(user="ann", password="pw")
    await ann.put(b"a/1", b"")
    with pytest.raises(StoreError, match="permission denied"):
        await ann.put(b"b", b"ann")
    await root.ask_wire("auth_disable", [])
    await ann.put(b"b", b"ann")
    found = await cluster.client().get(b"b")
    assert found is not None
    assert found.value == b"ann"
    await cluster.client().put(b"b", b"guest")
    found = await ann.get(b"b")
    assert found is not None
    assert found.value == b"guest"
