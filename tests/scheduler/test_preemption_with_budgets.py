"""Preemption prefers victims that no disruption budget protects, and those that started last."""

from __future__ import annotations

from typing import Any

import pytest

from k8sactors.scheduler.disruption_budgets import DisruptionBudgets
from tests.scheduler.builders import pod
from tests.scheduler.control_plane import ControlPlane, full_nodes, with_control_plane

Object = dict[str, Any]
BUDGETS = "poddisruptionbudgets.policy"


def budget(
    name: str, selector: Object | None, allowed: int, *, namespace: str = "default", **status: Any
) -> Object:
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"minAvailable": 1, **({} if selector is None else {"selector": selector})},
        "status": {"disruptionsAllowed": allowed, **status},
    }


def labels(app: str) -> Object:
    return {"matchLabels": {"app": app}}


def divided(objects: list[Object]) -> list[list[str]]:
    pods = [pod(name, labels={"app": name[0]}) for name in ("a1", "a2", "b1")]
    return [[found.name for found in part] for part in DisruptionBudgets(objects).divide(pods)]


@pytest.mark.parametrize(
    ("objects", "violating"),
    [
        ([], []),
        ([budget("x", labels("a"), 0)], ["a1", "a2"]),
        # The first pod uses the budget up.
        ([budget("x", labels("a"), 1)], ["a2"]),
        ([budget("x", labels("a"), 2)], []),
        # Each budget counts for itself.
        ([budget("x", labels("a"), 2), budget("y", labels("a"), 1)], ["a2"]),
        ([budget("x", labels("b"), 1), budget("y", labels("a"), 1)], ["a2"]),
        ([budget("x", labels("a"), 0, namespace="other")], []),
        # What selects everything or nothing protects no pod from preemption.
        ([budget("x", {}, 0), budget("y", None, 0)], []),
        # Its eviction is counted already.
        ([budget("x", labels("a"), 0, disruptedPods={"a1": "2026-01-01T00:00:00Z"})], ["a2"]),
    ],
)
def test_which_pods_a_budget_protects(objects: list[Object], violating: list[str]) -> None:
    others = [name for name in ("a1", "a2", "b1") if name not in violating]
    assert divided(objects) == [violating, others]


async def add_budget(plane: ControlPlane, app: str, allowed: int) -> None:
    """A budget whose status no controller keeps."""
    await plane.client.create(BUDGETS, budget(app, labels(app), 0))
    status = {
        "disruptionsAllowed": allowed,
        "currentHealthy": 1,
        "desiredHealthy": 1,
        "expectedPods": 1,
    }
    await plane.client.patch(BUDGETS, app, {"status": status}, "default", subresource="status")


async def add_low(
    plane: ControlPlane, name: str, node: str, app: str, cpu: str, priority: str = "low"
) -> None:
    await plane.add_pod(name, priority, {"nodeSelector": {"kubernetes.io/hostname": node}}, cpu=cpu)
    await plane.client.patch("pods", name, {"metadata": {"labels": {"app": app}}}, "default")


def test_the_node_whose_victims_no_budget_protects_is_taken() -> None:
    async def body(plane: ControlPlane) -> None:
        await plane.add_nodes(*full_nodes("n0", "n1"))
        plane.add_scheduler(leader_elect=False)
        await add_low(plane, "guarded", "n0", "guarded", "2")
        await add_low(plane, "open", "n1", "open", "2", "middle")
        await add_budget(plane, "guarded", 0)
        await plane.add_pod("urgent", "high", cpu="2")
        assert await plane.terminating() == ["open"]

    with_control_plane(body)


@pytest.mark.parametrize(("allowed", "victim"), [(0, "open"), (1, "guarded")])
def test_a_protected_pod_is_kept_before_a_more_important_one(allowed: int, victim: str) -> None:
    async def body(plane: ControlPlane) -> None:
        await plane.add_nodes(*full_nodes("n0"))
        plane.add_scheduler(leader_elect=False)
        await add_low(plane, "guarded", "n0", "guarded", "1")
        await add_low(plane, "open", "n0", "open", "1", "middle")
        await add_budget(plane, "guarded", allowed)
        await plane.add_pod("urgent", "high", cpu="1")
        assert await plane.terminating() == [victim]

    with_control_plane(body)


def test_a_budget_does_not_keep_a_pod_from_being_a_victim() -> None:
    async def body(plane: ControlPlane) -> None:
        await plane.add_nodes(*full_nodes("n0"))
        plane.add_scheduler(leader_elect=False)
        await add_low(plane, "guarded", "n0", "guarded", "2")
        await add_budget(plane, "guarded", 0)
        await plane.add_pod("urgent", "high", cpu="2")
        assert await plane.terminating() == ["guarded"]

    with_control_plane(body)


@pytest.mark.parametrize("later", ["n0", "n1"])
def test_of_equal_nodes_the_one_whose_victim_has_started_last_is_taken(later: str) -> None:
    async def body(plane: ControlPlane) -> None:
        await plane.add_nodes(*full_nodes("n0", "n1"))
        plane.add_scheduler(leader_elect=False)
        for node in ("n0", "n1"):
            await add_low(plane, f"low-{node}", node, "low", "2")
            start = "2026-01-02T00:00:00Z" if node == later else "2026-01-01T00:00:00Z"
            await plane.client.patch(
                "pods",
                f"low-{node}",
                {"status": {"startTime": start}},
                "default",
                subresource="status",
            )
        await plane.add_pod("urgent", "high", cpu="2")
        assert await plane.terminating() == [f"low-{later}"]

    with_control_plane(body)
