"""What servers tell of custom resources: discovery, OpenAPI, tables."""

from __future__ import annotations

from typing import Any

from k8sactors.api.scheme import Scheme, builtin
from k8sactors.api.table import table
from k8sactors.apiextensions.kinds import kind_of
from k8sactors.gateway import discovery
from k8sactors.gateway.openapi import documents
from tests.apiextensions.definitions import definition, version, widget

SPEC = {
    "properties": {
        "size": {"type": "integer", "description": "How large.", "minimum": 1},
        "port": {"x-kubernetes-int-or-string": True},
        "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
    }
}


def scheme(*versions: dict[str, Any], **spec: Any) -> Scheme:
    defined = definition(*versions, **spec)
    names = {"singular": "widget", "listKind": "WidgetList", **defined["spec"]["names"]}
    defined["spec"]["names"] = names
    served = builtin()
    served.add(kind_of({**defined, "status": {"acceptedNames": names}}))
    return served


def test_versions_are_listed_as_clients_prefer_them() -> None:
    versions = [version(name, storage=name == "v1beta1") for name in ("v1beta1", "v2", "v1", "x")]
    found = discovery.document(scheme(*versions), "/apis/example.com")
    assert found is not None
    assert [each["version"] for each in found["versions"]] == ["v2", "v1", "v1beta1", "x"]
    assert found["preferredVersion"]["version"] == "v2"


def test_resources_have_their_names_and_subresources() -> None:
    names = {"shortNames": ["wg"], "categories": ["all"]}
    scale = {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n"}
    first = version("v1", subresources={"status": {}, "scale": scale})
    served = scheme(first, version("v2", storage=False), names=names)
    found = discovery.document(served, "/apis/example.com/v1")
    assert found is not None
    listed = {each["name"]: each for each in found["resources"]}
    assert list(listed) == ["widgets", "widgets/scale", "widgets/status"]
    assert listed["widgets"]["shortNames"] == ["wg"]
    assert listed["widgets"]["categories"] == ["all"]
    assert listed["widgets/scale"]["kind"] == "Scale"
    second = discovery.document(served, "/apis/example.com/v2")
    assert second is not None
    assert [each["name"] for each in second["resources"]] == ["widgets"]


def test_each_version_has_its_schema_in_openapi() -> None:
    served = scheme(version("v1", spec=SPEC), version("v2", storage=False))
    document = documents.version_3(served, "example.com/v1")
    form = document["components"]["schemas"]["com.example.v1.Widget"]
    spec = form["properties"]["spec"]["properties"]
    assert spec["size"] == {"type": "integer", "description": "How large.", "minimum": 1}
    assert spec["tags"]["x-kubernetes-list-type"] == "set"
    assert spec["port"]["x-kubernetes-int-or-string"] is True
    assert form["x-kubernetes-group-version-kind"] == [
        {"group": "example.com", "version": "v1", "kind": "Widget"}
    ]
    assert "/apis/example.com/v1/namespaces/{namespace}/widgets/{name}" in document["paths"]
    other = documents.version_3(served, "example.com/v2")
    assert "spec" not in other["components"]["schemas"]["com.example.v2.Widget"]["properties"]
    older = documents.version_2(served)["definitions"]["com.example.v1.Widget"]
    assert "size" in older["properties"]["spec"]["properties"]


def test_tables_have_the_columns_of_the_definition() -> None:
    columns = [
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
        {"name": "First", "type": "string", "jsonPath": ".spec.list[0].k", "priority": 1},
        {"name": "Ready", "type": "string", "jsonPath": '.c[?(@.type=="Ready")].status'},
        {"name": "All", "type": "string", "jsonPath": ".spec.list[*].k"},
        {"name": "Map", "type": "string", "jsonPath": ".spec.map"},
        {"name": "Dotted", "type": "string", "jsonPath": ".metadata.labels['a.b/c']"},
        {"name": "Since", "type": "date", "jsonPath": ".spec.since"},
        {"name": "Wrong", "type": "integer", "jsonPath": ".metadata.name"},
        {"name": "Missing", "type": "string", "jsonPath": ".spec.nope"},
    ]
    served = scheme(version(additionalPrinterColumns=columns))
    obj = widget(
        metadata={"labels": {"a.b/c": "d"}},
        spec={
            "size": 3,
            "list": [{"k": "v"}, {"k": "w"}],
            "map": {"a": 1},
            "since": "1970-01-01T00:00:00Z",
        },
        c=[{"type": "Other", "status": "False"}, {"type": "Ready", "status": "True"}],
    )
    info = served.kind("example.com/v1", "Widget")
    shown = table("meta.k8s.io/v1", info.columns, [obj], {}, 90 * 10**9)
    cells = shown["rows"][0]["cells"]
    assert cells == ["a", 3, "v", "True", "v w", '{"a":1}', "d", "90s", None, None]
    assert shown["columnDefinitions"][2]["priority"] == 1


def test_without_columns_a_table_has_the_age() -> None:
    info = scheme().kind("example.com/v1", "Widget")
    assert [(each.name, each.type) for each in info.columns] == [
        ("Name", "string"),
        ("Age", "date"),
    ]
