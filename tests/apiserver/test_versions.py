"""One object in several versions, and kinds that a server is given."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from k8sactors.api import kinds
from k8sactors.api.scheme import Scheme

V1 = "horizontalpodautoscalers.v1.autoscaling"
V2 = "horizontalpodautoscalers.autoscaling"
MEMORY = {
    "type": "Resource",
    "resource": {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 70}},
}
CPU = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
}
REQUESTS = {
    "type": "Pods",
    "pods": {
        "metric": {"name": "requests", "selector": {"matchLabels": {"a": "b"}}},
        "target": {"type": "AverageValue", "averageValue": "1k"},
    },
}


def autoscaler(version: str, **spec: Any) -> dict[str, Any]:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    return {
        "apiVersion": f"autoscaling/{version}",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"},
        "spec": {"scaleTargetRef": target, "maxReplicas": 5, **spec},
    }


def test_both_versions_of_an_autoscaler_are_one_object(world: Any) -> None:
    body = autoscaler("v1", targetCPUUtilizationPercentage=50)
    created = world.do("create", V1, "default", body=body)
    assert (created.code, created.obj["apiVersion"]) == (201, "autoscaling/v1")
    assert created.obj["spec"]["targetCPUUtilizationPercentage"] == 50
    read = world.do("get", V2, "default", "web").obj
    assert read["apiVersion"] == "autoscaling/v2"
    assert read["spec"]["metrics"] == [CPU]
    assert read["metadata"]["uid"] == created.obj["metadata"]["uid"]
    again = world.do("create", V2, "default", body=autoscaler("v2"))
    assert again.status["reason"] == "AlreadyExists"
    assert world.do("delete", V2, "default", "web").code == 200
    assert world.do("get", V1, "default", "web").code == 404


def test_what_only_v2_can_say_survives_a_client_of_v1(world: Any) -> None:
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 60}}
    body = autoscaler("v2", metrics=[MEMORY, REQUESTS, CPU], behavior=behavior)
    created = world.do("create", V2, "default", body=body)
    assert created.code == 201
    old = world.do("get", V1, "default", "web").obj
    assert old["spec"]["targetCPUUtilizationPercentage"] == 50
    assert set(old["metadata"]["annotations"]) == {
        "autoscaling.alpha.kubernetes.io/metrics",
        "autoscaling.alpha.kubernetes.io/behavior",
    }
    assert (
        '{"name":"memory","targetAverageUtilization":70}'
        in (old["metadata"]["annotations"]["autoscaling.alpha.kubernetes.io/metrics"])
    )
    old["spec"]["maxReplicas"] = 9
    assert world.do("update", V1, "default", "web", body=old).code == 200
    new = world.do("get", V2, "default", "web").obj
    assert new["spec"]["metrics"] == [MEMORY, REQUESTS, CPU]
    assert new["spec"]["behavior"]["scaleDown"] == behavior["scaleDown"]
    assert new["spec"]["maxReplicas"] == 9
    assert "annotations" not in new["metadata"]


def test_a_patch_works_on_the_version_that_it_names(world: Any) -> None:
    world.do("create", V2, "default", body=autoscaler("v2", metrics=[MEMORY, CPU]))
    patch = {"spec": {"targetCPUUtilizationPercentage": 30}}
    patched = world.do("patch", V1, "default", "web", body=patch, patchType="merge")
    assert patched.code == 200
    metrics = world.do("get", V2, "default", "web").obj["spec"]["metrics"]
    assert metrics[0] == MEMORY
    assert metrics[1]["resource"]["target"]["averageUtilization"] == 30


def test_status_is_one_too(world: Any) -> None:
    created = world.do("create", V2, "default", body=autoscaler("v2", metrics=[CPU])).obj
    current = {"averageUtilization": 40, "averageValue": "400m"}
    condition = {"type": "AbleToScale", "status": "True"}
    created["status"] = {
        "currentReplicas": 2,
        "desiredReplicas": 3,
        "currentMetrics": [{"type": "Resource", "resource": {"name": "cpu", "current": current}}],
        "conditions": [condition],
    }
    stored = world.do("update", V2, "default", "web", subresource="status", body=created).obj
    old = world.do("get", V1, "default", "web", subresource="status").obj
    assert old["status"]["currentCPUUtilizationPercentage"] == 40
    assert "currentMetrics" not in old["status"]
    old["status"]["desiredReplicas"] = 4
    answer = world.do("update", V1, "default", "web", subresource="status", body=old)
    assert answer.code == 200
    new = world.do("get", V2, "default", "web").obj["status"]
    assert new == {**stored["status"], "desiredReplicas": 4}


def test_lists_and_watches_come_in_the_version_that_was_asked_for(world: Any) -> None:
    world.do("create", V2, "default", body=autoscaler("v2", metrics=[CPU]))
    listed = world.do("list", V1, "default")
    assert [item["apiVersion"] for item in listed.items] == ["autoscaling/v1"]
    watches = [world.watch(name, "default") for name in (V1, V2)]
    patch = {"spec": {"maxReplicas": 6}}
    world.do("patch", V2, "default", "web", body=patch, patchType="merge")
    old, new = (watch.objects for watch in watches)
    assert [each["apiVersion"] for each in old] == ["autoscaling/v1"] * 2
    assert [each["apiVersion"] for each in new] == ["autoscaling/v2"] * 2
    assert old[1]["spec"]["targetCPUUtilizationPercentage"] == 50
    assert old[1]["metadata"]["resourceVersion"] == new[1]["metadata"]["resourceVersion"]


EVENT = {
    "metadata": {"name": "e", "namespace": "default"},
    "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"},
    "message": "hello",
    "reason": "Started",
    "type": "Normal",
    "source": {"component": "kubelet", "host": "n"},
    "count": 3,
    "firstTimestamp": "2025-01-01T00:00:00Z",
}


def test_events_are_one_object_under_both_paths(world: Any) -> None:
    world.do("create", "events", "default", body=EVENT)
    read = world.do("get", "events.events.k8s.io", "default", "e").obj
    assert read["apiVersion"] == "events.k8s.io/v1"
    assert (read["note"], read["deprecatedCount"]) == ("hello", 3)
    assert read["regarding"]["name"] == "p"
    assert read["deprecatedSource"] == {"component": "kubelet", "host": "n"}
    assert "message" not in read
    body = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "n", "namespace": "default"},
        "eventTime": "2025-01-01T00:00:00.000000Z",
        "reportingController": "example.com/c",
        "reportingInstance": "c-1",
        "action": "Start",
        "reason": "Started",
        "regarding": {"kind": "Pod", "name": "q", "namespace": "default"},
        "note": "hi",
        "type": "Normal",
        "series": {"count": 2, "lastObservedTime": "2025-01-01T00:00:01.000000Z"},
    }
    assert world.do("create", "events.v1.events.k8s.io", "default", body=body).code == 201
    core = world.do("get", "events", "default", "n").obj
    assert (core["message"], core["reportingComponent"]) == ("hi", "example.com/c")
    assert core["involvedObject"]["name"] == "q"
    assert core["series"] == body["series"]


def test_each_version_has_its_own_field_labels(world: Any) -> None:
    world.do("create", "events", "default", body=EVENT)
    found = world.do("list", "events", fieldSelector="involvedObject.name=p")
    assert found.names == ["e"]
    found = world.do("list", "events.events.k8s.io", fieldSelector="regarding.name=p")
    assert found.names == ["e"]
    wrong = world.do("list", "events.events.k8s.io", fieldSelector="involvedObject.name=p")
    assert wrong.code == 400
    assert "events.k8s.io/v1, Resource=events" in wrong.status["message"]


WIDGET = """
from k8sactors.api.field_labels import SelectableFields, number
from k8sactors.api.kind import Kind, Served
from k8sactors.api.schema import Schema


