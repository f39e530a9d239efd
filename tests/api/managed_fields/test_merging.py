"""Merging, comparing and pruning by the types of a schema."""

from __future__ import annotations

from typing import Any

import pytest

from k8sactors.api.errors import SchemaMismatchError
from k8sactors.api.managed_fields.comparing import compare
from k8sactors.api.managed_fields.field_set import paths
from k8sactors.api.managed_fields.field_types import FieldType, type_of_kind, type_of_schema
from k8sactors.api.managed_fields.merging import merge, remove
from k8sactors.api.managed_fields.typed import field_set, mismatches, reconciled
from k8sactors.api.schema import Schema

LISTS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "atomic": {"type": "array", "items": {"type": "string"}},
        "set": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        "numbers": {"type": "array", "items": {"type": "integer"}, "x-kubernetes-list-type": "set"},
        "map": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "value": {"type": "string"}},
            },
        },
        "whole": {
            "type": "object",
            "x-kubernetes-map-type": "atomic",
            "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        },
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "port": {"x-kubernetes-int-or-string": True},
    },
}


@pytest.fixture(scope="module")
def lists() -> FieldType:
    return type_of_schema(Schema(LISTS))


def items(*names: str) -> list[dict[str, str]]:
    return [{"name": name, "value": name.upper()} for name in names]


@pytest.mark.parametrize(
    ("live", "applied", "expected"),
    [
        # Applied items in the order in which they are applied, others where they were.
        ("abc", "cb", "acb"),
        ("abc", "ac", "abc"),
        ("abc", "dc", "abdc"),
        ("abc", "ad", "abcd"),
        ("ab", "", "ab"),
        ("", "ba", "ba"),
        ("abcd", "db", "acdb"),
        ("abcd", "dbxa", "cdbxa"),
    ],
)
def test_items_are_merged_in_the_applied_order(
    lists: FieldType, live: str, applied: str, expected: str
) -> None:
    for field, made in [("set", list), ("map", lambda text: items(*text))]:
        merged = merge({field: made(live)}, {field: made(applied)}, lists)
        assert made(expected) == merged[field], (field, live, applied)


def test_what_does_not_change_is_shared(lists: FieldType) -> None:
    live = {"map": items("a", "b"), "labels": {"x": "1"}, "set": ["a"], "whole": {"a": "1"}}
    same = {"map": items("a"), "labels": {"x": "1"}, "set": ["a"], "whole": {"a": "1"}}
    assert merge(live, same, lists) is live
    merged = merge(live, {"labels": {"x": "2"}}, lists)
    assert merged == {**live, "labels": {"x": "2"}}
    assert merged["map"] is live["map"]
    assert live["labels"] == {"x": "1"}


def test_atomic_values_are_replaced_and_granular_ones_merged(lists: FieldType) -> None:
    live = {"atomic": ["a"], "whole": {"a": "1"}, "labels": {"a": "1"}, "free": {"a": {"b": 1}}}
    applied = {"atomic": ["b"], "whole": {"b": "2"}, "labels": {"b": "2"}, "free": {"a": {"c": 2}}}
    expected = {
        "atomic": ["b"],
        "whole": {"b": "2"},
        "labels": {"a": "1", "b": "2"},
        "free": {"a": {"b": 1, "c": 2}},
    }
    assert expected == merge(live, applied, lists)


def test_a_configuration_names_leaves_items_and_keys(lists: FieldType) -> None:
    config = {
        "atomic": ["a"],
        "set": ["x"],
        "numbers": [2, 10],
        "map": items("a"),
        "whole": {"a": "1"},
        "labels": {"k": "v"},
        "free": {"a": [1], "b": {}},
        "port": "http",
    }
    expected = {
        "f:atomic": {},
        "f:free": {"f:a": {}, "f:b": {}},
        "f:labels": {"f:k": {}},
        "f:map": {'k:{"name":"a"}': {".": {}, "f:name": {}, "f:value": {}}},
        "f:numbers": {"v:2": {}, "v:10": {}},
        "f:port": {},
        "f:set": {'v:"x"': {}},
        "f:whole": {},
    }
    found = field_set(config, lists)
    assert expected == found
    assert list(expected) == list(found)
    assert list(expected["f:numbers"]) == list(found["f:numbers"])


