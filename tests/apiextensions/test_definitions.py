"""Definitions: what is refused, in the words of the real server."""

from __future__ import annotations

from typing import Any

import pytest

PATH = "spec.versions[0].schema.openAPIV3Schema"


def test_names_are_completed(custom: Any) -> None:
    answer = custom.do("create", "customresourcedefinitions", body=custom.definition())
    names = answer.obj["spec"]["names"]
    assert (names["singular"], names["listKind"]) == ("widget", "WidgetList")
    assert answer.obj["spec"]["conversion"] == {"strategy": "None"}


@pytest.mark.parametrize(
    ("change", "field", "text"),
    [
        ({"scope": "Galactic"}, "spec.scope", 'supported values: "Cluster", "Namespaced"'),
        ({"group": "flat"}, "spec.group", "should be a domain with at least one dot"),
        ({"group": "x.k8s.io"}, "metadata.annotations[api-approved.kubernetes.io]", "protected"),
        ({"preserveUnknownFields": True}, "spec.preserveUnknownFields", "cannot set to true"),
        ({"versions": []}, "spec.versions", "must have exactly one version marked as storage"),
        ({"names": {"kind": "Bad_Kind"}}, "spec.names.kind", "may have mixed case"),
        ({"names": {"shortNames": ["W"]}}, "spec.names.shortNames[0]", "DNS-1035"),
        ({"names": {"listKind": "Widget"}}, "spec.names.listKind", "may not be the same"),
        ({"conversion": {"strategy": "X"}}, "spec.conversion.strategy", '"None", "Webhook"'),
        (
            {
                "conversion": {
                    "strategy": "Webhook",
                    "webhook": {
                        "clientConfig": {"url": "http://x/"},
                        "conversionReviewVersions": ["v1"],
                    },
                }
            },
            "spec.conversion.webhook.clientConfig.url",
            "'https' is the only allowed URL scheme",
        ),
        (
            {
                "conversion": {
                    "strategy": "Webhook",
                    "webhook": {
                        "clientConfig": {"url": "https://x/"},
                        "conversionReviewVersions": ["v9"],
                    },
                }
            },
            "spec.conversion.webhook.conversionReviewVersions",
            "must include at least one of v1, v1beta1",
        ),
        (
            {"conversion": {"strategy": "Webhook"}},
            "spec.conversion.webhook.clientConfig",
            "required when strategy is set to Webhook",
        ),
    ],
)
def test_a_definition_is_refused(
    custom: Any, change: dict[str, Any], field: str, text: str
) -> None:
    causes = dict(custom.refused(custom.definition(**change)))
    assert text in causes[field]


def test_the_name_is_plural_and_group(custom: Any) -> None:
    body = custom.definition()
    body["metadata"]["name"] = "gadgets.example.com"
    text = 'Invalid value: "gadgets.example.com": must be spec.names.plural+"."+spec.group'
    assert custom.refused(body) == [("metadata.name", text)]


def test_versions_are_checked(custom: Any) -> None:
    versions = [custom.version("v1"), custom.version("v1", storage=True)]
    causes = dict(custom.refused(custom.definition(*versions)))
    assert "must have exactly one version marked as storage version" in causes["spec.versions"]
    version = custom.version("v1")
    del version["schema"]
    causes = dict(custom.refused(custom.definition(version)))
    assert causes[PATH] == "Required value: schemas are required"


@pytest.mark.parametrize(
    ("more", "field", "text"),
    [
        (
            {"additionalPrinterColumns": [{"name": "X", "type": "colour", "jsonPath": ".x"}]},
            "additionalPrinterColumns[0].type",
            "must be one of boolean,date,integer,number,string",
        ),
        (
            {"additionalPrinterColumns": [{"name": "X", "type": "string", "jsonPath": "[a"}]},
            "additionalPrinterColumns[0].JSONPath",
            "is an invalid path",
        ),
        (
            {
                "subresources": {
                    "scale": {"specReplicasPath": "replicas", "statusReplicasPath": ".status.x"}
                }
            },
            "subresources.scale.specReplicasPath",
            "must be a json path",
        ),
        (
            {
                "subresources": {
                    "scale": {"specReplicasPath": ".status.x", "statusReplicasPath": ".status.x"}
                }
            },
            "subresources.scale.specReplicasPath",
            "should be a json path under .spec",
        ),
        (
            {"selectableFields": [{"jsonPath": ".spec.x"}]},
            "selectableFields[0].jsonPath",
            "must point to a field of type string, boolean or integer",
        ),
    ],
)
def test_parts_of_a_version_are_checked(
    custom: Any, more: dict[str, Any], field: str, text: str
) -> None:
    version = custom.version(spec={}, **more)
    causes = dict(custom.refused(custom.definition(version)))
    assert text in causes[f"spec.versions[0].{field}"]


