"""Controllers that follow all kinds follow those that are added to a cluster's scheme."""

from __future__ import annotations

import pytest
import trio

from k8sactors import simulation
from k8sactors.api.errors import StatusError
from k8sactors.api.kind import Kind, Served
from k8sactors.api.schema import Schema
from k8sactors.client import is_not_found
from k8sactors.cluster import Cluster, ClusterSpec

WIDGET = Kind(
    kind="Widget",
    plural="widgets",
    served=(
        Served("example.com", "v2"),
        Served(
            "example.com",
            "v1",
            to_storage=lambda obj: {**obj, "apiVersion": "example.com/v2"},
            from_storage=lambda obj: {**obj, "apiVersion": "example.com/v1"},
        ),
    ),
    schema=Schema({"properties": {"spec": {"type": "object"}}}),
)
WIDGETS = """
apiVersion: example.com/v2
kind: Widget
metadata: {name: owner}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: example.com/v1
kind: Widget
metadata: {name: held, namespace: shop, finalizers: [example.com/hold]}
"""


def test_objects_of_an_added_kind_own_are_collected_and_hold_their_namespace() -> None:
    async def main() -> None:
        cluster = Cluster(ClusterSpec(topology="single", workers=1))
        cluster.scheme.add(WIDGET)
        async with cluster:
            await cluster.apply(WIDGETS)
            client = cluster.client
            owner = await client.get("widgets.example.com", "owner", "default")
            metadata = owner["metadata"]
            stated = {
                "apiVersion": "example.com/v1",
                "kind": "Widget",
                "name": "owner",
                "uid": metadata["uid"],
            }
            dependent = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "owned", "namespace": "default", "ownerReferences": [stated]},
            }
            await client.create("configmaps", dependent, "default")
            await trio.sleep(5)
            assert await client.get("configmaps", "owned", "default")
            await client.delete("widgets.example.com", "owner", "default")
            await client.delete("namespaces", "shop")
            await trio.sleep(5)
            with pytest.raises(StatusError) as gone:
                await client.get("configmaps", "owned", "default")
            assert is_not_found(gone.value)
            # One object of one resource, though the kind is served in two versions.
            conditions = (await client.get("namespaces", "shop"))["status"]["conditions"]
            [message] = [
                each["message"]
                for each in conditions
                if each["type"] == "NamespaceContentRemaining"
            ]
            left = "widgets.example.com has 1 resource instances"
            assert message == f"Some resources are remaining: {left}"
            free = {"metadata": {"finalizers": None}}
            await client.patch("widgets.example.com", "held", free, "shop")
            await trio.sleep(30)
            with pytest.raises(StatusError):
                await client.get("namespaces", "shop")

    simulation.run(main, seed=1)
