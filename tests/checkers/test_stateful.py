"""Each invariant of StatefulSets, volumes and DaemonSets fails on its own defect."""

from __future__ import annotations

from typing import Any

from k8sactors.checkers.cluster_history import ClusterHistory, ContainerSpan, ObjectChange
from k8sactors.checkers.findings import Finding
from k8sactors.checkers.node_pods import check_daemon_sets_ready
from k8sactors.checkers.stateful import (
    check_claims_keep_their_volume,
    check_one_pod_per_identity,
    check_stateful_sets_ready,
    check_volume_bound_once,
)

Json = dict[str, Any]
READY = {"conditions": [{"type": "Ready", "status": "True"}]}


def pod(name: str, uid: str, kind: str = "StatefulSet", **spec: Any) -> Json:
    owner = {"kind": kind, "name": "db", "uid": "set", "controller": True}
    metadata = {"name": name, "namespace": "shop", "uid": uid, "ownerReferences": [owner]}
    return {"metadata": metadata, "spec": spec, "status": READY}


def claim(name: str, volume: str, phase: str = "Bound") -> Json:
    metadata = {"name": name, "namespace": "shop", "uid": f"uid-{name}"}
    return {"metadata": metadata, "spec": {"volumeName": volume}, "status": {"phase": phase}}


def history(resource: str, *items: tuple[str, Json]) -> ClusterHistory:
    recorded = [
        ObjectChange(time_ns, kind, resource, each) for time_ns, (kind, each) in enumerate(items, 1)
    ]
    return ClusterHistory(changes=recorded, end_ns=99)


def names(found: list[Finding]) -> list[str]:
    return [finding.check for finding in found]


def test_two_pods_of_one_ordinal_are_caught() -> None:
    first, second = pod("db-0", "1"), pod("db-0", "2")
    good = history("pods", ("ADDED", first), ("DELETED", first), ("ADDED", second))
    assert check_one_pod_per_identity(good) == []
    # Two names that mean the same ordinal.
    bad = history("pods", ("ADDED", first), ("ADDED", pod("db-00", "2")))
    assert names(check_one_pod_per_identity(bad)) == ["stateful-identity"]


def test_two_sandboxes_of_one_identity_are_caught_also_on_one_node() -> None:
    spans = [
        ContainerSpan("n1", "shop", "db-0", 10, 30),
        ContainerSpan("n1", "shop", "db-0", 20, 40),
        ContainerSpan("n1", "shop", "web-0", 10, 30),
        ContainerSpan("n1", "shop", "web-0", 20, 40),
    ]
    bad = history("pods", ("ADDED", pod("db-0", "1")))
    bad.spans += spans
    found = check_one_pod_per_identity(bad)
    assert names(found) == ["stateful-identity"]
    assert found[0].time_ns == 20


def test_one_volume_for_two_claims_is_caught() -> None:
    resource = "persistentvolumeclaims"
    one, two = claim("a", "v"), claim("b", "v")
    good = history(resource, ("ADDED", one), ("DELETED", one), ("ADDED", two))
    assert check_volume_bound_once(good) == []
    lost = history(resource, ("ADDED", one), ("MODIFIED", claim("a", "v", "Lost")), ("ADDED", two))
    assert check_volume_bound_once(lost) == []
    bad = history(resource, ("ADDED", one), ("ADDED", two))
    found = check_volume_bound_once(bad)
    assert found[0].message == "volume v is bound to shop/b and to shop/a"


def test_a_claim_that_changes_its_volume_is_caught() -> None:
    resource = "persistentvolumeclaims"
    good = history(resource, ("ADDED", claim("a", "v")), ("MODIFIED", claim("a", "v")))
    assert check_claims_keep_their_volume(good) == []
    bad = history(resource, ("ADDED", claim("a", "v")), ("MODIFIED", claim("a", "w")))
    assert names(check_claims_keep_their_volume(bad)) == ["binding-kept"]


def test_a_missing_ordinal_or_a_surplus_one_is_caught() -> None:
    stateful_set = {"metadata": {"name": "db", "uid": "set"}, "spec": {"replicas": 2}}
    pods = [pod("db-0", "1"), pod("db-1", "2"), pod("db-2", "3")]
    for count, expected in ((1, 1), (2, 0), (3, 1)):
        final = {"statefulsets.apps": [stateful_set], "pods": pods[:count]}
        assert len(check_stateful_sets_ready(ClusterHistory(final=final))) == expected  # type: ignore[arg-type]


def test_a_node_without_its_daemon_pod_or_with_two_is_caught() -> None:
    daemon_set = {
        "metadata": {"name": "agent", "uid": "set"},
        "spec": {"template": {"spec": {"tolerations": [{"key": "gpu", "operator": "Exists"}]}}},
    }
    taints = {
        "n0": [],
        "n1": [{"key": "gpu", "effect": "NoSchedule"}],
        "n2": [{"key": "maint", "effect": "NoSchedule"}],
        "n3": [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}],
    }
    nodes = [{"metadata": {"name": n}, "spec": {"taints": t}} for n, t in taints.items()]

    def judge(*placed: str) -> list[str]:
        pods = [
            pod(f"agent-{number}", str(number), "DaemonSet", nodeName=node)
            for number, node in enumerate(placed)
        ]
        final: Json = {"daemonsets.apps": [daemon_set], "nodes": nodes, "pods": pods}
        return names(check_daemon_sets_ready(ClusterHistory(final=final)))

    assert judge("n0", "n1", "n3") == []
    assert judge("n0", "n1") == ["daemonset-ready"]
    assert judge("n0", "n1", "n3", "n3") == ["daemonset-ready"]
    assert judge("n0", "n1", "n2", "n3") == ["daemonset-ready"]
