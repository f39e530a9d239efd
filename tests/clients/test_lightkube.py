"""lightkube, under trio and on virtual time, without a socket; and synchronous over one."""

from __future__ import annotations

from typing import Any

import pytest
import trio

lightkube = pytest.importorskip("lightkube")
from lightkube.models.meta_v1 import ObjectMeta  # noqa: E402 - only if it is installed
from lightkube.resources.apps_v1 import Deployment  # noqa: E402
from lightkube.resources.core_v1 import ConfigMap, Pod  # noqa: E402

# It leaves the streams of watches open.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def deployment() -> Any:
    labels = {"app": "web"}
    spec = {
        "replicas": 2,
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "c", "image": "example.org/c:1"}]},
        },
    }
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}
    return Deployment.from_dict({**body, "spec": spec})


async def test_a_session_on_virtual_time(k8s_transport: Any) -> None:
    config = lightkube.KubeConfig.from_dict(k8s_transport.kubeconfig())
    client = lightkube.AsyncClient(config, namespace="default", transport=k8s_transport)
    made = await client.create(ConfigMap(metadata=ObjectMeta(name="a"), data={"x": "1"}))
    assert made.data == {"x": "1"}
    patched = await client.patch(ConfigMap, "a", {"data": {"y": "2"}})
    assert patched.data == {"x": "1", "y": "2"}
    await client.create(deployment())
    with trio.fail_after(300):
        await client.wait(Deployment, "web", for_conditions=["Available"])
    pods = [pod.status.phase async for pod in client.list(Pod, labels={"app": "web"})]
    assert pods == ["Running", "Running"]
    await client.delete(ConfigMap, "a")
    with pytest.raises(lightkube.ApiError) as caught:
        await client.get(ConfigMap, "a")
    assert (caught.value.status.code, caught.value.status.reason) == (404, "NotFound")


def test_the_synchronous_client(k8s_api: Any) -> None:
    config = lightkube.KubeConfig.from_dict(k8s_api.kubeconfig())
    client = lightkube.Client(config, namespace="default", trust_env=False)
    client.create(ConfigMap(metadata=ObjectMeta(name="a"), data={"x": "1"}))
    for operation, found in client.watch(ConfigMap, fields={"metadata.name": "a"}):
        assert (operation, found.data) == ("ADDED", {"x": "1"})
        break
    client.replace(ConfigMap(metadata=ObjectMeta(name="a"), data={"x": "2"}))
    assert client.get(ConfigMap, "a").data == {"x": "2"}
    client.deletecollection(ConfigMap)
    names = [each.metadata.name for each in client.list(ConfigMap)]
    assert "a" not in names


async def test_server_side_apply_by_two_managers(k8s_transport: Any) -> None:
    config = lightkube.KubeConfig.from_dict(k8s_transport.kubeconfig())
    first = lightkube.AsyncClient(
        config, namespace="default", transport=k8s_transport, field_manager="first"
    )
    wanted = ConfigMap(metadata=ObjectMeta(name="a"), data={"x": "1"})
    wanted.apiVersion, wanted.kind = "v1", "ConfigMap"
    applied = await first.apply(wanted)
    assert [each.manager for each in applied.metadata.managedFields] == ["first"]
    wanted.data = {"x": "2"}
    with pytest.raises(lightkube.ApiError) as caught:
        await first.apply(wanted, field_manager="second")
    assert caught.value.status.code == 409
    assert [cause.field for cause in caught.value.status.details.causes] == [".data.x"]
    forced = await first.apply(wanted, field_manager="second", force=True)
    assert forced.data == {"x": "2"}
