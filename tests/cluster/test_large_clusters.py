"""Clusters of hundreds of nodes: addresses for all, and errors that a person can read."""

from __future__ import annotations

from ipaddress import IPv4Network
from itertools import combinations
from pathlib import Path

import pytest
from click.testing import CliRunner

from k8sactors import simulation
from k8sactors.cli.main import cli
from k8sactors.cluster import Cluster, ClusterSpec, ImpossibleClusterError, NotReadyError
from k8sactors.cluster.addresses import HOST_NETWORK, SERVICE_NETWORK, node_ip
from k8sactors.cluster.topology import plan


def test_more_than_256_nodes_become_ready_with_a_pod_range_and_an_address_each() -> None:
    async def main() -> None:
        async with Cluster(ClusterSpec(topology="single", workers=259)) as cluster:
            nodes = (await cluster.client.list("nodes"))["items"]
            assert len(nodes) == 260
            ranges = {node["spec"]["podCIDR"] for node in nodes}
            assert len(ranges) == 260
            whole = IPv4Network("10.244.0.0/15")
            assert all(IPv4Network(cidr).subnet_of(whole) for cidr in ranges)
            addresses = {node["status"]["addresses"][0]["address"] for node in nodes}
            assert len(addresses) == 260

    simulation.run(main)


def test_a_scenario_with_400_workers_starts_and_passes(tmp_path: Path) -> None:
    file = tmp_path / "wide.yaml"
    file.write_text(
        "apiVersion: k8sactors/v1\nname: wide\ndescription: Many workers.\n"
        "cluster: {topology: single, workers: 400}\nsteps: [{advance: 1s}]\n"
    )
    result = CliRunner().invoke(cli, ["run", str(file), "--json"])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("workers", "cidr"),
    [
        (253, "10.244.0.0/16"),
        (254, "10.244.0.0/15"),
        (5_000, "10.224.0.0/11"),
        (20_000, "10.128.0.0/9"),
    ],
)
def test_the_pod_network_grows_with_the_nodes_and_leaves_other_ranges_alone(
    workers: int, cidr: str
) -> None:
    spec = ClusterSpec(workers=workers)
    assert spec.problems() == []
    assert cidr == spec.pod_network.cluster_cidr
    networks = [IPv4Network(cidr), SERVICE_NETWORK, HOST_NETWORK]
    assert not any(one.overlaps(other) for one, other in combinations(networks, 2))


def test_every_host_of_the_largest_cluster_has_an_address_of_its_own() -> None:
    addresses = {node_ip(index) for index in range(20_018)}
    assert len(addresses) == 20_018
    assert all(HOST_NETWORK.supernet_of(IPv4Network(address)) for address in addresses)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (
            {"cluster_cidr": "10.244.0.0/16"},
            (
                "pod CIDR 10.244.0.0/16 has room for 256 nodes with a /24 each, and the cluster has"
                " 403: a pod CIDR of /15 or a node CIDR mask size of 25 would do"
            ),
        ),
        (
            {"cluster_cidr": "10.244.0.0/28"},
            (
                "pod CIDR 10.244.0.0/28 has room for 0 nodes with a /24 each, and the cluster has"
                " 403: a pod CIDR of /15 would do"
            ),
        ),
        (
            {"cluster_cidr": "10.96.0.0/14"},
            "pod CIDR 10.96.0.0/14 overlaps with 10.96.0.0/12, the range of Services",
        ),
        (
            {"cluster_cidr": "10.0.0.0/14"},
            "pod CIDR 10.0.0.0/14 overlaps with 10.0.0.0/16, the range of hosts",
        ),
        ({"cluster_cidr": "pods"}, "pod CIDR 'pods' is invalid"),
        ({"node_cidr_mask_size": 40}, "node CIDR mask size 40 is invalid: choose 9 to 29"),
    ],
)
def test_a_pod_network_given_by_hand_that_cannot_serve_is_refused_with_the_arithmetic(
    settings: dict[str, object], problem: str
) -> None:
    spec = ClusterSpec(workers=400, controller_settings=settings)
    with pytest.raises(ImpossibleClusterError) as caught:
        plan(spec)
    [found] = caught.value.problems
    assert found.startswith(problem)


def test_a_pod_network_given_by_hand_that_suffices_is_taken_as_it_is() -> None:
    settings = {"cluster_cidr": "172.16.0.0/16", "node_cidr_mask_size": 26}
    spec = ClusterSpec(workers=400, controller_settings=settings)
    assert spec.problems() == []
    assert spec.pod_network.cluster_cidr == "172.16.0.0/16"
    assert spec.pod_network.node_cidr_mask_size == 26


def test_a_worker_that_the_pod_network_has_no_range_for_is_not_added() -> None:
    async def main() -> None:
        settings = {"cluster_cidr": "10.244.0.0/23"}
        spec = ClusterSpec(topology="single", workers=1, controller_settings=settings)
        async with Cluster(spec) as cluster:
            with pytest.raises(ImpossibleClusterError, match="room for 2 nodes"):
                await cluster.add_worker()
            assert "worker-2" not in cluster.hosts

    simulation.run(main)


def test_an_error_names_a_few_of_hundreds_of_nodes_and_counts_the_others() -> None:
    async def main() -> None:
        cluster = Cluster(ClusterSpec(topology="single", workers=300))
        await cluster.start()
        try:
            cluster.hosts["cp-1"].kill_actor("kube-controller-manager")
            with pytest.raises(NotReadyError) as caught:
                await cluster.wait_ready(timeout_s=5)
        finally:
            await cluster.__aexit__(None, None, None)
        text = str(caught.value)
        assert "301 nodes not ready: cp-1, worker-1, worker-10, " in text
        assert "and 296 more" in text
        assert len(text) < 300

    simulation.run(main)


def test_an_impossible_cluster_names_a_few_reasons_and_keeps_all() -> None:
    names = tuple(f"w{number}" for number in range(50))
    with pytest.raises(ImpossibleClusterError) as caught:
        plan(ClusterSpec(worker_hosts=names * 2))
    assert len(caught.value.problems) == 50
    assert str(caught.value).endswith("host w4 is used twice and 45 more")
