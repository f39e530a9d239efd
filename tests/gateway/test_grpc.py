"""gRPC's own rules, at the application itself: framing, statuses, deadlines, limits."""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable
from typing import Any

import trio
from trio.testing import MockClock

from raftstore import errors
from raftstore.gateway.app import Gateway
from raftstore.gateway.endpoint import is_wide
from raftstore.gateway.messages import message
from raftstore.gateway.methods import BY_GRPC_PATH
from raftstore.gateway.serving import LocalBackend
from raftstore.gateway.sizes import LIMITS, MAX_MESSAGE_BYTES
from raftstore.http.limits import Budget
from raftstore.server.local import LocalCluster
from tests.gateway.grpc_calls import grpc_head
from tests.http.in_memory import Answer

RANGE = "/etcdserverpb.KV/Range"
PUT = "/etcdserverpb.KV/Put"
WATCH = "/etcdserverpb.Watch/Watch"


def framed(request: Any) -> bytes:
    data: bytes = request.SerializeToString()
    return struct.pack(">BI", 0, len(data)) + data


class Caller:
    """Calls the application as an HTTP/2 server would."""

    def __init__(self, cluster: LocalCluster) -> None:
        self.cluster = cluster
        self.gateway = Gateway(LocalBackend(cluster, 1))
        self.budget = Budget(LIMITS.all_unread_bytes)

    async def call(
        self, path: str, *chunks: bytes, headers: dict[bytes, bytes] | None = None
    ) -> tuple[int, str, bytes]:
        """Status, message and body of the answer."""
        answer = Answer(self.gateway, grpc_head(path, headers), limits=LIMITS, budget=self.budget)
        await answer.run(*chunks)
        text = answer.trailers.get(b"grpc-message", b"").decode()
        return int(answer.trailers[b"grpc-status"]), text, answer.body


def calling(test: Callable[[Caller], Awaitable[None]]) -> Callable[[], None]:
    """Run a test with a single member's application on a clock that jumps."""

    async def run() -> None:
        async with LocalCluster(1) as cluster:
            await cluster.wait_leader()
            with trio.fail_after(60):
                await test(Caller(cluster))

    return lambda: trio.run(run, clock=MockClock(autojump_threshold=0))


@calling
async def test_a_message_is_answered_by_a_message(caller: Caller) -> None:
    request = framed(message("PutRequest")(key=b"a", value=b"1"))
    status, _, body = await caller.call(PUT, request[:3], request[3:])
    assert (status, body[0]) == (0, 0)
    assert message("PutResponse").FromString(body[5:]).header.revision == 2


@calling
async def test_broken_frames_are_refused(caller: Caller) -> None:
    get = framed(message("RangeRequest")(key=b"a"))
    refusals = [
        (await caller.call(RANGE))[:2],
        (await caller.call(RANGE, get[:-1]))[:2],
        (await caller.call(RANGE, b"\1" + get[1:]))[:2],
        (await caller.call(RANGE, struct.pack(">BI", 0, 4) + b"\xff\xff\xff\xff"))[:2],
    ]
    assert refusals == [
        (2, "EOF"),
        (2, "unexpected EOF"),
        (13, "grpc: compressed flag set with identity or empty encoding"),
        (13, "grpc: error unmarshalling request"),
    ]


@calling
async def test_a_message_over_the_limit_is_refused_without_being_kept(caller: Caller) -> None:
    length = MAX_MESSAGE_BYTES + 1
    chunks = [struct.pack(">BI", 0, length), *[bytes(1 << 16)] * 40]
    status, text, _ = await caller.call(PUT, *chunks)
    assert status == 8
    assert text == f"grpc: received message larger than max ({length} vs. {MAX_MESSAGE_BYTES})"
    assert caller.budget.free_bytes == LIMITS.all_unread_bytes


@calling
async def test_all_requests_share_one_budget_of_memory(caller: Caller) -> None:
    caller.budget.free_bytes = 100
    request = framed(message("PutRequest")(key=b"a", value=bytes(100)))
    assert (await caller.call(PUT, request))[:2] == (8, errors.TOO_MANY_REQUESTS.message)
    assert caller.budget.free_bytes == 100


@calling
async def test_the_callers_deadline_holds(caller: Caller) -> None:
    caller.cluster.kill(1)
    status, text, _ = await caller.call(PUT, framed(message("PutRequest")(key=b"a")))
    assert (status, text) == (14, errors.TIMEOUT_CONNECTION_LOST.message)
    status, text, _ = await caller.call(WATCH, headers={b"grpc-timeout": b"50m"})
    assert status in {4, 14}
    status, text, _ = await caller.call(PUT, headers={b"grpc-timeout": b"soon"})
    assert (status, text) == (
        13,
        'malformed grpc-timeout: strconv.ParseInt: parsing "soo": invalid syntax',
    )


