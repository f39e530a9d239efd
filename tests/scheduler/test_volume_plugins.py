"""VolumeZone, VolumeRestrictions and NodeVolumeLimits with the real API server."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.scheduler.builders import pod_object
from tests.scheduler.control_plane import NAMESPACE, ControlPlane, full_nodes, with_control_plane

Object = dict[str, Any]
ZONE = "topology.kubernetes.io/zone"
OLD_ZONE = "failure-domain.beta.kubernetes.io/zone"
BOUND = {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}}
IN_USE = (
    "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"
)


async def start(plane: ControlPlane, **zones: str) -> None:
    """Nodes by name with their zones ("": without one), and a scheduler."""
    objects = full_nodes(*zones)
    for obj, zone in zip(objects, zones.values(), strict=True):
        if zone:
            obj["metadata"].setdefault("labels", {})[ZONE] = zone
    await plane.add_nodes(*objects)
    plane.add_scheduler(leader_elect=False)


async def add_bound(
    plane: ControlPlane,
    name: str,
    *,
    labels: dict[str, str] | None = None,
    mode: str = "ReadWriteOnce",
    source: Object | None = None,
) -> None:
    """A claim and its volume, bound to each other by hand."""
    size = {"storage": "1Gi"}
    claim = {
        "metadata": {"name": name, "namespace": NAMESPACE, **BOUND},
        "spec": {
            "accessModes": [mode],
            "storageClassName": "",
            "resources": {"requests": size},
            "volumeName": f"v-{name}",
        },
    }
    made = await plane.client.create("persistentvolumeclaims", claim)
    reference = {"namespace": NAMESPACE, "name": name, "uid": made["metadata"]["uid"]}
    volume = {
        "metadata": {"name": f"v-{name}", "labels": labels or {}},
        "spec": {
            "capacity": size,
            "accessModes": [mode],
            "claimRef": reference,
            **(source or {"hostPath": {"path": "/data"}}),
        },
    }
    await plane.client.create("persistentvolumes", volume)


async def add_pod(
    plane: ControlPlane, name: str, *claims: str, priority: str | None = None, **spec: Any
) -> None:
    volumes = [
        {"name": f"v{index}", "persistentVolumeClaim": {"claimName": claim}}
        for index, claim in enumerate(claims)
    ]
    await plane.add_pod(name, priority, {"volumes": volumes, **spec})


def on(node: str) -> Object:
    return {"nodeSelector": {"kubernetes.io/hostname": node}}


@pytest.mark.parametrize("label", [ZONE, OLD_ZONE])
def test_a_pod_goes_to_a_zone_of_its_volume(label: str) -> None:
    async def body(plane: ControlPlane) -> None:
        await start(plane, n0="a", n1="b", n2="c")
        await add_bound(plane, "data", labels={label: "b__d"})
        await trio.sleep(1)
        await add_pod(plane, "consumer", "data")
        assert await plane.node_of("consumer") == "n1"
        await add_pod(plane, "elsewhere", "data", **on("n2"))
        assert "node(s) had no available volume zone" in await plane.message("elsewhere")

    with_control_plane(body)


def test_a_node_without_a_zone_takes_volumes_of_any() -> None:
    async def body(plane: ControlPlane) -> None:
        await start(plane, n0="")
        await add_bound(plane, "data", labels={ZONE: "b"})
        await trio.sleep(1)
        await add_pod(plane, "consumer", "data")
        assert await plane.node_of("consumer") == "n0"

    with_control_plane(body)


def test_an_exclusive_claim_belongs_to_one_pod_of_the_cluster() -> None:
    async def body(plane: ControlPlane) -> None:
        await start(plane, n0="a", n1="a")
        await add_bound(plane, "own", mode="ReadWriteOncePod")
        await add_bound(plane, "shared")
        await trio.sleep(1)
        await add_pod(plane, "first", "own", "shared")
        await add_pod(plane, "second", "own")
        await add_pod(plane, "third", "shared")
        assert await plane.node_of("first") is not None
        assert f"2 {IN_USE}" in await plane.message("second")
        assert await plane.node_of("third") is not None
        await plane.finish("first")
        await trio.sleep(15)
        assert await plane.node_of("second") is not None

    with_control_plane(body)


def test_a_claim_of_the_same_name_in_another_namespace_is_another_one() -> None:
    async def body(plane: ControlPlane) -> None:
        await start(plane, n0="a")
        await add_bound(plane, "own", mode="ReadWriteOncePod")
        account = {"metadata": {"name": "default", "namespace": "kube-system"}}
        await plane.client.create("serviceaccounts", account)
        volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "own"}}]
        other = pod_object("other", spec={"nodeName": "n0", "volumes": volumes})
        other["metadata"] = {"name": "other", "namespace": "kube-system"}
        await plane.client.create("pods", other)
        await trio.sleep(1)
        await add_pod(plane, "first", "own")
        assert await plane.node_of("first") == "n0"

    with_control_plane(body)


def test_an_important_pod_takes_an_exclusive_claim_over() -> None:
    async def body(plane: ControlPlane) -> None:
        await start(plane, n0="a", n1="a")
        await add_bound(plane, "own", mode="ReadWriteOncePod")
        await trio.sleep(1)
        await add_pod(plane, "low", "own", priority="low")
        await add_pod(plane, "bystander", priority="low", **on("n0"))
        await add_pod(plane, "high", "own", priority="high")
        assert await plane.terminating() == ["low"]
        assert await plane.nominated("high") == await plane.node_of("low")

    with_control_plane(body)


DISKS = {
    "gcePersistentDisk": ({"pdName": "x"}, {"pdName": "y"}, True),
    "awsElasticBlockStore": ({"volumeID": "x"}, {"volumeID": "y"}, False),
    "iscsi": (
        {"iqn": "iqn.2026-01.example:x", "targetPortal": "p", "lun": 0},
        {"iqn": "iqn.2026-01.example:y", "targetPortal": "p", "lun": 0},
        True,
    ),
    "rbd": ({"monitors": ["m"], "image": "x"}, {"monitors": ["m"], "image": "y"}, True),
}


@pytest.mark.parametrize("source", DISKS)
def test_a_disk_is_used_once_on_a_node_unless_all_only_read(source: str) -> None:
    disk, other, may_share = DISKS[source]

    async def body(plane: ControlPlane) -> None:
        await start(plane, n0="a")

        async def placed(name: str, **fields: Any) -> bool:
            volumes = [{"name": "d", source: fields}]
            await plane.add_pod(name, None, {"volumes": volumes})
            return await plane.node_of(name) is not None

        assert await placed("first", **disk, readOnly=True)
        assert await placed("other", **other)
        assert not await placed("writer", **disk)
        assert "node(s) had no available disk" in await plane.message("writer")
        assert await placed("reader", **disk, readOnly=True) is may_share

    with_control_plane(body)


async def limit(plane: ControlPlane, node: str, count: int) -> None:
    driver = {"name": "disks.example", "nodeID": node, "allocatable": {"count": count}}
    body = {"metadata": {"name": node}, "spec": {"drivers": [driver]}}
    await plane.client.create("csinodes.storage.k8s.io", body)


def disk(name: str, driver: str = "disks.example") -> Object:
    return {"csi": {"driver": driver, "volumeHandle": name}}


def test_a_node_attaches_so_many_volumes_of_a_driver() -> None:
    async def body(plane: ControlPlane) -> None:
        await start(plane, n0="a")
        await limit(plane, "n0", 2)
        for name in ("one", "two", "three"):
            await add_bound(plane, name, source=disk(name))
        await add_bound(plane, "elsewhere", source=disk("elsewhere", "other.example"))
        await trio.sleep(1)
        await add_pod(plane, "p1", "one")
        await add_pod(plane, "p2", "two")
        await add_pod(plane, "p3", "three")
        await add_pod(plane, "again", "two")
        await add_pod(plane, "other", "elsewhere")
        assert "node(s) exceed max volume count" in await plane.message("p3")
        for name in ("p1", "p2", "again", "other"):
            assert await plane.node_of(name) == "n0", name
        await plane.finish("p1")
        await trio.sleep(15)
        assert await plane.node_of("p3") == "n0"

    with_control_plane(body)


def test_a_node_that_can_attach_more_wakes_the_pod() -> None:
    async def body(plane: ControlPlane) -> None:
        await start(plane, n0="a")
        await limit(plane, "n0", 0)
        await add_bound(plane, "one", source=disk("one"))
        await trio.sleep(1)
        await add_pod(plane, "p1", "one")
        assert await plane.node_of("p1") is None
        driver = {"name": "disks.example", "nodeID": "n0", "allocatable": {"count": 1}}
        await plane.client.patch("csinodes.storage.k8s.io", "n0", {"spec": {"drivers": [driver]}})
        await trio.sleep(15)
        assert await plane.node_of("p1") == "n0"

    with_control_plane(body)
