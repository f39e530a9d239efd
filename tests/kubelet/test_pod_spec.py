from __future__ import annotations

from typing import Any

import pytest

from k8sactors.kubelet import pod_spec
from tests.kubelet.fakes import FakeNode, a_container, a_pod


def sized(name: str, cpu: str, memory: str, **more: Any) -> dict[str, Any]:
    return a_container(name, resources={"requests": {"cpu": cpu, "memory": memory}}, **more)


def test_a_pod_asks_for_its_containers_or_for_its_biggest_init_container() -> None:
    app = [sized("a", "100m", "64Mi"), sized("b", "200m", "64Mi")]
    assert pod_spec.resource_requests(a_pod(*app)) == (300, 128 << 20)
    inits = [sized("big", "1", "32Mi"), sized("side", "50m", "16Mi", restartPolicy="Always")]
    pod = a_pod(*app, initContainers=inits, overhead={"cpu": "10m"})
    assert pod_spec.resource_requests(pod) == (1010, 144 << 20)


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1"}}, "Burstable"),
    ],
)
def test_the_qos_class_follows_requests_and_limits(
    resources: dict[str, Any], expected: str
) -> None:
    assert pod_spec.qos_class(a_pod(a_container(resources=resources))) == expected


def test_ports_are_found_by_name() -> None:
    container = a_container(ports=[{"name": "web", "containerPort": 8080}])
    ports = [pod_spec.resolve_port(container, port) for port in ("web", 81, "82", "none")]
    assert ports == [8080, 81, 82, 0]


def test_a_container_listens_where_its_probes_ask() -> None:
    container = a_container(
        livenessProbe={"httpGet": {"port": 9000}}, env=[{"name": "PORT", "value": "7000"}]
    )
    config = pod_spec.container_config(container, "app", 0)
    assert (config.ports, config.env_port) == ([8080, 9000], 7000)


def test_optional_sources_are_not_waited_for() -> None:
    volumes = [
        {"name": "a", "configMap": {"name": "must"}},
        {"name": "b", "secret": {"secretName": "may", "optional": True}},
        {"name": "c", "projected": {"sources": [{"secret": {"name": "also"}}]}},
        {"name": "kube-api-access-x", "projected": {"sources": [{"configMap": {"name": "ca"}}]}},
        {"name": "d", "emptyDir": {}},
    ]
    found = list(pod_spec.volume_references(a_pod(volumes=volumes)))
    assert found == [("a", "configmaps", "must"), ("c", "secrets", "also")]
    variables = [
        {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "must", "key": "k"}}},
        {"name": "B", "valueFrom": {"secretKeyRef": {"name": "may", "key": "k", "optional": True}}},
    ]
    assert list(pod_spec.environment_references(a_container(env=variables))) == [
        ("configmaps", "must")
    ]


def test_a_new_image_restarts_the_container() -> None:
    node = FakeNode()
    pod = a_pod()
    worker = node.add(pod)
    node.clock.advance(3)
    spec = {**pod["spec"], "containers": [a_container(image="shop/web:2")]}
    worker.update({**pod, "spec": spec})
    node.clock.advance(3)
    status = worker.status()["containerStatuses"][0]
    assert (status["image"], status["restartCount"]) == ("shop/web:2", 1)
    assert "running" in status["state"]


def test_pull_policy_never_needs_a_local_image() -> None:
    node = FakeNode()
    worker = node.add(a_pod(a_container(imagePullPolicy="Never")))
    node.clock.advance(1)
    waiting = worker.status()["containerStatuses"][0]["state"]["waiting"]
    assert waiting["reason"] == "ErrImageNeverPull"
    node.engine.images["shop/web:1"] = 1
    node.clock.advance(11)
    assert worker.status()["phase"] == "Running"


def test_a_full_address_range_is_told_and_retried() -> None:
    node = FakeNode()
    plugin = node.engine.network
    assert plugin is not None
    for number in range(253):
        plugin.add(f"taken-{number}")
    worker = node.add(a_pod())
    node.clock.advance(1)
    assert "FailedCreatePodSandBox" in node.reasons()
    plugin.delete("taken-7")
    node.clock.advance(10)
    assert worker.ip == "10.244.1.9"
