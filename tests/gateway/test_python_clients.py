"""Two etcd clients from PyPI against a served cluster: aetcd over gRPC, etcd3gw over JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.gateway.served import Served, post

aetcd = pytest.importorskip("aetcd", reason="aetcd is not installed (extra `test`)")
etcd3gw = pytest.importorskip("etcd3gw", reason="etcd3gw is not installed (extra `test`)")

TIMEOUT_S = 20


def by_grpc(served: Served, work: Callable[[Any], Awaitable[None]], **options: Any) -> None:
    async def run() -> None:
        async with (
            asyncio.timeout(TIMEOUT_S),
            aetcd.Client(port=served.port, timeout=TIMEOUT_S, **options) as client,
        ):
            await work(client)

    asyncio.run(run())


def test_keys_are_written_and_read_by_grpc(served: Served) -> None:
    async def work(client: Any) -> None:
        await client.put(b"py/a", b"1")
        await client.put(b"py/b", b"2")
        again = await client.put(b"py/a", b"3", prev_kv=True)
        assert again.prev_kv.value == b"1"
        found = await client.get(b"py/a")
        assert (found.value, found.version) == (b"3", 2)
        assert await client.get(b"py/none") is None
        kvs = await client.get_prefix(b"py/", sort_order="descend")
        assert [(kv.key, kv.value) for kv in kvs] == [(b"py/b", b"2"), (b"py/a", b"3")]
        gone = await client.delete(b"py/a", prev_kv=True)
        assert gone.prev_kv.value == b"3"
        await client.delete_prefix(b"py/")
        assert len(await client.get_prefix(b"py/")) == 0

    by_grpc(served, work)


def test_transactions_by_grpc(served: Served) -> None:
    async def work(client: Any) -> None:
        await client.put(b"py/t", b"1")
        transactions = client.transactions
        succeeded, responses = await client.transaction(
            compare=[transactions.value(b"py/t") == b"1", transactions.version(b"py/t") > 0],
            success=[transactions.put(b"py/t", b"2"), transactions.get(b"py/t")],
            failure=[transactions.put(b"py/t", b"wrong")],
        )
        assert succeeded
        (read,) = responses[1]
        assert read[0] == b"2"
        assert not await client.replace(b"py/t", b"1", b"3")
        assert await client.replace(b"py/t", b"2", b"3")
        assert (await client.get(b"py/t")).value == b"3"

    by_grpc(served, work)


def test_watches_by_grpc(served: Served) -> None:
    async def work(client: Any) -> None:
        first = await client.put(b"py/w", b"0")
        await client.put(b"py/w", b"1")
        await client.delete(b"py/w")
        watch = await client.watch(b"py/w", start_revision=first.header.revision, prev_kv=True)
        seen = []
        async for event in watch:
            seen.append((event.kind, event.kv.value, event.prev_kv and event.prev_kv.value))
            if len(seen) == 3:
                break
        await watch.cancel()
        assert [(kind, value) for kind, value, _ in seen] == [
            ("PUT", b"0"),
            ("PUT", b"1"),
            ("DELETE", b""),
        ]
        assert [before for _, _, before in seen[1:]] == [b"0", b"1"]

    by_grpc(served, work)


def test_leases_and_locks_by_grpc(served: Served) -> None:
    async def work(client: Any) -> None:
        lease = await client.lease(60)
        await client.put(b"py/l", b"kept", lease=lease)
        assert await lease.remaining_ttl() > 0
        assert await lease.keys() == [b"py/l"]
        await lease.refresh()
        await lease.revoke()
        assert await client.get(b"py/l") is None
        async with client.lock(b"py-lock", ttl=20) as lock:
            assert await lock.is_acquired()
            other = client.lock(b"py-lock", ttl=20)
            assert not await other.acquire(timeout=0.3)
        assert await other.acquire(timeout=5)
        await other.release()

    by_grpc(served, work)


def test_the_cluster_by_grpc(served: Served) -> None:
    async def work(client: Any) -> None:
        status = await client.status()
        assert status.version == "3.6.0"
        members = [member async for member in client.members()]
        assert sorted(member.name for member in members) == ["member-1", "member-2", "member-3"]

    by_grpc(served, work)


def test_a_user_by_grpc(fresh: Served) -> None:
    for path, request in (
        ("/v3/auth/user/add", {"name": "root", "password": "secret"}),
        ("/v3/auth/user/add", {"name": "ann", "password": "pw"}),
        ("/v3/auth/role/add", {"name": "a"}),
        (
            "/v3/auth/role/grant",
            {"name": "a", "perm": {"permType": "READWRITE", "key": "YQ==", "range_end": "Yg=="}},
        ),
        ("/v3/auth/user/grant", {"user": "ann", "role": "a"}),
        ("/v3/auth/user/grant", {"user": "root", "role": "root"}),
        ("/v3/auth/enable", {}),
    ):
        assert post(fresh, path, request)[0] == 200

    async def as_ann(client: Any) -> None:
        await client.put(b"a1", b"1")
        assert (await client.get(b"a1")).value == b"1"
        with pytest.raises(aetcd.exceptions.ClientError, match="permission denied"):
            await client.put(b"b1", b"1")

    by_grpc(fresh, as_ann, username="ann", password="pw")
    with pytest.raises(aetcd.exceptions.ClientError, match="invalid user ID or password"):
        by_grpc(fresh, as_ann, username="ann", password="wrong")


def test_keys_transactions_and_leases_by_json(served: Served) -> None:
    client = etcd3gw.client(port=served.port, api_path="/v3/", timeout=TIMEOUT_S)
    client.put("by-json/a", "1")
    client.put("by-json/b", "2")
    assert client.get("by-json/a") == [b"1"]
    found = client.get_prefix("by-json/", sort_order="descend", sort_target="key")
    assert [(value, about["key"]) for value, about in found] == [
        (b"2", b"by-json/b"),
        (b"1", b"by-json/a"),
    ]
    assert client.create("by-json/c", "3")
    assert not client.create("by-json/c", "4")
    assert client.replace("by-json/c", "3", "5")
    assert not client.replace("by-json/c", "3", "6")
    assert client.delete("by-json/a")
    assert not client.delete("by-json/a")
    lease = client.lease(ttl=60)
    client.put("by-json/l", "kept", lease=lease)
    assert 0 < lease.ttl() <= 60
    assert lease.keys() == [b"by-json/l"]
    assert lease.refresh() == 60
    assert lease.revoke()
    assert client.get("by-json/l") == []
    client.delete_prefix("by-json/")
    assert client.get_prefix("by-json/") == []
    assert client.status()["version"] == "3.6.0"
    assert len(client.members()) == 3


def test_watches_and_locks_by_json(served: Served) -> None:
    client = etcd3gw.client(port=served.port, api_path="/v3/", timeout=TIMEOUT_S)
    # Older revisions may be compacted by now, and this client would wait forever.
    present = int(client.status()["header"]["revision"])
    events, cancel = client.watch("by-json/w", start_revision=present)
    client.put("by-json/w", "1")
    event = next(iter(events))
    assert (event["kv"]["key"], event["kv"]["value"]) == (b"by-json/w", b"1")
    cancel()
    with client.lock("json-lock", ttl=20) as lock:
        assert lock.is_acquired()
        assert not client.lock("json-lock", ttl=20).acquire()
    again = client.lock("json-lock", ttl=20)
    assert again.acquire()
    assert again.release()
