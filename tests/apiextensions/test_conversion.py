"""Versions of custom resources that a webhook converts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import trio

from k8sactors import simulation
from k8sactors.api import codec
from k8sactors.api.errors import StatusError
from k8sactors.cluster import Cluster, ClusterSpec

CRDS = "customresourcedefinitions.apiextensions.k8s.io"
OLD = "widgets.v1.example.com"
NEW = "widgets.v2.example.com"
HOST_PORT = {"type": "object", "properties": {"hostPort": {"type": "string"}}}
PARTS = {
    "type": "object",
    "properties": {"host": {"type": "string"}, "port": {"type": "string", "default": "80"}},
}


def schema(spec: dict[str, Any]) -> dict[str, Any]:
    return {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}


def definition(**config: Any) -> dict[str, Any]:
    service = {"namespace": "default", "name": "convert", "path": "/convert"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": schema(HOST_PORT)},
                {"name": "v2", "served": True, "storage": False, "schema": schema(PARTS)},
            ],
            "conversion": {
                "strategy": "Webhook",
                "webhook": {
                    "clientConfig": {"service": service, **config},
                    "conversionReviewVersions": ["v1"],
                },
            },
        },
    }


def converted(obj: dict[str, Any], wanted: str) -> dict[str, Any]:
    spec = dict(obj["spec"])
    if wanted == "example.com/v2":
        host, _, port = spec.pop("hostPort").partition(":")
        spec |= {"host": host, "port": port} if port else {"host": host}
    else:
        spec = {"hostPort": f"{spec['host']}:{spec['port']}"}
    return {**obj, "apiVersion": wanted, "spec": spec}


Change = Callable[[dict[str, Any]], dict[str, Any] | None]


class Converter:
    """Converts, and knows what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.change: Change = lambda response: response

    def __call__(self, request: dict[str, Any]) -> dict[str, Any] | None:
        self.asked.append(request)
        wanted = request["desiredAPIVersion"]
        objects = [converted(each, wanted) for each in request["objects"]]
        return self.change({"convertedObjects": objects})


Main = Callable[[Cluster, Converter], Awaitable[Any]]


def run(main: Main) -> Any:
    async def in_cluster() -> Any:
        async with Cluster(ClusterSpec(topology="single", workers=1)) as cluster:
            converter = Converter()
            cluster.add_webhook("default", "convert", converter)
            await cluster.client.create(CRDS, definition())
            await trio.sleep(1)
            return await main(cluster, converter)

    return simulation.run(in_cluster, seed=1)


