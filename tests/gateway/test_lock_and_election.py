"""The Lock and Election services, over gRPC at the application and over JSON on a port."""

from __future__ import annotations

import base64
import re
import subprocess
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from raftstore import errors
from raftstore.gateway.app import Gateway
from raftstore.gateway.election_service import MISSING_LEADER, NO_LEADER, NOT_LEADER
from raftstore.gateway.endpoint import MAX_WAITERS
from raftstore.gateway.lock_service import SESSION_EXPIRED
from raftstore.gateway.messages import message
from raftstore.gateway.methods import BY_GRPC_PATH
from raftstore.gateway.serving import LocalBackend
from raftstore.server.credentials import Credentials
from raftstore.server.local import LocalCluster
from tests.gateway.etcdctl import RealEtcd
from tests.gateway.grpc_calls import Call
from tests.gateway.served import Served

LOCK = "/v3lockpb.Lock/Lock"
UNLOCK = "/v3lockpb.Lock/Unlock"
CAMPAIGN = "/v3electionpb.Election/Campaign"
PROCLAIM = "/v3electionpb.Election/Proclaim"
LEADER = "/v3electionpb.Election/Leader"
OBSERVE = "/v3electionpb.Election/Observe"
RESIGN = "/v3electionpb.Election/Resign"
GRANT = "/etcdserverpb.Lease/LeaseGrant"
UNKNOWN = 2


class Scene:
    """A cluster, and callers of one member's endpoint."""

    def __init__(self, cluster: LocalCluster, nursery: trio.Nursery) -> None:
        self.cluster = cluster
        self.client = cluster.client()
        self.gateway = Gateway(LocalBackend(cluster, 1))
        self.nursery = nursery

    def begin(self, path: str, headers: dict[bytes, bytes] | None = None, **fields: Any) -> Call:
        call = Call(self.gateway, path, BY_GRPC_PATH[path], headers)
        self.nursery.start_soon(call.run, fields)
        return call

    async def call(
        self, path: str, headers: dict[bytes, bytes] | None = None, **fields: Any
    ) -> Any:
        """The answer's message, or code and text of the refusal."""
        call = self.begin(path, headers, **fields)
        await call.ended.wait()
        return call.messages[0] if call.code == 0 else (call.code, call.text)

    async def lease(self, number: int, ttl_s: int = 60) -> int:
        await self.client.lease_grant(ttl_s, number)
        return number

    async def keys(self) -> list[bytes]:
        return [kv.key for kv in (await self.client.get_prefix(b"")).kvs]


def scene(test: Callable[[Scene], Awaitable[None]]) -> Callable[[], None]:
    """Run a test with one member, on a clock that jumps."""

    async def run() -> None:
        async with LocalCluster(1, credentials=Credentials(password_cost=4)) as cluster:
            await cluster.wait_leader()
            with trio.fail_after(600):
                async with trio.open_nursery() as nursery:
                    await test(Scene(cluster, nursery))
                    nursery.cancel_scope.cancel()

    return lambda: trio.run(run, clock=MockClock(autojump_threshold=0))


@scene
async def test_a_lock_goes_from_one_to_the_next_in_the_order_of_asking(scene: Scene) -> None:
    leases = [await scene.lease(number) for number in (7, 8, 9)]
    first = await scene.call(LOCK, name=b"l", lease=leases[0])
    assert first.key == b"l/7"
    second = scene.begin(LOCK, name=b"l", lease=leases[1])
    await trio.sleep(1)
    third = scene.begin(LOCK, name=b"l", lease=leases[2])
    await trio.sleep(1)
    assert not second.ended.is_set()
    await scene.call(UNLOCK, key=first.key)
    await second.ended.wait()
    assert second.messages[0].key == b"l/8"
    await trio.sleep(1)
    assert not third.ended.is_set()
    # A client that loses its lease loses the lock.
    await scene.client.lease_revoke(8)
    await third.ended.wait()
    assert third.messages[0].key == b"l/9"
    assert third.messages[0].header.revision > first.header.revision


@scene
async def test_one_lease_has_a_lock_once_and_other_names_are_other_locks(scene: Scene) -> None:
    await scene.lease(7)
    first = await scene.call(LOCK, name=b"l", lease=7)
    again = await scene.call(LOCK, name=b"l", lease=7)
    assert again == first
    assert (await scene.call(LOCK, name=b"l2", lease=7)).key == b"l2/7"
    granted = await scene.call(LOCK, name=b"other")
    assert granted.key.startswith(b"other/")
    number = int(granted.key.removeprefix(b"other/"), 16)
    assert number in await scene.client.leases()


