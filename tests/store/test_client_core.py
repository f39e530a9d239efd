"""The client against members that answer, refuse, fall silent or vanish; time moves by hand."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

import msgpack
import pytest

from raftstore import errors, wire
from raftstore.client import StoreClient
from raftstore.units import SECOND

HEADER = [1, 1, 7, 1]
PUT_FIELDS = [b"k", b"v", 0, False, False, False]
RANGE_FIELDS = wire.RangeRequest(b"k").to_wire()


class FakeTimer:
    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class FakeMessage:
    def __init__(self, payload: Any, cause: int) -> None:
        self.payload = payload
        self.cause = cause


class FakeConnection:
    def __init__(self, endpoint: str, on_close: Callable[[str], None]) -> None:
        self.endpoint = endpoint
        self.on_close = on_close
        self.closed = False
        self.sent: list[tuple[int, str, Any]] = []
        self.streams: dict[int, Callable[[Any], None]] = {}

    def send(self, kind: str, payload: Any, cause: int = 0) -> int:
        del cause
        self.sent.append((len(self.sent) + 1, kind, payload))
        return len(self.sent)

    def subscribe(self, kind: str, payload: Any, on_item: Callable[[Any], None]) -> int:
        message_id = self.send(kind, payload)
        self.streams[message_id] = on_item
        return message_id

    def unsubscribe(self, message_id: int) -> None:
        self.streams.pop(message_id, None)

    def close(self, reason: str = "") -> None:
        del reason
        self.closed = True

    def break_(self) -> None:
        self.closed = True
        self.on_close("reset")


class World:
    """Dials fake connections and keeps time."""

    def __init__(self, *endpoints: str) -> None:
        self.now_ns = 0
        self.timers: list[tuple[int, int, FakeTimer, Callable[[], None]]] = []
        self.connections: list[FakeConnection] = []
        self.results: list[Any] = []
        self.client = StoreClient(endpoints or ("a", "b", "c"), self.dial, self.after)

    def dial(self, endpoint: str, on_close: Callable[[str], None]) -> FakeConnection:
        self.connections.append(FakeConnection(endpoint, on_close))
        return self.connections[-1]

    def after(self, delay_ns: int, callback: Callable[[], None]) -> FakeTimer:
        timer = FakeTimer()
        entry = (self.now_ns + delay_ns, len(self.timers) + self.now_ns, timer, callback)
        heapq.heappush(self.timers, entry)
        return timer

    def advance(self, seconds: float) -> None:
        end_ns = self.now_ns + int(seconds * SECOND)
        while self.timers and self.timers[0][0] <= end_ns:
            self.now_ns, _, timer, callback = heapq.heappop(self.timers)
            if not timer.cancelled:
                callback()
        self.now_ns = end_ns

    @property
    def last(self) -> FakeConnection:
        return self.connections[-1]

    def call(self, op: str, fields: list[Any], timeout_s: int = 5) -> None:
        self.client.call_wire(
            op, fields, self.results.append, self.results.append, timeout_s * SECOND
        )

    def requests(self, connection: FakeConnection | None = None) -> list[tuple[int, str]]:
        """Requests on a connection that have not been answered, as (id, op)."""
        connection = connection or self.last
        return [
            (message_id, payload[0])
            for message_id, kind, payload in connection.sent
            if kind == wire.REQUEST and message_id in connection.streams
        ]

    def answer(self, payload: Any, connection: FakeConnection | None = None) -> None:
        """Answer the oldest open request."""
        connection = connection or self.last
        message_id, _ = self.requests(connection)[0]
        connection.streams[message_id](FakeMessage(payload, message_id))

    def greet(self, leader: int = 1) -> None:
        """Answer the status request that a new link begins with."""
        assert [op for _, op in self.requests()][:1] == ["status"]
        self.answer([0, [HEADER, "3.6", 0, leader, 0, 1, 0, [], 0, False]])

    def push(self, payload: list[Any]) -> None:
        """An item for the last watch opened."""
        message_id = max(i for i, kind, _ in self.last.sent if kind == wire.WATCH)
        self.last.streams[message_id](FakeMessage(payload, message_id))


@pytest.fixture
def world() -> World:
    return World()


def test_an_answer_reaches_its_caller(world: World) -> None:
    world.call("put", PUT_FIELDS)
    world.greet()
    world.answer([0, [HEADER, None]])
    assert world.results == [[HEADER, None]]
    assert world.client.statistics()["calls"] == 0


def test_a_refusal_of_the_store_is_an_error_and_is_not_tried_again(world: World) -> None:
    world.call("put", PUT_FIELDS)
    world.greet()
    world.answer(list(errors.LEASE_NOT_FOUND))
    (error,) = world.results
    assert isinstance(error, errors.StoreError)
    assert error.status == errors.LEASE_NOT_FOUND


def test_nothing_is_sent_before_the_member_has_spoken(world: World) -> None:
    world.call("put", PUT_FIELDS)
    assert [op for _, op in world.requests()] == ["status"]


def test_a_refused_connection_leaves_no_write_in_doubt(world: World) -> None:
    world.call("put", PUT_FIELDS)
    world.last.break_()
    world.advance(0)
    assert world.last.endpoint == "b"
    world.greet()
    world.answer([0, [HEADER, None]])
    assert world.results == [[HEADER, None]]


def test_a_write_on_a_connection_that_breaks_has_an_unknown_outcome(world: World) -> None:
    world.call("put", PUT_FIELDS)
    world.greet()
    world.last.break_()
    assert [type(result) for result in world.results] == [errors.UnknownOutcomeError]


def test_a_read_on_a_connection_that_breaks_is_asked_of_the_next_member(world: World) -> None:
    world.call("range", RANGE_FIELDS)
    world.greet()
    world.last.break_()
    world.advance(0)
    assert world.last.endpoint == "b"
    world.greet()
    world.answer([0, [HEADER, [], False, 0]])
    assert world.results == [[HEADER, [], False, 0]]


@pytest.mark.parametrize("status", [errors.NO_LEADER, errors.NOT_LEADER, errors.STOPPED])
def test_a_write_refused_before_it_was_proposed_goes_to_the_next_member(
    world: World, status: errors.Status
) -> None:
    world.call("put", PUT_FIELDS)
    world.greet()
    world.answer(list(status))
    world.advance(0.1)
    assert world.last.endpoint == "b"
    world.greet()
    assert [op for _, op in world.requests()] == ["put"]


def test_an_overloaded_member_is_asked_again_after_a_pause(world: World) -> None:
    world.call("put", PUT_FIELDS)
    world.greet()
    world.answer(list(errors.TOO_MANY_REQUESTS))
    assert world.requests() == []
    world.advance(0.1)
    assert [op for _, op in world.requests()] == ["put"]
    assert len(world.connections) == 1


@pytest.mark.parametrize("status", [errors.TIMEOUT, errors.TIMEOUT_LEADER_FAILED])
def test_a_write_whose_fate_the_member_does_not_know_is_not_tried_again(
    world: World, status: errors.Status
) -> None:
    world.call("put", PUT_FIELDS)
    world.call("range", RANGE_FIELDS)
    world.greet()
    world.answer(list(status))
    world.answer(list(status))
    assert [type(result) for result in world.results] == [errors.UnknownOutcomeError]
    world.advance(0.1)
    assert [op for _, op in world.requests()] == ["range"]


def test_time_runs_out_for_what_was_sent_and_for_what_was_not(world: World) -> None:
    world.call("put", PUT_FIELDS, timeout_s=1)
    world.advance(1.3)
    assert [type(result) for result in world.results] == [errors.UnavailableError]
    world.greet()
    world.call("put", PUT_FIELDS, timeout_s=1)
    world.advance(1.3)
    assert [type(result) for result in world.results[1:]] == [errors.UnknownOutcomeError]


def test_a_silent_member_is_probed_and_then_left(world: World) -> None:
    world.call("range", RANGE_FIELDS)
    world.greet()
    first = world.last
    world.advance(1.2)
    assert [op for _, op in world.requests(first)] == ["range", "status"]
    world.advance(1.2)
    assert first.closed
    assert world.last.endpoint == "b"


def test_a_slow_member_that_answers_the_probe_is_kept(world: World) -> None:
    world.call("put", PUT_FIELDS, timeout_s=8)
    world.greet()
    for _ in range(4):
        world.advance(1.2)
        probe = next(message_id for message_id, op in world.requests() if op == "status")
        status = [0, [HEADER, "3.6", 0, 1, 0, 1, 0, [], 0, False]]
        world.last.streams[probe](FakeMessage(status, probe))
    assert len(world.connections) == 1
    world.answer([0, [HEADER, None]])
    assert world.results == [[HEADER, None]]


def test_members_without_a_leader_are_passed_over_unless_all_are(world: World) -> None:
    world.call("range", RANGE_FIELDS)
    world.greet(leader=0)
    world.advance(0)
    world.greet(leader=0)
    world.advance(0)
    assert [c.endpoint for c in world.connections] == ["a", "b", "c"]
    world.greet(leader=0)
    assert [op for _, op in world.requests()] == ["range"]


def test_attempts_slow_down_when_no_member_can_be_reached(world: World) -> None:
    world.call("range", RANGE_FIELDS, timeout_s=60)
    for _ in range(600):
        if not world.last.closed:
            world.last.break_()
        world.advance(0.1)
    assert 40 < len(world.connections) < 80
    world.advance(1)
    assert [type(result) for result in world.results] == [errors.UnavailableError]


def test_a_call_of_a_full_or_closed_client_fails(world: World) -> None:
    full = StoreClient(["a"], world.dial, world.after, max_calls=1)
    for _ in range(2):
        full.call_wire("range", RANGE_FIELDS, world.results.append, world.results.append)
    world.advance(0)
    full.close()
    full.call_wire("range", RANGE_FIELDS, world.results.append, world.results.append)
    world.advance(0)
    assert [type(result) for result in world.results] == [
        errors.UnavailableError,
        errors.ClientClosedError,
        errors.ClientClosedError,
    ]


def packed(*revisions: int) -> bytes:
    return msgpack.packb([[0, [b"k", 1, r, 1, b"", 0], None] for r in revisions])


def watch(world: World, seen: list[Any], start: int = 0) -> Any:
    return world.client.watch(
        wire.WatchCreateRequest(b"k", start_revision=start),
        lambda events, revision: seen.append(([e[1][2] for e in events], revision)),
        seen.append,
    )


def watch_starts(world: World) -> list[int]:
    return [
        payload[2]
        for connection in world.connections
        for _, kind, payload in connection.sent
        if kind == wire.WATCH
    ]


@pytest.mark.covers("ST-13")
def test_a_watch_resumes_behind_the_last_revision_it_was_given(world: World) -> None:
    seen: list[Any] = []
    watch(world, seen)
    world.greet()
    world.push([1, 4, 0, False, "", b""])
    world.push([1, 6, 0, False, "", packed(5, 6)])
    world.last.break_()
    world.advance(0)
    world.greet()
    world.push([1, 6, 0, False, "", b""])
    world.push([1, 9, 0, False, "", packed(9)])
    world.last.break_()
    world.advance(0)
    world.greet()
    assert watch_starts(world) == [0, 7, 10]
    assert seen == [([], 4), ([5, 6], 6), ([], 6), ([9], 9)]


def test_a_watch_that_was_never_confirmed_begins_again(world: World) -> None:
    watch(world, [])
    world.greet()
    world.last.break_()
    world.advance(0)
    world.greet()
    assert watch_starts(world) == [0, 0]


def test_a_watch_leaves_a_member_that_lost_its_leader(world: World) -> None:
    watch(world, [])
    world.greet()
    world.push([1, 4, 0, False, "", b""])
    first = world.last
    world.advance(6)
    probe = world.requests(first)[0][0]
    first.streams[probe](FakeMessage([0, [HEADER, "", 0, 0, 0, 1, 0, [], 0, False]], probe))
    world.advance(0)
    assert first.closed
    world.greet()
    assert watch_starts(world) == [0, 5]


def test_a_compacted_watch_ends_with_the_compact_revision(world: World) -> None:
    seen: list[Any] = []
    watch(world, seen, start=2)
    world.greet()
    world.push([1, 9, 5, True, errors.COMPACTED.message, b""])
    (error,) = seen
    assert isinstance(error, errors.WatchCancelledError)
    assert (error.status, error.compact_revision) == (errors.COMPACTED, 5)
    assert world.client.statistics()["watches"] == 0


def test_a_cancelled_watch_is_cancelled_at_the_member_even_before_it_is_confirmed(
    world: World,
) -> None:
    seen: list[Any] = []
    early, late = watch(world, seen), watch(world, seen)
    world.greet()
    ids = [message_id for message_id, kind, _ in world.last.sent if kind == wire.WATCH]
    world.last.streams[ids[1]](FakeMessage([12, 4, 0, False, "", b""], ids[1]))
    late.cancel()
    early.cancel()
    early.cancel()
    world.last.streams[ids[0]](FakeMessage([11, 4, 0, False, "", b""], ids[0]))
    cancels = [payload for _, kind, payload in world.last.sent if kind == wire.WATCH_CANCEL]
    assert cancels == [[12], [11]]
    assert seen == [([], 4)]
    assert world.last.streams == {}


def test_closing_ends_calls_and_watches(world: World) -> None:
    seen: list[Any] = []
    watch(world, seen)
    world.call("range", RANGE_FIELDS)
    world.call("put", PUT_FIELDS)
    world.greet()
    world.client.close()
    assert [type(result) for result in world.results] == [
        errors.ClientClosedError,
        errors.UnknownOutcomeError,
    ]
    assert [type(item) for item in seen] == [errors.ClientClosedError]
    assert world.last.closed


def test_a_lease_is_renewed_three_times_per_ttl_until_it_is_gone(world: World) -> None:
    lost: list[str] = []
    keeper = world.client.keep_alive(7, 9, lambda: lost.append("lost"))
    world.advance(3)
    world.greet()
    world.answer([0, [HEADER, 7, 9]])
    world.advance(3)
    world.answer([0, [HEADER, 7, 9]])
    assert lost == []
    world.advance(3)
    world.answer([0, [HEADER, 7, 0]])
    assert lost == ["lost"]
    assert not keeper.active


def test_a_lease_that_cannot_be_renewed_for_a_whole_ttl_is_taken_for_lost(world: World) -> None:
    lost: list[str] = []
    world.client.keep_alive(7, 9, lambda: lost.append("lost"))
    world.advance(8.9)
    assert lost == []
    world.advance(0.2)
    assert lost == ["lost"]


# Members that come and go


def _members(*members: list[Any]) -> list[Any]:
    return [0, [HEADER, [list(member) for member in members]]]


def _synced_world(*endpoints: str) -> World:
    world = World(*endpoints)
    world.client.close()
    world.client = StoreClient(endpoints, world.dial, world.after, sync_ns=3 * SECOND)
    return world


def test_a_client_that_syncs_follows_the_members_that_serve() -> None:
    world = _synced_world("a", "b")
    world.advance(3)
    world.greet()
    world.answer(
        _members(
            [1, "one", ["http://a:1"], ["a"], False],
            [4, "four", ["http://d:1"], ["d"], False],
            [5, "", ["http://e:1"], [], False],
            [6, "six", ["http://f:1"], ["f"], True],
        )
    )
    assert world.client.endpoints == ["a", "d"]
    assert world.last.endpoint == "a"
    assert not world.last.closed


def test_a_client_leaves_a_member_that_is_no_longer_listed_and_its_watch_continues() -> None:
    world = _synced_world("a", "b")
    world.client.watch(wire.WatchCreateRequest(b"k"), lambda *_: None, world.results.append)
    world.greet()
    world.advance(3)
    former = world.last
    world.answer(_members([2, "two", ["http://b:1"], ["b"], False]))
    world.advance(1)
    assert former.closed
    assert world.last.endpoint == "b"
    world.greet()
    assert [kind for _, kind, _ in world.last.sent] == [wire.REQUEST, wire.WATCH]
    assert world.results == []


def test_a_client_whose_members_are_all_gone_goes_back_to_the_endpoints_it_was_given() -> None:
    world = _synced_world("a", "b")
    world.advance(3)
    world.greet()
    world.answer(_members([4, "four", ["http://d:1"], ["d"], False]))
    assert world.client.endpoints == ["d"]
    world.call("put", PUT_FIELDS, 60)
    for _ in range(3):
        world.last.break_()
        world.advance(1)
    assert world.client.endpoints == ["d", "a", "b"]
    assert {connection.endpoint for connection in world.connections[2:]} & {"a", "b"}


def test_a_list_without_a_serving_member_changes_nothing() -> None:
    world = _synced_world("a", "b")
    world.advance(3)
    world.greet()
    world.answer(_members([1, "", ["http://a:1"], [], False]))
    assert world.client.endpoints == ["a", "b"]


def test_a_write_or_a_watch_that_a_learner_refuses_goes_to_another_member() -> None:
    world = World("a", "b")
    world.call("put", PUT_FIELDS)
    world.client.watch(wire.WatchCreateRequest(b"k"), lambda *_: None, world.results.append)
    world.greet()
    watch_id = next(number for number, kind, _ in world.last.sent if kind == wire.WATCH)
    refusal = list(errors.NOT_FOR_LEARNERS)
    world.last.streams[watch_id](FakeMessage(refusal, watch_id))
    world.answer(refusal, world.connections[0])
    world.advance(1)
    assert world.last.endpoint == "b"
    world.greet()
    assert sorted(kind for _, kind, _ in world.last.sent) == sorted(
        [wire.REQUEST, wire.REQUEST, wire.WATCH]
    )
    assert world.results == []


def test_an_unhealthy_cluster_refuses_a_change_for_certain() -> None:
    world = World("a")
    world.call("member_add", [["http://d:1"], False])
    world.greet()
    world.answer(list(errors.UNHEALTHY))
    (error,) = world.results
    assert type(error) is errors.StoreError
