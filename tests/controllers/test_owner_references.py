"""Owners are judged by all their coordinates: a UID under a wrong kind, name or scope is no owner.

The dependents of a living owner stay in every case, whatever other references carry its UID. Rules:
graph_builder.go and garbagecollector.go of kube-controller-manager.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from k8sactors import simulation
from k8sactors.api.errors import StatusError
from k8sactors.client import Client, is_not_found
from k8sactors.cluster import Cluster, ClusterSpec

Object = dict[str, Any]
MAPS, ROLES = "configmaps", "clusterroles.rbac.authorization.k8s.io"
SETTLED_S = 5
# A manager that is killed leaves its Lease to run out.
TAKEN_OVER_S = 40


def reference(owner: Object, **changes: Any) -> Object:
    stated = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
    }
    return {**stated, **changes}


def config_map(name: str, *references: Object, namespace: str = "default") -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "ownerReferences": list(references),
        },
    }


def cluster_role(name: str, *references: Object) -> Object:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name, "ownerReferences": list(references)},
        "rules": [],
    }


class Owners:
    """A cluster with a living owner, `parent`, and its rightful dependent, `valid`."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.parent: Object = {}

    async def set_up(self) -> None:
        self.parent = await self.create(config_map("parent"))
        await self.create(config_map("valid", reference(self.parent)))
        await trio.sleep(1)

    async def create(self, obj: Object) -> Object:
        resource = ROLES if obj["kind"] == "ClusterRole" else MAPS
        return await self.cluster.client.create(resource, obj, obj["metadata"].get("namespace"))

    async def get(
        self, name: str, resource: str = MAPS, namespace: str | None = "default"
    ) -> Object | None:
        try:
            return await self.cluster.client.get(
                resource, name, namespace if resource == MAPS else None
            )
        except StatusError as error:
            if is_not_found(error):
                return None
            raise

    async def delete(self, name: str, policy: str) -> None:
        await self.cluster.client.delete(MAPS, name, "default", propagationPolicy=policy)

    async def owners_of(self, name: str) -> list[Object]:
        found = await self.get(name)
        assert found is not None, f"{name} was deleted"
        owners: list[Object] = found["metadata"].get("ownerReferences") or []
        return owners

    async def restart_manager(self) -> None:
        """Lose what the collector knows, so that it meets the objects in another order."""
        self.stop_manager()
        await self.start_manager()

    def stop_manager(self) -> None:
        self.cluster.hosts["cp-1"].kill_actor("kube-controller-manager")

    async def start_manager(self) -> None:
        self.cluster.hosts["cp-1"].restart_actor("kube-controller-manager")
        await trio.sleep(TAKEN_OVER_S)

    async def warnings(self) -> list[str]:
        events = await self.cluster.client.list("events", "default")
        return [
            event["message"]
            for event in events["items"]
            if event["reason"] == "OwnerRefInvalidNamespace"
        ]


def run(body: Callable[[Owners], Awaitable[None]]) -> None:
    async def main() -> None:
        async with Cluster(ClusterSpec(topology="single", workers=1)) as cluster:
            owners = Owners(cluster)
            await owners.set_up()
            await body(owners)
            assert cluster.network.crashes == []

    simulation.run(main, seed=1)


WRONG = {
    "kind": {"kind": "Secret"},
    "kind and group": {"apiVersion": "apps/v1", "kind": "Deployment"},
    "kind of the cluster's scope": {"kind": "Node"},
    "name": {"name": "other"},
    "uid": {"uid": "0f0f0f0f-0000-4000-8000-000000000000"},
}


@pytest.mark.covers("CT-34")
@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG.keys())
def test_a_sole_owner_that_does_not_exist_as_stated_is_absent(changes: Object) -> None:
    async def body(owners: Owners) -> None:
        await owners.create(config_map("astray", reference(owners.parent, **changes)))
        await trio.sleep(SETTLED_S)
        assert await owners.get("astray") is None
        assert await owners.owners_of("valid") == [reference(owners.parent)]
        # Later dependents of the living owner are not taken for those of the absent one.
        await owners.create(config_map("late", reference(owners.parent)))
        await trio.sleep(SETTLED_S)
        assert await owners.owners_of("late") == [reference(owners.parent)]
        await owners.delete("parent", "Background")
        await trio.sleep(SETTLED_S)
        assert await owners.get("valid") is None
        assert await owners.get("late") is None

    run(body)


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG.keys())
def test_a_restarted_collector_keeps_valid_dependents_and_collects_the_others(
    changes: Object,
) -> None:
    async def body(owners: Owners) -> None:
        owners.stop_manager()
        # Names on both sides of `valid`, so that either may be what a virtual owner is made of.
        for name in ("astray", "zealous"):
            await owners.create(config_map(name, reference(owners.parent, **changes)))
        await owners.start_manager()
        assert await owners.get("astray") is None
        assert await owners.get("zealous") is None
        assert await owners.owners_of("valid") == [reference(owners.parent)]

    run(body)