@scene
async def test_who_leaves_while_waiting_leaves_nothing_behind(scene: Scene) -> None:
    await scene.lease(7)
    await scene.lease(8)
    await scene.call(LOCK, name=b"l", lease=7)
    await scene.call(CAMPAIGN, name=b"e", lease=7, value=b"v")
    gone = [
        scene.begin(LOCK, name=b"l", lease=8),
        scene.begin(CAMPAIGN, name=b"e", lease=8, value=b"v"),
    ]
    await trio.sleep(1)
    assert await scene.keys() == [b"e/7", b"e/8", b"l/7", b"l/8"]
    for call in gone:
        call.hang_up()
    await trio.sleep(1)
    assert await scene.keys() == [b"e/7", b"l/7"]
    timed_out = await scene.call(LOCK, {b"grpc-timeout": b"2S"}, name=b"l", lease=8)
    assert timed_out == (4, "context deadline exceeded")
    assert await scene.keys() == [b"e/7", b"l/7"]
    assert scene.gateway.endpoint.waiters.free == MAX_WAITERS


@scene
async def test_a_waiter_whose_lease_ends_is_told_so(scene: Scene) -> None:
    await scene.lease(7)
    await scene.lease(8)
    await scene.call(LOCK, name=b"l", lease=7)
    waiting = scene.begin(LOCK, name=b"l", lease=8)
    await trio.sleep(1)
    await scene.client.lease_revoke(8)
    await scene.client.lease_revoke(7)
    await waiting.ended.wait()
    assert (waiting.code, waiting.text) == (UNKNOWN, SESSION_EXPIRED)


@scene
async def test_too_many_waiters_are_refused_and_leave_no_key(scene: Scene) -> None:
    scene.gateway.endpoint.waiters.free = 1
    for number in (7, 8, 9):
        await scene.lease(number)
    await scene.call(LOCK, name=b"l", lease=7)
    scene.begin(LOCK, name=b"l", lease=8)
    await trio.sleep(1)
    refused = await scene.call(LOCK, name=b"l", lease=9)
    assert refused == (UNKNOWN, errors.TOO_MANY_REQUESTS.message)
    observed = await scene.call(OBSERVE, name=b"e")
    assert observed == (UNKNOWN, errors.TOO_MANY_REQUESTS.message)
    assert await scene.keys() == [b"l/7", b"l/8"]


@scene
async def test_leadership_is_won_held_and_resigned(scene: Scene) -> None:
    await scene.lease(7)
    await scene.lease(8)
    assert await scene.call(LEADER, name=b"e") == (UNKNOWN, NO_LEADER)
    first = await scene.call(CAMPAIGN, name=b"e", lease=7, value=b"one")
    assert (first.leader.name, first.leader.key, first.leader.lease) == (b"e", b"e/7", 7)
    waiting = scene.begin(CAMPAIGN, name=b"e", lease=8, value=b"two")
    await trio.sleep(1)
    assert (await scene.call(LEADER, name=b"e")).kv.value == b"one"
    await scene.call(PROCLAIM, leader=first.leader, value=b"more")
    assert (await scene.call(LEADER, name=b"e")).kv.value == b"more"
    again = await scene.call(CAMPAIGN, name=b"e", lease=7, value=b"once more")
    assert again.leader == first.leader
    assert (await scene.call(LEADER, name=b"e")).kv.value == b"once more"
    await scene.call(RESIGN, leader=first.leader)
    await waiting.ended.wait()
    assert waiting.messages[0].leader.key == b"e/8"
    refused = await scene.call(PROCLAIM, leader=first.leader, value=b"x")
    assert refused == (UNKNOWN, NOT_LEADER)
    # To resign twice does no harm.
    await scene.call(RESIGN, leader=first.leader)
    assert (await scene.call(LEADER, name=b"e")).kv.value == b"two"


@scene
async def test_observers_hear_every_leader_in_order(scene: Scene) -> None:
    await scene.lease(7)
    await scene.lease(8)
    observer = scene.begin(OBSERVE, name=b"e")
    await trio.sleep(1)
    first = await scene.call(CAMPAIGN, name=b"e", lease=7, value=b"one")
    scene.begin(CAMPAIGN, name=b"e", lease=8, value=b"three")
    await scene.call(PROCLAIM, leader=first.leader, value=b"two")
    await trio.sleep(1)
    late = scene.begin(OBSERVE, name=b"e")
    await trio.sleep(1)
    await scene.client.compact((await scene.client.get_prefix(b"")).header.revision)
    await scene.call(RESIGN, leader=first.leader)
    await trio.sleep(1)
    assert [said.kv.value for said in observer.messages] == [b"one", b"two", b"three"]
    assert [said.kv.value for said in late.messages] == [b"two", b"three"]
    assert [said.header.revision for said in observer.messages] == sorted(
        said.header.revision for said in observer.messages
    )
    observer.hang_up()
    late.hang_up()
    await trio.sleep(1)
    assert scene.gateway.endpoint.waiters.free == MAX_WAITERS


@scene
async def test_mistakes_are_named(scene: Scene) -> None:
    no_lease = (UNKNOWN, errors.LEASE_NOT_FOUND.message)
    assert await scene.call(LOCK, name=b"l", lease=99) == no_lease
    assert await scene.call(CAMPAIGN, name=b"e", lease=99) == no_lease
    assert await scene.call(UNLOCK) == (UNKNOWN, errors.EMPTY_KEY.message)
    for path in (PROCLAIM, RESIGN):
        assert await scene.call(path) == (UNKNOWN, MISSING_LEADER)


