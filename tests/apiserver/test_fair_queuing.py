"""A priority level whose seats are short: who is served when, judged by a checker of its own."""

from __future__ import annotations

import random  # noqa: TID251 - a seeded stream stands in for a load
from typing import Any

import pytest

from k8sactors.api.errors import StatusError
from k8sactors.apiserver.priority_and_fairness.concurrency_allocation import Claim, allocate
from k8sactors.apiserver.priority_and_fairness.matching import FlowSchema, hash_of
from k8sactors.apiserver.priority_and_fairness.priority_level import Flow, PriorityLevel
from k8sactors.apiserver.priority_and_fairness.queue_set import QueueSet
from k8sactors.apiserver.priority_and_fairness.retry_after import RetryAfter
from k8sactors.apiserver.priority_and_fairness.shuffle_sharding import deal
from k8sactors.checkers.fairness import ServedRequest, idle_times, overfull_times, unfair_times
from k8sactors.simulation import MILLISECOND, SECOND

SEATS = 4
SCHEMA = FlowSchema(
    {
        "metadata": {"name": "all"},
        "spec": {"priorityLevelConfiguration": {"name": "level"}, "matchingPrecedence": 1},
    }
)


class Load:
    """Requests of many flows for one level, each of which takes a given time."""

    def __init__(self, clock: Any, seats: int = SEATS, **queuing: int) -> None:
        form = {"queues": 64, "handSize": 6, "queueLengthLimit": 1000, **queuing}
        response = (
            {"type": "Queue", "queuing": form} if queuing.get("queues", 1) else {"type": "Reject"}
        )
        spec = {"type": "Limited", "limited": {"limitResponse": response}}
        self.clock = clock
        self.level = PriorityLevel(
            {"metadata": {"name": "level"}, "spec": spec}, clock, self, 15 * SECOND
        )
        self.level.limit = seats
        self.level.begin_accounting()
        self.history: list[ServedRequest] = []
        self.refused: list[tuple[str, StatusError]] = []

    def send(self, flow: str, takes_ns: int, seats: int = 1, *, extra_ns: int = 0) -> None:
        request = Request(self, flow, takes_ns, seats)
        try:
            begins = self.level.admit(request, seats if extra_ns else 0, extra_ns)
        except StatusError as error:
            self.refused.append((flow, error))
            return
        if begins:
            self.resume(request)

    def resume(self, request: Any) -> None:
        started_ns = self.clock.now_ns()

        def end() -> None:
            self.history.append(
                ServedRequest(
                    request.name, request.arrived_ns, started_ns, self.clock.now_ns(), request.seats
                )
            )
            self.level.finish(request)

        self.clock.after(request.takes_ns, end)

    def reject(self, request: Any, error: StatusError) -> None:
        self.refused.append((request.name, error))


class Request:
    def __init__(self, load: Load, name: str, takes_ns: int, seats: int) -> None:
        self.name, self.takes_ns, self.seats = name, takes_ns, seats
        self.flow = Flow(SCHEMA, load.level, name, hash_of("all", name))
        self.arrived_ns = load.clock.now_ns()


@pytest.fixture
def clock(world: Any) -> Any:
    return world.server.ctx


def backlog(world: Any, load: Load, seed: int) -> None:
    """Three flows that want more than there is, one of them ten times as much."""
    stream = random.Random(seed)
    for _ in range(40):
        for flow, number in (("flood", 10), ("first", 2), ("second", 2)):
            for _ in range(number):
                load.send(flow, stream.randint(5, 15) * MILLISECOND)
        world.advance(0.01)
    world.advance(5)


@pytest.mark.parametrize("seed", range(3))
def test_flows_that_wait_are_served_equally(world: Any, clock: Any, seed: int) -> None:
    load = Load(clock)
    backlog(world, load, seed)
    assert len(load.history) == 560
    assert load.refused == []
    # Each flow has six queues at most: with one request in each it may be that much ahead.
    assert unfair_times(load.history, 12 * SEATS * 15 * MILLISECOND) == []
    assert overfull_times(load.history, SEATS) == []
    assert idle_times(load.history, SEATS) == []


def test_the_checker_sees_one_queue_for_all(
    world: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QueueSet, "choose", lambda self, _flow_hash: self.queues[0])
    load = Load(clock)
    backlog(world, load, 0)
    assert unfair_times(load.history, 12 * SEATS * 15 * MILLISECOND)


def test_a_flood_delays_another_user_by_no_more_than_a_few_requests(world: Any, clock: Any) -> None:
    load = Load(clock)
    for _ in range(900):
        load.send("flood", 10 * MILLISECOND)
    world.advance(0.1)
    load.send("quiet", 10 * MILLISECOND)
    world.advance(5)
    quiet = next(request for request in load.history if request.flow == "quiet")
    assert quiet.started_ns - quiet.arrived_ns <= 20 * MILLISECOND
    ahead = [request for request in load.history if request.started_ns >= quiet.ended_ns]
    assert len(ahead) > 700


