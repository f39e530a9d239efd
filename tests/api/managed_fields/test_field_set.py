"""Arithmetic of field sets, on the tree that is stored."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, strategies

from k8sactors.api.managed_fields.field_set import (
    difference,
    in_order,
    intersection,
    is_well_formed,
    paths,
    text_of,
    union,
    without,
)

# Paths by which sets are told apart: a set is what `paths` gives of it.
ELEMENTS = ["f:a", "f:b", 'k:{"name":"x"}', 'v:"y"']
PATHS = [
    (*first, second)
    for second in ELEMENTS
    for first in [(), *combinations(ELEMENTS, 1), *combinations(ELEMENTS, 2)]
]


def tree(members: set[tuple[str, ...]]) -> dict[str, Any]:
    """The stored form of a set, built in the plainest way."""
    root: dict[str, Any] = {}
    for path in sorted(members):
        node = root
        for element in path:
            node = node.setdefault(element, {})
        node["."] = {}

    def settled(node: dict[str, Any]) -> dict[str, Any]:
        below = {key: settled(inner) for key, inner in node.items() if key != "."}
        return {".": {}, **below} if "." in node and below else below

    return in_order_everywhere(settled(root))


def in_order_everywhere(node: dict[str, Any]) -> dict[str, Any]:
    return in_order({key: in_order_everywhere(inner) for key, inner in node.items()})


def members(node: dict[str, Any], prefix: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    found: set[tuple[str, ...]] = set()
    for key, inner in node.items():
        if key == ".":
            continue
        if not inner or "." in inner:
            found.add((*prefix, key))
        found |= members(inner, (*prefix, key))
    return found


sets = strategies.sets(strategies.sampled_from(PATHS), max_size=8)


@given(sets, sets)
def test_sets_of_fields_are_sets_of_paths(one: Any, other: Any) -> None:
    first, second = tree(one), tree(other)
    assert one == members(first)
    assert tree(one | other) == union(first, second)
    assert list(tree(one | other)) == list(union(first, second))
    assert tree(one - other) == difference(first, second)
    assert tree(one & other) == intersection(first, second)
    below = {path for path in one if any(path[: len(gone)] == gone for gone in other)}
    assert tree(one - below) == without(first, second)
    assert (tree(one), tree(other)) == (first, second)
    assert sorted("".join(text_of(part) for part in path) for path in one) == sorted(paths(first))


def test_elements_have_an_order_in_which_numbers_count() -> None:
    fields = {"f:b": {}, ".": {}, "f:a": {}}
    assert list(in_order(fields)) == [".", "f:a", "f:b"]
    items = {'v:"a"': {}, 'k:{"port":443}': {}, "v:10": {}, 'k:{"port":80}': {}, "v:9": {}, ".": {}}
    expected = [".", 'k:{"port":80}', 'k:{"port":443}', "v:9", "v:10", 'v:"a"']
    assert list(in_order(items)) == expected


def test_paths_are_written_as_in_messages() -> None:
    fields = {
        "f:spec": {
            "f:ports": {
                'k:{"containerPort":53,"protocol":"UDP"}': {".": {}, "f:protocol": {}},
            },
            "f:replicas": {},
        },
        "f:metadata": {"f:finalizers": {'v:"a/b"': {}}},
    }
    expected = [
        ".spec.replicas",
        '.spec.ports[containerPort=53,protocol="UDP"]',
        '.spec.ports[containerPort=53,protocol="UDP"].protocol',
        '.metadata.finalizers[="a/b"]',
    ]
    assert expected == list(paths(fields))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"f:a": {".": {}, 'k:{"n":1}': {}, "v:2": {}, "i:0": {}}}, True),
        ({"a": {}}, False),
        ({"f:a": []}, False),
        ({"k:{": {}}, False),
        ({"k:[]": {}}, False),
        ({"v:": {}}, False),
        ([], False),
    ],
)
def test_what_is_a_field_set(fields: Any, expected: bool) -> None:
    assert expected == is_well_formed(fields)
