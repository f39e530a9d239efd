"""How a process finds its place in a cluster that runs, and catches up with it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
import trustme

from raftstore.errors import ConfigurationError
from raftstore.server import MemberConfig, joining
from raftstore.server.config import Peer
from raftstore.server.initial_cluster import Address, InitialCluster
from raftstore.server.joining import check_new, find_place
from raftstore.server.peers import host
from raftstore.server.tls import client_context, server_context
from tests.store.test_bad_members import Port
from tests.store.test_member_processes import Processes, processes, write_certificates

OWN: Address = ("127.0.0.1", 1)
CLIENT_URL = "http://127.0.0.1:4"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "ASK_TIMEOUT_S", 0.2)
    monkeypatch.setattr(joining, "JOIN_TIMEOUT_S", 0.0)


async def join(cluster: Processes, name: str) -> int:
    """Add a member and start it as a process would; returns its id."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    own: Address = listener.socket.getsockname()[:2]
    url = f"http://127.0.0.1:{own[1]}"
    added = await cluster.client(1).member_add([url])
    place, record = await find_place(name, InitialCluster({**cluster.addresses, name: own}), None)
    assert record.id == added.member.id
    config = MemberConfig(record.id, (Peer(record.id, name),), place.cluster_id, joins=True)
    await cluster.run(attrs.evolve(config, **cluster.settings), listener)
    await cluster.running[record.id].wait_published()
    return record.id


async def test_one_that_joins_gets_a_snapshot_where_the_log_is_gone_while_writes_continue() -> None:
    async with processes(snapshot_entries=100, catch_up_entries=10) as cluster:
        await cluster.running[1].wait_leader()
        client = cluster.client(1)
        for number in range(250):
            await client.put(b"key-%03d" % number, b"value")
        written: list[int] = []

        async def write() -> None:
            while True:
                await client.put(b"meanwhile", b"%d" % len(written))
                written.append(len(written))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            number = await join(cluster, "m4")
            nursery.cancel_scope.cancel()
        assert written
        assert cluster.running[number].statistics()["snapshot_parts_received"] > 0
        listed = await cluster.client(number).get_prefix(b"key-")
        assert len(listed.kvs) == 250


async def test_the_cluster_continues_with_the_new_member_when_the_others_leave() -> None:
    async with processes() as cluster:
        await cluster.running[1].wait_leader()
        await cluster.client(1).put(b"kept", b"value")
        number = await join(cluster, "m4")
        client = cluster.client(number)
        gone = 2 if cluster.leader() != 2 else 3
        await client.member_remove(gone)
        kv = await client.get(b"kept")
        assert kv is not None
        assert len((await client.member_list()).members) == 3
        while cluster.removed != [gone]:  # noqa: ASYNC110 - polled
            await trio.sleep(0.01)


async def test_a_former_member_is_dialled_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "GRACE_S", 0.05)
    async with processes() as cluster:
        await cluster.running[1].wait_leader()
        gone = 2 if cluster.leader() != 2 else 3
        cluster.stop(gone)
        await cluster.client(1).member_remove(gone)
        while gone in cluster.running[1].statistics()["peers_active"]:  # noqa: ASYNC110 - polled
            await trio.sleep(0.01)
        assert len(cluster.running[1].statistics()["peers_active"]) == 1


async def test_the_place_is_found_over_tls(tmp_path: Path) -> None:
    files = write_certificates(trustme.CA(), tmp_path)
    tls = server_context(files), client_context(files)
    async with processes({1: tls, 2: tls, 3: tls}) as cluster:
        await cluster.running[1].wait_leader()
        await cluster.client(1).member_add(["https://127.0.0.1:1"])
        all_members = InitialCluster({**cluster.addresses, "m4": OWN})
        _, record = await find_place("m4", all_members, tls[1])
        assert record.id == 4
        with pytest.raises(ConfigurationError, match="cannot ask any member"):
            await find_place("m4", all_members, None)


def member(number: int, name: str, *ports: int, url: str = "") -> list[Any]:
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    return [number, name, urls, [url] if url else [], False]


