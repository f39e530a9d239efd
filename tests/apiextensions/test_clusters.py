"""Custom resources in a whole cluster: its controllers and its clients know them."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from k8sactors import simulation
from k8sactors.api.errors import StatusError, UnknownKindError
from k8sactors.client import is_not_found
from k8sactors.cluster import Cluster, ClusterSpec
from tests.apiextensions.definitions import definition, version, widget

WIDGETS = "widgets.example.com"


def run(main: Any, **spec: Any) -> None:
    async def inside() -> None:
        settings = {"topology": "single", "workers": 1, **spec}
        async with Cluster(ClusterSpec(**settings)) as cluster:
            await main(cluster)

    simulation.run(inside, seed=1)


async def gone(cluster: Cluster, resource: str, name: str, namespace: str = "") -> None:
    async def missing() -> str | None:
        try:
            await cluster.client.get(resource, name, namespace or None)
        except StatusError as error:
            if is_not_found(error):
                return None
            raise
        return "it is still there"

    await cluster.wait_for(missing, f"{resource} {name} is gone", timeout_s=60)


def test_a_definition_and_its_objects_are_applied_together() -> None:
    async def main(cluster: Cluster) -> None:
        outcomes = await cluster.apply([definition(version()), widget(spec={"x": 1})])
        assert list(outcomes.values()) == ["created", "created"]
        assert (await cluster.client.get(WIDGETS, "a", "default"))["spec"] == {"x": 1}

    run(main, topology="stacked")


def test_a_kind_that_nothing_defines_stays_unknown() -> None:
    async def main(cluster: Cluster) -> None:
        with pytest.raises(UnknownKindError):
            await cluster.apply([widget()])

    run(main)


def test_dependents_of_custom_resources_are_collected_and_these_too() -> None:
    async def main(cluster: Cluster) -> None:
        await cluster.apply([definition(version()), widget("owner")])
        owner = (await cluster.client.get(WIDGETS, "owner", "default"))["metadata"]
        reference = {"apiVersion": "example.com/v1", "kind": "Widget", "name": "owner"}
        metadata = {"namespace": "default", "ownerReferences": [{**reference, "uid": owner["uid"]}]}
        config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", **metadata}}
        await cluster.client.create("configmaps", config)
        await cluster.client.create(WIDGETS, widget("w", metadata=metadata))
        await trio.sleep(5)
        await cluster.client.get(WIDGETS, "w", "default")
        await cluster.client.delete(WIDGETS, "owner", "default", propagationPolicy="Foreground")
        await gone(cluster, "configmaps", "c", "default")
        await gone(cluster, WIDGETS, "w", "default")
        await gone(cluster, WIDGETS, "owner", "default")

    run(main)


def test_a_namespace_goes_with_its_custom_resources() -> None:
    async def main(cluster: Cluster) -> None:
        shop = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
        held = {"namespace": "shop", "finalizers": ["example.com/hold"]}
        manifests = [definition(version()), shop, widget(metadata=held)]
        await cluster.apply(manifests)
        await cluster.client.delete("namespaces", "shop")
        await trio.sleep(5)
        namespace = await cluster.client.get("namespaces", "shop")
        messages = {each["type"]: each["message"] for each in namespace["status"]["conditions"]}
        assert "widgets.example.com has 1 resource" in messages["NamespaceContentRemaining"]
        patch = {"metadata": {"finalizers": None}}
        await cluster.client.patch(WIDGETS, "a", patch, "shop")
        await gone(cluster, "namespaces", "shop")

    run(main)


def test_a_definition_that_comes_back_is_followed_again() -> None:
    async def main(cluster: Cluster) -> None:
        await cluster.apply([definition(version()), widget()])
        name = definition()["metadata"]["name"]
        await cluster.client.delete("customresourcedefinitions.apiextensions.k8s.io", name)
        await gone(cluster, "customresourcedefinitions.apiextensions.k8s.io", name)
        await trio.sleep(1)
        await cluster.apply([definition(version()), widget("owner")])
        owner = (await cluster.client.get(WIDGETS, "owner", "default"))["metadata"]
        reference = {
            "apiVersion": "example.com/v1",
            "kind": "Widget",
            "name": "owner",
            "uid": owner["uid"],
        }
        metadata = {"namespace": "default", "ownerReferences": [reference]}
        await cluster.client.create(WIDGETS, widget("w", metadata=metadata))
        await cluster.client.delete(WIDGETS, "owner", "default", propagationPolicy="Background")
        await gone(cluster, WIDGETS, "w", "default")

    run(main)
