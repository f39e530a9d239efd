"""Preemption with the real API server: which pods preempt, and what a nominated pod waits for."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.scheduler.builders import node_object, pod_object
from tests.scheduler.control_plane import ControlPlane, full_nodes, with_control_plane

Object = dict[str, Any]

# Longer than the longest back-off of the queue.
BACKOFF_S = 12
# A way to the API server that takes longer than the first back-off.
SLOW_S = 3


async def occupied(plane: ControlPlane, *names: str) -> None:
    """Nodes of two cpu, each with one pod of low priority that takes them both."""
    await plane.add_nodes(*full_nodes(*names))
    plane.add_scheduler(leader_elect=False)
    for name in names:
        await plane.add_pod(f"low-{name}", "low", {"nodeSelector": here(name)}, cpu="2")


def here(name: str) -> Object:
    return {"kubernetes.io/hostname": name}


@pytest.mark.parametrize("pods_that_never_preempt", [1, 3])
def test_a_pod_that_never_preempts_does_not_keep_an_equal_one_from_it(
    pods_that_never_preempt: int,
) -> None:
    async def body(plane: ControlPlane) -> None:
        await occupied(plane, "n0", "n1")
        for i in range(pods_that_never_preempt):
            await plane.add_pod(f"never-{i}", "high-never", cpu="2")
            assert "preemptionPolicy=Never" in await plane.message(f"never-{i}")
        assert await plane.terminating() == []
        await plane.add_pod("preempts", "high", cpu="2")
        nominated = await plane.nominated("preempts")
        assert nominated in {"n0", "n1"}
        assert await plane.terminating() == [f"low-{nominated}"]

    with_control_plane(body)


def test_a_pod_that_never_preempts_does_not_preempt_after_an_equal_one_did() -> None:
    async def body(plane: ControlPlane) -> None:
        await occupied(plane, "n0", "n1")
        for i in range(3):
            # Lets the scheduler remember what Filter says of such pods.
            await plane.add_pod(f"low-too-{i}", "low", cpu="2")
        await plane.add_pod("preempts", "high", cpu="2")
        await plane.add_pod("never", "high-never", cpu="2")
        assert len(await plane.terminating()) == 1
        assert "preemptionPolicy=Never" in await plane.message("never")

    with_control_plane(body)


async def cordon(plane: ControlPlane, name: str) -> None:
    await plane.change_node(name, {"spec": {"unschedulable": True}})


async def delete(plane: ControlPlane, name: str) -> None:
    await plane.client.delete("nodes", name)


async def taint(plane: ControlPlane, name: str) -> None:
    taints = [{"key": "team", "value": "red", "effect": "NoSchedule"}]
    await plane.change_node(name, {"spec": {"taints": taints}})


async def relabel(plane: ControlPlane, name: str) -> None:
    await plane.change_node(name, {"metadata": {"labels": {"pool": "other"}}})


async def shrink(plane: ControlPlane, name: str) -> None:
    await plane.change_node(name, {"status": {"allocatable": {"cpu": "1"}}}, "status")


async def close(plane: ControlPlane, name: str) -> None:
    await plane.change_node(name, {"status": {"allocatable": {"pods": "0"}}}, "status")


@pytest.mark.parametrize("spoil", [cordon, delete, taint, relabel, shrink, close])
def test_a_pod_whose_nominated_node_becomes_useless_preempts_on_another(spoil: Any) -> None:
    async def body(plane: ControlPlane) -> None:
        await occupied(plane, "n0", "n1")
        for name in ("n0", "n1"):
            await plane.change_node(name, {"metadata": {"labels": {"pool": "main"}}})
        await plane.add_pod("high", "high", {"nodeSelector": {"pool": "main"}}, cpu="2")
        first = await plane.nominated("high")
        assert first is not None
        second = {"n0": "n1", "n1": "n0"}[first]
        await spoil(plane, first)
        await trio.sleep(BACKOFF_S)
        assert await plane.terminating() == ["low-n0", "low-n1"]
        assert await plane.nominated("high") == second
        await plane.finish(f"low-{second}")
        await trio.sleep(BACKOFF_S)
        assert await plane.node_of("high") == second

    with_control_plane(body)


def test_a_nominated_pod_waits_while_its_victims_suffice() -> None:
    async def body(plane: ControlPlane) -> None:
        await occupied(plane, "n0", "n1")
        await plane.add_pod("high", "high", cpu="2")
        first = await plane.nominated("high")
        assert first is not None
        # Neither of these makes the nominated node useless.
        await plane.change_node(first, {"metadata": {"labels": {"rack": "7"}}})
        await trio.sleep(BACKOFF_S)
        await plane.add_nodes(node_object("tiny", cpu="1"))
        await trio.sleep(BACKOFF_S)
        assert await plane.nominated("high") == first
        assert await plane.terminating() == [f"low-{first}"]
        assert "terminating pod on the nominated node" in await plane.message("high")

    with_control_plane(body)


def test_a_nominated_node_that_becomes_useless_without_another_is_given_up() -> None:
    async def body(plane: ControlPlane) -> None:
        await occupied(plane, "n0")
        await plane.add_pod("high", "high", cpu="2")
        assert await plane.nominated("high") == "n0"
        await cordon(plane, "n0")
        await trio.sleep(BACKOFF_S)
        assert await plane.nominated("high") is None
        assert "1 node(s) were unschedulable" in await plane.message("high")

    with_control_plane(body)


def test_a_pod_whose_room_is_taken_by_a_more_important_one_preempts_elsewhere() -> None:
    async def body(plane: ControlPlane) -> None:
        await plane.add_nodes(*full_nodes("n0", "n1"))
        plane.add_scheduler(leader_elect=False)
        on_first, on_second = {"nodeSelector": here("n0")}, {"nodeSelector": here("n1")}
        await plane.add_pod("a", "low", on_first, cpu="1")
        await plane.add_pod("b", "low", on_first, cpu="1")
        await plane.add_pod("c", "middle", on_second, cpu="2")
        # Both pods of n0 must go; they are less important than the one of n1.
        await plane.add_pod("high", "high", cpu="2")
        assert await plane.nominated("high") == "n0"
        await plane.finish("a")
        await trio.sleep(BACKOFF_S)
        assert await plane.terminating() == ["b"]
        await plane.add_pod("higher", "higher", on_first, cpu="1")
        assert await plane.node_of("higher") == "n0"
        await trio.sleep(BACKOFF_S)
        # The room of the other victim, which is still there, will not suffice.
        assert await plane.nominated("high") == "n1"
        assert await plane.terminating() == ["b", "c"]

    with_control_plane(body)


def test_a_more_important_pod_that_is_nominated_to_the_node_moves_a_less_important_one() -> None:
    async def body(plane: ControlPlane) -> None:
        await occupied(plane, "n0", "n1")
        await plane.add_pod("high", "high", cpu="2")
        first = await plane.nominated("high")
        assert first is not None
        await plane.add_pod("higher", "higher", {"nodeSelector": here(first)}, cpu="2")
        assert await plane.nominated("higher") == first
        await trio.sleep(BACKOFF_S)
        second = {"n0": "n1", "n1": "n0"}[first]
        assert await plane.nominated("high") == second
        for name in ("n0", "n1"):
            await plane.finish(f"low-{name}")
        await trio.sleep(BACKOFF_S)
        assert (await plane.node_of("higher"), await plane.node_of("high")) == (first, second)

    with_control_plane(body)


def test_two_pods_are_nominated_to_one_node_when_both_will_fit() -> None:
    async def body(plane: ControlPlane) -> None:
        await occupied(plane, "n0")
        await plane.add_pod("high-a", "high", cpu="1")
        await plane.add_pod("high-b", "high", cpu="1")
        await trio.sleep(BACKOFF_S)
        assert await plane.nominated("high-a") == "n0"
        # It needs no victim of its own, only the end of the one that is going.
        assert await plane.nominated("high-b") in {"n0", None}
        await plane.add_pod("high-c", "high", cpu="1")
        assert await plane.nominated("high-c") is None
        await plane.finish("low-n0")
        await trio.sleep(BACKOFF_S)
        assert await plane.node_of("high-a") == "n0"
        assert await plane.node_of("high-b") == "n0"
        assert await plane.node_of("high-c") is None

    with_control_plane(body)


def test_a_nominated_pod_goes_to_its_node_also_when_another_looks_better() -> None:
    async def body(plane: ControlPlane) -> None:
        await occupied(plane, "n0")
        await plane.add_pod("high", "high", cpu="1")
        assert await plane.nominated("high") == "n0"
        for attempt in range(4):
            await plane.change_node("n0", {"metadata": {"labels": {"attempt": f"{attempt}"}}})
            await trio.sleep(BACKOFF_S)
        await plane.change_node("n0", {"metadata": {"labels": {"attempt": "last"}}})
        await trio.sleep(1)
        # During the back-off both nodes become free.
        await plane.finish("low-n0")
        await plane.add_nodes(node_object("large", cpu="64"))
        await trio.sleep(BACKOFF_S)
        assert await plane.node_of("high") == "n0"

    with_control_plane(body)


def test_the_room_of_a_deleted_nominated_pod_goes_to_those_that_waited_behind_it() -> None:
    async def body(plane: ControlPlane) -> None:
        await plane.add_nodes(*full_nodes("n0"))
        plane.add_scheduler(leader_elect=False)
        await plane.add_pod("a", "low", cpu="1")
        await plane.add_pod("b", "low", cpu="1")
        await plane.add_pod("high", "high", cpu="2")
        assert await plane.nominated("high") == "n0"
        await plane.add_pod("small", "low", cpu="1")
        await plane.finish("a")
        await trio.sleep(BACKOFF_S)
        assert await plane.node_of("small") is None
        await plane.finish("high")
        await trio.sleep(BACKOFF_S)
        assert await plane.node_of("small") == "n0"

    with_control_plane(body)


def test_a_pod_looks_again_when_its_victims_could_not_be_deleted() -> None:
    async def body(plane: ControlPlane) -> None:
        await occupied(plane, "n0")
        obj = pod_object("high", cpu="2", spec={"priorityClassName": "high"})
        await plane.client.create("pods", obj)
        # The scheduler has seen the pod by now, and what it writes is on its way.
        server = plane.network.hosts["cp-1"]
        server.kill()
        await trio.sleep(1)
        server.restart()
        await trio.sleep(2 * BACKOFF_S)
        assert await plane.terminating() == ["low-n0"]
        assert await plane.nominated("high") == "n0"

    with_control_plane(body)


def test_a_standby_that_takes_over_knows_what_the_leader_has_nominated() -> None:
    async def body(plane: ControlPlane) -> None:
        await plane.add_nodes(*full_nodes("n0", "n1"))
        await plane.change_node("n0", {"metadata": {"labels": {"pool": "main"}}})
        plane.add_scheduler("cp-a")
        await trio.sleep(3)
        plane.add_scheduler("cp-b")
        await plane.add_pod("middle-n0", "middle", {"nodeSelector": here("n0")}, cpu="2")
        await plane.add_pod("low-n1", "low", {"nodeSelector": here("n1")}, cpu="2")
        await plane.add_pod("high", "high", {"nodeSelector": {"pool": "main"}}, cpu="2")
        assert await plane.nominated("high") == "n0"
        plane.network.hosts["cp-a"].kill()
        # Preemption would cost less here, but for the victim that is going already.
        await plane.change_node("n1", {"metadata": {"labels": {"pool": "main"}}})
        await trio.sleep(40)
        assert plane.schedulers[1].leading
        assert await plane.terminating() == ["middle-n0"]
        await plane.finish("middle-n0")
        await trio.sleep(BACKOFF_S)
        assert await plane.node_of("high") == "n0"

    with_control_plane(body)


def test_a_node_that_is_nominated_no_more_is_free_for_less_important_pods() -> None:
    async def body(plane: ControlPlane) -> None:
        await plane.add_nodes(*full_nodes("n0", "n1"))
        plane.add_scheduler(leader_elect=False)
        for name in ("n0", "n1"):
            await plane.change_node(name, {"metadata": {"labels": {"pool": "main"}}})
        await plane.add_pod("a", "low", {"nodeSelector": here("n0")}, cpu="1")
        await plane.add_pod("b", "low", {"nodeSelector": here("n0")}, cpu="1")
        await plane.add_pod("c", "middle", {"nodeSelector": here("n1")}, cpu="2")
        await plane.add_pod("high", "high", {"nodeSelector": {"pool": "main"}}, cpu="2")
        assert await plane.nominated("high") == "n0"
        await plane.add_pod("small", "low", cpu="1")
        await plane.finish("a")
        await trio.sleep(BACKOFF_S)
        assert await plane.node_of("small") is None
        await relabel(plane, "n0")
        await trio.sleep(2 * BACKOFF_S)
        assert await plane.nominated("high") == "n1"
        assert await plane.node_of("small") == "n0"

    with_control_plane(body)


def test_victims_whose_deletion_is_on_its_way_are_waited_for_too() -> None:
    async def body(plane: ControlPlane) -> None:
        await plane.add_nodes(*full_nodes("n0", "n1"))
        await plane.change_node("n0", {"metadata": {"labels": {"pool": "main"}}})
        plane.add_scheduler(leader_elect=False)
        await trio.sleep(4 * SLOW_S)
        for name, priority in (("n0", "middle"), ("n1", "low")):
            await plane.add_pod(f"on-{name}", priority, {"nodeSelector": here(name)}, cpu="2")
        await trio.sleep(4 * SLOW_S)
        await plane.add_pod("high", "high", {"nodeSelector": {"pool": "main"}}, cpu="2")
        await trio.sleep(1)
        # Seen by the scheduler before the deletion has reached the server.
        await plane.change_node("n1", {"metadata": {"labels": {"pool": "main"}}})
        await trio.sleep(4 * SLOW_S)
        assert await plane.terminating() == ["on-n0"]
        assert await plane.nominated("high") == "n0"

    with_control_plane(body, scheduler_latency_s=SLOW_S)
