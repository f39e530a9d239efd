"""Claims and volumes find each other, and part again."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio

from k8sactors.controllers.manager import ControllerManagerConfig
from tests.controllers import harness
from tests.controllers.harness import World, bare_pod
from tests.controllers.volume_objects import (
    CLAIMS,
    CLASSES,
    VOLUMES,
    claim,
    claimant,
    phase,
    storage_class,
    volume,
    volume_of,
)

run = partial(
    harness.run, config=ControllerManagerConfig(controllers=("persistentvolume-binder-controller",))
)
WAIT = {"volumeBindingMode": "WaitForFirstConsumer"}


@pytest.mark.covers("SG-03")
def test_the_smallest_volume_that_is_large_enough_is_bound_in_both_directions() -> None:
    async def body(world: World) -> None:
        for name, size in (("big", "10Gi"), ("mid", "5Gi"), ("small", "1Gi")):
            world.put(VOLUMES, volume(name, size))
        await trio.sleep(1)
        world.put(CLAIMS, claim(size="3Gi"))
        await trio.sleep(1)
        bound = world.store.get(CLAIMS, "data", "default")
        assert bound["spec"]["volumeName"] == "mid"
        assert bound["status"] == {
            "phase": "Bound",
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "5Gi"},
        }
        assert bound["metadata"]["annotations"] == {
            "pv.kubernetes.io/bind-completed": "yes",
            "pv.kubernetes.io/bound-by-controller": "yes",
        }
        taken = world.store.get(VOLUMES, "mid", "")
        assert taken["spec"]["claimRef"]["uid"] == bound["metadata"]["uid"]
        assert phase(world, "mid", VOLUMES) == "Bound"
        assert phase(world, "small", VOLUMES) == phase(world, "big", VOLUMES) == "Available"

    run(body)


@pytest.mark.parametrize(
    "wish",
    [
        {"storageClassName": "other"},
        {"storageClassName": ""},
        {"accessModes": ["ReadWriteMany"]},
        {"volumeMode": "Block"},
        {"resources": {"requests": {"storage": "50Gi"}}},
        {"selector": {"matchLabels": {"name": "another"}}},
        {"volumeAttributesClassName": "gold"},
    ],
    ids=str,
)
def test_a_volume_that_does_not_suit_in_one_respect_stays_free(wish: dict[str, Any]) -> None:
    async def body(world: World) -> None:
        world.put(VOLUMES, volume("disk", "5Gi"))
        await trio.sleep(1)
        world.put(CLAIMS, claim(**wish))
        await trio.sleep(20)
        assert (phase(world, "data"), phase(world, "disk", VOLUMES)) == ("Pending", "Available")

    run(body)


def test_fewer_access_modes_go_first() -> None:
    async def body(world: World) -> None:
        both = ["ReadWriteOnce", "ReadWriteMany"]
        world.put(VOLUMES, volume("many", "1Gi", accessModes=both))
        world.put(VOLUMES, volume("once", "2Gi"))
        await trio.sleep(1)
        world.put(CLAIMS, claim())
        await trio.sleep(1)
        assert volume_of(world) == "once"

    run(body)


def test_a_volume_reserved_for_a_claim_waits_for_it_and_is_taken_by_no_other() -> None:
    async def body(world: World) -> None:
        reference = {"namespace": "default", "name": "data"}
        world.put(VOLUMES, volume("reserved", "9Gi", claimRef=reference))
        await trio.sleep(1)
        assert phase(world, "reserved", VOLUMES) == "Available"
        world.put(CLAIMS, claim("other"))
        await trio.sleep(1)
        assert phase(world, "other") == "Pending"
        world.put(VOLUMES, volume("small"))
        await trio.sleep(1)
        world.put(CLAIMS, claim())
        await trio.sleep(1)
        assert volume_of(world) == "reserved"
        annotations = world.store.get(VOLUMES, "reserved", "")["metadata"].get("annotations") or {}
        assert "pv.kubernetes.io/bound-by-controller" not in annotations

    run(body)


def test_a_claim_may_name_its_volume_and_is_told_why_it_cannot_have_it() -> None:
    async def body(world: World) -> None:
        world.put(VOLUMES, volume("small"))
        world.put(VOLUMES, volume("large", "50Gi"))
        await trio.sleep(1)
        world.put(CLAIMS, claim(volumeName="large"))
        world.put(CLAIMS, claim("greedy", "2Gi", volumeName="small"))
        world.put(CLAIMS, claim("late", volumeName="large"))
        await trio.sleep(1)
        assert (claimant(world, "large"), claimant(world, "small")) == ("data", "")
        assert phase(world, "greedy") == phase(world, "late") == "Pending"
        assert world.events("VolumeMismatch") == [
            'Cannot bind to requested volume "small": requested PV is too small'
        ]

    run(body)


def test_many_claims_share_out_the_volumes_one_each() -> None:
    async def body(world: World) -> None:
        for number in range(12):
            world.put(VOLUMES, volume(f"disk-{number:02d}"))
        await trio.sleep(1)
        for number in range(12):
            world.put(CLAIMS, claim(f"data-{number:02d}"))
        await trio.sleep(3)
        taken = {volume_of(world, f"data-{number:02d}") for number in range(12)}
        assert taken == {f"disk-{number:02d}" for number in range(12)}

    run(body)


def test_a_claim_that_waits_is_bound_when_a_volume_comes() -> None:
    async def body(world: World) -> None:
        world.put(CLAIMS, claim(cls=""))
        await trio.sleep(1)
        message = "no persistent volumes available for this claim and no storage class is set"
        assert world.events("FailedBinding") == [message]
        world.put(VOLUMES, volume("disk", cls=""))
        await trio.sleep(16)
        assert volume_of(world) == "disk"

    run(body)


def test_a_claim_without_class_gets_the_default_class_that_comes_later() -> None:
    async def body(world: World) -> None:
        world.put(CLAIMS, claim(cls=None))
        await trio.sleep(1)
        default = storage_class("standard")
        default["metadata"]["annotations"] = {"storageclass.kubernetes.io/is-default-class": "true"}
        world.put(CLASSES, default)
        await trio.sleep(16)
        assert world.store.get(CLAIMS, "data", "default")["spec"]["storageClassName"] == "standard"

    run(body)


def test_each_claim_that_waits_says_what_for() -> None:
    async def body(world: World) -> None:
        world.put(CLASSES, storage_class("external"))
        world.put(CLASSES, storage_class("static", "kubernetes.io/no-provisioner"))
        world.put(CLASSES, storage_class("consumer", "kubernetes.io/no-provisioner", **WAIT))
        for name in ("external", "static", "consumer", "missing"):
            world.put(CLAIMS, claim(name, cls=name))
        await trio.sleep(1)
        assert [text.partition(" either by")[0] for text in world.events("ExternalProvisioning")]
        assert sorted(world.events("ProvisioningFailed")) == [
            "no volume plugin matched name: kubernetes.io/no-provisioner",
            'storageclass.storage.k8s.io "missing" not found',
        ]
        message = "waiting for first consumer to be created before binding"
        assert world.events("WaitForFirstConsumer") == [message]
        annotations = world.store.get(CLAIMS, "external", "default")["metadata"]["annotations"]
        assert annotations["volume.kubernetes.io/storage-provisioner"] == "shop.io/disks"

    run(body)


def test_a_delayed_claim_is_left_to_the_scheduler_which_binds_or_selects_a_node() -> None:
    async def body(world: World) -> None:
        world.put(CLASSES, storage_class(**WAIT))
        world.put(VOLUMES, volume("disk"))
        await trio.sleep(1)
        world.put(CLAIMS, claim())
        pod = bare_pod("user")
        pod["spec"]["volumes"] = [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]
        world.kubelet_runs = False
        world.put("pods", pod)
        await trio.sleep(16)
        assert phase(world, "data") == "Pending"
        assert world.events("WaitForPodScheduled") == ["waiting for pod user to be scheduled"]
        selected = {"annotations": {"volume.kubernetes.io/selected-node": "node-1"}}
        world.store.edit(CLAIMS, "data", "default", metadata=selected)
        await trio.sleep(1)
        assert len(world.events("ExternalProvisioning")) == 1
        # Or it finds a volume that is there, and writes that.
        found = world.store.get(CLAIMS, "data", "default")
        reference = {"namespace": "default", "name": "data", "uid": found["metadata"]["uid"]}
        world.store.edit(VOLUMES, "disk", "", spec={"claimRef": reference})
        await trio.sleep(1)
        assert (phase(world, "data"), volume_of(world)) == ("Bound", "disk")

    run(body)


def bound(world: World, name: str = "disk", of: str = "data", **spec: Any) -> None:
    world.put(VOLUMES, volume(name, **spec))
    world.put(CLAIMS, claim(of, volumeName=name))


def test_a_released_volume_is_kept_and_goes_to_no_other_claim() -> None:
    async def body(world: World) -> None:
        bound(world)
        await trio.sleep(1)
        world.store.remove(CLAIMS, "data", "default")
        await trio.sleep(1)
        assert phase(world, "disk", VOLUMES) == "Released"
        world.put(CLAIMS, claim())
        await trio.sleep(16)
        assert phase(world, "data") == "Pending"

    run(body)


def test_delete_and_recycle_fail_where_nothing_can_do_it_and_say_so() -> None:
    async def body(world: World) -> None:
        bound(world, persistentVolumeReclaimPolicy="Delete")
        bound(world, "other", "old", persistentVolumeReclaimPolicy="Recycle")
        await trio.sleep(1)
        world.store.remove(CLAIMS, "data", "default")
        world.store.remove(CLAIMS, "old", "default")
        await trio.sleep(40)
        assert phase(world, "disk", VOLUMES) == phase(world, "other", VOLUMES) == "Failed"
        assert len(world.events("VolumeFailedDelete")) == 1  # though it is tried again
        assert world.events("VolumeFailedRecycle") == ["No recycler plugin found for the volume!"]

    run(body)


def test_a_host_path_below_tmp_is_deleted_with_its_claim() -> None:
    async def body(world: World) -> None:
        body_of_volume = volume("disk", persistentVolumeReclaimPolicy="Delete")
        del body_of_volume["spec"]["nfs"]
        body_of_volume["spec"]["hostPath"] = {"path": "/tmp/disk"}  # noqa: S108 not a file of this machine
        world.put(VOLUMES, body_of_volume)
        world.put(CLAIMS, claim(volumeName="disk"))
        await trio.sleep(1)
        world.store.remove(CLAIMS, "data", "default")
        await trio.sleep(1)
        found = world.store.list(VOLUMES)
        assert not found or "deletionTimestamp" in found[0]["metadata"]

    run(body)


def test_a_claim_whose_volume_is_gone_is_lost_forever() -> None:
    async def body(world: World) -> None:
        bound(world)
        await trio.sleep(1)
        world.store.remove(VOLUMES, "disk", "")
        await trio.sleep(1)
        assert phase(world, "data") == "Lost"
        world.put(VOLUMES, volume("other"))
        await trio.sleep(16)
        assert phase(world, "data") == "Lost"
        assert len(world.events("ClaimLost")) == 1

    run(body)


def test_two_volumes_for_one_claim_are_put_right() -> None:
    async def body(world: World) -> None:
        bound(world)
        await trio.sleep(1)
        found = world.store.get(CLAIMS, "data", "default")
        reference = {"namespace": "default", "name": "data", "uid": found["metadata"]["uid"]}
        # As a second binder might have left it behind.
        second = volume("second", claimRef=reference)
        second["metadata"]["annotations"] = {"pv.kubernetes.io/bound-by-controller": "yes"}
        world.put(VOLUMES, second)
        await trio.sleep(1)
        assert (claimant(world, "disk"), claimant(world, "second")) == ("data", "")
        assert phase(world, "second", VOLUMES) == "Available"

    run(body)


def test_a_restarted_manager_finishes_what_was_begun() -> None:
    async def body(world: World) -> None:
        world.stop_manager()
        world.put(CLAIMS, claim())
        found = world.store.get(CLAIMS, "data", "default")
        reference = {"namespace": "default", "name": "data", "uid": found["metadata"]["uid"]}
        half = volume("disk", claimRef=reference)
        half["metadata"]["annotations"] = {"pv.kubernetes.io/bound-by-controller": "yes"}
        world.put(VOLUMES, half)
        world.start_manager()
        await trio.sleep(2)
        assert (phase(world, "data"), volume_of(world)) == ("Bound", "disk")
        assert phase(world, "disk", VOLUMES) == "Bound"

    run(body)
