"""Server-side apply of subresources, of several versions, and of custom resources."""

from __future__ import annotations

from typing import Any

from k8sactors.api.kind import Kind, ScalePaths, Served
from k8sactors.api.schema import Schema
from tests.apiserver.apply import (
    DEPLOYMENTS,
    MAPS,
    apply,
    config_map,
    deployment,
    full_deployment,
    managers,
)


def test_a_status_is_applied_through_its_subresource(world: Any) -> None:
    container = {"name": "one", "image": "i:1"}
    body = {**full_deployment(container), "status": {"replicas": 7}}
    created = apply(world, body, resource=DEPLOYMENTS)
    assert "f:status" not in managers(created)["m1", "Apply"]
    status = {**deployment(replicas=9), "status": {"observedGeneration": 5}}
    applied = apply(world, status, "m2", DEPLOYMENTS, subresource="status")
    assert applied.code == 200
    assert applied.obj["status"]["observedGeneration"] == 5
    assert applied.obj["spec"]["replicas"] == 1
    assert managers(applied)["m2", "Apply"] == {"f:status": {"f:observedGeneration": {}}}
    entry = applied.obj["metadata"]["managedFields"][-1]
    assert (entry["manager"], entry["subresource"]) == ("m2", "status")
    status["status"] = {"observedGeneration": 6}
    refused = apply(world, status, "m3", DEPLOYMENTS, subresource="status")
    assert refused.status["message"] == (
        'Apply failed with 1 conflict: conflict with "m2" with subresource "status": '
        ".status.observedGeneration"
    )
    missing = world.do(
        "patch",
        DEPLOYMENTS,
        "default",
        "b",
        subresource="status",
        body={**deployment(), "metadata": {"name": "b"}},
        patchType="apply",
        fieldManager="m",
    )
    assert missing.code == 404


def scale(replicas: int) -> dict[str, Any]:
    return {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {"name": "a"},
        "spec": {"replicas": replicas},
    }


def test_replicas_are_applied_through_the_scale(world: Any) -> None:
    container = {"name": "one", "image": "i:1"}
    apply(world, full_deployment(container, replicas=2), resource=DEPLOYMENTS)
    refused = apply(world, scale(5), "m2", DEPLOYMENTS, subresource="scale")
    assert refused.status["message"] == (
        'Apply failed with 1 conflict: conflict with "m1": .spec.replicas'
    )
    forced = apply(world, scale(5), "m2", DEPLOYMENTS, subresource="scale", force=True)
    assert (forced.code, forced.obj["spec"]["replicas"]) == (200, 5)
    assert "managedFields" not in forced.obj["metadata"]
    found = world.do("get", DEPLOYMENTS, "default", "a")
    entry = next(each for each in found.obj["metadata"]["managedFields"] if each["manager"] == "m2")
    assert (entry["apiVersion"], entry["subresource"]) == ("apps/v1", "scale")
    assert entry["fieldsV1"] == {"f:spec": {"f:replicas": {}}}
    assert "f:replicas" not in managers(found)["m1", "Apply"]["f:spec"]
    again = apply(world, full_deployment(container, replicas=2), resource=DEPLOYMENTS)
    assert again.status["details"]["causes"][0]["message"] == (
        'conflict with "m2" with subresource "scale"'
    )
    updated = world.do(
        "patch",
        DEPLOYMENTS,
        "default",
        "a",
        subresource="scale",
        body={"spec": {"replicas": 7}},
        fieldManager="hpa",
    )
    assert updated.obj["spec"]["replicas"] == 7
    found = world.do("get", DEPLOYMENTS, "default", "a")
    assert managers(found)["hpa", "Update"] == {"f:spec": {"f:replicas": {}}}
    assert ("m2", "Apply") not in managers(found)


def test_each_manager_owns_in_its_own_version(world: Any) -> None:
    """A HorizontalPodAutoscaler has its CPU target in another field in v1 than in v2."""
    name = {"metadata": {"name": "a"}, "kind": "HorizontalPodAutoscaler"}
    target = {"kind": "Deployment", "name": "a", "apiVersion": "apps/v1"}
    old = {
        **name,
        "apiVersion": "autoscaling/v1",
        "spec": {"scaleTargetRef": target, "maxReplicas": 5, "targetCPUUtilizationPercentage": 50},
    }
    v1, v2 = "horizontalpodautoscalers.v1.autoscaling", "horizontalpodautoscalers.autoscaling"
    created = apply(world, old, "m1", v1)
    assert created.code == 201, created.status
    new = {**name, "apiVersion": "autoscaling/v2", "spec": {"maxReplicas": 6}}
    assert apply(world, new, "m2", v2).code == 409
    forced = apply(world, new, "m2", v2, force=True)
    assert forced.code == 200
    versions = {
        entry["manager"]: entry["apiVersion"] for entry in forced.obj["metadata"]["managedFields"]
    }
    assert versions == {"m1": "autoscaling/v1", "m2": "autoscaling/v2"}
    assert "f:maxReplicas" not in managers(forced)["m1", "Apply"]["f:spec"]
    metrics = [
        {
            "type": "Resource",
            "resource": {
                "name": "cpu",
                "target": {"type": "Utilization", "averageUtilization": 60},
            },
        }
    ]
    new["spec"] = {"maxReplicas": 6, "metrics": metrics}
    refused = apply(world, new, "m2", v2)
    causes = refused.status["details"]["causes"]
    assert [cause["field"] for cause in causes] == [".spec.targetCPUUtilizationPercentage"]


