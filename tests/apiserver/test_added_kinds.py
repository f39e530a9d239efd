"""Kinds that a running server is given: custom resources."""

from __future__ import annotations

from typing import Any

import pytest

from k8sactors.api import codec
from k8sactors.api.kind import Kind, Served
from k8sactors.api.schema import Schema
from k8sactors.apiserver.errors import CompactedError
from k8sactors.apiserver.store import Write

WIDGET = Kind(
    kind="Widget",
    plural="widgets",
    served=(Served("example.com", "v1"),),
    schema=Schema({"properties": {"size": {"type": "integer"}}}),
)


def widget(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": name, "namespace": "default", "uid": name},
        "size": 1,
    }


def put(world: Any, name: str) -> None:
    key = f"/registry/widgets.example.com/default/{name}".encode()
    world.memory.apply((), (Write(key, codec.encode(widget(name)), 0),))


def test_a_kind_is_served_from_when_it_is_added_until_it_is_removed(world: Any) -> None:
    assert world.do("list", "widgets", "default").code == 404
    world.server.served.add_kind(WIDGET)
    world.run()
    assert world.do("create", "widgets", "default", body=widget("a")).code == 201
    watch = world.watch("widgets.example.com", "default")
    assert watch.events == [("ADDED", "a")]
    world.server.served.remove_kind(WIDGET)
    assert watch.events[-1] == ("ERROR", "410")
    assert world.do("get", "widgets", "default", "a").code == 404


def test_objects_that_lie_in_the_store_already_are_served(world: Any) -> None:
    world.do("get", "configmaps", "default", "x")
    put(world, "before")
    world.server.served.add_kind(WIDGET)
    # Written after the list was asked for, and told by the watch before or after its answer.
    put(world, "meanwhile")
    world.run()
    put(world, "later")
    world.run()
    assert world.do("list", "widgets", "default").names == ["before", "later", "meanwhile"]
    cached = world.do("list", "widgets", "default", resourceVersion="0")
    assert cached.names == ["before", "later", "meanwhile"]


def test_what_is_deleted_while_a_cache_is_filled_stays_deleted(world: Any) -> None:
    world.do("get", "configmaps", "default", "x")
    put(world, "a")
    put(world, "b")
    watch = next(iter(world.memory.watches))
    watch.paused = True
    world.server.served.add_kind(WIDGET)
    world.memory.apply((), (Write(b"/registry/widgets.example.com/default/a", None, 0),))
    world.run()
    # The list is newer than what the feed has seen: nothing is served before it has caught up.
    assert world.do("list", "widgets", "default").code == 404
    watch.paused = False
    world.run()
    cached = world.do("list", "widgets", "default", resourceVersion="0")
    assert cached.names == ["b"]


def test_a_kind_that_was_added_outlives_a_relist(world: Any) -> None:
    world.do("get", "configmaps", "default", "x")
    world.server.served.add_kind(WIDGET)
    world.run()
    world.do("create", "widgets", "default", body=widget("a"))
    for watch in list(world.memory.watches):
        world.memory.watches.pop(watch)
        watch.on_cancel(CompactedError(1))
    world.advance(5)
    assert world.do("list", "widgets", "default").names == ["a"]


def test_component_statuses_cannot_be_written(world: Any) -> None:
    assert world.do("delete", "componentstatuses", name="a").code == 405


@pytest.mark.parametrize("verb", ["get", "list", "update", "delete"])
def test_a_review_is_only_asked(world: Any, verb: str) -> None:
    name = None if verb == "list" else "a"
    answer = world.do(verb, "tokenreviews.authentication.k8s.io", name=name, body={})
    assert answer.code == 405