@scene
async def test_they_ask_as_the_caller_while_auth_is_on(scene: Scene) -> None:
    for op, fields in (
        ("auth_user_add", ["root", "secret", False]),
        ("auth_user_add", ["ann", "pw", False]),
        ("auth_role_add", ["locks"]),
        ("auth_role_grant_permission", ["locks", [2, b"l/", b"l0"]]),
        ("auth_user_grant_role", ["ann", "locks"]),
        ("auth_user_grant_role", ["root", "root"]),
        ("auth_enable", []),
    ):
        await scene.client.ask_wire(op, fields)
    answer = await scene.call("/etcdserverpb.Auth/Authenticate", name="ann", password="pw")
    ann = {b"token": answer.token.encode()}
    assert (await scene.call(LOCK, ann, name=b"l")).key.startswith(b"l/")
    assert await scene.call(LOCK, ann, name=b"m") == (UNKNOWN, "etcdserver: permission denied")
    assert await scene.call(LOCK, name=b"l") == (UNKNOWN, "etcdserver: user name is empty")
    waiting = scene.begin(LOCK, ann, name=b"l")
    await trio.sleep(1)
    assert not waiting.ended.is_set()
    waiting.hang_up()


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def by_curl(url: str, path: str, body: str) -> str:
    done = subprocess.run(
        ["curl", "-s", "-m", "5", "-w", " [%{http_code}]", f"{url}{path}", "-d", body],
        capture_output=True,
        check=True,
        timeout=10,
    )
    return done.stdout.decode()


JSON_CALLS = [
    ("/v3/lease/grant", '{"TTL":100,"ID":"7"}'),
    ("/v3/lock/lock", f'{{"name":"{b64("l")}","lease":"7"}}'),
    ("/v3/lock/lock", f'{{"name":"{b64("l")}","lease":"99"}}'),
    ("/v3/lock/unlock", f'{{"key":"{b64("l/7")}"}}'),
    ("/v3/lock/unlock", "{}"),
    ("/v3/election/campaign", f'{{"name":"{b64("e")}","value":"{b64("v")}","lease":"7"}}'),
    ("/v3/election/leader", f'{{"name":"{b64("e")}"}}'),
    ("/v3/election/leader", f'{{"name":"{b64("none")}"}}'),
    ("/v3/election/proclaim", '{"value":"dg=="}'),
    ("/v3/election/proclaim", f'{{"leader":{{"key":"{b64("e/7")}","rev":"1"}},"value":"dg=="}}'),
    ("/v3/election/resign", f'{{"leader":{{"key":"{b64("e/7")}","rev":"1","lease":"7"}}}}'),
    ("/v3/kv/range", '{"key":"AA==","range_end":"AA=="}'),
    ("/v3/auth/status", "{}"),
    ("/v3/auth/user/add", '{"name":"ann","password":"pw"}'),
    ("/v3/auth/user/list", "{}"),
    ("/v3/auth/role/add", '{"name":"r"}'),
    ("/v3/auth/role/grant", '{"name":"r","perm":{"permType":"READWRITE","key":"YQ=="}}'),
    ("/v3/auth/role/get", '{"role":"r"}'),
    ("/v3/auth/user/grant", '{"user":"ann","role":"r"}'),
    ("/v3/auth/user/get", '{"name":"ann"}'),
    ("/v3/auth/authenticate", '{"name":"ann","password":"pw"}'),
    ("/v3/auth/enable", "{}"),
]


def test_curl_hears_what_it_hears_from_a_real_etcd(fresh: Served, real_etcd: RealEtcd) -> None:
    for path, body in JSON_CALLS:
        if path == "/v3/auth/status":
            # Of a later release than the one compared with.
            assert '"authRevision":"1"' in by_curl(fresh.url, path, body)
            continue
        ours, theirs = (
            without_identity(by_curl(url, path, body)) for url in (fresh.url, real_etcd.url)
        )
        assert theirs == ours, path


def without_identity(text: str) -> str:
    """Without what differs between clusters, and between JSON gateways of 3.4 and 3.6.

    The older one says an error twice, and has another status for a failed precondition.
    """
    text = re.sub(r'"(cluster_id|member_id|raft_term)":"\d+"', r'"\1":"N"', text)
    text = re.sub(
        r'\{"error":("[^{}]*"),"message":\1,"code":(\d+)\}', r'{"code":\2,"message":\1}', text
    )
    return text.replace("[412]", "[400]")


@pytest.mark.parametrize("path", [LOCK, CAMPAIGN])
def test_their_messages_have_the_public_field_numbers(path: str) -> None:
    request = BY_GRPC_PATH[path].request(name=b"n", lease=3)
    assert request.SerializeToString() == b"\x0a\x01n\x10\x03"
    key = message("LeaderKey", "v3electionpb")(name=b"n", key=b"k", rev=1, lease=2)
    assert key.SerializeToString() == b"\x0a\x01n\x12\x01k\x18\x01\x20\x02"
