"""VolumeBinding with the real API server and binder: where pods with claims may run."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio

from k8sactors.controllers.manager import ControllerManager, ControllerManagerConfig
from tests.scheduler.control_plane import NAMESPACE, ControlPlane, full_nodes, with_control_plane

Object = dict[str, Any]
CLASSES = "storageclasses.storage.k8s.io"
ZONE = "topology.kubernetes.io/zone"


async def start(plane: ControlPlane, *nodes: str, binder: bool = True) -> None:
    """Nodes, each in a zone of its own that is called as the node, a scheduler and the binder."""
    objects = full_nodes(*nodes)
    for node, obj in zip(nodes, objects, strict=True):
        obj["metadata"].setdefault("labels", {})[ZONE] = node
    await plane.add_nodes(*objects)
    plane.add_scheduler(leader_elect=False)
    if binder:
        config = ControllerManagerConfig(controllers=("persistentvolume-binder-controller",))
        manager = partial(
            ControllerManager, ["cp-1/apiserver"], "manager", config, leader_elect=False
        )
        plane.network.add_host("manager").spawn("kube-controller-manager", manager)


async def add_class(plane: ControlPlane, name: str, *, delayed: bool = True, **fields: Any) -> None:
    mode = "WaitForFirstConsumer" if delayed else "Immediate"
    body = {
        "metadata": {"name": name},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": mode,
        **fields,
    }
    await plane.client.create(CLASSES, body)


async def add_volume(
    plane: ControlPlane, name: str, node: str | None, size: str = "1Gi", class_name: str = "local"
) -> None:
    affinity: Object = {}
    if node is not None:
        expression = {"key": ZONE, "operator": "In", "values": [node]}
        terms = [{"matchExpressions": [expression]}]
        affinity = {"nodeAffinity": {"required": {"nodeSelectorTerms": terms}}}
    await plane.client.create(
        "persistentvolumes",
        {
            "metadata": {"name": name},
            "spec": {
                "capacity": {"storage": size},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": class_name,
                "hostPath": {"path": f"/data/{name}"},
                **affinity,
            },
        },
    )


async def add_claim(
    plane: ControlPlane, name: str, size: str = "1Gi", class_name: str = "local"
) -> None:
    await plane.client.create(
        "persistentvolumeclaims",
        {
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": class_name,
                "resources": {"requests": {"storage": size}},
            },
        },
    )


async def add_pod(plane: ControlPlane, name: str, *claims: str, **spec: Any) -> None:
    volumes = [
        {"name": f"v{index}", "persistentVolumeClaim": {"claimName": claim}}
        for index, claim in enumerate(claims)
    ]
    await plane.add_pod(name, None, {"volumes": volumes, **spec})


async def volume_of(plane: ControlPlane, claim: str) -> str | None:
    obj = await plane.client.get("persistentvolumeclaims", claim, NAMESPACE)
    name: str | None = obj["spec"].get("volumeName")
    return name


def test_a_claim_gets_the_volume_of_the_node_that_its_pod_is_placed_on() -> None:
    async def body(plane: ControlPlane) -> None:
        await start(plane, "n0", "n1", "n2")
        await add_class(plane, "local")
        await add_volume(plane, "on-n1", "n1")
        await add_claim(plane, "data")
        await trio.sleep(20)
        assert await volume_of(plane, "data") is None, "bound before its consumer came"
        await add_pod(plane, "consumer", "data")
        await trio.sleep(10)
        assert await plane.node_of("consumer") == "n1"
        assert await volume_of(plane, "data") == "on-n1"

    with_control_plane(body)


def test_a_bound_claim_keeps_its_pod_where_the_volume_is() -> None:
    async def body(plane: ControlPlane) -> None:
        await start(plane, "n0", "n1")
        await add_class(plane, "now", delayed=False)
        await add_volume(plane, "on-n1", "n1", class_name="now")
        await add_claim(plane, "data", class_name="now")
        await trio.sleep(20)
        assert await volume_of(plane, "data") == "on-n1"
        for i in range(3):
            await add_pod(plane, f"p{i}", "data")
            assert await plane.node_of(f"p{i}") == "n1"
        await add_pod(plane, "elsewhere", "data", nodeSelector={ZONE: "n0"})
        assert "didn't match PersistentVolume's node affinity" in await plane.message("elsewhere")

    with_control_plane(body)


def test_two_claims_of_a_pod_are_bound_on_one_node_and_the_smallest_volumes_are_taken() -> None:
    async def body(plane: ControlPlane) -> None:
        await start(plane, "n0", "n1")
        await add_class(plane, "local")
        for name, node, size in (
            ("a", "n0", "1Gi"),
            ("b", "n1", "5Gi"),
            ("c", "n1", "2Gi"),
            ("d", "n1", "1Gi"),
        ):
            await add_volume(plane, name, node, size)
        await add_claim(plane, "large", "2Gi")
        await add_claim(plane, "small", "1Gi")
        await add_pod(plane, "consumer", "large", "small")
        await trio.sleep(10)
        assert await plane.node_of("consumer") == "n1"
        assert (await volume_of(plane, "large"), await volume_of(plane, "small")) == ("c", "d")

    with_control_plane(body)


def test_two_pods_do_not_get_one_volume() -> None:
    async def body(plane: ControlPlane) -> None:
        await start(plane, "n0", "n1")
        await add_class(plane, "local")
        await add_volume(plane, "only", None)
        for name in ("first", "second"):
            await add_claim(plane, name)
        async with trio.open_nursery() as nursery:
            for name in ("first", "second"):
                nursery.start_soon(add_pod, plane, name, name)
        await trio.sleep(15)
        placed = [name for name in ("first", "second") if await plane.node_of(name)]
        assert len(placed) == 1
        other = ({"first", "second"} - {*placed}).pop()
        assert "didn't find available persistent volumes to bind" in await plane.message(other)
        # What it waits for comes: it is tried again without another pod's help.
        await add_volume(plane, "another", None)
        await trio.sleep(20)
        assert await volume_of(plane, other) == "another"

    with_control_plane(body)


def test_pods_that_share_a_claim_meet_on_the_node_that_was_chosen_first() -> None:
    async def body(plane: ControlPlane) -> None:
        # Without a binder the first pod stays between its node and its binding.
        await start(plane, "n0", "n1", binder=False)
        await add_class(plane, "local")
        for node in ("n0", "n1"):
            await add_volume(plane, f"on-{node}", node)
            status = {"status": {"phase": "Available"}}
            await plane.client.patch(
                "persistentvolumes", f"on-{node}", status, subresource="status"
            )
        await add_claim(plane, "shared")
        await add_pod(plane, "first", "shared")
        volumes = [
            await plane.client.get("persistentvolumes", f"on-{node}") for node in ("n0", "n1")
        ]
        (chosen,) = [v for v in volumes if "claimRef" in v["spec"]]
        assert chosen["metadata"]["annotations"]["pv.kubernetes.io/bound-by-controller"] == "yes"
        node = chosen["metadata"]["name"].removeprefix("on-")
        other = {"n0": "n1", "n1": "n0"}[node]
        await add_pod(plane, "second", "shared", nodeSelector={ZONE: other})
        assert "didn't find available persistent volumes" in await plane.message("second")
        assert await plane.node_of("first") is None

    with_control_plane(body)


def test_a_provisioner_is_asked_for_the_node_and_a_refusal_tries_another_one() -> None:
    async def body(plane: ControlPlane) -> None:
        await start(plane, "n0", "n1")
        await add_class(plane, "made", provisioner="disks.example")
        await add_claim(plane, "data", class_name="made")
        await add_pod(plane, "consumer", "data")
        await trio.sleep(2)

        async def annotation() -> str | None:
            claim = await plane.client.get("persistentvolumeclaims", "data", NAMESPACE)
            annotations = claim["metadata"].get("annotations") or {}
            value: str | None = annotations.get("volume.kubernetes.io/selected-node")
            return value

        first = await annotation()
        assert first in {"n0", "n1"}
        assert await plane.node_of("consumer") is None
        # What the provisioner does when it cannot make a volume there.
        await plane.change_node(first, {"spec": {"unschedulable": True}})
        removal = {"metadata": {"annotations": {"volume.kubernetes.io/selected-node": None}}}
        await plane.client.patch("persistentvolumeclaims", "data", removal, NAMESPACE)
        await trio.sleep(20)
        assert await annotation() == {"n0": "n1", "n1": "n0"}[first]

    with_control_plane(body)


def test_allowed_topologies_say_where_volumes_can_be_made() -> None:
    async def body(plane: ControlPlane) -> None:
        await start(plane, "n0", "n1", "n2")
        term = {"matchLabelExpressions": [{"key": ZONE, "values": ["n2"]}]}
        await add_class(plane, "made", provisioner="disks.example", allowedTopologies=[term])
        await add_claim(plane, "data", class_name="made")
        await add_pod(plane, "consumer", "data")
        await trio.sleep(2)
        claim = await plane.client.get("persistentvolumeclaims", "data", NAMESPACE)
        assert claim["metadata"]["annotations"]["volume.kubernetes.io/selected-node"] == "n2"

    with_control_plane(body)


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        ("nothing", 'persistentvolumeclaim "data" not found'),
        ("immediate", "pod has unbound immediate PersistentVolumeClaims"),
        ("delayed", "didn't find available persistent volumes to bind"),
    ],
)
def test_why_a_pod_waits_for_its_claim_and_what_wakes_it(prepare: str, message: str) -> None:
    async def body(plane: ControlPlane) -> None:
        await start(plane, "n0", "n1")
        await add_class(plane, "local", delayed=prepare == "delayed")
        if prepare != "nothing":
            await add_claim(plane, "data")
        await add_pod(plane, "consumer", "data")
        assert message in await plane.message("consumer")
        if prepare == "nothing":
            await add_claim(plane, "data")
        await add_volume(plane, "late", None)
        await trio.sleep(40)
        assert await plane.node_of("consumer") is not None

    with_control_plane(body)


def test_a_claim_that_is_being_deleted_takes_no_more_pods() -> None:
    async def body(plane: ControlPlane) -> None:
        await start(plane, "n0")
        await add_class(plane, "local")
        await add_volume(plane, "v", None)
        await add_claim(plane, "data")
        await plane.client.patch(
            "persistentvolumeclaims", "data", {"metadata": {"finalizers": ["a/b"]}}, NAMESPACE
        )
        await plane.client.delete("persistentvolumeclaims", "data", NAMESPACE)
        await add_pod(plane, "consumer", "data")
        assert 'persistentvolumeclaim "data" is being deleted' in await plane.message("consumer")

    with_control_plane(body)


def test_an_ephemeral_claim_must_belong_to_the_pod() -> None:
    async def body(plane: ControlPlane) -> None:
        await start(plane, "n0")
        template = {
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
            }
        }
        volumes = [{"name": "tmp", "ephemeral": {"volumeClaimTemplate": template}}]
        await plane.add_pod("consumer", None, {"volumes": volumes})
        message = await plane.message("consumer")
        assert "waiting for ephemeral volume controller to create the persistentvolume" in message
        await add_claim(plane, "consumer-tmp")
        await trio.sleep(15)
        assert "(pod is not owner)" in await plane.message("consumer")

    with_control_plane(body)


def test_what_was_reserved_is_free_again_when_the_pod_is_deleted() -> None:
    async def body(plane: ControlPlane) -> None:
        await start(plane, "n0")
        await add_class(plane, "made", provisioner="disks.example")
        await add_claim(plane, "data", class_name="made")
        await add_pod(plane, "gone", "data")
        await plane.finish("gone")
        await trio.sleep(5)
        (scheduler,) = plane.schedulers
        assert scheduler.cycle.in_flight == 0

    with_control_plane(body)


def test_a_claim_that_comes_again_under_the_same_name_chooses_again() -> None:
    async def body(plane: ControlPlane) -> None:
        await start(plane, "n0")
        await add_class(plane, "local")
        await add_volume(plane, "first", None)
        await add_claim(plane, "data")
        await add_pod(plane, "consumer", "data")
        await trio.sleep(10)
        assert await volume_of(plane, "data") == "first"
        await plane.finish("consumer")
        free = {"metadata": {"finalizers": None}}
        await plane.client.patch("persistentvolumeclaims", "data", free, NAMESPACE)
        await plane.client.delete("persistentvolumeclaims", "data", NAMESPACE)
        await add_volume(plane, "second", None)
        await add_claim(plane, "data")
        await add_pod(plane, "consumer", "data")
        await trio.sleep(10)
        assert await volume_of(plane, "data") == "second"

    with_control_plane(body)
