"""What lists, watches and field selectors answer."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def three(world: Any, make: Any) -> Any:
    for name in ("a", "b", "c"):
        world.do("create", "configmaps", "default", body=make.config_map(name))
    return world


@pytest.mark.parametrize("limit", [-1, 0, -500])
@pytest.mark.parametrize("version", [None, "0", "1000000"])
def test_a_limit_below_one_is_the_whole_list(three: Any, limit: int, version: str | None) -> None:
    options = {} if version in {None, "1000000"} else {"resourceVersion": version}
    if version == "1000000":
        options = {"resourceVersion": str(three.memory.revision)}
    listed = three.do("list", "configmaps", "default", limit=limit, **options)
    assert listed.names == ["a", "b", "c"]
    assert listed.payload[3] is None


def test_a_list_is_continued_without_a_version(three: Any) -> None:
    page = three.do("list", "configmaps", "default", limit=2)
    token = page.payload[3]
    wanted = {"limit": 2, "continue": token}
    refused = three.do(
        "list", "configmaps", "default", resourceVersion=str(page.revision), **wanted
    )
    assert refused.code == 400
    assert refused.status["message"] == (
        "specifying resource version is not allowed when using continue"
    )
    assert three.do("list", "configmaps", "default", **wanted).names == ["c"]
    at_zero = three.do("list", "configmaps", "default", resourceVersion="0", **wanted)
    assert at_zero.names == ["c"]


def names(world: Any, resource: str, selector: str) -> list[str]:
    found: list[str] = world.do("list", resource, fieldSelector=selector).names
    return found


def test_a_boolean_that_is_absent_is_false(world: Any, make: Any) -> None:
    world.do("create", "pods", "default", body=make.pod("inside"))
    outside = make.pod("outside")
    outside["spec"]["hostNetwork"] = True
    world.do("create", "pods", "default", body=outside)
    assert names(world, "pods", "spec.hostNetwork=false") == ["inside"]
    assert names(world, "pods", "spec.hostNetwork!=true") == ["inside"]
    assert names(world, "pods", "spec.hostNetwork=true") == ["outside"]
    for name, spec in (("open", {}), ("shut", {"unschedulable": True})):
        body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": spec}
        world.do("create", "nodes", body=body)
    assert names(world, "nodes", "spec.unschedulable=false") == ["open"]
    assert names(world, "nodes", "spec.unschedulable=true") == ["shut"]


def test_a_number_that_is_absent_is_zero(world: Any, make: Any) -> None:
    body = {**make.deployment("web"), "kind": "ReplicaSet"}
    world.do("create", "replicasets.apps", "default", body=body)
    assert names(world, "replicasets.apps", "status.replicas=0") == ["web"]
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "j"},
        "spec": {
            "selector": {"matchLabels": {"app": "j"}},
            "manualSelector": True,
            "template": {
                "metadata": {"labels": {"app": "j"}},
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [{"name": "c", "image": "registry.example/app:1"}],
                },
            },
        },
    }
    created = world.do("create", "jobs.batch", "default", body=job)
    assert created.code == 201
    assert names(world, "jobs.batch", "status.successful=0") == ["j"]
    finished = {**created.obj, "status": {"succeeded": 1}}
    world.do("update", "jobs.batch", "default", "j", subresource="status", body=finished)
    assert names(world, "jobs.batch", "status.successful=1") == ["j"]


def test_the_source_of_an_event_may_be_its_reporting_component(world: Any) -> None:
    event = {
        "metadata": {"name": "e", "namespace": "default"},
        "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"},
        "reportingComponent": "example.com/c",
    }
    world.do("create", "events", "default", body=event)
    assert names(world, "events", "source=example.com/c") == ["e"]


def test_endpoint_slices_count_their_generation(world: Any) -> None:
    resource = "endpointslices.discovery.k8s.io"
    body = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "s", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.0.0.1"]}],
    }
    created = world.do("create", resource, "default", body=body).obj
    assert created["metadata"]["generation"] == 1

    def generation(**patch: Any) -> int:
        answer = world.do("patch", resource, "default", "s", body=patch, patchType="merge")
        value: int = answer.obj["metadata"]["generation"]
        return value

    assert generation(metadata={"annotations": {"a": "b"}}) == 1
    assert generation(endpoints=[{"addresses": ["10.0.0.2"]}]) == 2
    assert generation(metadata={"labels": {"a": "b"}}) == 3


def test_a_name_is_looked_up_in_each_namespace(world: Any, make: Any) -> None:
    for namespace, name in (("default", "a"), ("kube-system", "a"), ("default", "b")):
        world.do("create", "configmaps", namespace, body=make.config_map(name))

    def found(namespace: str | None, **options: Any) -> list[tuple[str, str]]:
        items = world.do("list", "configmaps", namespace, **options).items
        return [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in items]

    selector = "metadata.name=a"
    assert found(None, fieldSelector=selector) == [("default", "a"), ("kube-system", "a")]
    assert found("default", fieldSelector=selector) == [("default", "a")]
    assert found("default", fieldSelector="metadata.name=z") == []
    assert found("default", fieldSelector=selector, labelSelector="app=web") == []