SPEC = f"{PATH}.properties[spec]"


@pytest.mark.parametrize(
    ("spec", "field", "text"),
    [
        ({"properties": {"x": {}}}, ".properties[x].type", "must not be empty for specified"),
        ({"properties": {"x": {"type": "float"}}}, ".properties[x].type", "Unsupported value"),
        ({"properties": {"x": {"type": "array"}}}, ".properties[x].items", "must be specified"),
        ({"additionalProperties": False}, ".additionalProperties", "cannot be set to false"),
        (
            {"properties": {"x": {"type": "string"}}, "additionalProperties": {"type": "string"}},
            ".additionalProperties",
            "additionalProperties and properties are mutual exclusive",
        ),
        ({"x-kubernetes-preserve-unknown-fields": False}, ".x-kubernetes-preserve-unknown-fields",
         "must be true or undefined"),
        ({"allOf": [{"type": "object"}]}, ".allOf[0].type", "must be empty to be structural"),
        (
            {"properties": {"x": {"type": "string", "pattern": "("}}},
            ".properties[x].pattern",
            "must be a valid regular expression",
        ),
        (
            {"properties": {"x": {"type": "integer", "default": "a"}}},
            ".properties[x].default",
            "must be of type integer",
        ),
        (
            {"properties": {"x": {"type": "string", "x-kubernetes-list-type": "set"}}},
            ".properties[x].type",
            "must be array if x-kubernetes-list-type is specified",
        ),
        (
            {
                "properties": {
                    "x": {
                        "type": "array",
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["k"],
                        "items": {"type": "object", "properties": {"k": {"type": "string"}}},
                    }
                }
            },
            ".properties[x].items.properties[k].default",
            "it must have a default or be a required property",
        ),
    ],
)  # fmt: skip
def test_a_schema_must_be_structural(
    custom: Any, spec: dict[str, Any], field: str, text: str
) -> None:
    causes = dict(custom.refused(custom.definition(custom.version(spec=spec))))
    assert text in causes[f"{SPEC}{field}"]


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "string"}, "must be object at the root"),
        ({}, "must not be empty at the root"),
    ],
)
def test_the_root_is_an_object(custom: Any, schema: dict[str, Any], text: str) -> None:
    causes = dict(custom.refused(custom.definition(custom.version(schema=schema))))
    assert text in causes[f"{PATH}.type"]


def test_deep_and_huge_schemas_are_refused(custom: Any) -> None:
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(130):
        deep = {"type": "array", "items": deep}
    version = custom.version(spec={"properties": {"x": deep}})
    assert custom.refused(custom.definition(version)) == [
        (PATH, "Forbidden: must not be nested more than 100 levels deep")
    ]
    wide = {f"f{number}": {"type": "string"} for number in range(20_001)}
    version = custom.version(spec={"properties": wide})
    assert custom.refused(custom.definition(version)) == [
        (PATH, "Forbidden: must not have more than 20000 schemas in it")
    ]


@pytest.mark.parametrize(
    ("rule", "field", "text"),
    [
        ({"rule": ""}, "rule", "rule is not specified"),
        ({"rule": "self.x >"}, "rule", "compilation failed: ERROR: <input>:1:9: Syntax error"),
        ({"rule": "self.y == 1"}, "rule", "<input>:1:5: undefined field 'y'"),
        ({"rule": "self.l.all(i, i.z == 1)"}, "rule", "undefined field 'z'"),
        ({"rule": "'a'"}, "rule", "cel expression must evaluate to a bool"),
        ({"rule": "true", "message": " "}, "message", "message must be non-empty if specified"),
        ({"rule": "true", "reason": "Because"}, "reason", "Unsupported value"),
        ({"rule": "true", "fieldPath": ".y"}, "fieldPath", "does not refer to a valid field"),
        ({"rule": "true", "messageExpression": "1"}, "rule", "must evaluate to a string"),
    ],
)
def test_rules_are_compiled_when_they_are_defined(
    custom: Any, rule: dict[str, Any], field: str, text: str
) -> None:
    items = {"type": "object", "properties": {"k": {"type": "integer"}}}
    spec = {
        "properties": {"x": {"type": "integer"}, "l": {"type": "array", "items": items}},
        "x-kubernetes-validations": [rule],
    }
    causes = dict(custom.refused(custom.definition(custom.version(spec=spec))))
    assert text in causes[f"{SPEC}.x-kubernetes-validations[0].{field}"]


