"""Values of custom resources: pruned, defaulted, validated."""

from __future__ import annotations

import time  # noqa: TID251 - a bound on wall time is what is tested
from typing import Any

import pytest


def define(custom: Any, **properties: Any) -> None:
    custom.define(custom.version(spec={"properties": properties}))


def said(value: str, text: str) -> str:
    return f"Invalid value: {value}: spec.x in body {text}"


def junctor(text: str) -> str:
    return f'Invalid value: "": "spec.x" {text}'


CHECKS: list[tuple[dict[str, Any], Any, str]] = [
    ({"type": "integer"}, "a", said('"string"', 'must be of type integer: "string"')),
    ({"type": "integer"}, 1.5, said('"number"', 'must be of type integer: "number"')),
    ({"type": "boolean"}, 1, said('"integer"', 'must be of type boolean: "integer"')),
    ({"type": "string"}, {}, said('"object"', 'must be of type string: "object"')),
    (
        {"x-kubernetes-int-or-string": True},
        True,
        said('"boolean"', 'must be of type integer,string: "boolean"'),
    ),
    ({"type": "string", "pattern": "^a+$"}, "b", said('"b"', "should match '^a+$'")),
    ({"type": "string", "maxLength": 2}, "abc", "Too long: may not be more than 2 bytes"),
    ({"type": "string", "minLength": 2}, "a", said('"a"', "should be at least 2 chars long")),
    (
        {"type": "string", "enum": ["a", "b"]},
        "c",
        'Unsupported value: "c": supported values: "a", "b"',
    ),
    (
        {"type": "string", "format": "date-time"},
        "no",
        said('"no"', 'must be of type date-time: "no"'),
    ),
    ({"type": "integer", "maximum": 5}, 6, said("6", "should be less than or equal to 5")),
    (
        {"type": "integer", "maximum": 5, "exclusiveMaximum": True},
        5,
        said("5", "should be less than 5"),
    ),
    ({"type": "integer", "minimum": 5}, 4, said("4", "should be greater than or equal to 5")),
    (
        {"type": "integer", "minimum": 5, "exclusiveMinimum": True},
        5,
        said("5", "should be greater than 5"),
    ),
    ({"type": "integer", "multipleOf": 5}, 6, said("6", "should be a multiple of 5")),
    (
        {"type": "array", "items": {"type": "string"}, "maxItems": 1},
        ["a", "b"],
        "Too many: 2: must have at most 1 items",
    ),
    (
        {"type": "array", "items": {"type": "string"}, "minItems": 1},
        [],
        said("[]", "should have at least 1 items"),
    ),
    (
        {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1},
        {},
        said("{}", "should have at least 1 properties"),
    ),
    (
        {"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": 0},
        {"a": "b"},
        "Too many: 1: must have at most 0 items",
    ),
    (
        {"type": "integer", "anyOf": [{"minimum": 5}, {"maximum": 1}]},
        3,
        junctor("must validate at least one schema (anyOf)"),
    ),
    (
        {"type": "integer", "oneOf": [{"minimum": 1}, {"minimum": 2}]},
        3,
        junctor("must validate one and only one schema (oneOf). Found 2 valid alternatives"),
    ),
    (
        {"type": "integer", "oneOf": [{"minimum": 5}]},
        3,
        junctor("must validate one and only one schema (oneOf). Found none valid"),
    ),
    ({"type": "integer", "not": {"minimum": 2}}, 3, junctor("must not validate the schema (not)")),
    (
        {"type": "integer", "allOf": [{"minimum": 5}]},
        3,
        said("3", "should be greater than or equal to 5"),
    ),
]


@pytest.mark.parametrize(("schema", "value", "text"), CHECKS)
def test_a_value_is_refused(custom: Any, schema: dict[str, Any], value: Any, text: str) -> None:
    define(custom, x=schema)
    assert ("spec.x", text) in custom.causes(custom.create(spec={"x": value}))


def test_what_is_required_must_be_there(custom: Any) -> None:
    custom.define(custom.version(spec={"required": ["x"], "properties": {"x": {"type": "string"}}}))
    assert custom.causes(custom.create(spec={})) == [("spec.x", "Required value")]


def test_items_are_named_by_their_place(custom: Any) -> None:
    items = {"type": "object", "properties": {"n": {"type": "integer"}}}
    define(custom, x={"type": "array", "items": items})
    causes = custom.causes(custom.create(spec={"x": [{"n": 1}, {"n": "a"}]}))
    assert causes[0][0] == "spec.x[1].n"


