"""The client on etcd's gRPC protocol: against a real etcd, and against a served cluster."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme

from benches.ports import unused_ports
from raftstore import errors
from raftstore.client import StoreClient
from raftstore.errors import (
    StoreError,
    UnavailableError,
    UnknownOutcomeError,
    WatchCancelledError,
)
from raftstore.gateway.client import Dialer, TargetError, open_client, parse_target
from raftstore.gateway.client.codecs import CODECS
from raftstore.units import SECOND
from raftstore.wire import (
    COMPARE_MOD,
    COMPARE_VALUE,
    EQUAL,
    NO_PUT,
    PUT,
    Compare,
    DeleteRangeRequest,
    PutRequest,
    RangeRequest,
    TxnRequest,
    WatchCreateRequest,
)
from tests.gateway.real import ETCD, WITHOUT_ETCD, real_etcd
from tests.gateway.served import Served, start

TIMEOUT_S = 20.0

Using = Callable[[StoreClient], Awaitable[None]]


@pytest.fixture(scope="module")
def etcd_target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if ETCD is None:
        pytest.skip(WITHOUT_ETCD)
    with real_etcd(tmp_path_factory.mktemp("etcd")) as etcd:
        yield etcd.target


@pytest.fixture(params=["etcd", "raftstore"])
def target(request: pytest.FixtureRequest, served: Served) -> str:
    """A store with whatever earlier tests have left in it."""
    if request.param == "etcd":
        found: str = request.getfixturevalue("etcd_target")
        return found
    return "etcd://" + ",".join(url.removeprefix("http://") for url in served.urls)


def use(target: str, using: Using, **options: Any) -> None:
    async def main() -> None:
        with trio.fail_after(TIMEOUT_S):
            async with open_client(target, **options) as client:
                await using(client)

    trio.run(main)


def test_requests_of_all_kinds_are_answered_in_full(target: str) -> None:
    async def using(client: StoreClient) -> None:
        await client.delete(b"w/", b"w0")
        first = await client.put(b"w/a", b"1")
        revision = first.header.revision
        assert first.header.cluster_id
        assert first.prev_kv is None
        again = await client.put(b"w/a", b"2", prev_kv=True)
        assert again.prev_kv is not None
        assert (again.prev_kv.value, again.prev_kv.mod_revision) == (b"1", revision)
        lease = await client.lease_grant(60)
        await client.put(b"w/b", b"", lease=lease.id)
        assert lease.id in await client.leases()
        assert (await client.lease_keep_alive(lease.id)).ttl == 60
        told = await client.lease_time_to_live(lease.id, keys=True)
        assert (told.granted_ttl, told.keys) == (60, [b"w/b"])
        listed = await client.get_prefix(b"w/")
        assert [(kv.key, kv.value, kv.version, kv.lease) for kv in listed.kvs] == [
            (b"w/a", b"2", 2, 0),
            (b"w/b", b"", 1, lease.id),
        ]
        old = await client.get(b"w/a", revision=revision)
        assert old is not None
        assert old.value == b"1"
        gone = await client.delete(b"w/", b"w0", prev_kv=True)
        assert (gone.deleted, [kv.key for kv in gone.prev_kvs]) == (2, [b"w/a", b"w/b"])
        await client.lease_revoke(lease.id)
        assert (await client.lease_time_to_live(lease.id)).ttl == -1
        assert (await client.lease_keep_alive(lease.id)).ttl == 0
        status = await client.status()
        assert status.leader in {member.id for member in (await client.member_list()).members}
        assert (await client.hash_kv()).hash

    use(target, using)


def test_members_are_added_changed_and_removed(target: str) -> None:
    async def using(client: StoreClient) -> None:
        before = (await client.member_list()).members
        added = await client.member_add(["http://127.0.0.1:9"], is_learner=True)
        assert (added.member.peer_urls, added.member.is_learner) == (["http://127.0.0.1:9"], True)
        assert len(added.members) == len(before) + 1
        moved = await client.member_update(added.member.id, ["http://127.0.0.1:19"])
        found = {member.id: member.peer_urls for member in moved.members}
        assert found[added.member.id] == ["http://127.0.0.1:19"]
        with pytest.raises(StoreError) as refused:
            await client.member_promote(added.member.id)
        assert refused.value.status == errors.LEARNER_NOT_READY
        left = (await client.member_remove(added.member.id)).members
        assert [member.id for member in left] == [member.id for member in before]
        with pytest.raises(StoreError) as unknown:
            await client.member_remove(added.member.id)
        assert unknown.value.status == errors.MEMBER_NOT_FOUND

    use(target, using)


def test_a_transaction_in_a_transaction_comes_back_with_every_answer(target: str) -> None:
    async def using(client: StoreClient) -> None:
        await client.put(b"t/a", b"1")
        inner = TxnRequest(
            [Compare(EQUAL, COMPARE_VALUE, b"t/a", b"other")],
            [PutRequest(b"t/b", b"no")],
            [PutRequest(b"t/b", b"yes", prev_kv=True), RangeRequest(b"t/", b"t0", keys_only=True)],
        )
        guard = Compare(EQUAL, COMPARE_MOD, b"t/none", 0)
        answer = await client.txn([guard], [inner, DeleteRangeRequest(b"t/a")])
        assert answer.succeeded
        within, deleted = answer.responses
        assert not within.succeeded
        assert [kv.key for kv in within.responses[1].kvs] == [b"t/a", b"t/b"]
        assert deleted.deleted == 1
        await client.delete(b"t/", b"t0")

    use(target, using)


def test_refusals_have_code_and_text(target: str) -> None:
    async def using(client: StoreClient) -> None:
        revision = (await client.put(b"r", b"1")).header.revision
        for asking, code, text in (
            (client.put(b"", b""), "InvalidArgument", "etcdserver: key is not provided"),
            (
                client.get(b"r", revision=revision + 9),
                "OutOfRange",
                "etcdserver: mvcc: required revision is a future revision",
            ),
            (client.lease_revoke(123), "NotFound", "etcdserver: requested lease not found"),
            (client.put(b"r", b"x" * 2_000_000), "InvalidArgument", "etcdserver: request is too"),
        ):
            with pytest.raises(StoreError) as refused:
                await asking
            assert refused.value.code == code
            assert refused.value.message.startswith(text)
        with pytest.raises(StoreError) as refused:
            await client.ask_wire("no_such_request", [])
        assert refused.value.code == "Unimplemented"

    use(target, using)


def test_watches_share_a_stream_and_each_gets_its_own_events_once(target: str) -> None:
    async def using(client: StoreClient) -> None:
        begin = (await client.put(b"s/0", b"")).header.revision
        requests = {
            "all": WatchCreateRequest(b"s/", b"s0", begin + 1, prev_kv=True),
            "one": WatchCreateRequest(b"s/3", b"", begin + 1),
            "deletions": WatchCreateRequest(b"s/", b"s0", begin + 1, filters=[NO_PUT]),
            "now": WatchCreateRequest(b"s/", b"s0"),
        }
        seen: dict[str, list[tuple[int, bytes, bytes | None]]] = {name: [] for name in requests}
        confirmed = {name: trio.Event() for name in requests}
        last = trio.Event()

        def watch(name: str) -> Any:
            def on_events(events: list[list[Any]], _revision: int) -> None:
                confirmed[name].set()
                for kind, kv, previous in events:
                    seen[name].append((kind, kv[0], previous and previous[4]))
                if all(items and items[-1][1] == b"s/3" for items in seen.values()):
                    last.set()

            return client.watch(requests[name], on_events, lambda error: pytest.fail(str(error)))

        watches = [watch(name) for name in requests]
        for event in confirmed.values():
            await event.wait()
        for number in range(1, 4):
            await client.put(b"s/%d" % number, b"v")
        await client.delete(b"s/2")
        await client.delete(b"s/3")
        await last.wait()
        puts = [(PUT, b"s/%d" % number) for number in range(1, 4)]
        deletes = [(1, b"s/2"), (1, b"s/3")]
        assert [item[:2] for item in seen["all"]] == puts + deletes
        assert [item[2] for item in seen["all"]] == [None, None, None, b"v", b"v"]
        assert [item[:2] for item in seen["one"]] == [(PUT, b"s/3"), (1, b"s/3")]
        assert [item[:2] for item in seen["deletions"]] == deletes
        assert [item[:2] for item in seen["now"]] == puts + deletes
        for running in watches:
            running.cancel()
        await client.put(b"s/3", b"after")
        await client.get(b"s/3")
        assert len(seen["one"]) == 2

    use(target, using)


def test_history_comes_whole_however_large_it_is(target: str) -> None:
    async def using(client: StoreClient) -> None:
        begin = (await client.put(b"big", b"")).header.revision
        for number in range(6):
            await client.put(b"big", bytes([number]) * 1_000_000)
        found: list[bytes] = []
        with client.events(WatchCreateRequest(b"big", b"", begin + 1)) as stream:
            async for events, _ in stream:
                found += [event[1][4][:1] for event in events]
                assert all(len(event[1][4]) == 1_000_000 for event in events)
                if len(found) == 6:
                    break
        assert found == [bytes([number]) for number in range(6)]

    use(target, using)


def test_a_watch_behind_the_compaction_is_told_from_where_it_can_continue(target: str) -> None:
    async def using(client: StoreClient) -> None:
        for number in range(3):
            revision = (await client.put(b"c", b"%d" % number)).header.revision
        await client.compact(revision)
        with (
            client.events(WatchCreateRequest(b"c", b"", revision - 1)) as stream,
            pytest.raises(WatchCancelledError) as cancelled,
        ):
            await anext(stream)
        assert cancelled.value.compact_revision == revision

    use(target, using)


def test_an_impossible_watch_is_refused_and_the_others_continue(target: str) -> None:
    async def using(client: StoreClient) -> None:
        with (
            client.events(WatchCreateRequest(b"i/a")) as good,
            client.events(WatchCreateRequest(b"i/b", b"i/a")) as empty,
        ):
            with pytest.raises(WatchCancelledError):
                await anext(empty)
            await client.put(b"i/a", b"")
            events, _ = await anext(good)
            assert events[0][1][0] == b"i/a"

    use(target, using)


def test_many_requests_at_once_share_one_connection(target: str) -> None:
    async def using(client: StoreClient) -> None:
        async with trio.open_nursery() as nursery:
            for number in range(500):
                nursery.start_soon(client.put, b"m/%d" % number, b"x" * 1000)
        assert (await client.get_prefix(b"m/", keys_only=True)).count == 500
        assert client.statistics()["links"] == 1
        await client.delete(b"m/", b"m0")

    use(target, using)


def test_writes_and_watches_continue_when_the_endpoint_dies(tmp_path: Path) -> None:
    if ETCD is None:
        pytest.skip(WITHOUT_ETCD)

    async def using(client: StoreClient) -> None:
        await client.put(b"f/0", b"")
        seen: list[bytes] = []
        with client.events(WatchCreateRequest(b"f/", b"f0", 1)) as stream:
            written = [b"f/0"]
            for number in range(1, 40):
                if number == 10:
                    await trio.to_thread.run_sync(etcd.kill, 0)
                key = b"f/%d" % number
                try:
                    await client.put(key, b"")
                except UnknownOutcomeError:
                    await client.put(key, b"")
                written.append(key)
            while seen[-1:] != written[-1:]:
                events, _ = await anext(stream)
                # One that was sent twice may have happened twice; then it is there twice.
                seen += [event[1][0] for event in events if event[1][3] == 1]
        assert seen == written

    with real_etcd(tmp_path, 3) as etcd:
        use(etcd.target, using)


def test_where_nothing_listens_a_request_ends_in_time_and_surely_was_not_carried_out() -> None:
    async def using(client: StoreClient) -> None:
        with pytest.raises(UnavailableError):
            await client.put(b"a", b"", timeout_ns=SECOND)

    use(f"etcd://127.0.0.1:{unused_ports(1)[0]}", using)


async def reason_of(endpoint: str, tls: ssl.SSLContext | None = None) -> str:
    """Why a connection ends."""
    reasons: list[str] = []
    async with trio.open_nursery() as nursery:

        def closed(reason: str) -> None:
            reasons.append(reason)
            nursery.cancel_scope.cancel()

        Dialer(nursery.start_soon, tls=tls, connect_timeout_s=1)(endpoint, closed)
        await trio.sleep(TIMEOUT_S)
    return reasons[0]


async def test_the_reason_of_a_failure_says_what_is_wrong(served: Served) -> None:
    (port,) = unused_ports(1)
    assert "Connection refused" in await reason_of(f"127.0.0.1:{port}")
    plain = served.url.removeprefix("http://")
    assert "no TLS" in await reason_of(plain, ssl.create_default_context())
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    garbage = f"127.0.0.1:{listeners[0].socket.getsockname()[1]}"

    async def talk(stream: trio.SocketStream) -> None:
        # Closed with something unread, the connection would be reset, and the words lost.
        await stream.receive_some()
        await stream.send_all(b"220 mail.example ESMTP\r\n" * 10)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, talk, listeners)
        reason = await reason_of(garbage)
        assert "HTTP/2" in reason or "closed" in reason
        nursery.cancel_scope.cancel()


def test_tls_is_spoken_with_who_is_trusted(tmp_path: Path) -> None:
    ca = trustme.CA()
    pair = ca.issue_cert("127.0.0.1")
    pair.private_key_pem.write_to_path(tmp_path / "key")
    pair.cert_chain_pems[0].write_to_path(tmp_path / "crt")
    running = start(
        *("--port", "0", "--members", "1"),
        *("--cert-file", str(tmp_path / "crt"), "--key-file", str(tmp_path / "key")),
    )
    assert running.process.stdout is not None
    with running.process.stdout:
        try:
            endpoint = running.url.removeprefix("https://")
            trusting = ssl.create_default_context()
            ca.configure_trust(trusting)

            async def using(client: StoreClient) -> None:
                await client.put(b"tls", b"yes")
                kv = await client.get(b"tls")
                assert kv is not None
                assert kv.value == b"yes"

            use(f"etcds://{endpoint}", using, tls=trusting)
            reason = trio.run(reason_of, endpoint, ssl.create_default_context())
            assert "its certificate is not trusted" in reason
            # Bytes of TLS are no HTTP/2.
            assert trio.run(reason_of, endpoint)
        finally:
            running.process.kill()
            running.process.wait()


@pytest.mark.parametrize(
    ("text", "endpoints", "secure"),
    [
        ("etcd://a:1,b:2", ("a:1", "b:2"), False),
        ("etcds://a", ("a:2379",), True),
        ("etcd://[::1]:5/", ("[::1]:5",), False),
        ("etcd://a:1,a:1", ("a:1",), False),
    ],
)
def test_a_url_names_endpoints(text: str, endpoints: tuple[str, ...], secure: bool) -> None:
    found = parse_target(text)
    assert (found.endpoints, found.secure) == (endpoints, secure)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("localhost:2379", "has no scheme; write etcd://"),
        ("http://a:1", "write etcd://a:1"),
        ("https://a:1", "write etcds://a:1"),
        ("redis://a:1", "write etcd://HOST:PORT"),
        ("etcd://", "names no host"),
        ("etcd://a:1,,b:2", "names no host"),
        ("etcd://a:http", "'http' is no port"),
        ("etcd://a:70000", "'70000' is no port"),
        ("etcd://a:1/prefix", "has a path"),
        ("etcd://" + ",".join(f"h{n}" for n in range(101)), "at most 100"),
    ],
)
def test_a_url_that_names_no_store_is_refused_with_how_to_write_it(text: str, remedy: str) -> None:
    with pytest.raises(TargetError, match=r".") as refused:
        parse_target(text)
    assert remedy in str(refused.value)


def test_every_request_of_a_store_client_has_a_call() -> None:
    asked = {
        "range", "put", "delete_range", "txn", "compact", "lease_grant", "lease_revoke",
        "lease_time_to_live", "lease_leases", "member_list", "status", "hash_kv", "move_leader",
        "member_add", "member_remove", "member_update", "member_promote",
    }  # fmt: skip
    assert asked <= CODECS.keys()