@calling
async def test_a_member_that_comes_back_is_asked_again(caller: Caller) -> None:
    cluster = caller.cluster
    put = framed(message("PutRequest")(key=b"a"))
    assert (await caller.call(PUT, put))[0] == 0
    cluster.kill(1)
    assert (await caller.call(PUT, put))[:2] == (14, errors.TIMEOUT_CONNECTION_LOST.message)
    cluster.start(1)
    await cluster.wait_leader()
    assert (await caller.call(PUT, put))[0] == 0


def test_a_call_without_a_task_ends_at_its_deadline_and_leaves_nothing() -> None:
    async def run() -> None:
        async with LocalCluster(3) as cluster, trio.open_nursery() as nursery:
            await cluster.wait_leader()
            caller = Caller(cluster)
            deadlines = caller.gateway.endpoint.deadlines
            nursery.start_soon(deadlines.run)
            put = framed(message("PutRequest")(key=b"a"))
            headers = {b"grpc-timeout": b"2S"}
            assert (await caller.call(PUT, put, headers=headers))[0] == 0
            assert len(deadlines) == 0
            cluster.isolate(1)
            begun = trio.current_time()
            status, text, _ = await caller.call(PUT, put, headers=headers)
            assert (status, text) == (4, "context deadline exceeded")
            assert 2 <= trio.current_time() - begun <= 2.3
            # The client that hangs up is not waited for.
            answer = Answer(caller.gateway, grpc_head(PUT, headers))
            nursery.start_soon(answer.run, put)
            await trio.sleep(1)
            assert len(deadlines) == 1
            answer.hang_up()
            assert len(deadlines) == 0
            counted = caller.gateway.counters.handled
            assert counted["unary", "etcdserverpb.KV", "Put", "DeadlineExceeded"] == 1
            nursery.cancel_scope.cancel()

    trio.run(run, clock=MockClock(autojump_threshold=0))


@calling
async def test_a_stream_ends_at_its_deadline(caller: Caller) -> None:
    request = framed(message("WatchRequest")(create_request={"key": b"a"}))
    status, text, body = await caller.call(WATCH, request, headers={b"grpc-timeout": b"1S"})
    assert (status, text) == (4, "context deadline exceeded")
    assert message("WatchResponse").FromString(body[5:]).created


@calling
async def test_unknown_methods_are_named(caller: Caller) -> None:
    for path, text in {
        "/etcdserverpb.KV/Nonsense": "unknown method Nonsense for service etcdserverpb.KV",
        "/etcdserverpb.Nothing/At": "unknown service etcdserverpb.Nothing",
        "/nonsense": 'malformed method name: "/nonsense"',
    }.items():
        assert (await caller.call(path))[:2] == (12, text)


@calling
async def test_transactions_of_no_sense_are_refused(caller: Caller) -> None:
    txn, compare = message("TxnRequest"), message("Compare")
    nested = txn()
    for _ in range(20):
        nested = txn(success=[{"request_txn": nested}])
    path = "/etcdserverpb.KV/Txn"
    deep = await caller.call(path, framed(nested))
    target = await caller.call(path, framed(txn(compare=[compare(key=b"a", target=9)])))
    assert [deep[:2], target[:2]] == [
        (3, "etcdserver: transaction is nested too deeply"),
        (3, "etcdserver: unknown compare target or result"),
    ]


@calling
async def test_calls_are_counted_by_method_and_status(caller: Caller) -> None:
    await caller.call(PUT, framed(message("PutRequest")(key=b"a")))
    await caller.call(PUT, framed(message("PutRequest")()))
    counters = caller.gateway.endpoint.counters
    assert counters.started["unary", "etcdserverpb.KV", "Put"] == 2
    assert counters.handled["unary", "etcdserverpb.KV", "Put", "OK"] == 1
    assert counters.handled["unary", "etcdserverpb.KV", "Put", "InvalidArgument"] == 1


def test_requests_whose_answers_may_be_large_are_told_from_others() -> None:
    def fields_of(path: str, request: Any) -> tuple[str, Any]:
        method = BY_GRPC_PATH[path]
        return method.op, method.to_fields(request)

    get, wide = {"key": b"a"}, {"key": b"a", "range_end": b"b"}
    txn = message("TxnRequest")
    nested = txn(failure=[{"request_txn": txn(success=[{"request_range": wide}])}])
    path = "/etcdserverpb.KV/Txn"
    told = {
        "get": is_wide(*fields_of(RANGE, message("RangeRequest")(**get))),
        "range": is_wide(*fields_of(RANGE, message("RangeRequest")(**wide))),
        "put": is_wide(*fields_of(PUT, message("PutRequest")(key=b"a"))),
        "get in a transaction": is_wide(*fields_of(path, txn(success=[{"request_range": get}]))),
        "range in a transaction": is_wide(*fields_of(path, txn(failure=[{"request_range": wide}]))),
        "range in a nested one": is_wide(*fields_of(path, nested)),
        "empty transaction": is_wide(*fields_of(path, txn())),
    }
    assert [name for name, is_large in told.items() if is_large] == [
        "range",
        "range in a transaction",
        "range in a nested one",
    ]
