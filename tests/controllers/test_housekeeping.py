"""Namespaces, service accounts, pod ranges of nodes, pods without a node."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio

from k8sactors.controllers.manager import ControllerManagerConfig
from tests.controllers import harness
from tests.controllers.harness import World, bare_pod

Object = dict[str, Any]
SA = "serviceaccounts"


def only(*names: str, **options: Any) -> Any:
    return partial(harness.run, config=ControllerManagerConfig(names, options))


def namespace(name: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }


def node(name: str, **spec: Any) -> Object:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": spec}


@pytest.mark.covers("CT-05", "CT-11")
def test_every_namespace_gets_its_default_objects_back() -> None:
    async def body(world: World) -> None:
        world.put("namespaces", namespace("shop"))
        await trio.sleep(1)
        assert world.store.get(SA, "default", "shop") is not None
        world.store.remove(SA, "default", "shop")
        world.store.remove("configmaps", "kube-root-ca.crt", "shop")
        await trio.sleep(1)
        assert world.store.get(SA, "default", "shop") is not None
        assert "ca.crt" in world.store.get("configmaps", "kube-root-ca.crt", "shop")["data"]

    only("serviceaccount", "root-ca-certificate-publisher-controller")(body)


@pytest.mark.covers("CT-10")
def test_deleted_namespace_is_emptied_and_says_what_holds_it() -> None:
    async def body(world: World) -> None:
        world.put("namespaces", namespace("shop"))
        held = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "held", "namespace": "shop", "finalizers": ["shop.io/hold"]},
        }
        world.put("configmaps", held)
        world.put("secrets", {"metadata": {"name": "s", "namespace": "shop"}})
        world.put("secrets", {"metadata": {"name": "other", "namespace": "default"}})
        pod = bare_pod("p")
        pod["metadata"]["namespace"] = "shop"
        world.put("pods", pod)
        await trio.sleep(2)
        world.delete("namespaces", "shop")
        await trio.sleep(20)
        assert world.store.list("secrets", "shop") == []
        assert world.pods("shop") == []
        status = world.store.get("namespaces", "shop")["status"]
        assert status["phase"] == "Terminating"
        conditions = {each["type"]: each for each in status["conditions"]}
        assert conditions["NamespaceContentRemaining"]["message"] == (
            "Some resources are remaining: configmaps has 1 resource instances"
        )
        assert conditions["NamespaceFinalizersRemaining"]["message"] == (
            "Some content in the namespace has finalizers remaining: "
            "shop.io/hold in 1 resource instances"
        )
        world.store.remove("configmaps", "held", "shop")
        await trio.sleep(20)
        assert world.store.get("namespaces", "shop") is None
        assert len(world.store.list("secrets", "default")) == 1

    only("namespace")(body)


def test_nodes_get_ranges_that_never_overlap_and_are_used_again() -> None:
    async def body(world: World) -> None:
        world.put("nodes", node("old", podCIDR="10.244.1.0/24"))
        for name in ("a", "b", "c"):
            world.put("nodes", node(name))
        await trio.sleep(1)
        given = {n["metadata"]["name"]: n["spec"]["podCIDR"] for n in world.store.list("nodes")}
        assert len(set(given.values())) == 4
        assert "10.244.1.0/24" not in {given["a"], given["b"], given["c"]}
        world.stop_manager()
        world.store.remove("nodes", "b")
        world.start_manager()
        world.put("nodes", node("d"))
        await trio.sleep(1)
        assert world.store.get("nodes", "d")["spec"]["podCIDRs"] == [given["b"]]

    only("nodeipam")(body)


def test_a_full_address_space_serves_who_waits_when_a_node_goes() -> None:
    async def body(world: World) -> None:
        for name in ("a", "b", "c"):
            world.put("nodes", node(name))
        await trio.sleep(1)
        without = [n for n in world.store.list("nodes") if "podCIDR" not in n["spec"]]
        assert len(without) == 1
        assert world.events("CIDRNotAvailable")
        other = next(n for n in world.store.list("nodes") if "podCIDR" in n["spec"])
        world.store.remove("nodes", other["metadata"]["name"])
        await trio.sleep(1)
        assert all("podCIDR" in n["spec"] for n in world.store.list("nodes"))

    only("nodeipam", cluster_cidr="10.244.0.0/23")(body)


def test_pods_of_vanished_nodes_go_after_a_quarantine() -> None:
    async def body(world: World) -> None:
        world.put("nodes", node("node-1"))
        for name, where in (("kept", "node-1"), ("lost", "node-9")):
            pod = bare_pod(name)
            pod["spec"]["nodeName"] = where
            world.put("pods", pod)
        await trio.sleep(30)
        assert len(world.pods()) == 2
        await trio.sleep(40)
        assert [pod["metadata"]["name"] for pod in world.pods()] == ["kept"]

    only("podgc")(body)


def test_finished_pods_beyond_the_threshold_go_oldest_first() -> None:
    async def body(world: World) -> None:
        world.put("nodes", node("node-1"))
        for number in range(5):
            world.set_pod(world.put("pods", bare_pod(f"p{number}")), phase="Succeeded")
            await trio.sleep(1)
        await trio.sleep(25)
        assert [pod["metadata"]["name"] for pod in world.pods()] == ["p3", "p4"]

    only("podgc", terminated_pod_gc_threshold=2)(body)
