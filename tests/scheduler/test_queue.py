"""Which pod is tried next, which ones back off, and what brings a pod back."""

from __future__ import annotations

from typing import Any

import pytest

from k8sactors.scheduler.framework import ActionType, ClusterEvent
from k8sactors.scheduler.podinfo import PodInfo
from k8sactors.scheduler.queue import SchedulingQueue
from k8sactors.simulation import SECOND
from tests.scheduler.builders import PARSER, World, node_object, pod, pod_object

NODE_ADDED = ClusterEvent("Node", ActionType.ADD)
NODE_LABELLED = ClusterEvent("Node", ActionType.UPDATE_NODE_LABEL)
POD_DELETED = ClusterEvent("AssignedPod", ActionType.DELETE)


class Clock:
    def __init__(self) -> None:
        self.ns = 0

    def __call__(self) -> int:
        return self.ns

    def advance(self, seconds: float) -> None:
        self.ns += int(seconds * SECOND)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> SchedulingQueue:
    framework = World().framework
    return SchedulingQueue({framework.name: framework}, clock)


def with_priority(name: str, priority: int, **spec: Any) -> PodInfo:
    return PARSER.parse(pod_object(name, spec={"priority": priority, **spec}))


def names(queue: SchedulingQueue) -> list[str]:
    popped = []
    while (queued := queue.pop()) is not None:
        popped.append(queued.pod.name)
    return popped


def refuse(queue: SchedulingQueue, *plugins: str) -> None:
    queued = queue.pop()
    assert queued is not None
    queue.requeue_unschedulable(queued, plugins)


def node(**kwargs: Any) -> Any:
    world = World(node_object("n", **kwargs))
    return world.node("n")


def test_higher_priority_first_then_who_came_first(queue: SchedulingQueue, clock: Clock) -> None:
    for name, priority in (("a", 0), ("b", 10), ("c", 0), ("d", 10)):
        queue.add(with_priority(name, priority))
        clock.advance(0.1)
    assert names(queue) == ["b", "d", "a", "c"]


def test_a_deleted_pod_is_not_popped(queue: SchedulingQueue) -> None:
    queue.add(pod("a"))
    queue.add(pod("b"))
    queue.delete("uid-a")
    assert names(queue) == ["b"]
    assert queue.statistics()["in flight"] == 1


