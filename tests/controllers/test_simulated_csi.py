"""Volumes made to order: provisioned, attached, moved, resized, deleted; ephemeral claims."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio

from k8sactors.controllers.manager import ControllerManagerConfig
from tests.controllers import harness
from tests.controllers.harness import World, bare_pod
from tests.controllers.volume_objects import (
    ATTACHMENTS,
    CLAIMS,
    CLASSES,
    VOLUMES,
    claim,
    phase,
    storage_class,
    volume_of,
)

CONTROLLERS = (
    "persistentvolume-binder",
    "persistentvolume-expander",
    "attachdetach",
    "ephemeral-volume",
    "simulated-csi-controller",
)
run = partial(harness.run, config=ControllerManagerConfig(controllers=CONTROLLERS))
ZONE = "topology.kubernetes.io/zone"


def disks(**fields: Any) -> dict[str, Any]:
    return storage_class(provisioner="csi.simulated", **fields)


def add_node(world: World, name: str, ready: str = "True", **spec: Any) -> None:
    world.put(
        "nodes",
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": {ZONE: f"zone-{name}"}},
            "spec": spec,
            "status": {"conditions": [{"type": "Ready", "status": ready}]},
        },
    )


def user(name: str = "user", node: str | None = "n0", of: str = "data") -> dict[str, Any]:
    pod = bare_pod(name)
    pod["spec"]["volumes"] = [{"name": "d", "persistentVolumeClaim": {"claimName": of}}]
    if node is not None:
        pod["spec"]["nodeName"] = node
    return pod


def attached(world: World) -> list[str]:
    return sorted(
        each["spec"]["nodeName"]
        for each in world.store.list(ATTACHMENTS)
        if (each.get("status") or {}).get("attached")
    )


@pytest.mark.covers("SG-06")
def test_a_claim_gets_a_volume_of_its_own_which_goes_with_it() -> None:
    async def body(world: World) -> None:
        world.put(CLASSES, disks())
        world.put(CLAIMS, claim(size="7Gi"))
        await trio.sleep(3)
        assert phase(world, "data") == "Bound"
        found = world.store.get(VOLUMES, volume_of(world), "")
        assert found["spec"]["capacity"] == {"storage": "7Gi"}
        assert found["spec"]["persistentVolumeReclaimPolicy"] == "Delete"
        assert found["metadata"]["annotations"] == {
            "pv.kubernetes.io/provisioned-by": "csi.simulated"
        }
        world.store.remove(CLAIMS, "data", "default")
        await trio.sleep(8)
        # What keeps it is the finalizer of another controller, which does not run here.
        left = [each["metadata"].get("finalizers") for each in world.store.list(VOLUMES)]
        assert left in ([], [["kubernetes.io/pv-protection"]])

    run(body)


def test_a_delayed_claim_is_provisioned_where_its_pod_goes() -> None:
    async def body(world: World) -> None:
        add_node(world, "n0")
        world.put(CLASSES, disks(volumeBindingMode="WaitForFirstConsumer"))
        world.put(CLAIMS, claim())
        await trio.sleep(5)
        assert phase(world, "data") == "Pending"
        selected = {"annotations": {"volume.kubernetes.io/selected-node": "n0"}}
        world.store.edit(CLAIMS, "data", "default", metadata=selected)
        await trio.sleep(3)
        affinity = world.store.get(VOLUMES, volume_of(world), "")["spec"]["nodeAffinity"]
        [term] = affinity["required"]["nodeSelectorTerms"]
        assert term["matchExpressions"] == [{"key": ZONE, "operator": "In", "values": ["zone-n0"]}]

    run(body)


def test_a_volume_is_attached_where_a_pod_uses_it_and_moves_with_it() -> None:
    async def body(world: World) -> None:
        world.kubelet_runs = False
        add_node(world, "n0")
        add_node(world, "n1")
        world.put(CLASSES, disks())
        world.put(CLAIMS, claim())
        world.put("pods", user())
        await trio.sleep(5)
        assert attached(world) == ["n0"]
        reported = world.store.get("nodes", "n0", "")["status"]["volumesAttached"]
        assert reported[0]["name"].startswith("kubernetes.io/csi/csi.simulated^")
        assert len(world.events("SuccessfulAttachVolume")) == 1
        world.put("pods", user("second", "n1"))
        await trio.sleep(3)
        assert attached(world) == ["n0"]
        assert "Multi-Attach error" in world.events("FailedAttachVolume")[0]
        world.store.remove("pods", "user", "default")
        await trio.sleep(4)
        assert attached(world) == ["n1"]
        assert not world.store.get("nodes", "n0", "")["status"].get("volumesAttached")

    run(body)


def test_a_dead_node_keeps_its_volumes_for_six_minutes_or_until_it_is_out_of_service() -> None:
    async def body(world: World) -> None:
        world.kubelet_runs = False
        add_node(world, "n0")
        world.put(CLASSES, disks())
        for name in ("data", "more"):
            world.put(CLAIMS, claim(name))
        world.put("pods", user())
        await trio.sleep(5)
        not_ready = {"conditions": [{"type": "Ready", "status": "Unknown"}]}
        world.store.edit("nodes", "n0", "", status=not_ready)
        world.store.remove("pods", "user", "default")
        await trio.sleep(355)
        assert attached(world) == ["n0"]
        await trio.sleep(10)
        assert attached(world) == []
        world.put("pods", user(of="more"))
        await trio.sleep(3)
        assert attached(world) == ["n0"]
        taint = {"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}
        world.store.edit("nodes", "n0", "", spec={"taints": [taint]})
        world.store.remove("pods", "user", "default")
        await trio.sleep(4)
        assert attached(world) == []

    run(body)


def test_a_restarted_manager_attaches_what_its_predecessor_has_not() -> None:
    async def body(world: World) -> None:
        world.kubelet_runs = False
        add_node(world, "n0")
        world.put(CLASSES, disks())
        world.put(CLAIMS, claim())
        await trio.sleep(3)
        world.stop_manager()
        world.put("pods", user())
        world.start_manager()
        await trio.sleep(4)
        assert attached(world) == ["n0"]

    run(body)


def test_a_claim_that_asks_for_more_grows() -> None:
    async def body(world: World) -> None:
        world.put(CLASSES, disks(allowVolumeExpansion=True))
        world.put(CLAIMS, claim())
        await trio.sleep(3)
        bigger = {"resources": {"requests": {"storage": "9Gi"}}}
        world.store.edit(CLAIMS, "data", "default", spec=bigger)
        await trio.sleep(3)
        assert world.store.get(CLAIMS, "data", "default")["status"]["capacity"] == {
            "storage": "9Gi"
        }
        size = world.store.get(VOLUMES, volume_of(world), "")["spec"]["capacity"]
        assert size == {"storage": "9Gi"}
        assert world.events("ExternalExpanding") == [
            "waiting for an external controller to expand this PVC"
        ]

    run(body)


def test_an_ephemeral_volume_has_a_claim_that_its_pod_owns() -> None:
    async def body(world: World) -> None:
        template = {"metadata": {"labels": {"tier": "scratch"}}, "spec": claim()["spec"]}
        pod = bare_pod("worker")
        pod["spec"]["volumes"] = [{"name": "tmp", "ephemeral": {"volumeClaimTemplate": template}}]
        other = bare_pod("other")
        other["spec"]["volumes"] = pod["spec"]["volumes"]
        world.put(CLAIMS, claim("other-tmp"))  # of no pod: it must not be used
        stored = world.put("pods", pod)
        world.put("pods", other)
        await trio.sleep(2)
        found = world.store.get(CLAIMS, "worker-tmp", "default")["metadata"]
        assert found["ownerReferences"][0]["uid"] == stored["metadata"]["uid"]
        assert found["labels"] == {"tier": "scratch"}
        foreign = world.store.get(CLAIMS, "other-tmp", "default")["metadata"]
        assert not foreign.get("ownerReferences")
        world.store.remove(CLAIMS, "worker-tmp", "default")
        await trio.sleep(2)
        assert world.store.get(CLAIMS, "worker-tmp", "default")

    run(body)
