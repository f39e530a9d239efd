"""What the kubelet writes has the form that the API demands."""

from __future__ import annotations

from typing import Any

from k8sactors.api import schema
from k8sactors.kubelet.node_object import NodeSpec, node_conditions, node_object, node_status
from k8sactors.kubelet.static_pods import mirror_pod, static_pod
from tests.kubelet.fakes import FakeNode, a_container, a_pod

NOW = "2025-01-01T00:00:00Z"


def test_pod_statuses_are_valid_at_every_stage() -> None:
    node = FakeNode()
    inits = [{"name": "init", "image": "busybox:1", "command": ["sleep", "1"]}]
    crasher = a_container("crasher", "sim/crasher:1")
    missing = a_container("missing", "missing/app:1")
    worker = node.add(a_pod(a_container(), crasher, missing, initContainers=inits))
    for _ in range(60):
        node.clock.advance(0.5)
        pod: dict[str, Any] = {**worker.pod, "status": worker.status()}
        assert schema.validate(pod) == []
    worker.fail("Evicted", "The node was low on resource: memory.")
    node.clock.advance(60)
    assert schema.validate({**worker.pod, "status": worker.status()}) == []


def test_nodes_are_valid() -> None:
    spec = NodeSpec("n1", "10.0.0.1", "a", taints=({"key": "k", "effect": "NoSchedule"},))
    for runtime_ready in (True, False):
        conditions = node_conditions([], NOW, runtime_ready=runtime_ready, network_ready=True)
        status = node_status(spec, conditions, "containerd://2.1.4", "boot")
        assert schema.validate({**node_object(spec), "status": status}) == []


def test_a_condition_keeps_its_transition_time_while_its_status_stays() -> None:
    first = node_conditions([], NOW, runtime_ready=True, network_ready=False)
    later = "2025-01-01T01:00:00Z"
    foreign = {"type": "NetworkUnavailable", "status": "False"}
    second = node_conditions([foreign, *first], later, runtime_ready=True, network_ready=True)
    times = {c["type"]: c.get("lastTransitionTime") for c in second}
    assert (times["MemoryPressure"], times["Ready"]) == (NOW, later)
    assert foreign in second


def test_mirrors_of_static_pods_are_valid() -> None:
    node = {"metadata": {"name": "cp-1", "uid": "u"}}
    container = {"name": "etcd", "image": "registry.k8s.io/etcd:3.6.4-0", "command": ["etcd"]}
    manifest = {
        "metadata": {"name": "etcd", "labels": {"tier": "control-plane"}},
        "spec": {"hostNetwork": True, "containers": [container]},
    }
    mirror = mirror_pod(static_pod(manifest, "cp-1", NOW), node)
    assert schema.validate(mirror) == []
    assert (
        mirror["metadata"]["namespace"],
        mirror["metadata"]["name"],
    ) == ("kube-system", "etcd-cp-1")
