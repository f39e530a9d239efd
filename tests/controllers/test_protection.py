"""Volumes and claims that are in use stay; quotas are counted again."""

from __future__ import annotations

from typing import Any

import trio

from k8sactors import simulation
from k8sactors.cluster import Cluster, ClusterSpec

CLAIMS = "persistentvolumeclaims"


def run(main: Any) -> Any:
    async def in_cluster() -> Any:
        async with Cluster(ClusterSpec(topology="single", workers=1)) as cluster:
            return await main(cluster)

    return simulation.run(in_cluster, seed=1)


def claim(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "none",
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }


def test_a_deleted_claim_continuesce_no_pod_uses_it() -> None:
    async def main(cluster: Cluster) -> list[int]:
        client = cluster.client
        for name in ("used", "unused"):
            await client.create(CLAIMS, claim(name))
        volume = {"name": "v", "persistentVolumeClaim": {"claimName": "used"}}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "p", "namespace": "default"},
            "spec": {
                "nodeName": "worker-1",
                "containers": [{"name": "c", "image": "app:1"}],
                "volumes": [volume],
            },
        }
        await client.create("pods", pod)
        for name in ("used", "unused"):
            await client.delete(CLAIMS, name, "default")
        await trio.sleep(5)
        counts = [len((await client.list(CLAIMS, "default"))["items"])]
        await client.delete("pods", "p", "default", gracePeriodSeconds=0)
        await trio.sleep(5)
        counts.append(len((await client.list(CLAIMS, "default"))["items"]))
        return counts

    assert run(main) == [1, 0]


def test_a_quota_counts_what_was_there_before_it_and_what_has_gone() -> None:
    async def main(cluster: Cluster) -> list[str]:
        client = cluster.client
        for name in ("a", "b"):
            metadata = {"name": name, "namespace": "default"}
            secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}
            await client.create("secrets", secret)
        quota = {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "q", "namespace": "default"},
            "spec": {"hard": {"secrets": "5", "count/leases.coordination.k8s.io": "1"}},
        }
        await client.create("resourcequotas", quota)
        counted = []
        for step in ("count", "delete"):
            if step == "delete":
                await client.delete("secrets", "a", "default")
            await trio.sleep(2)
            found = await client.get("resourcequotas", "q", "default")
            counted.append(found["status"]["used"]["secrets"])
        return counted

    assert run(main) == ["2", "1"]
