"""Disruption budgets: what evictions may take, and that they never take more."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio

from k8sactors.api.errors import StatusError
from k8sactors.api.meta import format_time, get_condition
from k8sactors.controllers.manager import ControllerManagerConfig
from tests.controllers import harness
from tests.controllers.harness import World, bare_pod, replica_set

Object = dict[str, Any]
BUDGETS, RS = "poddisruptionbudgets.policy", "replicasets.apps"
CONFIG = ControllerManagerConfig(controllers=("disruption-controller", "replicaset-controller"))
run = partial(harness.run, config=CONFIG)


def client(world: World) -> Any:
    return world.network.hosts["console"].actor("kubectl").client


async def guard(world: World, name: str = "web", **spec: Any) -> None:
    obj = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec},
    }
    await client(world).create(BUDGETS, obj)


def status(world: World, name: str = "web") -> Object:
    found: Object = world.store.get(BUDGETS, name, "default")["status"]
    return found


def counts(world: World) -> tuple[int, int, int, int]:
    """Expected, healthy, desired, allowed."""
    fields = ("expectedPods", "currentHealthy", "desiredHealthy", "disruptionsAllowed")
    expected, healthy, desired, allowed = (status(world)[field] for field in fields)
    return expected, healthy, desired, allowed


def allowed_condition(world: World) -> tuple[str, str]:
    condition = get_condition({"status": status(world)}, "DisruptionAllowed")
    assert condition is not None
    return condition["status"], condition["reason"]


async def evict(world: World, pod: Object) -> int:
    """Code of the answer."""
    metadata = pod["metadata"]
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
    }
    try:
        await client(world).request(
            "create",
            "pods",
            namespace=metadata["namespace"],
            name=metadata["name"],
            subresource="eviction",
            body=body,
        )
    except StatusError as error:
        return error.code
    return 201


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"minAvailable": 3}, (5, 5, 3, 2)),
        ({"minAvailable": "50%"}, (5, 5, 3, 2)),
        ({"maxUnavailable": 1}, (5, 5, 4, 1)),
        ({"maxUnavailable": "30%"}, (5, 5, 3, 2)),
        ({"maxUnavailable": 0}, (5, 5, 5, 0)),
        ({"minAvailable": 9}, (5, 5, 9, 0)),
        ({"maxUnavailable": "200%"}, (5, 5, 0, 5)),
    ],
)
def test_the_arithmetic_of_a_budget(spec: Object, expected: tuple[int, ...]) -> None:
    async def body(world: World) -> None:
        world.put(RS, replica_set(replicas=5))
        await trio.sleep(2)
        await guard(world, **spec)
        await trio.sleep(0.5)
        assert counts(world) == expected
        reason = ("True", "SufficientPods") if expected[3] else ("False", "InsufficientPods")
        assert allowed_condition(world) == reason
        assert status(world)["observedGeneration"] == 1

    run(body)


def test_it_follows_readiness_and_scale() -> None:
    async def body(world: World) -> None:
        world.put(RS, replica_set(replicas=4))
        await guard(world, maxUnavailable=2)
        await trio.sleep(2)
        assert counts(world) == (4, 4, 2, 2)
        world.set_pod(world.pods()[0], ready=False)
        await trio.sleep(0.5)
        assert counts(world) == (4, 3, 2, 1)
        world.store.edit(RS, "web", "default", spec={"replicas": 6})
        await trio.sleep(2)
        assert counts(world) == (6, 5, 4, 1)

    run(body)


@pytest.mark.covers("LC-24")
def test_evictions_at_the_same_time_take_no_more_than_is_allowed() -> None:
    async def body(world: World) -> None:
        world.put(RS, replica_set(replicas=6))
        await guard(world, minAvailable=4)
        await trio.sleep(2)
        answers: list[int] = []

        async def one(pod: Object) -> None:
            answers.append(await evict(world, pod))

        async with trio.open_nursery() as nursery:
            for pod in world.active_pods():
                nursery.start_soon(one, pod)
        assert sorted(answers) == [201, 201, 429, 429, 429, 429]
        await trio.sleep(3)
        # Replaced and ready again: the next may go.
        assert counts(world) == (6, 6, 4, 2)
        assert "disruptedPods" not in status(world)
        assert await evict(world, world.active_pods()[0]) == 201

    run(body)


def test_an_evicted_pod_says_so() -> None:
    async def body(world: World) -> None:
        world.put("pods", bare_pod("a"))
        await trio.sleep(1)
        world.kubelet_runs = False
        [pod] = world.pods()
        assert await evict(world, pod) == 201
        condition = get_condition(world.store.get("pods", "a", "default"), "DisruptionTarget")
        assert condition is not None
        assert (condition["status"], condition["reason"]) == ("True", "EvictionByEvictionAPI")

    run(body)


@pytest.mark.parametrize(
    ("policy", "ready", "answer"),
    [
        # The application is healthy enough without it.
        ({}, 2, 201),
        ({}, 1, 429),
        ({"unhealthyPodEvictionPolicy": "IfHealthyBudget"}, 1, 429),
        ({"unhealthyPodEvictionPolicy": "AlwaysAllow"}, 1, 201),
    ],
)
def test_whether_a_pod_that_is_not_ready_may_go(policy: Object, ready: int, answer: int) -> None:
    async def body(world: World) -> None:
        names = [f"pod-{number}" for number in range(3)]
        world.make_ready = lambda pod: pod["metadata"]["name"] in names[:ready]
        for name in names:
            world.put("pods", bare_pod(name))
        await guard(world, minAvailable=2, **policy)
        await trio.sleep(2)
        assert await evict(world, world.store.get("pods", names[2], "default")) == answer
        # It counts for nothing, so nothing is charged.
        assert status(world)["disruptionsAllowed"] == 0
        assert "disruptedPods" not in status(world)

    run(body)


def test_an_eviction_that_does_not_happen_is_given_back() -> None:
    async def body(world: World) -> None:
        for name in "abc":
            world.put("pods", bare_pod(name))
        await guard(world, minAvailable=1)
        await trio.sleep(2)
        charged = {**status(world), "disruptionsAllowed": 1}
        charged["disruptedPods"] = {"a": format_time(world.wall_ns)}
        world.store.edit(BUDGETS, "web", "default", status=charged)
        await trio.sleep(60)
        assert counts(world) == (3, 2, 1, 1)
        await trio.sleep(70)
        assert counts(world) == (3, 3, 1, 2)
        [told] = world.events("NotDeleted")
        assert told == "Pod was expected by PDB default/web to be deleted but it wasn't"

    run(body)


def test_pods_of_unknown_owners_cannot_be_counted_and_none_may_go() -> None:
    async def body(world: World) -> None:
        pod = bare_pod("a")
        owner = {"apiVersion": "example.com/v1", "kind": "Robot", "name": "r", "uid": "1"}
        pod["metadata"]["ownerReferences"] = [{**owner, "controller": True}]
        world.put("pods", pod)
        await guard(world, maxUnavailable=1)
        await trio.sleep(2)
        assert allowed_condition(world) == ("False", "SyncFailed")
        assert status(world)["disruptionsAllowed"] == 0
        assert world.events("CalculateExpectedPodCountFailed")
        assert await evict(world, world.pods()[0]) == 429

    run(body)


def test_pods_without_owner_count_for_a_number_alone() -> None:
    async def body(world: World) -> None:
        world.put("pods", bare_pod("a"))
        await guard(world, "number", minAvailable=0)
        await guard(world, "share", maxUnavailable="50%")
        await trio.sleep(2)
        assert status(world, "number")["disruptionsAllowed"] == 1
        assert status(world, "share")["disruptionsAllowed"] == 0
        [told] = world.events("UnmanagedPods")
        assert "MatchLabels:map[string]string{app: web,}" in told
        # Two budgets for one pod: the eviction API does not choose.
        assert await evict(world, world.pods()[0]) == 500

    run(body)


def test_a_budget_without_pods_says_so_and_allows_nothing() -> None:
    async def body(world: World) -> None:
        await guard(world, maxUnavailable=1)
        await trio.sleep(1)
        assert counts(world) == (0, 0, 0, 0)
        assert world.events("NoPods") == ["No matching pods found"]

    run(body)


def test_an_announced_disruption_that_did_not_come_is_taken_back() -> None:
    async def body(world: World) -> None:
        for name, reason in (("a", "EvictionByEvictionAPI"), ("b", "TerminationByKubelet")):
            world.put("pods", bare_pod(name))
            await trio.sleep(1)
            now = format_time(world.wall_ns)
            target = {
                "type": "DisruptionTarget",
                "status": "True",
                "reason": reason,
                "lastTransitionTime": now,
            }
            conditions = [*world.store.get("pods", name, "default")["status"]["conditions"], target]
            world.store.edit("pods", name, "default", status={"conditions": conditions})
        await trio.sleep(110)
        for name, expected in (("a", "True"), ("b", "True")):
            condition = get_condition(world.store.get("pods", name, "default"), "DisruptionTarget")
            assert condition is not None
            assert condition["status"] == expected
        await trio.sleep(20)
        for name, expected in (("a", "False"), ("b", "True")):
            condition = get_condition(world.store.get("pods", name, "default"), "DisruptionTarget")
            assert condition is not None
            assert condition["status"] == expected

    run(body)


def test_nothing_is_done_while_there_are_no_budgets() -> None:
    async def body(world: World) -> None:
        world.put(RS, replica_set(replicas=20))
        await trio.sleep(3)
        assert world.manager().statistics()["disruption-controller"]["reconciles"] == 0

    run(body)