@pytest.mark.parametrize(
    "changes",
    [{"apiVersion": "shop.example/v1"}, {"apiVersion": "v2"}, {"kind": "Basket"}],
    ids=["group", "version", "kind"],
)
def test_dependents_of_a_kind_that_is_not_served_are_left_alone(changes: Object) -> None:
    async def body(owners: Owners) -> None:
        unserved = reference(owners.parent, **changes)
        absent = reference(owners.parent, name="other")
        await owners.create(config_map("unknown", unserved))
        # What cannot be looked up may live: neither deleted nor relieved of its other owner.
        await owners.create(config_map("half-known", absent, unserved))
        await trio.sleep(SETTLED_S)
        await owners.restart_manager()
        assert await owners.owners_of("unknown") == [unserved]
        assert await owners.owners_of("half-known") == [absent, unserved]
        assert await owners.owners_of("valid") == [reference(owners.parent)]

    run(body)


def test_an_owner_in_another_namespace_is_absent_and_a_warning_says_so() -> None:
    async def body(owners: Owners) -> None:
        stranger = config_map("stranger", reference(owners.parent), namespace="kube-public")
        await owners.create(stranger)
        await trio.sleep(SETTLED_S)
        assert await owners.get("stranger", namespace="kube-public") is None
        assert await owners.owners_of("valid") == [reference(owners.parent)]
        events = await owners.cluster.client.list("events", "kube-public")
        [event] = [e for e in events["items"] if e["reason"] == "OwnerRefInvalidNamespace"]
        claimed = (
            "[v1/ConfigMap, namespace: kube-public, name: parent, "
            f"uid: {owners.parent['metadata']['uid']}]"
        )
        assert event["message"] == f'ownerRef {claimed} does not exist in namespace "kube-public"'
        assert event["type"] == "Warning"

    run(body)


def test_an_object_of_the_cluster_with_a_namespaced_owner_is_never_collected() -> None:
    async def body(owners: Owners) -> None:
        await owners.create(cluster_role("astray", reference(owners.parent)))
        await trio.sleep(SETTLED_S)
        uid = owners.parent["metadata"]["uid"]
        claimed = f"[v1/ConfigMap, namespace: , name: parent, uid: {uid}]"
        assert await owners.warnings() == [f'ownerRef {claimed} does not exist in namespace ""']
        await owners.delete("parent", "Background")
        await trio.sleep(SETTLED_S)
        assert await owners.get("valid") is None
        assert await owners.get("astray", ROLES) is not None

    run(body)


def test_an_owner_of_the_cluster_may_own_objects_of_any_namespace() -> None:
    async def body(owners: Owners) -> None:
        role = await owners.create(cluster_role("owner"))
        await owners.create(config_map("near", reference(role)))
        await owners.create(config_map("far", reference(role), namespace="kube-public"))
        await owners.restart_manager()
        assert await owners.get("near") is not None
        assert await owners.get("far", namespace="kube-public") is not None
        await owners.cluster.client.delete(ROLES, "owner", propagationPolicy="Background")
        await trio.sleep(SETTLED_S)
        assert await owners.get("near") is None
        assert await owners.get("far", namespace="kube-public") is None

    run(body)