async def ports(nursery: trio.Nursery, *cluster_ids: int) -> tuple[list[Port], InitialCluster]:
    """Members a, b, ... of these clusters, and the settings of n, which is to join them."""
    opened = [Port(nursery, number) for number in cluster_ids]
    for port in opened:
        await port.open()
    others = {"abcdef"[n]: (str(port.address[0]), port.address[1]) for n, port in enumerate(opened)}
    return opened, InitialCluster({**others, "n": OWN})


async def refused(cluster: InitialCluster, name: str = "n") -> str:
    with pytest.raises(ConfigurationError) as refusal:
        await find_place(name, cluster, None)
    return str(refusal.value)


async def test_members_of_two_clusters_are_no_cluster(nursery: trio.Nursery) -> None:
    _, cluster = await ports(nursery, 7, 8)
    said = await refused(cluster)
    assert "cluster ID mismatch" in said
    assert "must name members of one" in said


async def test_one_that_has_heard_of_the_new_member_is_enough(nursery: trio.Nursery) -> None:
    (late, current, _gone), cluster = await ports(nursery, 7, 7, 7)
    listed = [member(n, name, at[1]) for n, (name, at) in enumerate(cluster.addresses.items(), 1)]
    late.host.listed = listed[:3]
    # n has been added, and has not told its name yet.
    current.host.listed = [*listed[:3], member(9, "", OWN[1], 5)]
    place, record = await find_place("n", cluster, None)
    assert (place.cluster_id, record.id, record.is_started) == (7, 9, False)
    current.host.listed = [*listed[:3], member(9, "n", OWN[1])]
    assert "n (9) has already been bootstrapped" in await refused(cluster)
    current.host.listed = listed[:3]
    assert "--peer-urls http://127.0.0.1:1" in await refused(cluster)


async def test_two_names_of_one_host_are_the_same(nursery: trio.Nursery) -> None:
    (port,), cluster = await ports(nursery, 7)
    named = {name: ("localhost", at[1]) for name, at in cluster.addresses.items()}
    port.host.listed = [member(1, "a", port.address[1]), member(2, "", OWN[1])]
    _, record = await find_place("n", InitialCluster(named), None)
    assert record.id == 2
    named["a"] = ("name.invalid", port.address[1])
    assert "cannot ask any member" in await refused(InitialCluster(named))


async def test_what_answers_otherwise_is_no_member(nursery: trio.Nursery) -> None:
    (port,), cluster = await ports(nursery, 7)
    for answer in ([[1]], 5, [[1, "a", 5, [], False]], [None], [["1", "a", [], [], False]]):
        port.host.listed = answer
        assert "the answer is no list of members" in await refused(cluster)
    async with contextlib.AsyncExitStack() as stack:
        (silent,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        await stack.enter_async_context(silent)
        at = silent.socket.getsockname()[:2]
        assert "no answer" in await refused(InitialCluster({"a": at, "n": OWN}))
    assert "Connection refused" in await refused(InitialCluster({"a": at, "n": OWN}))


async def test_a_founder_looks_whether_it_has_been_one_before(nursery: trio.Nursery) -> None:
    (port,), cluster = await ports(nursery, 7)
    with pytest.raises(ConfigurationError, match="belongs to cluster 7"):
        await check_new("n", cluster, None)
    (port,), cluster = await ports(nursery, 7)
    port.network._cluster_id = cluster.cluster_id
    founders = [member(1, "a", port.address[1]), member(2, "n", OWN[1])]
    port.host.listed = founders
    await check_new("n", cluster, None)
    port.host.listed = [founders[0], member(2, "n", OWN[1], url=CLIENT_URL)]
    with pytest.raises(ConfigurationError, match="has already been bootstrapped"):
        await check_new("n", cluster, None)
    port.host.listed = founders[:1]
    with pytest.raises(ConfigurationError, match="no member of the cluster any more"):
        await check_new("n", cluster, None)
    # No member runs yet.
    await check_new("n", InitialCluster({"n": OWN, "a": ("127.0.0.1", 2)}), None)
