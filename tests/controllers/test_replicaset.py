"""ReplicaSets keep their number of pods."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio

from k8sactors.api import errors
from k8sactors.controllers.manager import ControllerManagerConfig
from k8sactors.testing import ReceivedRequest
from tests.controllers import harness
from tests.controllers.harness import World, bare_pod, replica_set

run = partial(harness.run, config=ControllerManagerConfig(controllers=("replicaset-controller",)))
RS = "replicasets.apps"


@pytest.mark.covers("CT-30")
def test_creates_the_missing_pods_with_its_owner_reference_and_reports_them() -> None:
    async def body(world: World) -> None:
        owner = world.put(RS, replica_set())
        await trio.sleep(2)
        pods = world.pods()
        assert len(pods) == 3
        assert pods[0]["metadata"]["ownerReferences"] == [
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "name": "web",
                "uid": owner["metadata"]["uid"],
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ]
        assert pods[0]["metadata"]["name"].startswith("web-")
        assert world.store.get(RS, "web", "default")["status"] == {
            "replicas": 3,
            "fullyLabeledReplicas": 3,
            "readyReplicas": 3,
            "availableReplicas": 3,
            "observedGeneration": 1,
        }
        assert len(world.events("SuccessfulCreate")) == 3

    run(body)


def test_a_deleted_or_failed_pod_is_replaced() -> None:
    async def body(world: World) -> None:
        world.put(RS, replica_set())
        await trio.sleep(2)
        first, second, _ = world.pods()
        world.store.remove("pods", first["metadata"]["name"], "default")
        world.set_pod(second, ready=False, phase="Failed")
        await trio.sleep(2)
        assert len(world.pods()) == 4
        assert sum(pod["status"]["phase"] == "Running" for pod in world.pods()) == 3

    run(body)


def test_ten_times_the_replicas_never_overshoots() -> None:
    async def body(world: World) -> None:
        world.put(RS, replica_set(replicas=40))
        for _ in range(40):
            await trio.sleep(0.05)
            assert len(world.pods()) <= 40
        assert len(world.pods()) == 40
        world.store.edit(RS, "web", "default", spec={"replicas": 3})
        await trio.sleep(3)
        assert len(world.pods()) == 3

    run(body)


def test_surplus_goes_in_order_unready_first_then_cheap_to_delete() -> None:
    async def body(world: World) -> None:
        world.make_ready = lambda pod: pod["metadata"]["name"] != "sick"
        for name, cost in (("sick", 0), ("cheap", -5), ("dear", 9), ("plain", 0)):
            pod = bare_pod(name)
            pod["metadata"]["annotations"] = {
                "controller.kubernetes.io/pod-deletion-cost": str(cost)
            }
            world.put("pods", pod)
        await trio.sleep(2)
        world.put(RS, replica_set(replicas=2))
        await trio.sleep(2)
        assert sorted(pod["metadata"]["name"] for pod in world.pods()) == ["dear", "plain"]

    run(body)


@pytest.mark.covers("CT-29")
def test_adopts_matching_orphans_and_releases_what_no_longer_matches() -> None:
    async def body(world: World) -> None:
        world.put("pods", bare_pod("orphan"))
        foreign = bare_pod("foreign")
        foreign["metadata"]["ownerReferences"] = [
            {"apiVersion": "v1", "kind": "X", "name": "x", "uid": "other", "controller": True}
        ]
        world.put("pods", foreign)
        world.put(RS, replica_set(replicas=2))
        await trio.sleep(2)
        assert len(world.pods()) == 3
        orphan = world.store.get("pods", "orphan", "default")
        assert orphan["metadata"]["ownerReferences"][0]["name"] == "web"
        world.store.edit("pods", "orphan", "default", metadata={"labels": {"app": "debug"}})
        await trio.sleep(2)
        assert not world.store.get("pods", "orphan", "default")["metadata"].get("ownerReferences")
        assert len(world.pods(app="web")) == 3

    run(body)


@pytest.mark.parametrize(
    "changes",
    [{"kind": "Deployment"}, {"name": "other"}, {"uid": "other"}],
    ids=["kind", "name", "uid"],
)
def test_a_pod_with_a_wrong_reference_to_a_living_set_is_not_counted(changes: Any) -> None:
    async def body(world: World) -> None:
        owner = world.put(RS, replica_set(replicas=2))
        astray = bare_pod("astray")
        metadata = owner["metadata"]
        stated = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "controller": True}
        stated |= {"name": metadata["name"], "uid": metadata["uid"]}
        astray["metadata"]["ownerReferences"] = [{**stated, **changes}]
        world.put("pods", astray)
        elsewhere = bare_pod("elsewhere")
        elsewhere["metadata"] |= {"namespace": "other", "ownerReferences": [stated]}
        world.put("pods", elsewhere)
        await trio.sleep(2)
        assert len(world.active_pods()) == 3
        assert world.store.get(RS, "web", "default")["status"]["replicas"] == 2

    run(body)


APP_IN_WEB = [{"key": "app", "operator": "In", "values": ["web", "shop"]}]


@pytest.mark.parametrize(
    "selector",
    [
        {"matchLabels": {"app": "web"}},
        {"matchExpressions": APP_IN_WEB},
        {"matchLabels": {"app": "web"}, "matchExpressions": APP_IN_WEB},
    ],
    ids=["labels", "expressions", "both"],
)
def test_orphans_are_found_by_any_form_of_selector_before_and_after_it(selector: Any) -> None:
    async def body(world: World) -> None:
        world.put("pods", bare_pod("before", {"tier": "front", "app": "web"}))
        world.put("pods", bare_pod("stranger", {"tier": "front", "app": "other"}))
        world.put(RS, replica_set(replicas=3, selector=selector))
        await trio.sleep(2)
        assert len(world.pods(app="web")) == 3
        world.put("pods", bare_pod("after", {"app": "web", "tier": "front"}))
        await trio.sleep(2)
        # One too many now: the set took it in and deleted a pod.
        assert len(world.pods(app="web")) == 3
        owned = [pod["metadata"].get("ownerReferences") for pod in world.pods(app="web")]
        assert all(owned)
        stranger = world.store.get("pods", "stranger", "default")
        assert "ownerReferences" not in stranger["metadata"]

    run(body)


def test_refused_pods_are_reported_and_tried_again_slowly() -> None:
    async def body(world: World) -> None:
        def refuse(request: ReceivedRequest) -> None:
            if request[:2] == ("create", "pods") and len(world.pods()) >= 2:
                raise errors.forbidden("pods", "", "exceeded quota: small")

        world.control_plane.refuse = refuse
        world.put(RS, replica_set(replicas=30))
        await trio.sleep(1)
        status = world.store.get(RS, "web", "default")["status"]
        assert status["replicas"] == 2
        [condition] = status["conditions"]
        assert (condition["type"], condition["reason"]) == ("ReplicaFailure", "FailedCreate")
        tries = sum(r[:2] == ("create", "pods") for r in world.control_plane.requests)
        assert tries < 40
        world.control_plane.refuse = None
        await trio.sleep(60)
        assert len(world.pods()) == 30
        assert "conditions" not in world.store.get(RS, "web", "default")["status"]

    run(body)


def test_min_ready_seconds_delay_availability() -> None:
    async def body(world: World) -> None:
        world.put(RS, replica_set(replicas=2, minReadySeconds=10))
        await trio.sleep(5)
        status = world.store.get(RS, "web", "default")["status"]
        assert status["readyReplicas"] == 2
        assert "availableReplicas" not in status
        await trio.sleep(8)
        assert world.store.get(RS, "web", "default")["status"]["availableReplicas"] == 2

    run(body)


@pytest.mark.covers("CT-01")
def test_repairs_what_happened_while_it_was_away() -> None:
    async def body(world: World) -> None:
        world.put(RS, replica_set())
        await trio.sleep(2)
        world.stop_manager()
        for pod in world.pods()[:2]:
            world.store.remove("pods", pod["metadata"]["name"], "default")
        world.store.edit(RS, "web", "default", spec={"replicas": 5})
        world.start_manager()
        await trio.sleep(3)
        assert len(world.pods()) == 5

    run(body)


@pytest.mark.covers("CT-06", "WL-19")
def test_replication_controllers_do_the_same_with_a_plain_selector() -> None:
    async def body(world: World) -> None:
        old = replica_set(replicas=3)
        old |= {"apiVersion": "v1", "kind": "ReplicationController"}
        old["spec"]["selector"] = {"app": "web"}
        world.put("replicationcontrollers", old)
        await trio.sleep(2)
        first = world.pods()[0]["metadata"]
        assert first["ownerReferences"][0]["kind"] == "ReplicationController"
        world.store.remove("pods", first["name"], "default")
        await trio.sleep(2)
        names = [pod["metadata"]["name"] for pod in world.pods()]
        assert len(names) == 3
        assert first["name"] not in names

    harness.run(body, config=ControllerManagerConfig(controllers=("replicationcontroller",)))
