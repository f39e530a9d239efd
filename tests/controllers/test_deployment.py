"""Deployments: rollouts, scaling, history, conditions. Numbers are those of recorded real runs."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio

from k8sactors.controllers.deployment import arithmetic
from k8sactors.controllers.manager import ControllerManagerConfig
from tests.controllers import harness
from tests.controllers.harness import World, template

Object = dict[str, Any]
CONFIG = ControllerManagerConfig(controllers=("deployment-controller", "replicaset-controller"))
run = partial(harness.run, config=CONFIG)
DEPLOYMENTS, SETS = "deployments.apps", "replicasets.apps"


def deployment(replicas: int = 3, **spec: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(),
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
            },
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": 600,
            **spec,
        },
    }


def rolling(surge: int | str, unavailable: int | str) -> Object:
    return {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable},
    }


def change(world: World, **spec: Any) -> None:
    world.store.edit(DEPLOYMENTS, "web", "default", spec=spec)


def broken_template() -> Object:
    return template(annotations={"ready": "false"})


def obey_ready_annotation(world: World) -> None:
    world.make_ready = lambda pod: (
        (pod["metadata"].get("annotations") or {}).get("ready") != "false"
    )


def revision_of(replica_set: Object) -> tuple[str, int]:
    """Age of a ReplicaSet: those of one second by the revision that they were made for."""
    metadata = replica_set["metadata"]
    revision = (metadata.get("annotations") or {}).get("deployment.kubernetes.io/revision")
    return metadata["creationTimestamp"], int(revision or 0)


def sizes(world: World) -> list[int]:
    """spec.replicas by age of the ReplicaSet."""
    sets = sorted(world.store.list(SETS), key=revision_of)
    return [each["spec"]["replicas"] for each in sets]


def status(world: World) -> Object:
    found: Object = world.store.get(DEPLOYMENTS, "web", "default")["status"]
    return found


def reasons(world: World) -> dict[str, str]:
    return {each["type"]: each["reason"] for each in status(world)["conditions"]}


def test_creates_a_replica_set_named_by_hash_and_becomes_available() -> None:
    async def body(world: World) -> None:
        world.put(DEPLOYMENTS, deployment())
        await trio.sleep(3)
        [owned] = world.store.list(SETS)
        digest = owned["metadata"]["labels"]["pod-template-hash"]
        assert owned["metadata"]["name"] == f"web-{digest}"
        assert owned["spec"]["selector"]["matchLabels"] == {
            "app": "web",
            "pod-template-hash": digest,
        }
        assert owned["metadata"]["annotations"] == {
            "deployment.kubernetes.io/desired-replicas": "3",
            "deployment.kubernetes.io/max-replicas": "4",
            "deployment.kubernetes.io/revision": "1",
        }
        found = world.store.get(DEPLOYMENTS, "web", "default")
        assert found["metadata"]["annotations"] == {"deployment.kubernetes.io/revision": "1"}
        conditions = found["status"].pop("conditions")
        assert found["status"] == {
            "observedGeneration": 1,
            "replicas": 3,
            "updatedReplicas": 3,
            "readyReplicas": 3,
            "availableReplicas": 3,
        }
        assert [(c["type"], c["status"], c["reason"]) for c in conditions] == [
            ("Available", "True", "MinimumReplicasAvailable"),
            ("Progressing", "True", "NewReplicaSetAvailable"),
        ] or [(c["type"], c["status"], c["reason"]) for c in conditions[::-1]] == [
            ("Available", "True", "MinimumReplicasAvailable"),
            ("Progressing", "True", "NewReplicaSetAvailable"),
        ]
        assert f'ReplicaSet "web-{digest}" has successfully progressed.' in {
            c["message"] for c in conditions
        }
        assert world.events("ScalingReplicaSet") == [
            f"Scaled up replica set web-{digest} from 0 to 3"
        ]

    run(body)


def test_rolling_update_keeps_within_surge_and_unavailable() -> None:
    async def body(world: World) -> None:
        world.put(DEPLOYMENTS, deployment(4, strategy=rolling(1, 0)))
        await trio.sleep(3)
        change(world, template=template(image="shop/web:2"))
        for _ in range(200):
            await trio.sleep(0.05)
            pods = world.active_pods()
            ready = [p for p in pods if p["status"]["phase"] == "Running"]
            assert len(pods) <= 5
            assert len(ready) >= 4
        assert sizes(world) == [0, 4]
        assert reasons(world)["Progressing"] == "NewReplicaSetAvailable"
        found = world.store.get(DEPLOYMENTS, "web", "default")
        assert found["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"

    run(body)


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "old", "new"),
    [
        (5, "30%", "30%", 4, 3),
        (10, "25%", "25%", 8, 5),
        (1, "25%", "25%", 1, 1),
        (2, "0%", "10%", 1, 1),
        (7, "10%", "10%", 7, 1),
        (6, 2, "50%", 3, 5),
        (4, 0, 3, 1, 3),
    ],
)
def test_a_broken_template_stops_at_the_recorded_numbers(
    replicas: int, surge: int | str, unavailable: int | str, old: int, new: int
) -> None:
    async def body(world: World) -> None:
        obey_ready_annotation(world)
        world.put(DEPLOYMENTS, deployment(replicas, strategy=rolling(surge, unavailable)))
        await trio.sleep(4)
        change(world, template=broken_template())
        await trio.sleep(15)
        assert sizes(world) == [old, new]
        assert reasons(world)["Progressing"] == "ReplicaSetUpdated"
        assert reasons(world)["Available"] == "MinimumReplicasAvailable"

    run(body)


def test_rollover_abandons_the_stuck_revision() -> None:
    async def body(world: World) -> None:
        obey_ready_annotation(world)
        world.put(DEPLOYMENTS, deployment(3, strategy=rolling(1, 0)))
        await trio.sleep(3)
        change(world, template=broken_template())
        await trio.sleep(5)
        assert sizes(world) == [3, 1]
        change(world, template=template(image="shop/web:3", annotations=None))
        await trio.sleep(15)
        assert sizes(world) == [0, 0, 3]
        assert status(world)["availableReplicas"] == 3

    run(body)


def test_scaling_in_the_middle_of_a_rollout_is_proportional() -> None:
    async def body(world: World) -> None:
        obey_ready_annotation(world)
        world.put(DEPLOYMENTS, deployment(10, strategy=rolling(3, 2)))
        await trio.sleep(4)
        change(world, template=broken_template())
        await trio.sleep(8)
        assert sizes(world) == [8, 5]
        change(world, replicas=15)
        await trio.sleep(8)
        assert sizes(world) == [11, 7]
        [old, new] = sorted(world.store.list(SETS), key=lambda each: -each["spec"]["replicas"])
        for each in (old, new):
            assert each["metadata"]["annotations"]["deployment.kubernetes.io/max-replicas"] == "18"

    run(body)


def test_reverted_template_reuses_its_replica_set_with_a_new_revision() -> None:
    async def body(world: World) -> None:
        world.put(DEPLOYMENTS, deployment(2))
        await trio.sleep(3)
        change(world, template=template(image="shop/web:2"))
        await trio.sleep(8)
        change(world, template=template())
        await trio.sleep(8)
        assert sizes(world) == [2, 0]
        first = world.store.list(SETS)[0]["metadata"]["annotations"]
        assert first["deployment.kubernetes.io/revision"] == "3"
        assert first["deployment.kubernetes.io/revision-history"] == "1"

    run(body)


def test_paused_deployment_scales_but_does_not_roll() -> None:
    async def body(world: World) -> None:
        world.put(DEPLOYMENTS, deployment(2))
        await trio.sleep(3)
        change(world, paused=True)
        await trio.sleep(2)
        assert reasons(world)["Progressing"] == "DeploymentPaused"
        change(world, template=template(image="shop/web:2"), replicas=4)
        await trio.sleep(5)
        assert sizes(world) == [4]
        change(world, paused=False)
        await trio.sleep(12)
        assert sizes(world) == [0, 4]
        assert reasons(world)["Progressing"] == "NewReplicaSetAvailable"

    run(body)


def test_recreate_starts_new_pods_only_when_the_old_ones_are_gone() -> None:
    async def body(world: World) -> None:
        world.put(DEPLOYMENTS, deployment(3, strategy={"type": "Recreate"}))
        await trio.sleep(3)
        change(world, template=template(image="shop/web:2"))
        for _ in range(100):
            await trio.sleep(0.05)
            images = {pod["spec"]["containers"][0]["image"] for pod in world.pods()}
            assert len(images) <= 1
        assert images == {"shop/web:2"}
        assert len(world.pods()) == 3

    run(body)


def test_stuck_rollout_exceeds_its_deadline_and_recovers() -> None:
    async def body(world: World) -> None:
        obey_ready_annotation(world)
        world.put(DEPLOYMENTS, deployment(3, progressDeadlineSeconds=30))
        await trio.sleep(4)
        change(world, template=broken_template())
        await trio.sleep(25)
        assert reasons(world)["Progressing"] == "ReplicaSetUpdated"
        await trio.sleep(12)
        assert reasons(world)["Progressing"] == "ProgressDeadlineExceeded"
        assert reasons(world)["Available"] == "MinimumReplicasAvailable"
        change(world, template=template(image="shop/web:3", annotations=None))
        await trio.sleep(10)
        assert reasons(world)["Progressing"] == "NewReplicaSetAvailable"

    run(body)


def test_history_beyond_the_limit_is_removed() -> None:
    async def body(world: World) -> None:
        world.put(DEPLOYMENTS, deployment(1, revisionHistoryLimit=1))
        for number in range(4):
            await trio.sleep(6)
            change(world, template=template(image=f"shop/web:{number + 2}"))
        await trio.sleep(6)
        assert sizes(world) == [0, 1]

    run(body)


def test_same_hash_of_another_owner_counts_a_collision() -> None:
    async def body(world: World) -> None:
        world.put(DEPLOYMENTS, deployment(1))
        await trio.sleep(3)
        [first] = world.store.list(SETS)
        world.store.remove(DEPLOYMENTS, "web", "default")
        world.put(DEPLOYMENTS, deployment(1))
        await trio.sleep(5)
        names = [each["metadata"]["name"] for each in world.store.list(SETS)]
        assert len(names) == 2
        assert first["metadata"]["name"] in names
        assert status(world)["collisionCount"] == 1

    run(body)


@pytest.mark.covers("CT-01")
def test_finishes_a_rollout_that_another_manager_began() -> None:
    async def body(world: World) -> None:
        world.put(DEPLOYMENTS, deployment(6, strategy=rolling(1, 1)))
        await trio.sleep(4)
        change(world, template=template(image="shop/web:2"))
        await trio.sleep(0.3)
        world.stop_manager()
        await trio.sleep(5)
        world.start_manager()
        await trio.sleep(15)
        assert sizes(world) == [0, 6]
        assert len(world.pods()) == 6

    run(body)


def test_scaling_down_to_zero_takes_everything_away() -> None:
    async def body(world: World) -> None:
        world.put(DEPLOYMENTS, deployment(5))
        await trio.sleep(3)
        change(world, replicas=0)
        await trio.sleep(3)
        assert world.pods() == []
        assert "replicas" not in status(world)

    run(body)


def test_fenceposts_are_never_both_zero() -> None:
    assert arithmetic.fenceposts(deployment(3, strategy=rolling("0%", "0%"))) == (0, 1)
    assert arithmetic.fenceposts(deployment(3, strategy=rolling("25%", "25%"))) == (1, 0)
