"""Each cluster invariant accepts a healthy history and fails on the one defect it is there for."""

from __future__ import annotations

from typing import Any

import pytest

from k8sactors.checkers import kubernetes as invariants
from k8sactors.checkers.cluster_history import ClusterHistory, ContainerSpan, ObjectChange
from k8sactors.checkers.resources import Amounts, parse, requests_of

Json = dict[str, Any]


def pod(name: str, node: str | None = None, ip: str | None = None, **extra: Any) -> Json:
    spec: Json = {"containers": [{"name": "c", "resources": {"requests": extra.pop("asks", {})}}]}
    if node:
        spec["nodeName"] = node
    status: Json = {"phase": extra.pop("phase", "Running")}
    if ip:
        status["podIP"] = ip
        status["conditions"] = [{"type": "Ready", "status": "True"}]
    metadata = {"name": name, "namespace": "shop", "uid": f"uid-{name}", "labels": {"app": "web"}}
    return {"metadata": metadata | extra, "spec": spec, "status": status}


def node(name: str, cpu: str = "2", memory: str = "1Gi", pods: str = "3") -> Json:
    allocatable = {"cpu": cpu, "memory": memory, "pods": pods}
    return {"metadata": {"name": name, "uid": name}, "status": {"allocatable": allocatable}}


def changes(*items: tuple[str, Json]) -> ClusterHistory:
    recorded = []
    for time, (kind, each) in enumerate(items, 1):
        resource = "nodes" if "allocatable" in each.get("status", {}) else "pods"
        recorded.append(ObjectChange(time, kind, resource, each))
    return ClusterHistory(changes=recorded, end_ns=99)


def names(found: list[Any]) -> list[str]:
    return [finding.check for finding in found]


def test_a_pod_that_moves_to_another_node_is_caught() -> None:
    good = changes(("ADDED", pod("a")), ("MODIFIED", pod("a", "n1")), ("MODIFIED", pod("a", "n1")))
    bad = changes(("MODIFIED", pod("a", "n1")), ("MODIFIED", pod("a", "n2")))
    assert invariants.check_bound_once(good) == []
    found = invariants.check_bound_once(bad)
    assert names(found) == ["pod-bound-once"]
    assert found[0].message == "pod shop/a was bound to n1 and then to n2"
    assert found[0].time_ns == 2


@pytest.mark.parametrize(
    ("asks", "resource"),
    [({"cpu": "1500m"}, "cpu_milli"), ({"memory": "600Mi"}, "memory_bytes")],
)
def test_a_node_promised_more_than_it_has_is_caught(asks: Json, resource: str) -> None:
    bad = changes(
        ("ADDED", node("n1")),
        ("ADDED", pod("a", "n1", asks=asks)),
        ("ADDED", pod("b", "n1", asks=asks)),
    )
    found = invariants.check_not_overcommitted(bad)
    assert names(found) == ["node-not-overcommitted"]
    assert resource in found[0].message
    assert found[0].time_ns == 3


def test_a_node_with_too_many_pods_is_caught() -> None:
    bad = changes(("ADDED", node("n1")), *(("ADDED", pod(f"p{n}", "n1")) for n in range(4)))
    assert names(invariants.check_not_overcommitted(bad)) == ["node-not-overcommitted"]


def test_finished_and_deleted_pods_give_their_room_back() -> None:
    asks = {"cpu": "2"}
    good = changes(
        ("ADDED", node("n1")),
        ("ADDED", pod("a", "n1", asks=asks)),
        ("DELETED", pod("a", "n1", asks=asks)),
        ("ADDED", pod("b", "n1", asks=asks)),
        ("MODIFIED", pod("b", "n1", asks=asks, phase="Succeeded")),
        ("ADDED", pod("c", "n1", asks=asks)),
    )
    assert invariants.check_not_overcommitted(good) == []


def test_two_live_pods_with_one_address_are_caught() -> None:
    bad = changes(("ADDED", pod("a", "n1", "10.0.0.1")), ("ADDED", pod("b", "n2", "10.0.0.1")))
    found = invariants.check_ips_unique(bad)
    assert names(found) == ["pod-ip-unique"]
    assert "shop/a and shop/b both have address 10.0.0.1" in found[0].message


def test_an_address_may_be_used_again_after_its_pod_is_gone() -> None:
    good = changes(
        ("ADDED", pod("a", "n1", "10.0.0.1")),
        ("MODIFIED", pod("a", "n1", "10.0.0.1")),
        ("DELETED", pod("a", "n1", "10.0.0.1")),
        ("ADDED", pod("b", "n1", "10.0.0.1")),
    )
    assert invariants.check_ips_unique(good) == []


def test_a_pod_that_runs_on_two_nodes_at_once_is_caught() -> None:
    first = ContainerSpan("n1", "shop", "db-0", 10, 30)
    after = ContainerSpan("n2", "shop", "db-0", 30, None)
    during = ContainerSpan("n2", "shop", "db-0", 20, None)
    assert invariants.check_runs_once(ClusterHistory(spans=[first, after])) == []
    found = invariants.check_runs_once(ClusterHistory(spans=[first, during]))
    assert names(found) == ["pod-runs-once"]
    assert found[0].message == "pod shop/db-0 started on n2 while it ran on n1"