@pytest.mark.parametrize(
    ("shape", "value", "text"),
    [
        ({"x-kubernetes-list-type": "set", "items": {"type": "string"}}, ["a", "a"], '"a"'),
        (
            {
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["k"],
                "items": {
                    "type": "object",
                    "required": ["k"],
                    "properties": {"k": {"type": "string"}, "v": {"type": "integer"}},
                },
            },
            [{"k": "a", "v": 1}, {"k": "a", "v": 2}],
            '{"k":"a"}',
        ),
    ],
)
def test_sets_and_maps_hold_nothing_twice(
    custom: Any, shape: dict[str, Any], value: Any, text: str
) -> None:
    define(custom, x={"type": "array", **shape})
    causes = custom.causes(custom.create(spec={"x": value}))
    assert causes == [("spec.x[1]", f"Duplicate value: {text}")]


def test_an_embedded_resource_says_what_it_is(custom: Any) -> None:
    shape = {
        "type": "object",
        "x-kubernetes-embedded-resource": True,
        "x-kubernetes-preserve-unknown-fields": True,
    }
    define(custom, x=shape)
    assert custom.causes(custom.create(spec={"x": {"kind": "Pod"}})) == [
        ("spec.x.apiVersion", "Required value: must not be empty")
    ]
    whole = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"a": 1}}
    assert custom.create(spec={"x": whole}).obj["spec"]["x"] == whole


UNKNOWN = {"x": 1, "y": {"kept": 1}, "z": 1, "l": [{"a": 1, "b": 2}]}
PRUNED = {"x": 1, "y": {"kept": 1}, "l": [{"a": 1}]}
FIELDS = {
    "x": {"type": "integer"},
    "y": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    "l": {
        "type": "array",
        "items": {"type": "object", "properties": {"a": {"type": "integer"}}},
    },
}


def test_unknown_fields_are_refused_pruned_or_warned_of(custom: Any) -> None:
    define(custom, **FIELDS)
    answer = custom.create(spec=UNKNOWN)
    assert answer.code == 400
    assert answer.status["message"] == (
        'Widget in version "v1" cannot be handled as a Widget: strict decoding error: '
        'unknown field "spec.z", unknown field "spec.l[0].b"'
    )
    body = custom.widget("b", spec=UNKNOWN)
    answer = custom.do("create", body=body, fieldValidation="Ignore")
    assert answer.obj["spec"] == PRUNED
    body = custom.widget("c", spec=UNKNOWN)
    answer = custom.do("create", body=body, fieldValidation="Warn")
    assert answer.obj["spec"] == PRUNED
    assert answer.payload[3] == ['unknown field "spec.z"', 'unknown field "spec.l[0].b"']


def test_defaults_are_filled_in_at_every_level(custom: Any) -> None:
    items = {"type": "object", "properties": {"n": {"type": "integer", "default": 3}}}
    define(
        custom,
        x={"type": "string", "default": "a"},
        y={
            "type": "object",
            "default": {},
            "properties": {"z": {"type": "integer", "default": 1}},
        },
        l={"type": "array", "items": items},
        m={"type": "object", "additionalProperties": items},
    )
    assert custom.create(spec={"l": [{}], "m": {"k": {}}}).obj["spec"] == {
        "x": "a",
        "y": {"z": 1},
        "l": [{"n": 3}],
        "m": {"k": {"n": 3}},
    }


def test_null_is_a_value_only_where_it_may_be(custom: Any) -> None:
    define(
        custom,
        a={"type": "integer", "default": 7},
        b={"type": "integer", "nullable": True, "default": 7},
        c={"type": "integer"},
    )
    assert custom.create(spec={"a": None, "b": None, "c": None}).obj["spec"] == {"a": 7, "b": None}


def test_metadata_has_the_form_that_it_has_everywhere(custom: Any) -> None:
    define(custom, x={"type": "integer"})
    assert custom.create(metadata={"labels": {"a": 1}}).code == 400
    assert "unknown field" in custom.create(metadata={"what": 1}).status["message"]
    causes = custom.causes(custom.create("Bad_Name"))
    assert causes[0][0] == "metadata.name"


def test_what_has_not_changed_is_not_judged_again(custom: Any) -> None:
    define(custom, x={"type": "integer"}, y={"type": "integer"})
    custom.create(spec={"x": 9, "y": 1})
    stricter = {"x": {"type": "integer", "maximum": 5}, "y": {"type": "integer", "maximum": 5}}
    patch = {"spec": {"versions": [custom.version(spec={"properties": stricter})]}}
    custom.do(
        "patch", "customresourcedefinitions", "widgets.example.com", body=patch, namespace=None
    )
    custom.world.advance(1)
    assert custom.do("patch", name="a", body={"spec": {"y": 2}}).code == 200
    causes = custom.causes(custom.do("patch", name="a", body={"spec": {"x": 8}}))
    assert [field for field, _ in causes] == ["spec.x"]


def test_a_pattern_cannot_hold_the_server_up(custom: Any) -> None:
    define(custom, x={"type": "string", "pattern": "^(a+)+$"})
    begin = time.monotonic()
    assert custom.create(spec={"x": "a" * 40 + "b"}).code == 422
    assert time.monotonic() - begin < 5