def test_wide_requests_get_no_more_than_their_share(world: Any, clock: Any) -> None:
    load = Load(clock)
    for _ in range(60):
        load.send("lists", 10 * MILLISECOND, seats=4)
        for _ in range(4):
            load.send("gets", 10 * MILLISECOND)
    world.advance(10)
    assert len(load.history) == 300
    assert unfair_times(load.history, 12 * SEATS * 10 * MILLISECOND) == []
    assert overfull_times(load.history, SEATS) == []


def test_a_request_wider_than_the_level_runs_alone(world: Any, clock: Any) -> None:
    load = Load(clock)
    load.send("a", 10 * MILLISECOND)
    load.send("b", 10 * MILLISECOND, seats=9)
    load.send("c", 10 * MILLISECOND)
    world.advance(1)
    by_flow = {request.flow: request for request in load.history}
    assert by_flow["a"].ended_ns <= by_flow["b"].started_ns
    assert by_flow["b"].ended_ns <= by_flow["c"].started_ns or (
        by_flow["c"].ended_ns <= by_flow["b"].started_ns
    )


def test_a_write_holds_its_seats_while_watchers_are_told(world: Any, clock: Any) -> None:
    load = Load(clock, seats=1)
    load.send("a", 10 * MILLISECOND, extra_ns=50 * MILLISECOND)
    load.send("a", 10 * MILLISECOND)
    world.advance(1)
    assert [request.started_ns for request in load.history] == [0, 60 * MILLISECOND]


def test_what_has_waited_too_long_is_refused(world: Any, clock: Any) -> None:
    load = Load(clock, seats=1)
    load.send("a", 40 * SECOND)
    load.send("b", SECOND)
    world.advance(14.9)
    assert load.refused == []
    world.advance(0.2)
    [(flow, error)] = load.refused
    assert (flow, error.code, error.retry_after_seconds) == ("b", 429, 1)
    assert load.level.rejected == {("all", "time-out"): 1}
    world.advance(60)
    assert (load.level.in_use, load.level.waiting) == (0, 0)


def test_a_full_queue_refuses(world: Any, clock: Any) -> None:
    load = Load(clock, seats=1, queueLengthLimit=3, handSize=1)
    for _ in range(6):
        load.send("a", SECOND)
    assert [error.message for _, error in load.refused] == [
        "Too many requests, please try again later."
    ] * 2
    assert load.level.rejected == {("all", "queue-full"): 2}
    world.advance(5)
    assert len(load.history) == 4


def test_a_level_without_queues_refuses_at_once(world: Any, clock: Any) -> None:
    load = Load(clock, seats=2, queues=0)
    for _ in range(3):
        load.send("a", SECOND)
    assert load.level.rejected == {("all", "concurrency-limit"): 1}
    world.advance(2)
    assert len(load.history) == 2


def test_other_queues_take_over_what_waits(world: Any, clock: Any) -> None:
    load = Load(clock)
    for number in range(30):
        load.send(f"flow-{number % 3}", 10 * MILLISECOND)
    queuing = {"queues": 8, "handSize": 2, "queueLengthLimit": 50}
    limited = {"limitResponse": {"type": "Queue", "queuing": queuing}}
    load.level.configure(
        {"metadata": {"name": "level"}, "spec": {"type": "Limited", "limited": limited}}
    )
    world.advance(5)
    assert len(load.history) == 30
    assert (load.level.in_use, load.level.waiting) == (0, 0)


def test_hands_are_distinct_and_differ_between_flows() -> None:
    hands = {flow: deal(hash_of("schema", str(flow)), 128, 6) for flow in range(200)}
    assert all(len(set(hand)) == 6 and max(hand) < 128 for hand in hands.values())
    assert len(set(hands.values())) == 200
    dealt = [queue for hand in hands.values() for queue in hand]
    assert len(set(dealt)) == 128


def test_seats_are_divided_within_bounds() -> None:
    claims = [Claim(10, 5, 100), Claim(90, 20, 60), Claim(0, 0, 100)]
    given, fraction = allocate(75, claims)
    assert sum(given) == pytest.approx(75)
    for claim, seats in zip(claims, given, strict=True):
        assert claim.lower - 1e-9 <= seats <= claim.upper + 1e-9
    assert given[1] == pytest.approx(60)
    assert given[0] == pytest.approx(10 * fraction)


def test_a_level_that_keeps_refusing_makes_clients_wait_longer() -> None:
    retry = RetryAfter()
    for second in range(1, 200):
        for _ in range(50):
            retry.note(second)
    assert retry.seconds == 32
    for second in range(1000, 3000, 40):
        retry.note(second)
    assert retry.seconds == 1
