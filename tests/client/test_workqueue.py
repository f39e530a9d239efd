"""The workqueue's promises, on virtual time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio

from k8sactors import simulation
from k8sactors.api.meta import format_micro_time, format_time, parse_time
from k8sactors.client import ControllerExpectations, WorkQueue
from k8sactors.simulation import MILLISECOND, SECOND, Timer


class BareContext:
    """The clock and the timers, without an actor."""

    def __init__(self) -> None:
        sim = simulation.current()
        self.random = sim.random("test")
        self.now_ns = sim.now_ns
        self.wall_ns = sim.wall_ns

    def after(self, delay_ns: int, callback: Callable[[], None], *, slack_ns: int = 0) -> Timer:
        return simulation.current().timers.after(delay_ns, callback, slack_ns)


@pytest.mark.covers("CT-18")
def test_key_added_often_while_it_is_processed_is_handled_once_more() -> None:
    async def main() -> None:
        queue = WorkQueue(BareContext())
        queue.add("a")
        assert await queue.get() == "a"
        for _ in range(100):
            queue.add("a")
        assert len(queue) == 0
        queue.done("a")
        assert await queue.get() == "a"
        queue.done("a")
        assert queue.try_get() is None

    simulation.run(main)


@pytest.mark.covers("CT-18")
def test_workers_take_different_keys_at_once_and_never_share_one() -> None:
    async def main() -> None:
        queue = WorkQueue(BareContext())
        busy: dict[str, int] = {}
        most = 0
        handled = []

        async def worker() -> None:
            nonlocal most
            while (key := await queue.get()) is not None:
                busy[key] = busy.get(key, 0) + 1
                assert busy[key] == 1
                most = max(most, sum(busy.values()))
                await trio.sleep(1)
                busy[key] -= 1
                handled.append(key)
                queue.done(key)

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(worker)
            for key in ("a", "b", "c", "a", "d"):
                queue.add(key)
            await trio.sleep(0.5)
            queue.add("a")
            await trio.sleep(5)
            queue.shut_down()
        assert most == 3
        assert sorted(handled) == ["a", "a", "b", "c", "d"]

    simulation.run(main)


@pytest.mark.covers("CT-19")
def test_failures_double_the_delay_up_to_the_limit_until_forgotten() -> None:
    async def main() -> None:
        queue = WorkQueue(BareContext())
        delays = []
        for _ in range(20):
            start_ns = simulation.current().now_ns()
            queue.add_rate_limited("a")
            queue.done(await queue.get())
            delays.append(simulation.current().now_ns() - start_ns)
        assert delays[:3] == [5 * MILLISECOND, 10 * MILLISECOND, 20 * MILLISECOND]
        assert delays[-1] == 1000 * SECOND
        queue.forget("a")
        assert queue.failures("a") == 0

    simulation.run(main)


@pytest.mark.covers("CT-20", "CT-21")
def test_delayed_keys_come_in_order_of_time_and_the_earlier_deadline_counts() -> None:
    async def main() -> None:
        queue = WorkQueue(BareContext())
        queue.add_after("late", 30 * SECOND)
        queue.add_after("soon", 10 * SECOND)
        queue.add_after("late", 20 * SECOND)
        queue.add_after("soon", 40 * SECOND)
        got = []
        while queue.delayed or len(queue):
            key = await queue.get()
            got.append((key, simulation.current().now_ns() // SECOND))
            queue.done(key)
        assert got == [("soon", 10), ("late", 20)]

    simulation.run(main)


def test_shut_down_queue_gives_out_what_is_ready_and_then_none() -> None:
    async def main() -> None:
        queue = WorkQueue(BareContext())
        queue.add("a")
        queue.add_after("b", SECOND)
        queue.shut_down()
        queue.add("c")
        assert await queue.get() == "a"
        assert await queue.get() is None
        assert queue.delayed == 0

    simulation.run(main)


def test_expectations_hold_a_key_until_they_are_seen_or_run_out() -> None:
    async def main() -> None:
        expectations = ControllerExpectations(BareContext())
        expectations.expect_creations("rs", 2)
        expectations.creation_observed("rs")
        assert not expectations.satisfied("rs")
        expectations.creation_observed("rs")
        assert expectations.satisfied("rs")
        expectations.expect_deletions("rs", ["u1", "u2"])
        expectations.deletion_observed("rs", "u1")
        expectations.deletion_observed("rs", "u1")
        assert not expectations.satisfied("rs")
        await trio.sleep(301)
        assert expectations.satisfied("rs")

    simulation.run(main)


def test_times_are_written_as_kubernetes_does_and_read_back() -> None:
    wall_ns = 1_735_689_601_000_123_456
    assert format_time(wall_ns) == "2025-01-01T00:00:01Z"
    assert format_micro_time(wall_ns) == "2025-01-01T00:00:01.000123Z"
    assert parse_time("2025-01-01T00:00:01.000123Z") == wall_ns - 456
    assert parse_time(format_time(wall_ns)) == wall_ns // SECOND * SECOND