def test_empty_values_and_nulls_are_named_too(lists: FieldType) -> None:
    expected: dict[str, Any] = {"f:atomic": {}, "f:labels": {}, "f:map": {}}
    assert expected == field_set({"labels": {}, "map": None, "set": [], "atomic": []}, lists)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"map": [{"value": "x"}]}, ".map: element 0: associative list with keys has an element"),
        ({"map": [{"value": "x"}]}, 'omits all key fields ["name"] (and doesn\'t have default'),
        ({"map": items("a", "a")}, '.map: duplicate entries for key [name="a"]'),
        ({"set": ["a", "a"]}, '.set: duplicate entries for key [="a"]'),
        ({"set": [{}]}, "associative list without keys has an element that's a map type"),
        ({"map": ["a"]}, "associative list with keys may not have non-map elements"),
        ({"map": [None]}, "associative list with keys may not have a null element"),
        ({"map": [{"name": "a", "b": 1}]}, '.map[name="a"].b: field not declared in schema'),
        ({"unknown": 1}, ".unknown: field not declared in schema"),
        ({"labels": "x"}, ".labels: expected map, got &{x}"),
        ({"set": "x"}, ".set: expected list, got &{x}"),
        ({"labels": {"a": 5}}, ".labels.a: expected string, got &value.valueUnstructured{Value:5}"),
        ({"numbers": ["a"]}, '.numbers[="a"]: expected numeric (int or float), got string'),
        ({"port": []}, ".port: expected any scalar, got &{[]}"),
        ({"b": 1, "c": 2}, "errors:\n  .b: field not declared in schema\n  .c: field"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(lists: FieldType, config: Any, expected: str) -> None:
    assert expected in mismatches(config, lists)


def test_items_without_keys_have_no_place_in_a_set(lists: FieldType) -> None:
    with pytest.raises(SchemaMismatchError, match="omits all key fields"):
        field_set({"map": [{}]}, lists)
    with pytest.raises(SchemaMismatchError, match="duplicate entries"):
        field_set({"set": ["a", "a"]}, lists)


def test_differences_are_found_item_by_item(lists: FieldType) -> None:
    old = {
        "map": [{"name": "a", "value": "1"}, {"name": "b", "value": "1"}],
        "set": ["x", "y"],
        "atomic": ["a"],
        "labels": {"k": "1", "gone": "1"},
        "whole": {"a": "1"},
    }
    new = {
        "map": [{"name": "c", "value": "1"}, {"name": "a", "value": "2"}],
        "set": ["y", "z"],
        "atomic": ["b"],
        "labels": {"k": "1", "new": "1"},
        "port": 1,
    }
    found = compare(old, new, lists)
    assert list(paths(found.removed)) == [
        ".whole",
        ".labels.gone",
        '.map[name="b"]',
        '.map[name="b"].name',
        '.map[name="b"].value',
        '.set[="x"]',
    ]
    assert list(paths(found.modified)) == [".atomic", '.map[name="a"].value']
    assert list(paths(found.added)) == [
        ".port",
        ".labels.new",
        '.map[name="c"]',
        '.map[name="c"].name',
        '.map[name="c"].value',
        '.set[="z"]',
    ]


def test_items_that_are_there_twice_count_as_a_whole(lists: FieldType) -> None:
    once, twice, other = items("a"), items("a", "a"), [*items("a"), {"name": "a", "value": "x"}]
    added = compare({"map": once}, {"map": twice}, lists)
    assert list(paths(added.added)) == ['.map[name="a"]']
    assert '.map[name="a"].value' in list(paths(added.removed))
    removed = compare({"map": twice}, {"map": once}, lists)
    assert list(paths(removed.removed)) == ['.map[name="a"]']
    assert list(paths(compare({"map": twice}, {"map": other}, lists).modified)) == [
        '.map[name="a"]'
    ]
    assert merge({"map": twice}, {"map": once}, lists)["map"] == [{"name": "a", "value": "A"}]


def test_taking_items_out_leaves_the_others(lists: FieldType) -> None:
    obj = {"map": items("a", "b"), "labels": {"x": "1"}, "set": ["a"], "atomic": ["a"]}
    gone = {
        "f:map": {'k:{"name":"a"}': {}, 'k:{"name":"b"}': {"f:value": {}}},
        "f:labels": {"f:x": {}},
        "f:set": {},
    }
    assert remove(obj, gone, lists) == {"map": [{"name": "b"}], "labels": None, "atomic": ["a"]}


def test_a_key_that_is_left_out_has_its_default() -> None:
    pod = type_of_kind("v1", "Pod")
    ports = [{"containerPort": 53}, {"containerPort": 53, "protocol": "UDP"}]
    found = field_set({"spec": {"containers": [{"name": "a", "ports": ports}]}}, pod)
    container = found["f:spec"]["f:containers"]['k:{"name":"a"}']
    assert list(container["f:ports"]) == [
        'k:{"containerPort":53,"protocol":"TCP"}',
        'k:{"containerPort":53,"protocol":"UDP"}',
    ]


def test_a_type_may_contain_itself() -> None:
    crd = type_of_kind("apiextensions.k8s.io/v1", "CustomResourceDefinition")
    version = crd.fields["spec"].fields["versions"].element
    assert version is not None
    schema = version.fields["schema"].fields["openAPIV3Schema"]
    assert schema is schema.fields["properties"].element


def test_what_has_become_atomic_is_owned_as_a_whole(lists: FieldType) -> None:
    fields = {"f:atomic": {'v:"a"': {}}, "f:labels": {"f:a": {}}, "f:whole": {".": {}, "f:a": {}}}
    expected: dict[str, Any] = {"f:atomic": {}, "f:labels": {"f:a": {}}, "f:whole": {}}
    assert reconciled(fields, lists) == expected
    assert reconciled(expected, lists) is expected