def test_an_orphan_left_behind_is_caught() -> None:
    owner = {"kind": "ReplicaSet", "name": "web", "uid": "rs"}
    child = pod("a", ownerReferences=[owner])
    replica_set = {"metadata": {"name": "web", "namespace": "shop", "uid": "rs"}}
    good = ClusterHistory(final={"pods": [child], "replicasets.apps": [replica_set]})
    assert invariants.check_dependents_collected(good) == []
    found = invariants.check_dependents_collected(ClusterHistory(final={"pods": [child]}))
    assert found[0].message == "pods shop/a is left although its owner is gone: ReplicaSet web"


def deployment(replicas: int, ready: int) -> Json:
    status = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), replicas)
    return {
        "metadata": {"name": "web", "namespace": "shop", "uid": "d"},
        "spec": {"replicas": replicas},
        "status": {**status, "readyReplicas": ready},
    }


def test_a_deployment_that_is_not_ready_at_the_end_is_caught() -> None:
    good = ClusterHistory(final={"deployments.apps": [deployment(3, 3)]})
    bad = ClusterHistory(final={"deployments.apps": [deployment(3, 2)]}, end_ns=7)
    assert invariants.check_deployments_ready(good) == []
    found = invariants.check_deployments_ready(bad)
    assert "deployment shop/web wants 3 replicas" in found[0].message
    assert "readyReplicas 2" in found[0].message
    assert found[0].time_ns == 7


def test_a_deployment_whose_status_tells_of_the_past_is_caught() -> None:
    deployment = {
        "metadata": {"name": "web", "namespace": "shop", "uid": "d"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}},
        "status": dict.fromkeys(
            ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 1
        ),
    }
    history = ClusterHistory(final={"deployments.apps": [deployment], "pods": []})
    found = invariants.check_deployments_ready(history)
    assert names(found) == ["deployment-ready"]
    assert "pods 0" in found[0].message


def test_an_object_in_a_missing_namespace_is_caught() -> None:
    namespace = {"metadata": {"name": "shop", "uid": "ns"}}
    good = ClusterHistory(final={"namespaces": [namespace], "pods": [pod("a")]})
    bad = ClusterHistory(final={"namespaces": [], "pods": [pod("a")]})
    assert invariants.check_namespaces_exist(good) == []
    assert names(invariants.check_namespaces_exist(bad)) == ["namespace-exists"]


def test_a_pod_bound_to_a_ghost_is_caught() -> None:
    good = ClusterHistory(final={"nodes": [node("n1")], "pods": [pod("a", "n1"), pod("b")]})
    bad = ClusterHistory(final={"nodes": [], "pods": [pod("a", "n1")]})
    assert invariants.check_nodes_exist(good) == []
    assert names(invariants.check_nodes_exist(bad)) == ["pod-node-exists"]


def test_a_service_that_routes_to_the_wrong_pods_is_caught() -> None:
    service = {
        "metadata": {"name": "web", "namespace": "shop", "uid": "svc"},
        "spec": {"selector": {"app": "web"}},
    }

    def final(address: str) -> ClusterHistory:
        part = {
            "metadata": {
                "name": "web-1",
                "namespace": "shop",
                "uid": "slice",
                "labels": {"kubernetes.io/service-name": "web"},
            },
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        }
        return ClusterHistory(
            final={
                "services": [service],
                "pods": [pod("a", "n1", "10.0.0.1")],
                "endpointslices.discovery.k8s.io": [part],
            }
        )

    assert invariants.check_services_routed(final("10.0.0.1")) == []
    found = invariants.check_services_routed(final("10.0.0.9"))
    assert names(found) == ["service-routed"]


def test_a_healthy_history_passes_all_checks() -> None:
    history = changes(("ADDED", node("n1")), ("ADDED", pod("a", "n1", "10.0.0.1")))
    history.final = {
        "nodes": [node("n1")],
        "namespaces": [{"metadata": {"name": "shop", "uid": "ns"}}],
        "pods": [pod("a", "n1", "10.0.0.1")],
        "deployments.apps": [deployment(1, 1)],
    }
    history.spans = [ContainerSpan("n1", "shop", "a", 1)]
    assert invariants.check_safety(history) == []
    assert invariants.check_liveness(history) == []


@pytest.mark.parametrize(
    ("text", "value"), [("100m", "0.1"), ("2", "2"), ("1Ki", "1024"), ("1.5G", "1500000000")]
)
def test_quantities_are_read_as_kubernetes_reads_them(text: str, value: str) -> None:
    assert parse(text) == parse(value)


def test_a_pod_counts_its_largest_init_phase_and_its_sidecars() -> None:
    def container(cpu: str, **extra: str) -> Json:
        return {"resources": {"requests": {"cpu": cpu}}, **extra}

    spec = {
        "initContainers": [container("1", restartPolicy="Always"), container("5")],
        "containers": [container("2")],
        "overhead": {"cpu": "100m"},
    }
    assert requests_of({"spec": spec}) == Amounts(cpu_milli=6100, pods=1)
    spec["initContainers"] = [container("500m")]
    assert requests_of({"spec": spec}) == Amounts(cpu_milli=2100, pods=1)