WIDGET = Kind(
    kind="Widget",
    plural="widgets",
    served=(Served("example.com", "v1"),),
    schema=Schema(
        {
            "properties": {
                "spec": {
                    "type": "object",
                    "properties": {
                        "items": {
                            "type": "array",
                            "x-kubernetes-list-type": "map",
                            "x-kubernetes-list-map-keys": ["k"],
                            "items": {
                                "type": "object",
                                "properties": {"k": {"type": "string"}, "v": {"type": "string"}},
                            },
                        },
                        "tags": {
                            "type": "array",
                            "x-kubernetes-list-type": "set",
                            "items": {"type": "string"},
                        },
                        "plain": {"type": "array", "items": {"type": "string"}},
                    },
                }
            }
        }
    ),
)


def widget(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "a"},
        "spec": spec,
    }


def test_custom_resources_merge_by_their_own_schema(world: Any) -> None:
    world.server.served.add_kind(WIDGET)
    world.run()
    first = widget(items=[{"k": "a", "v": "1"}], tags=["a"], plain=["a"])
    created = apply(world, first, "m1", "widgets")
    assert created.code == 201
    second = widget(items=[{"k": "b", "v": "2"}], tags=["b"])
    both = apply(world, second, "m2", "widgets").obj["spec"]
    assert both["items"] == [{"k": "a", "v": "1"}, {"k": "b", "v": "2"}]
    assert both["tags"] == ["a", "b"]
    refused = apply(world, widget(plain=["a", "b"]), "m2", "widgets")
    assert refused.status["details"]["causes"][0]["field"] == ".spec.plain"
    left = apply(world, widget(items=[]), "m1", "widgets").obj["spec"]
    assert (left["items"], left["tags"]) == ([{"k": "b", "v": "2"}], ["b"])
    assert "plain" not in left


def gadget(map_type: str, **served: Any) -> Kind:
    size = {"type": "integer"}
    options = {
        "type": "object",
        "x-kubernetes-map-type": map_type,
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
    }
    spec = {"type": "object", "properties": {"options": options, "size": size}}
    status = {"type": "object", "properties": {"size": size}}
    return Kind(
        kind="Widget",
        plural="widgets",
        served=(Served("example.com", "v1", **served),),
        subresources=("status", "scale") if served else (),
        schema=Schema({"properties": {"spec": spec, "status": status}}),
    )


def test_what_was_applied_in_another_version_is_removed(world: Any) -> None:
    name = {"metadata": {"name": "a"}, "kind": "HorizontalPodAutoscaler"}
    target = {"kind": "Deployment", "name": "a", "apiVersion": "apps/v1"}
    spec = {"scaleTargetRef": target, "maxReplicas": 5}
    v1, v2 = "horizontalpodautoscalers.v1.autoscaling", "horizontalpodautoscalers.autoscaling"
    old = {"minReplicas": 2, "targetCPUUtilizationPercentage": 50, **spec}
    created = apply(world, {**name, "apiVersion": "autoscaling/v1", "spec": old}, "m1", v1)
    assert (created.code, created.obj["spec"]["minReplicas"]) == (201, 2)
    new = {**name, "apiVersion": "autoscaling/v2", "spec": spec}
    applied = apply(world, new, "m1", v2)
    assert applied.code == 200
    # The default again; the CPU target stood in another field of the old version.
    assert applied.obj["spec"]["minReplicas"] == 1
    shown = world.do("get", v1, "default", "a")
    assert shown.obj["spec"].get("targetCPUUtilizationPercentage") != 50
    assert list(managers(applied)) == [("m1", "Apply")]


def test_a_manager_of_a_version_that_is_gone_has_no_fields(world: Any) -> None:
    created = apply(world, config_map({"k": "v"}))
    present = created.obj["metadata"]["managedFields"]
    gone = {**present[0], "apiVersion": "v0", "manager": "old"}
    operations = [{"op": "replace", "path": "/metadata/managedFields", "value": [gone, *present]}]
    patched = world.do("patch", MAPS, "default", "a", body=operations, patchType="json")
    assert (patched.code, list(managers(patched))) == (200, [("m1", "Apply")])


def test_ownership_follows_a_schema_that_changes(world: Any) -> None:
    before, after = gadget("granular"), gadget("atomic")
    world.server.served.add_kind(before)
    world.run()
    apply(world, widget(options={"a": "1"}), "m1", "widgets")
    both = apply(world, widget(options={"b": "2"}), "m2", "widgets")
    assert both.obj["spec"]["options"] == {"a": "1", "b": "2"}
    world.server.served.remove_kind(before)
    world.server.served.add_kind(after)
    world.run()
    refused = apply(world, widget(options={"b": "3"}), "m3", "widgets")
    causes = refused.status["details"]["causes"]
    assert [cause["field"] for cause in causes] == [".spec.options", ".spec.options"]
    forced = apply(world, widget(options={"b": "3"}), "m3", "widgets", force=True)
    assert forced.obj["spec"]["options"] == {"b": "3"}
    assert managers(forced) == {("m3", "Apply"): {"f:spec": {"f:options": {}}}}


def test_the_scale_of_a_custom_resource_is_owned_where_it_is(world: Any) -> None:
    world.server.served.add_kind(gadget("granular", scale=ScalePaths(".spec.size", ".status.size")))
    world.run()
    apply(world, widget(size=1), "m1", "widgets")
    refused = apply(world, scale(3), "m2", "widgets", subresource="scale")
    assert refused.status["details"]["causes"][0]["message"] == 'conflict with "m1"'
    assert apply(world, scale(3), "m2", "widgets", subresource="scale", force=True).code == 200
    found = world.do("get", "widgets", "default", "a")
    assert found.obj["spec"]["size"] == 3
    assert managers(found) == {("m2", "Apply"): {"f:spec": {"f:size": {}}}}
