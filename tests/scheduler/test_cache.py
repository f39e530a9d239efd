"""What the scheduler assumes about nodes and pods."""

from __future__ import annotations

import pytest

from k8sactors.scheduler.cache import ASSUMED_TTL_NS, Cache
from k8sactors.scheduler.errors import CacheError
from k8sactors.scheduler.framework import ActionType
from k8sactors.scheduler.nodeinfo import NodeSpec
from tests.scheduler.builders import World, node_object, pod


@pytest.fixture
def world() -> World:
    return World(node_object("n0"), node_object("n1"))


def test_an_assumed_pod_counts_and_a_forgotten_one_does_not(world: World) -> None:
    subject = pod("p", cpu="1", memory="1Gi")
    world.put(subject, "n0")
    node = world.node("n0")
    assert (node.requested_milli_cpu, node.pod_count) == (1000, 1)
    with pytest.raises(CacheError):
        world.put(subject, "n1")
    assert world.cache.forget(subject.uid)
    assert (node.requested_milli_cpu, node.requested_memory, node.pod_count) == (0, 0, 0)
    assert not world.cache.forget(subject.uid)


def test_a_confirmed_pod_is_not_forgotten(world: World) -> None:
    subject = pod("p", cpu="1")
    world.put(subject, "n0")
    assert world.cache.confirm(subject.uid, "n0", subject.obj)
    assert not world.cache.forget(subject.uid)
    assert world.node("n0").pod_count == 1


def test_an_assumed_pod_expires_only_after_its_binding_was_sent(world: World) -> None:
    subject = pod("p", cpu="1")
    world.put(subject, "n0")
    assert world.cache.expire(10 * ASSUMED_TTL_NS) == []
    world.cache.finish_binding(subject.uid, 0)
    assert world.cache.expire(ASSUMED_TTL_NS - 1) == []
    assert [p.name for p in world.cache.expire(ASSUMED_TTL_NS)] == ["p"]
    assert world.node("n0").pod_count == 0


def test_the_watch_wins_over_what_was_assumed(world: World) -> None:
    world.put(pod("p", cpu="1"), "n0")
    assert not world.cache.confirm("uid-p", "n1", {})
    world.cache.set_pod(pod("p", cpu="1", spec={"nodeName": "n1"}))
    assert (world.node("n0").pod_count, world.node("n1").pod_count) == (0, 1)


def test_a_resized_pod_is_counted_again(world: World) -> None:
    world.cache.set_pod(pod("p", cpu="1", spec={"nodeName": "n0"}))
    world.cache.set_pod(pod("p", cpu="2", spec={"nodeName": "n0"}))
    assert (world.node("n0").requested_milli_cpu, world.node("n0").pod_count) == (2000, 1)


def test_pods_of_unknown_nodes_count_when_the_node_appears() -> None:
    cache = Cache()
    cache.set_pod(pod("p", cpu="1", spec={"nodeName": "late"}))
    assert cache.node_count == 0
    assert cache.set_node("late", NodeSpec.parse(node_object("late"))) is ActionType.ADD
    assert cache.nodes["late"].requested_milli_cpu == 1000


def test_a_removed_node_is_kept_while_it_has_pods_and_its_row_is_used_again(world: World) -> None:
    world.put(pod("p", cpu="1"), "n0")
    assert world.cache.remove_node("n0")
    assert [n.name for n in world.cache.existing_nodes()] == ["n1"]
    world.add_node(node_object("n2"))
    assert world.node("n2").row == 0
    assert world.node("n2").pod_count == 0
    world.cache.remove_pod("uid-p")
    assert "n0" not in world.cache.nodes
    assert world.place(pod("q", spec={"nodeSelector": {"kubernetes.io/hostname": "n2"}})) == "n2"


@pytest.mark.parametrize(
    ("changed", "action"),
    [
        (node_object("n0"), None),
        (node_object("n0", cpu="8"), ActionType.UPDATE_NODE_ALLOCATABLE),
        (node_object("n0", labels={"a": "b"}), ActionType.UPDATE_NODE_LABEL),
        (node_object("n0", unschedulable=True), ActionType.UPDATE_NODE_TAINT),
    ],
)
def test_node_changes_are_told_apart(
    world: World, changed: dict[str, object], action: ActionType | None
) -> None:
    assert world.cache.set_node("n0", NodeSpec.parse(changed)) == action


def test_the_journal_forgets_only_when_it_is_long(world: World) -> None:
    journal = world.cache.journal
    start = journal.end
    world.put(pod("p"), "n1")
    assert journal.since(start) == [1]
    for _ in range(70_000):
        journal.touch_pods(0)
    assert journal.since(start) is None
    assert journal.since(journal.end) == []