def _check(obj, causes):
    if obj["size"] > 9:
        from k8sactors.api.errors import Cause
        causes.append(Cause("size", "FieldValueInvalid", "Invalid value: too big"))


KINDS = (
    Kind(
        kind="Widget",
        plural="widgets",
        served=(Served("example.com", "v1", default=lambda obj: {"size": 1, **obj}),),
        fields=SelectableFields({"size": number("size")}),
        check=_check,
        schema=Schema({"properties": {"size": {"type": "integer"}}}),
    ),
)
"""


def test_one_new_module_is_all_that_a_new_kind_needs(
    world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "widgets_of_a_test.py").write_text(WIDGET)
    monkeypatch.setattr(kinds, "__path__", [*kinds.__path__, str(tmp_path)])
    try:
        found = kinds.load_kinds()
    finally:
        sys.modules.pop("k8sactors.api.kinds.widgets_of_a_test", None)
    scheme = Scheme(info for kind in found for info in kind.infos())
    server = world.add_server(scheme)

    def create(name: str, **fields: Any) -> Any:
        body = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}}
        return world.do("create", "widgets", "default", body={**body, **fields}, server=server)

    assert create("a").obj["size"] == 1
    assert create("b", size=3).code == 201
    assert create("c", size=10).status["details"]["causes"][0]["field"] == "size"
    assert "unknown field" in create("d", colour="red").status["message"]
    listed = world.do("list", "widgets", "default", fieldSelector="size=3", server=server)
    assert listed.names == ["b"]
    assert world.watch("widgets.example.com", server=server).events == [
        ("ADDED", "a"),
        ("ADDED", "b"),
    ]
    assert world.do("get", "widgets", "default", "a").code == 404
    assert world.do("get", "pods", "default", "a", server=server).code == 404