def widget(name: str, version: str = "v1", **spec: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default"}
    return {
        "apiVersion": f"example.com/{version}",
        "kind": "Widget",
        "metadata": metadata,
        "spec": spec,
    }


def test_each_version_is_read_and_written_as_the_webhook_converts_it() -> None:
    async def main(cluster: Cluster, converter: Converter) -> None:
        client = cluster.client
        made = await client.create(OLD, widget("a", hostPort="h:1"))
        assert made["spec"] == {"hostPort": "h:1"}
        assert converter.asked == []
        read = await client.get(NEW, "a", "default")
        assert (read["apiVersion"], read["spec"]) == (
            "example.com/v2",
            {"host": "h", "port": "1"},
        )
        assert read["metadata"] == made["metadata"]
        # Defaults are those of the version that is read: a conversion comes before them.
        await client.create(OLD, widget("b", hostPort="h"))
        assert (await client.get(NEW, "b", "default"))["spec"]["port"] == "80"
        made = await client.create(NEW, widget("c", "v2", host="i", port="2"))
        assert made["spec"] == {"host": "i", "port": "2"}
        assert (await client.get(OLD, "c", "default"))["spec"] == {"hostPort": "i:2"}
        made["spec"]["port"] = "3"
        assert (await client.update(NEW, made))["spec"]["port"] == "3"
        patched = await client.patch(NEW, "c", {"spec": {"host": "j"}}, "default")
        assert patched["spec"] == {"host": "j", "port": "3"}
        assert (await client.get(OLD, "c", "default"))["spec"] == {"hostPort": "j:3"}

    run(main)


def test_a_list_is_converted_with_one_question() -> None:
    async def main(cluster: Cluster, converter: Converter) -> None:
        for name in "abc":
            await cluster.client.create(OLD, widget(name, hostPort=f"{name}:1"))
        found = await cluster.client.list(NEW, "default")
        assert [item["spec"]["host"] for item in found["items"]] == ["a", "b", "c"]
        assert [len(request["objects"]) for request in converter.asked] == [3]
        # What was converted is known until it changes.
        await cluster.client.list(NEW, "default")
        assert len(converter.asked) == 1

    run(main)


def test_a_watch_sees_its_version_in_the_order_of_the_changes() -> None:
    async def main(cluster: Cluster, converter: Converter) -> None:
        del converter
        seen: list[tuple[str, str]] = []

        def follow(items: Any) -> None:
            for kind, revision, data in items:
                seen.append((kind, codec.decode(data, revision)["spec"]["host"]))

        watch = cluster.client.watch(
            NEW, namespace="default", options={}, on_item=follow, on_close=lambda _reason: None
        )
        await trio.sleep(1)
        await cluster.client.create(OLD, widget("a", hostPort="a:1"))
        await cluster.client.patch(OLD, "a", {"spec": {"hostPort": "b:1"}}, "default")
        await cluster.client.delete(OLD, "a", "default")
        await trio.sleep(1)
        watch.cancel()
        assert seen == [("ADDED", "a"), ("MODIFIED", "b"), ("DELETED", "b")]

    run(main)


def _renamed(response: dict[str, Any]) -> dict[str, Any]:
    for each in response["convertedObjects"]:
        each["metadata"] = {**each["metadata"], "name": "other"}
    return response


def _of_old_version(response: dict[str, Any]) -> dict[str, Any]:
    for each in response["convertedObjects"]:
        each["apiVersion"] = "example.com/v1"
    return response


WRONG: tuple[tuple[Change, str], ...] = (
    (lambda _: {"result": {"status": "Failure", "message": "no"}}, "failed: no"),
    (lambda _: {"convertedObjects": []}, "returned 0 objects, expected 1"),
    (lambda response: {**response, "uid": "x"}, 'failed: expected response.uid="'),
    (
        _renamed,
        "returned invalid converted object at index 0: must have the same name: a != other",
    ),
    (
        _of_old_version,
        (
            "returned invalid converted object at index 0: invalid groupVersion (expected "
            "example.com/v2, received example.com/v1)"
        ),
    ),
)


def test_what_the_webhook_does_wrong_is_told_to_the_client() -> None:
    async def main(cluster: Cluster, converter: Converter) -> None:
        client = cluster.client
        await client.create(OLD, widget("a", hostPort="a:1"))
        for change, text in WRONG:
            converter.change = change
            for ask in (partial(client.get, NEW, "a"), partial(client.list, NEW)):
                with pytest.raises(StatusError) as caught:
                    await ask("default")
                assert caught.value.code == 500
                named = "conversion webhook for example.com/v1, Kind=Widget"
                assert f"{named} {text}" in str(caught.value)
        # The next client is not told what another one's question has met.
        converter.change = lambda response: response
        assert (await client.get(NEW, "a", "default"))["spec"]["host"] == "a"

    run(main)


def test_a_webhook_that_is_not_there_is_named() -> None:
    async def main(cluster: Cluster, converter: Converter) -> None:
        del converter
        changed = await cluster.client.get(CRDS, "widgets.example.com")
        webhook = changed["spec"]["conversion"]["webhook"]
        webhook["clientConfig"] = {"service": {"namespace": "default", "name": "none"}}
        await cluster.client.update(CRDS, changed)
        await trio.sleep(1)
        with pytest.raises(StatusError) as caught:
            await cluster.client.create(NEW, widget("a", "v2", host="i", port="2"))
        text = 'failed: Post "https://none.default.svc:443/?timeout=30s": dial tcp: '
        assert text in str(caught.value)

    run(main)


def test_metadata_but_labels_and_annotations_is_the_objects_own() -> None:
    def relabelled(response: dict[str, Any]) -> dict[str, Any]:
        for each in response["convertedObjects"]:
            each["metadata"] = {
                **each["metadata"],
                "labels": {"by": "webhook"},
                "finalizers": ["x/y"],
            }
        return response

    async def main(cluster: Cluster, converter: Converter) -> None:
        made = await cluster.client.create(OLD, widget("a", hostPort="a:1"))
        converter.change = relabelled
        read = await cluster.client.get(NEW, "a", "default")
        assert read["metadata"] == {**made["metadata"], "labels": {"by": "webhook"}}

    run(main)


def test_objects_of_a_former_storage_version_are_converted() -> None:
    async def main(cluster: Cluster, converter: Converter) -> None:
        del converter
        await cluster.client.create(OLD, widget("a", hostPort="a:1"))
        changed = await cluster.client.get(CRDS, "widgets.example.com")
        for version in changed["spec"]["versions"]:
            version["storage"] = version["name"] == "v2"
        changed = await cluster.client.update(CRDS, changed)
        assert changed["status"]["storedVersions"] == ["v1", "v2"]
        await trio.sleep(1)
        assert (await cluster.client.get(NEW, "a", "default"))["spec"]["host"] == "a"
        patched = await cluster.client.patch(OLD, "a", {"spec": {"hostPort": "b:2"}}, "default")
        assert patched["spec"] == {"hostPort": "b:2"}
        assert (await cluster.client.get(NEW, "a", "default"))["spec"]["host"] == "b"

    run(main)
