"""OpenAPI documents, as they are made from a scheme."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from k8sactors.api.kind import Kind, Served
from k8sactors.api.schema import Schema
from k8sactors.api.scheme import Scheme, builtin
from k8sactors.gateway import paths
from k8sactors.gateway.openapi.documents import group_paths, version_2, version_3
from k8sactors.gateway.openapi.operations import operations

POD = {"group": "", "version": "v1", "kind": "Pod"}
WIDGET = Kind(
    kind="Widget",
    plural="widgets",
    served=(Served("example.com", "v1"),),
    schema=Schema(
        {"properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}}
    ),
)


@pytest.fixture(scope="module")
def scheme() -> Scheme:
    scheme = builtin()
    scheme.add(WIDGET)
    return scheme


def references(value: Any) -> Iterator[tuple[dict[str, Any], str]]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value, value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_every_reference_of_a_document_is_defined_in_it(scheme: Scheme) -> None:
    document = version_2(scheme)
    for _, name in references(document):
        assert name.removeprefix("#/definitions/") in document["definitions"]
    for api_version in group_paths(scheme).values():
        document = version_3(scheme, api_version)
        for holder, name in references(document):
            assert name.removeprefix("#/components/schemas/") in document["components"]["schemas"]
            # OpenAPI 3.0 ignores what stands next to a reference.
            assert list(holder) == ["$ref"]


def test_every_path_is_one_that_the_server_understands(scheme: Scheme) -> None:
    seen: set[str] = set()
    for info in scheme.resources():
        for operation in operations(info):
            path = operation.path.replace("{name}", "n").replace("{namespace}", "ns")
            target = paths.parse_target(scheme, path)
            assert (target.info, target.subresource) == (info, operation.subresource)
            verb = paths.verb_of(operation.action.method.upper(), target, {})
            assert verb in {*info.verbs, "get", "update", "patch", "create"}
            assert operation.name not in seen
            seen.add(operation.name)


def test_an_operation_says_what_it_is_about_and_takes(scheme: Scheme) -> None:
    for document, base in ((version_2(scheme), "v2"), (version_3(scheme, "v1"), "v3")):
        item = document["paths"]["/api/v1/namespaces/{namespace}/pods/{name}"]
        assert [each["name"] for each in item["parameters"]] == ["name", "namespace"]
        assert set(item) == {"get", "put", "patch", "delete", "parameters"}
        patch = item["patch"]
        assert patch["operationId"] == "patchCoreV1NamespacedPod"
        assert (patch["x-kubernetes-action"], patch["tags"]) == ("patch", ["core_v1"])
        assert patch["x-kubernetes-group-version-kind"] == POD
        # kubectl looks for these before it uses them.
        assert {"dryRun", "fieldValidation"} <= {each["name"] for each in patch["parameters"]}
        consumes = patch["consumes"] if base == "v2" else list(patch["requestBody"]["content"])
        assert "application/strategic-merge-patch+json" in consumes
        listed = document["paths"]["/api/v1/pods"]["get"]
        assert listed["operationId"] == "listCoreV1PodForAllNamespaces"
        assert listed["x-kubernetes-action"] == "list"
        bound = document["paths"]["/api/v1/namespaces/{namespace}/pods/{name}/eviction"]["post"]
        assert bound["x-kubernetes-group-version-kind"]["kind"] == "Eviction"


def test_types_are_those_of_the_dialect(scheme: Scheme) -> None:
    second = version_2(scheme)["definitions"]
    third = version_3(scheme, "v1")["components"]["schemas"]
    container = "io.k8s.api.core.v1.Container"
    assert second[container]["properties"]["ports"]["x-kubernetes-patch-merge-key"] == (
        "containerPort"
    )
    assert third[container]["properties"]["args"]["type"] == "array"
    assert "enum" not in second["io.k8s.api.core.v1.ConfigMap"]["properties"]["kind"]
    port = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
    assert (second[port]["type"], second[port]["format"]) == ("string", "int-or-string")
    assert third[port]["oneOf"] == [{"type": "integer"}, {"type": "string"}]
    metadata = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
    for schemas, prefix in ((second, "#/definitions/"), (third, "#/components/schemas/")):
        reference = schemas["io.k8s.api.core.v1.Pod"]["properties"]["metadata"]
        assert reference["description"]
        found = reference if "$ref" in reference else reference["allOf"][0]
        assert found["$ref"] == prefix + metadata


def test_a_custom_resource_is_described_by_its_own_schema(scheme: Scheme) -> None:
    document = version_3(scheme, "example.com/v1")
    schemas = document["components"]["schemas"]
    assert schemas["com.example.v1.Widget"]["properties"]["spec"]["properties"] == {
        "size": {"type": "integer"}
    }
    items = schemas["com.example.v1.WidgetList"]["properties"]["items"]["items"]
    assert items == {"$ref": "#/components/schemas/com.example.v1.Widget"}
    assert "/apis/example.com/v1/namespaces/{namespace}/widgets/{name}" in document["paths"]
