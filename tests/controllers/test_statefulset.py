"""StatefulSets keep pods with names, in order, with claims of their own."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio

from k8sactors.controllers.manager import ControllerManagerConfig
from tests.controllers import harness
from tests.controllers.harness import World, template

run = partial(harness.run, config=ControllerManagerConfig(controllers=("statefulset-controller",)))
STS = "statefulsets.apps"
CLAIMS = "persistentvolumeclaims"
REVISIONS = "controllerrevisions.apps"


def stateful_set(replicas: int = 3, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "db", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "serviceName": "db",
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(),
            **spec,
        },
    }


def claim_template(name: str = "data") -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }


def names(world: World) -> list[str]:
    return sorted(pod["metadata"]["name"] for pod in world.active_pods())


def images(world: World) -> dict[str, str]:
    return {
        pod["metadata"]["name"]: pod["spec"]["containers"][0]["image"].rpartition(":")[2]
        for pod in world.active_pods()
    }


def edit(world: World, **spec: Any) -> None:
    world.store.edit(STS, "db", "default", spec=spec)


def new_image(world: World, tag: str) -> None:
    edit(world, template=template(image=f"shop/web:{tag}"))


def status(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.store.get(STS, "db", "default")["status"]
    return found


def rolling(**settings: Any) -> dict[str, Any]:
    return {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": settings}}


@pytest.mark.covers("WL-28", "WL-14")
def test_pods_come_in_order_with_stable_names_and_go_in_reverse() -> None:
    async def body(world: World) -> None:
        world.put(STS, stateful_set())
        seen = []
        for _ in range(60):
            await trio.sleep(0.05)
            if names(world) not in seen:
                seen.append(names(world))
        assert seen[-3:] == [["db-0"], ["db-0", "db-1"], ["db-0", "db-1", "db-2"]]
        pod = world.store.get("pods", "db-1", "default")
        assert pod["spec"]["hostname"] == "db-1"
        assert pod["spec"]["subdomain"] == "db"
        labels = pod["metadata"]["labels"]
        assert labels["statefulset.kubernetes.io/pod-name"] == "db-1"
        assert labels["apps.kubernetes.io/pod-index"] == "1"
        edit(world, replicas=1)
        left = []
        for _ in range(60):
            await trio.sleep(0.05)
            if names(world) not in left:
                left.append(names(world))
        assert left == [["db-0", "db-1"], ["db-0"]]

    run(body)


def test_ordered_ready_waits_for_each_pod_and_parallel_does_not() -> None:
    async def body(world: World) -> None:
        world.make_ready = lambda pod: pod["metadata"]["name"] != "db-1"
        world.put(STS, stateful_set())
        await trio.sleep(5)
        assert names(world) == ["db-0", "db-1"]
        world.store.remove(STS, "db", "default")
        for pod in world.pods():
            world.store.remove("pods", pod["metadata"]["name"], "default")
        await trio.sleep(1)
        world.put(STS, stateful_set(podManagementPolicy="Parallel"))
        await trio.sleep(0.4)
        assert names(world) == ["db-0", "db-1", "db-2"]

    run(body)


def test_ordinals_start_where_the_set_says() -> None:
    async def body(world: World) -> None:
        world.put(STS, stateful_set(2, ordinals={"start": 5}))
        await trio.sleep(3)
        assert names(world) == ["db-5", "db-6"]
        edit(world, ordinals={"start": 6})
        await trio.sleep(4)
        assert names(world) == ["db-6", "db-7"]

    run(body)


@pytest.mark.covers("WL-30")
def test_a_rolling_update_goes_from_the_highest_ordinal_down_one_at_a_time() -> None:
    async def body(world: World) -> None:
        world.put(STS, stateful_set())
        await trio.sleep(4)
        before = status(world)["currentRevision"]
        new_image(world, "2")
        steps = []
        for _ in range(120):
            await trio.sleep(0.05)
            found = "".join(images(world).get(f"db-{n}", "-") for n in range(3))
            if found not in steps:
                steps.append(found)
        assert steps == ["11-", "112", "1-2", "122", "-22", "222"]
        after = status(world)
        assert after["currentRevision"] == after["updateRevision"] != before
        assert (after["currentReplicas"], after["updatedReplicas"]) == (3, 3)

    run(body)


def test_pods_below_the_partition_keep_their_revision_also_when_they_come_back() -> None:
    async def body(world: World) -> None:
        world.put(STS, stateful_set(**rolling(partition=2)))
        await trio.sleep(4)
        new_image(world, "2")
        await trio.sleep(4)
        assert images(world) == {"db-0": "1", "db-1": "1", "db-2": "2"}
        world.delete("pods", "db-0", "default")
        await trio.sleep(3)
        assert images(world) == {"db-0": "1", "db-1": "1", "db-2": "2"}
        counted = status(world)
        assert (counted["currentReplicas"], counted["updatedReplicas"]) == (2, 1)

    run(body)


def test_max_unavailable_replaces_several_at_once() -> None:
    async def body(world: World) -> None:
        world.put(STS, stateful_set(4, **rolling(maxUnavailable=2)))
        await trio.sleep(5)
        new_image(world, "2")
        await trio.sleep(0.3)
        assert names(world) == ["db-0", "db-1"]
        await trio.sleep(10)
        assert set(images(world).values()) == {"2"}

    run(body)


def test_on_delete_replaces_only_what_is_deleted() -> None:
    async def body(world: World) -> None:
        world.put(STS, stateful_set(updateStrategy={"type": "OnDelete"}))
        await trio.sleep(4)
        new_image(world, "2")
        await trio.sleep(3)
        world.delete("pods", "db-0", "default")
        await trio.sleep(3)
        assert images(world) == {"db-0": "2", "db-1": "1", "db-2": "1"}

    run(body)


def test_a_broken_template_stops_at_one_pod_which_must_be_deleted_by_hand() -> None:
    async def body(world: World) -> None:
        world.put(STS, stateful_set())
        await trio.sleep(4)
        world.make_ready = lambda pod: not pod["spec"]["containers"][0]["image"].endswith("bad")
        new_image(world, "bad")
        await trio.sleep(5)
        assert images(world) == {"db-0": "1", "db-1": "1", "db-2": "bad"}
        new_image(world, "1")
        await trio.sleep(5)
        assert images(world)["db-2"] == "bad"  # documented as "Forced rollback"
        world.delete("pods", "db-2", "default")
        await trio.sleep(4)
        assert set(images(world).values()) == {"1"}

    run(body)


def test_min_ready_seconds_hold_back_the_next_ordinal() -> None:
    async def body(world: World) -> None:
        world.put(STS, stateful_set(2, minReadySeconds=10))
        await trio.sleep(8)
        assert names(world) == ["db-0"]
        assert (status(world)["readyReplicas"], status(world)["availableReplicas"]) == (1, 0)
        await trio.sleep(8)
        assert names(world) == ["db-0", "db-1"]

    run(body)


@pytest.mark.covers("WL-29")
def test_the_history_is_limited_and_a_former_template_gets_the_next_number() -> None:
    async def body(world: World) -> None:
        world.put(STS, stateful_set(1, revisionHistoryLimit=1))
        for tag in ("2", "3", "2"):
            await trio.sleep(4)
            new_image(world, tag)
        await trio.sleep(4)
        found = {
            each["revision"]: each["data"]["spec"]["template"]["spec"]["containers"][0]["image"]
            for each in world.store.list(REVISIONS)
        }
        assert found == {3: "shop/web:3", 4: "shop/web:2"}

    run(body)


def test_a_failed_pod_is_replaced_under_its_name() -> None:
    async def body(world: World) -> None:
        world.put(STS, stateful_set(2))
        await trio.sleep(3)
        old = world.store.get("pods", "db-0", "default")
        world.set_pod(old, ready=False, phase="Failed")
        await trio.sleep(3)
        new = world.store.get("pods", "db-0", "default")
        assert new["metadata"]["uid"] != old["metadata"]["uid"]
        assert new["status"]["phase"] == "Running"

    run(body)


def test_a_pod_that_is_being_deleted_keeps_its_name_until_it_is_gone() -> None:
    async def body(world: World) -> None:
        world.put(STS, stateful_set(2))
        await trio.sleep(3)
        world.kubelet_runs = False
        world.delete("pods", "db-1", "default")
        await trio.sleep(30)
        assert len(world.pods()) == 2
        world.kubelet_runs = True
        await trio.sleep(3)
        assert names(world) == ["db-0", "db-1"]

    run(body)


def owners(world: World) -> dict[str, list[str]]:
    return {
        claim["metadata"]["name"]: [
            each["kind"] for each in claim["metadata"].get("ownerReferences") or []
        ]
        for claim in world.store.list(CLAIMS)
    }


def test_each_pod_has_claims_of_its_own_which_stay_by_default() -> None:
    async def body(world: World) -> None:
        world.put(STS, stateful_set(2, volumeClaimTemplates=[claim_template()]))
        await trio.sleep(3)
        assert owners(world) == {"data-db-0": [], "data-db-1": []}
        claim = world.store.get(CLAIMS, "data-db-1", "default")
        assert claim["metadata"]["labels"] == {"app": "web"}
        volumes = world.store.get("pods", "db-1", "default")["spec"]["volumes"]
        expected = {"name": "data", "persistentVolumeClaim": {"claimName": "data-db-1"}}
        assert expected in volumes
        edit(world, replicas=1)
        await trio.sleep(3)
        assert sorted(owners(world)) == ["data-db-0", "data-db-1"]

    run(body)


def test_the_retention_policy_gives_claims_to_the_set_or_to_the_pod_that_goes() -> None:
    async def body(world: World) -> None:
        policy = {"whenScaled": "Delete", "whenDeleted": "Delete"}
        body_of_set = stateful_set(
            2,
            volumeClaimTemplates=[claim_template()],
            persistentVolumeClaimRetentionPolicy=policy,
        )
        world.put(STS, body_of_set)
        await trio.sleep(4)
        assert owners(world) == {"data-db-0": ["StatefulSet"], "data-db-1": ["StatefulSet"]}
        world.kubelet_runs = False
        edit(world, replicas=1)
        await trio.sleep(2)
        assert owners(world) == {"data-db-0": ["StatefulSet"], "data-db-1": ["Pod"]}
        # Back before the garbage collector is done: the new pod waits for the claim to go.
        world.store.remove("pods", "db-1", "default")
        edit(world, replicas=2)
        await trio.sleep(2)
        assert names(world) == ["db-0"]
        world.store.remove(CLAIMS, "data-db-1", "default")
        world.kubelet_runs = True
        await trio.sleep(30)
        assert names(world) == ["db-0", "db-1"]
        assert owners(world)["data-db-1"] == ["StatefulSet"]

    run(body)


def test_two_managers_never_make_two_pods_of_one_name() -> None:
    async def body(world: World) -> None:
        world.start_manager("cp-2")
        world.put(STS, stateful_set(3))
        for _ in range(40):
            await trio.sleep(0.1)
            found = [pod["metadata"]["name"] for pod in world.pods()]
            assert len(found) == len(set(found))
        assert names(world) == ["db-0", "db-1", "db-2"]

    run(body)
