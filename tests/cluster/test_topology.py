"""Which hosts each topology has, and which clusters are refused."""

from __future__ import annotations

import pytest

from k8sactors.cluster.errors import ImpossibleClusterError
from k8sactors.cluster.spec import ClusterSpec
from k8sactors.cluster.topology import plan, store_endpoints

pytestmark = pytest.mark.covers("ST-25", "ST-26")


def test_stacked_puts_a_member_on_each_control_plane_and_each_api_server_uses_its_own() -> None:
    spec = ClusterSpec(topology="stacked", workers=2)
    hosts = {host.name: host for host in plan(spec)}
    assert list(hosts) == ["cp-1", "cp-2", "cp-3", "worker-1", "worker-2"]
    assert [name for name, host in hosts.items() if host.store_member] == ["cp-1", "cp-2", "cp-3"]
    assert store_endpoints(spec, "cp-2") == ["cp-2/etcd"]


def test_external_gives_members_their_own_hosts_and_every_api_server_knows_all() -> None:
    spec = ClusterSpec(topology="external", control_planes=2, workers=1)
    hosts = {host.name: host for host in plan(spec)}
    assert list(hosts) == ["etcd-1", "etcd-2", "etcd-3", "cp-1", "cp-2", "worker-1"]
    assert not hosts["cp-1"].store_member
    assert store_endpoints(spec, "cp-2") == ["etcd-1/etcd", "etcd-2/etcd", "etcd-3/etcd"]


def test_single_has_one_of_each() -> None:
    assert [host.name for host in plan(ClusterSpec(topology="single", workers=1))] == [
        "cp-1",
        "worker-1",
    ]


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (ClusterSpec(workers=0), "0 workers: at least one"),
        (ClusterSpec(control_planes=0), "0 control planes: at least one"),
        (ClusterSpec(worker_hosts=("a", "b", "a")), "host a is used twice"),
        (ClusterSpec(worker_hosts=("cp-1",)), "belongs to the control plane"),
        (ClusterSpec(topology="stacked", store_members=5), "3 control planes cannot carry 5"),
        (ClusterSpec(topology="single", store_members=3), "single has one store member"),
        (ClusterSpec(topology="ring"), "topology 'ring' is unknown"),  # type: ignore[arg-type]
    ],
)
def test_an_impossible_cluster_says_why(spec: ClusterSpec, problem: str) -> None:
    with pytest.raises(ImpossibleClusterError, match=problem):
        plan(spec)


def test_all_problems_are_listed_at_once() -> None:
    spec = ClusterSpec(workers=0, zones=0, control_planes=0)
    assert len(spec.problems()) >= 3


def test_an_even_member_count_is_a_warning() -> None:
    spec = ClusterSpec(topology="external", store_members=4)
    assert spec.problems() == []
    assert any("odd number" in warning for warning in spec.warnings())
