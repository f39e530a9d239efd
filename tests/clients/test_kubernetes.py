"""The official client for Python, synchronous, over a socket."""

from __future__ import annotations

import threading  # noqa: TID251 - a synchronous client that watches needs one of its own
from collections.abc import Iterator
from typing import Any

import pytest

kubernetes = pytest.importorskip("kubernetes")


@pytest.fixture
def client(k8s_api: Any) -> Iterator[Any]:
    configuration = kubernetes.client.Configuration()
    loader = kubernetes.config.kube_config.KubeConfigLoader(k8s_api.kubeconfig())
    loader.load_and_set(configuration)
    with kubernetes.client.ApiClient(configuration) as made:
        yield made
        made.rest_client.pool_manager.clear()


def deployment(name: str, replicas: int) -> Any:
    labels = {"app": name}
    container = kubernetes.client.V1Container(name="c", image="example.org/c:1")
    template = kubernetes.client.V1PodTemplateSpec(
        metadata=kubernetes.client.V1ObjectMeta(labels=labels),
        spec=kubernetes.client.V1PodSpec(containers=[container]),
    )
    return kubernetes.client.V1Deployment(
        metadata=kubernetes.client.V1ObjectMeta(name=name),
        spec=kubernetes.client.V1DeploymentSpec(
            replicas=replicas,
            selector=kubernetes.client.V1LabelSelector(match_labels=labels),
            template=template,
        ),
    )


def test_a_deployment_is_created_watched_patched_scaled_and_deleted(client: Any) -> None:
    apps, core = kubernetes.client.AppsV1Api(client), kubernetes.client.CoreV1Api(client)
    made = apps.create_namespaced_deployment("default", deployment("web", 2))
    assert made.metadata.generation == 1
    watch = kubernetes.watch.Watch()
    for event in watch.stream(
        apps.list_namespaced_deployment, "default", timeout_seconds=60, _request_timeout=90
    ):
        if (event["object"].status.available_replicas or 0) == 2:
            break
    else:
        pytest.fail("it was not available in time")
    watch.stop()
    pods = core.list_namespaced_pod("default", label_selector="app=web").items
    assert {pod.status.phase for pod in pods} == {"Running"}
    patched = apps.patch_namespaced_deployment("web", "default", {"spec": {"paused": True}})
    assert (patched.spec.paused, patched.metadata.generation) == (True, 2)
    assert apps.read_namespaced_deployment_scale("web", "default").spec.replicas == 2
    # Not a replacement: the controller may write in between.
    one = {"spec": {"replicas": 1}}
    assert apps.patch_namespaced_deployment_scale("web", "default", one).spec.replicas == 1
    assert apps.delete_namespaced_deployment("web", "default")["status"] == "Success"
    with pytest.raises(kubernetes.client.ApiException) as caught:
        apps.read_namespaced_deployment("web", "default")
    assert (caught.value.status, caught.value.reason) == (404, "Not Found")


def test_a_list_in_pages_and_a_conflict(client: Any) -> None:
    core = kubernetes.client.CoreV1Api(client)
    for number in range(5):
        meta = kubernetes.client.V1ObjectMeta(name=f"c{number}", labels={"mine": "yes"})
        core.create_namespaced_config_map("default", kubernetes.client.V1ConfigMap(metadata=meta))
    names, token = [], None
    while token != "":
        page = core.list_namespaced_config_map(
            "default", label_selector="mine=yes", limit=2, _continue=token
        )
        names += [item.metadata.name for item in page.items]
        token = page.metadata._continue or ""
    assert names == [f"c{number}" for number in range(5)]
    old = core.read_namespaced_config_map("c0", "default")
    core.patch_namespaced_config_map("c0", "default", {"data": {"a": "1"}})
    old.data = {"a": "2"}
    with pytest.raises(kubernetes.client.ApiException) as caught:
        core.replace_namespaced_config_map("c0", "default", old)
    assert caught.value.status == 409


def test_the_dynamic_client_finds_its_way_by_discovery(client: Any) -> None:
    dynamic = kubernetes.dynamic.DynamicClient(client)
    jobs = dynamic.resources.get(api_version="batch/v1", kind="Job")
    assert jobs.namespaced
    maps = dynamic.resources.get(api_version="v1", kind="ConfigMap")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "dyn"}}
    maps.create(body=body, namespace="default")
    assert maps.get(name="dyn", namespace="default").metadata.name == "dyn"
    applied = maps.server_side_apply(
        body={**body, "data": {"x": "1"}}, namespace="default", field_manager="mine"
    )
    assert dict(applied.data) == {"x": "1"}
    managers = [(each.manager, each.operation) for each in applied.metadata.managedFields]
    assert ("mine", "Apply") in managers


def test_an_informer_s_watch_survives_expired_history(client: Any, k8s_api: Any) -> None:
    core = kubernetes.client.CoreV1Api(client)
    seen: list[str] = []
    ready = threading.Event()

    def follow() -> None:
        version = core.list_namespaced_config_map("default").metadata.resource_version
        ready.set()
        while "late" not in seen:
            watch = kubernetes.watch.Watch()
            try:
                for event in watch.stream(
                    core.list_namespaced_config_map,
                    "default",
                    resource_version=version,
                    timeout_seconds=20,
                ):
                    seen.append(event["object"].metadata.name)
                    if seen[-1] == "late":
                        return
            except kubernetes.client.ApiException as error:
                seen.append(str(error.status))
                version = None

    follower = threading.Thread(target=follow)
    follower.start()
    assert ready.wait(30)
    for _ in range(200):
        if k8s_api.expire_history("configmaps").hits:
            break
        threading.Event().wait(0.05)
    meta = kubernetes.client.V1ObjectMeta(name="late")
    core.create_namespaced_config_map("default", kubernetes.client.V1ConfigMap(metadata=meta))
    follower.join(60)
    assert not follower.is_alive()
    assert "410" in seen
    assert seen[-1] == "late"