@pytest.mark.covers("SC-12")
def test_backoff_doubles_from_one_to_ten_seconds(queue: SchedulingQueue, clock: Clock) -> None:
    queue.add(pod("a"))
    waits = []
    for _ in range(6):
        queued = queue.pop()
        assert queued is not None
        queue.requeue_after_error(queued)
        due_ns = queue.next_backoff_ns()
        assert due_ns is not None
        waits.append((due_ns - clock.ns) // SECOND)
        clock.ns = due_ns - 1
        assert queue.pop() is None
        clock.ns = due_ns
    assert queue.pop() is not None
    assert waits == [1, 2, 4, 8, 10, 10]


def test_an_unschedulable_pod_waits_for_an_event_that_helps(
    queue: SchedulingQueue, clock: Clock
) -> None:
    queue.add(pod("a", cpu="2"))
    refuse(queue, "NodeResourcesFit")
    clock.advance(60)
    assert queue.move(NODE_LABELLED, None, node()) == 0
    assert queue.move(NODE_ADDED, None, node(cpu="1")) == 0
    assert queue.pop() is None
    assert queue.move(NODE_ADDED, None, node(cpu="4")) == 1
    assert names(queue) == ["a"]


def test_an_event_does_not_shorten_the_backoff(queue: SchedulingQueue, clock: Clock) -> None:
    queue.add(pod("a"))
    refuse(queue, "NodeResourcesFit")
    assert queue.move(POD_DELETED, pod("gone"), None) == 1
    assert queue.pop() is None
    clock.advance(1)
    assert names(queue) == ["a"]


@pytest.mark.parametrize(
    ("plugin", "subject", "event", "change", "moves"),
    [
        ("NodeAffinity", {"spec": {"nodeSelector": {"d": "1"}}}, NODE_LABELLED, {}, False),
        (
            "NodeAffinity",
            {"spec": {"nodeSelector": {"d": "1"}}},
            NODE_LABELLED,
            {"labels": {"d": "1"}},
            True,
        ),
        (
            "TaintToleration",
            {},
            ClusterEvent("Node", ActionType.UPDATE_NODE_TAINT),
            {"taints": [{"key": "k", "effect": "NoSchedule"}]},
            False,
        ),
        ("TaintToleration", {}, ClusterEvent("Node", ActionType.UPDATE_NODE_TAINT), {}, True),
        ("TaintToleration", {}, NODE_LABELLED, {}, False),
        ("NodeUnschedulable", {}, NODE_ADDED, {"unschedulable": True}, False),
        ("NodeUnschedulable", {}, NODE_ADDED, {}, True),
    ],
)
def test_hints_ask_whether_the_changed_node_would_do(
    queue: SchedulingQueue,
    plugin: str,
    subject: dict[str, Any],
    event: ClusterEvent,
    change: dict[str, Any],
    moves: bool,
) -> None:
    queue.add(pod("a", **subject))
    refuse(queue, plugin)
    assert queue.move(event, None, node(**change)) == int(moves)


def test_a_freed_host_port_brings_back_only_who_wants_it(queue: SchedulingQueue) -> None:
    def with_port(name: str, number: int) -> PodInfo:
        container = {"name": "a", "image": "x", "ports": [{"hostPort": number}]}
        return pod(name, spec={"containers": [container]})

    queue.add(with_port("a", 80))
    refuse(queue, "NodePorts")
    assert queue.move(POD_DELETED, with_port("other", 81), None) == 0
    assert queue.move(POD_DELETED, with_port("other", 80), None) == 1


def test_after_five_minutes_a_pod_is_tried_without_any_event(
    queue: SchedulingQueue, clock: Clock
) -> None:
    queue.add(pod("a"))
    refuse(queue, "NodeAffinity")
    clock.advance(299)
    assert queue.flush_unschedulable() == 0
    clock.advance(1)
    assert queue.flush_unschedulable() == 1
    assert names(queue) == ["a"]


def test_a_plugin_without_registrations_is_helped_by_every_event(queue: SchedulingQueue) -> None:
    queue.add(pod("a"))
    refuse(queue, "AnotherPlugin")
    assert queue.concerns(NODE_LABELLED)
    assert queue.move(NODE_LABELLED, None, node()) == 1


def test_a_gated_pod_enters_when_its_gates_are_gone(queue: SchedulingQueue, clock: Clock) -> None:
    queue.add(with_priority("a", 0, schedulingGates=[{"name": "g"}]))
    assert queue.statistics()["gated"] == 1
    clock.advance(1000)
    queue.flush_unschedulable()
    queue.move(NODE_ADDED, None, node())
    assert queue.pop() is None
    queue.update(with_priority("a", 0))
    assert names(queue) == ["a"]


def test_a_new_toleration_brings_a_pod_back(queue: SchedulingQueue, clock: Clock) -> None:
    queue.add(pod("a"))
    refuse(queue, "TaintToleration")
    clock.advance(5)
    queue.update(pod("a", labels={"x": "y"}))
    assert queue.pop() is None
    queue.update(pod("a", spec={"tolerations": [{"operator": "Exists"}]}))
    assert names(queue) == ["a"]


def test_a_pod_that_went_while_in_flight_stays_away(queue: SchedulingQueue) -> None:
    queue.add(pod("a"))
    queued = queue.pop()
    assert queued is not None
    queue.delete("uid-a")
    queue.requeue_after_error(queued)
    queue.requeue_unschedulable(queued, ["NodeAffinity"])
    assert not any(queue.statistics().values())
    assert queue.next_backoff_ns() is None