def test_scope_kind_and_plural_of_an_established_definition_stay(custom: Any) -> None:
    custom.define()
    patch = {"spec": {"scope": "Cluster", "names": {"kind": "Gadget"}, "group": "other.com"}}
    answer = custom.do(
        "patch", "customresourcedefinitions", "widgets.example.com", body=patch, namespace=None
    )
    causes = dict(custom.causes(answer))
    assert causes["spec.scope"] == 'Invalid value: "Cluster": field is immutable'
    assert causes["spec.names.kind"] == 'Invalid value: "Gadget": field is immutable'
    assert causes["spec.group"] == 'Invalid value: "other.com": field is immutable'


def test_a_version_that_was_stored_may_not_vanish(custom: Any) -> None:
    custom.define(custom.version("v1"), custom.version("v2", storage=False))
    patch = {"spec": {"versions": [custom.version("v2")]}}
    answer = custom.do(
        "patch", "customresourcedefinitions", "widgets.example.com", body=patch, namespace=None
    )
    assert "missing from spec.versions" in dict(custom.causes(answer))["status.storedVersions[0]"]


def dear(limit: dict[str, Any]) -> dict[str, Any]:
    """A schema with a loop in a loop."""
    items = {"type": "array", "items": {"type": "integer"}, **limit}
    rule = {"rule": "self.l.all(x, self.l.all(y, x == y))"}
    return {"properties": {"l": items}, "x-kubernetes-validations": [rule]}


def test_a_rule_that_may_cost_too_much_is_refused(custom: Any) -> None:
    causes = dict(custom.refused(custom.definition(custom.version(spec=dear({})))))
    assert causes[f"{SPEC}.x-kubernetes-validations[0].rule"] == (
        "Forbidden: estimated rule cost exceeds budget by factor of more than 100x (try "
        "simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, "
        "maps, and strings are declared)"
    )
    custom.define(custom.version(spec=dear({"maxItems": 1000})))


def test_the_cost_of_a_rule_counts_for_each_place_where_it_stands(custom: Any) -> None:
    inner = {"type": "object", **dear({"maxItems": 100})}
    spec = {"properties": {"m": {"type": "object", "additionalProperties": inner}}}
    causes = custom.refused(custom.definition(custom.version(spec=spec)))
    rule = f"{SPEC}.properties[m].additionalProperties.x-kubernetes-validations[0].rule"
    assert {rule, PATH} == {field for field, _ in causes}
    assert "estimated rule cost total for entire OpenAPIv3 schema" in dict(causes)[PATH]
    spec["properties"]["m"]["maxProperties"] = 10
    custom.define(custom.version(spec=spec))


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"properties": {"x": {"type": "array", "items": "text"}}}, ".properties[x].items"),
        ({"properties": {"x": {"type": "array", "items": {"maxLength": "a"}}}}, ".properties[x]"),
        ({"properties": {"x": {"type": "array", "items": True}}}, ".properties[x].items"),
        ({"additionalProperties": {"properties": {"y": 1}}}, ""),
    ],
)
def test_what_is_no_schema_is_refused(custom: Any, spec: dict[str, Any], field: str) -> None:
    causes = custom.refused(custom.definition(custom.version(spec=spec)))
    assert [each for each, _ in causes] == [SPEC + field]
    assert causes[0][1].endswith("must be a schema")


def test_a_version_that_does_not_say_that_it_is_served_is_not(custom: Any) -> None:
    version = custom.version("v1", storage=False)
    del version["served"], version["storage"]
    custom.define(version, custom.version("v2"))
    assert custom.do("list", "widgets.v1.example.com").code == 404
    assert custom.do("list", "widgets.v2.example.com").code == 200
