"""Endpoints and EndpointSlices follow the pods behind a Service."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio

from k8sactors.controllers.endpointslice.plan import SlicePlan, endpoint_key, fit
from k8sactors.controllers.manager import ControllerManagerConfig
from tests.controllers import harness
from tests.controllers.harness import World, bare_pod

Object = dict[str, Any]
CONFIG = ControllerManagerConfig(controllers=("endpoints-controller", "endpointslice-controller"))
run = partial(harness.run, config=CONFIG)
SLICES = "endpointslices.discovery.k8s.io"


def service(name: str = "web", **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default", "labels": {"team": "x"}},
        "spec": {
            "clusterIP": "10.96.0.7",
            "selector": {"app": "web"},
            "ports": [{"port": 80, "targetPort": 8080, "protocol": "TCP"}],
            **spec,
        },
    }


def endpoints(world: World, name: str = "web") -> list[Object]:
    found = world.store.get("endpoints", name, "default")
    assert found is not None
    return found.get("subsets", [])


def names(addresses: list[Object] | None) -> list[str]:
    return sorted(address["targetRef"]["name"] for address in addresses or [])


def conditions(world: World) -> dict[str, Object]:
    return {
        endpoint["targetRef"]["name"]: endpoint["conditions"]
        for each in world.store.list(SLICES)
        for endpoint in each["endpoints"]
    }


UP = {"ready": True, "serving": True, "terminating": False}
DOWN = {"ready": False, "serving": False, "terminating": False}


@pytest.mark.covers("CT-04", "CT-09")
def test_ready_and_unready_pods_are_listed_apart_and_move() -> None:
    async def body(world: World) -> None:
        world.make_ready = lambda pod: pod["metadata"]["name"] != "b"
        world.put("services", service())
        for name in ("a", "b"):
            world.put("pods", bare_pod(name))
        await trio.sleep(2)
        [subset] = endpoints(world)
        assert names(subset["addresses"]) == ["a"]
        assert names(subset["notReadyAddresses"]) == ["b"]
        assert subset["ports"] == [{"port": 8080, "protocol": "TCP"}]
        assert conditions(world) == {"a": UP, "b": DOWN}
        [each] = world.store.list(SLICES)
        assert each["ports"] == [{"name": "", "port": 8080, "protocol": "TCP"}]
        assert each["metadata"]["labels"] == {
            "team": "x",
            "kubernetes.io/service-name": "web",
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        }
        world.set_pod(world.store.get("pods", "b", "default"))
        await trio.sleep(1)
        assert names(endpoints(world)[0]["addresses"]) == ["a", "b"]
        assert conditions(world) == {"a": UP, "b": UP}

    run(body)


def test_terminating_pods_leave_endpoints_at_once_and_stay_serving_in_slices() -> None:
    async def body(world: World) -> None:
        world.put("services", service())
        for name in ("stay", "leave", "done"):
            world.put("pods", bare_pod(name))
        await trio.sleep(2)
        world.kubelet_runs = False
        world.store.edit(
            "pods", "leave", "default", metadata={"deletionTimestamp": "2025-01-01T00:00:03Z"}
        )
        world.store.edit("pods", "done", "default", status={"phase": "Succeeded"})
        await trio.sleep(1)
        assert names(endpoints(world)[0]["addresses"]) == ["stay"]
        assert conditions(world) == {
            "stay": UP,
            "leave": {"ready": False, "serving": True, "terminating": True},
        }

    run(body)


def test_named_ports_that_differ_make_subsets_and_slices_of_their_own() -> None:
    async def body(world: World) -> None:
        port = {"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}
        world.put("services", service(ports=[port]))
        for name, number in (("a", 8080), ("b", 9090), ("c", None)):
            pod = bare_pod(name)
            if number:
                pod["spec"]["containers"][0]["ports"] = [{"name": "http", "containerPort": number}]
            world.put("pods", pod)
        await trio.sleep(2)
        assert [(names(s["addresses"]), s["ports"][0]["port"]) for s in endpoints(world)] == [
            (["a"], 8080),
            (["b"], 9090),
        ]
        listed = {
            (names(each["endpoints"])[0], each["ports"][0]["port"] if each["ports"] else None)
            for each in world.store.list(SLICES)
        }
        assert listed == {("a", 8080), ("b", 9090), ("c", None)}

    run(body)


def test_a_service_without_pods_has_empty_endpoints_and_one_empty_slice() -> None:
    async def body(world: World) -> None:
        world.put("services", service("lonely"))
        world.put("services", service("outside", type="ExternalName"))
        world.put("services", service("manual", selector=None))
        await trio.sleep(1)
        assert endpoints(world, "lonely") == []
        [each] = world.store.list(SLICES)
        assert each["endpoints"] == []
        assert len(world.store.list("endpoints")) == 1
        world.put("pods", bare_pod("a"))
        await trio.sleep(2)
        assert len(world.store.list(SLICES)) == 1
        assert conditions(world) == {"a": UP}
        world.store.remove("pods", "a", "default")
        await trio.sleep(1)
        [empty] = world.store.list(SLICES)
        assert empty["metadata"]["name"] == each["metadata"]["name"]
        assert empty["endpoints"] == []

    run(body)


def test_headless_services_are_labelled_and_name_their_pods() -> None:
    async def body(world: World) -> None:
        world.put("services", service("peers", clusterIP="None"))
        for name, subdomain in (("a", "peers"), ("b", "other")):
            pod = bare_pod(name)
            pod["spec"] |= {"hostname": f"host-{name}", "subdomain": subdomain}
            world.put("pods", pod)
        await trio.sleep(2)
        found = world.store.get("endpoints", "peers", "default")
        assert found["metadata"]["labels"]["service.kubernetes.io/headless"] == ""
        hostnames = {
            a["targetRef"]["name"]: a.get("hostname")
            for a in endpoints(world, "peers")[0]["addresses"]
        }
        assert hostnames == {"a": "host-a", "b": None}

    run(body)


@pytest.mark.covers("CT-26", "CT-27")
def test_endpoints_deleted_by_hand_come_back_and_go_with_their_service() -> None:
    async def body(world: World) -> None:
        world.put("services", service())
        world.put("pods", bare_pod("a"))
        await trio.sleep(2)
        world.store.remove("endpoints", "web", "default")
        [each] = world.store.list(SLICES)
        world.store.remove(SLICES, each["metadata"]["name"], "default")
        await trio.sleep(1)
        assert names(endpoints(world)[0]["addresses"]) == ["a"]
        assert conditions(world) == {"a": UP}
        world.stop_manager()
        world.store.remove("services", "web", "default")
        world.start_manager()
        await trio.sleep(1)
        assert world.store.list("endpoints") == []

    run(body)


def test_many_endpoints_fill_slices_of_a_hundred_without_duplicates() -> None:
    async def body(world: World) -> None:
        world.put("services", service())
        for number in range(230):
            world.put("pods", bare_pod(f"p{number}"))
        await trio.sleep(3)
        slices = world.store.list(SLICES)
        assert max(len(each["endpoints"]) for each in slices) <= 100
        listed = [e["targetRef"]["name"] for each in slices for e in each["endpoints"]]
        assert sorted(listed) == sorted(f"p{number}" for number in range(230))
        world.kubelet_runs = False
        world.store.remove("pods", "p7", "default")
        await trio.sleep(1)
        assert len(conditions(world)) == 229

    run(body)


def test_new_endpoints_go_where_a_write_is_due_anyway() -> None:
    def endpoint(number: int) -> Object:
        return {"addresses": [f"10.0.0.{number}"], "targetRef": {"uid": str(number)}}

    base = {"metadata": {"labels": {}, "ownerReferences": []}, "ports": []}
    half = {"metadata": {"name": "half"}, "endpoints": [endpoint(n) for n in range(50)]}
    torn = {"metadata": {"name": "torn"}, "endpoints": [endpoint(n) for n in range(50, 60)]}
    desired = {endpoint_key(endpoint(n)): endpoint(n) for n in [*range(50), *range(52, 62)]}
    plan = SlicePlan()
    fit([half, torn], desired, base, plan)
    [updated] = plan.update
    assert updated["metadata"]["name"] == "torn"
    assert [e["targetRef"]["uid"] for e in updated["endpoints"]] == [str(n) for n in range(52, 62)]
    assert plan.create == []
    assert plan.delete == []