def test_an_owner_may_be_named_in_any_version_in_which_it_is_served() -> None:
    async def body(owners: Owners) -> None:
        autoscaler = await owners.cluster.client.create(
            "horizontalpodautoscalers.autoscaling",
            {
                "apiVersion": "autoscaling/v2",
                "kind": "HorizontalPodAutoscaler",
                "metadata": {"name": "owner", "namespace": "default"},
                "spec": {
                    "scaleTargetRef": {
                        "apiVersion": "apps/v1",
                        "kind": "Deployment",
                        "name": "web",
                    },
                    "maxReplicas": 3,
                },
            },
            "default",
        )
        for version in ("v1", "v2"):
            stated = reference(autoscaler, apiVersion=f"autoscaling/{version}")
            await owners.create(config_map(version, stated))
        await owners.restart_manager()
        for version in ("v1", "v2"):
            [left] = await owners.owners_of(version)
            assert left["apiVersion"] == f"autoscaling/{version}"
        await owners.cluster.client.delete(
            "horizontalpodautoscalers.autoscaling", "owner", "default"
        )
        await trio.sleep(SETTLED_S)
        assert await owners.get("v1") is None
        assert await owners.get("v2") is None

    run(body)


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG.keys())
def test_of_two_owners_the_valid_one_keeps_the_dependent(changes: Object) -> None:
    async def body(owners: Owners) -> None:
        wrong = reference(owners.parent, **changes)
        second = await owners.create(config_map("second"))
        await owners.create(config_map("shared", wrong, reference(second)))
        await trio.sleep(SETTLED_S)
        assert await owners.owners_of("shared") == [reference(second)]
        assert await owners.owners_of("valid") == [reference(owners.parent)]
        await owners.delete("second", "Background")
        await trio.sleep(SETTLED_S)
        assert await owners.get("shared") is None
        assert await owners.get("valid") is not None

    run(body)


def test_the_valid_one_of_two_references_with_the_same_uid_stays() -> None:
    async def body(owners: Owners) -> None:
        valid, wrong = reference(owners.parent), reference(owners.parent, name="other")
        await owners.create(config_map("doubtful", wrong, valid))
        await trio.sleep(SETTLED_S)
        assert await owners.owners_of("doubtful") == [valid]
        await owners.delete("parent", "Background")
        await trio.sleep(SETTLED_S)
        assert await owners.get("doubtful") is None

    run(body)


def test_owners_that_the_informers_show_are_not_asked_for_after_a_restart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    get = Client.get

    async def record(self: Client, resource: str, name: str, *args: Any) -> Object:
        asked.append(name)
        return await get(self, resource, name, *args)

    async def body(owners: Owners) -> None:
        for number in range(20):
            owner = await owners.create(cluster_role(f"owner-{number}"))
            await owners.create(config_map(f"owned-{number}", reference(owner)))
        monkeypatch.setattr(Client, "get", record)
        await owners.restart_manager()
        assert [name for name in asked if name.startswith("owner-")] == []
        # Dependents are listed before their owners, so the collector has not seen those by then.
        await owners.cluster.client.delete(ROLES, "owner-7", propagationPolicy="Background")
        await trio.sleep(SETTLED_S)
        assert await owners.get("owned-7") is None

    run(body)


@pytest.mark.parametrize("policy", ["Background", "Foreground"])
@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG.keys())
def test_deletion_of_an_owner_takes_its_dependents_and_spares_those_of_others(
    changes: Object, policy: str
) -> None:
    async def body(owners: Owners) -> None:
        second = await owners.create(config_map("second"))
        wrong = reference(owners.parent, blockOwnerDeletion=True, **changes)
        held = config_map("held", reference(owners.parent, blockOwnerDeletion=True))
        held["metadata"]["finalizers"] = ["shop.example/hold"]
        await owners.create(held)
        await owners.create(config_map("shared", wrong, reference(second)))
        await owners.delete("parent", policy)
        await trio.sleep(SETTLED_S)
        # Its own dependents go; in the foreground it waits for the one that is held.
        assert await owners.get("valid") is None
        assert (await owners.get("parent") is not None) == (policy == "Foreground")
        assert await owners.owners_of("shared") == [reference(second)]
        await owners.cluster.client.patch(
            MAPS, "held", {"metadata": {"finalizers": None}}, "default"
        )
        await trio.sleep(SETTLED_S)
        assert await owners.get("held") is None
        assert await owners.get("parent") is None
        assert await owners.owners_of("shared") == [reference(second)]

    run(body)


def test_a_dependent_that_blocks_under_a_wrong_name_does_not_hold_its_owner() -> None:
    async def body(owners: Owners) -> None:
        blocking = reference(owners.parent, kind="Basket", blockOwnerDeletion=True)
        await owners.create(config_map("astray", blocking))
        await owners.delete("parent", "Foreground")
        await trio.sleep(SETTLED_S)
        assert await owners.get("parent") is None
        assert await owners.owners_of("astray") == [blocking]

    run(body)
