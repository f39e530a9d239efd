"""Owners and dependents: background, foreground, orphan, absent, misplaced."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio

from k8sactors.controllers.manager import ControllerManagerConfig
from tests.controllers import harness
from tests.controllers.harness import World, bare_pod, template

Object = dict[str, Any]
run = partial(
    harness.run, config=ControllerManagerConfig(controllers=("garbage-collector-controller",))
)
run_workloads = partial(
    harness.run,
    config=ControllerManagerConfig(controllers=("garbagecollector", "deployment", "replicaset")),
)
MAPS = "configmaps"


def config_map(name: str, *owners: Object, namespace: str = "default") -> Object:
    metadata: Object = {"name": name, "namespace": namespace}
    if owners:
        metadata["ownerReferences"] = [reference(owner) for owner in owners]
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def reference(owner: Object, *, block: bool = False) -> Object:
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "blockOwnerDeletion": block,
    }


def delete(world: World, resource: str, name: str, policy: str = "Background") -> None:
    world.delete(resource, name, "default", propagationPolicy=policy)


def exists(world: World, name: str) -> bool:
    return world.store.get(MAPS, name, "default") is not None


@pytest.mark.covers("CT-34")
def test_dependents_follow_their_owner_through_generations() -> None:
    async def body(world: World) -> None:
        parent = world.put(MAPS, config_map("parent"))
        child = world.put(MAPS, config_map("child", parent))
        world.put(MAPS, config_map("grandchild", child))
        await trio.sleep(1)
        assert exists(world, "grandchild")
        delete(world, MAPS, "parent")
        await trio.sleep(2)
        assert world.store.list(MAPS) == []

    run(body)


def test_an_object_with_two_owners_stays_until_both_are_gone() -> None:
    async def body(world: World) -> None:
        first = world.put(MAPS, config_map("first"))
        second = world.put(MAPS, config_map("second"))
        world.put(MAPS, config_map("child", first, second))
        await trio.sleep(1)
        delete(world, MAPS, "first")
        await trio.sleep(2)
        [left] = world.store.get(MAPS, "child", "default")["metadata"]["ownerReferences"]
        assert left["name"] == "second"
        delete(world, MAPS, "second")
        await trio.sleep(2)
        assert not exists(world, "child")

    run(body)


def test_an_owner_that_never_existed_or_has_another_uid_counts_as_absent() -> None:
    async def body(world: World) -> None:
        parent = world.put(MAPS, config_map("parent"))
        ghost = {**parent, "metadata": {"name": "parent", "uid": "other"}}
        world.put(MAPS, config_map("child", ghost))
        await trio.sleep(2)
        assert exists(world, "parent")
        assert not exists(world, "child")

    run(body)


def test_an_owner_of_another_namespace_is_absent_and_reported() -> None:
    async def body(world: World) -> None:
        parent = world.put(MAPS, config_map("parent", namespace="other"))
        await trio.sleep(1)
        world.put(MAPS, config_map("child", parent))
        await trio.sleep(2)
        assert not exists(world, "child")
        assert world.store.get(MAPS, "parent", "other") is not None
        uid = parent["metadata"]["uid"]
        claimed = f"[v1/ConfigMap, namespace: default, name: parent, uid: {uid}]"
        message = f'ownerRef {claimed} does not exist in namespace "default"'
        assert world.events("OwnerRefInvalidNamespace") == [message]

    run(body)


def test_a_missed_deletion_is_made_up_for_after_a_restart() -> None:
    async def body(world: World) -> None:
        parent = world.put(MAPS, config_map("parent"))
        world.put(MAPS, config_map("child", parent))
        await trio.sleep(1)
        world.stop_manager()
        world.store.remove(MAPS, "parent", "default")
        world.start_manager()
        await trio.sleep(3)
        assert not exists(world, "child")

    run(body)


def deployment() -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(),
        },
    }


def test_foreground_deletion_takes_pods_then_replica_set_then_deployment() -> None:
    async def body(world: World) -> None:
        world.put("deployments.apps", deployment())
        await trio.sleep(3)
        assert len(world.pods()) == 2
        world.kubelet_runs = False
        delete(world, "deployments.apps", "web", "Foreground")
        await trio.sleep(3)
        assert all("deletionTimestamp" in pod["metadata"] for pod in world.pods())
        assert len(world.pods()) == 2
        assert len(world.store.list("replicasets.apps")) == 1
        assert world.store.get("deployments.apps", "web", "default") is not None
        world.kubelet_runs = True
        await trio.sleep(5)
        assert world.pods() == []
        assert world.store.list("replicasets.apps") == []
        assert world.store.list("deployments.apps") == []

    run_workloads(body)


def test_background_deletion_of_a_deployment_takes_everything() -> None:
    async def body(world: World) -> None:
        world.put("deployments.apps", deployment())
        await trio.sleep(3)
        delete(world, "deployments.apps", "web")
        await trio.sleep(5)
        assert world.pods() == []
        assert world.store.list("replicasets.apps") == []

    run_workloads(body)


def test_orphaned_dependents_lose_their_reference_and_stay() -> None:
    async def body(world: World) -> None:
        owner = world.put("replicasets.apps", {**harness.replica_set(), "spec": {"replicas": 0}})
        pod = bare_pod("left")
        pod["metadata"]["ownerReferences"] = [reference(owner, block=True)]
        world.put("pods", pod)
        await trio.sleep(1)
        delete(world, "replicasets.apps", "web", "Orphan")
        await trio.sleep(2)
        assert world.store.list("replicasets.apps") == []
        assert "ownerReferences" not in world.store.get("pods", "left", "default")["metadata"]

    run(body)
