"""Cluster IPs are IPAddress objects out of ServiceCIDRs, which a cluster may choose."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from k8sactors import simulation
from k8sactors.api.errors import StatusError
from k8sactors.cluster import Cluster, ClusterSpec

ADDRESSES = "ipaddresses.networking.k8s.io"
CIDRS = "servicecidrs.networking.k8s.io"
SPEC = ClusterSpec(
    topology="single", workers=1, service_cidr="10.200.0.0/29", node_ports=(31000, 31001)
)


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"ports": [{"port": 80}], **spec},
    }


async def names(cluster: Cluster) -> list[str]:
    found = await cluster.client.list(ADDRESSES)
    return sorted(item["metadata"]["name"] for item in found["items"])


def test_each_cluster_ip_is_an_object_for_as_long_as_its_service_lives() -> None:
    async def main() -> None:
        async with Cluster(SPEC) as cluster:
            client = cluster.client
            assert await names(cluster) == ["10.200.0.1"]
            created = await client.create("services", service("web", type="NodePort"))
            address = created["spec"]["clusterIP"]
            assert created["spec"]["ports"][0]["nodePort"] in {31000, 31001}
            found = await client.get(ADDRESSES, address)
            assert found["spec"] == {
                "parentRef": {"resource": "services", "namespace": "default", "name": "web"}
            }
            labels = found["metadata"]["labels"]
            assert labels["ipaddress.kubernetes.io/managed-by"] == "ipallocator.k8s.io"
            with pytest.raises(StatusError, match="already allocated"):
                await client.create("services", service("other", clusterIP=address))
            await client.delete("services", "web", "default")
            assert await names(cluster) == ["10.200.0.1"]
            for number in range(5):
                await client.create("services", service(f"s{number}"))
            with pytest.raises(StatusError, match="range is full"):
                await client.create("services", service("one-too-many"))
            assert len(await names(cluster)) == 6

    simulation.run(main)


def test_a_range_that_is_in_use_waits_for_its_addresses() -> None:
    async def main() -> None:
        async with Cluster(SPEC) as cluster:
            client = cluster.client
            await trio.sleep(2)
            kept = await client.get(CIDRS, "kubernetes")
            assert kept["spec"]["cidrs"] == ["10.200.0.0/29"]
            assert kept["status"]["conditions"][0]["status"] == "True"
            await client.delete(CIDRS, "kubernetes")
            await trio.sleep(2)
            kept = await client.get(CIDRS, "kubernetes")
            assert kept["status"]["conditions"][0]["reason"] == "Terminating"
            wider = {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "ServiceCIDR",
                "metadata": {"name": "wider"},
                "spec": {"cidrs": ["10.200.0.0/24"]},
            }
            await client.create(CIDRS, wider)
            await trio.sleep(2)
            with pytest.raises(StatusError, match="not found"):
                await client.get(CIDRS, "kubernetes")

    simulation.run(main)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"service_cidr": "10.96.0.0"}, "has a bad size"),
        ({"service_cidr": "ten"}, "'ten' is invalid"),
        ({"service_cidr": "10.0.0.0/16"}, "overlaps with 10.0.0.0/16, the range of hosts"),
        ({"service_cidr": "10.244.0.0/16"}, "overlaps with 10.244.0.0/16, the range of Services"),
        ({"node_ports": (5, 1)}, "node ports 5-1"),
    ],
)
def test_ranges_that_cannot_be_are_refused(changes: dict[str, Any], words: str) -> None:
    assert words in "; ".join(ClusterSpec(**changes).problems())
