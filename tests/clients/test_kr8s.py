"""kr8s, under trio and on virtual time, without a socket; and synchronous over one."""

from __future__ import annotations

from typing import Any

import pytest

kr8s = pytest.importorskip("kr8s")
pytest.importorskip("kr8s.asyncio.objects")
pytest.importorskip("kr8s.objects")

# It warns of releases that are newer than it knows, and leaves the streams of watches open.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Kubernetes version:UserWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def deployment() -> dict[str, Any]:
    labels = {"app": "web"}
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "c", "image": "example.org/c:1"}]},
        },
    }
    body = {"apiVersion": "apps/v1", "kind": "Deployment"}
    return {**body, "metadata": {"name": "web", "namespace": "default"}, "spec": spec}


async def test_a_session_on_virtual_time(k8s_transport: Any) -> None:
    api = await k8s_transport.kr8s_api()
    web = await kr8s.asyncio.objects.Deployment(deployment(), api=api)
    await web.create()
    await web.wait("condition=Available", timeout=300)
    await web.scale(3)
    await web.patch({"metadata": {"labels": {"mine": "yes"}}})
    found = [each async for each in api.get("deployments", label_selector={"mine": "yes"})]
    assert [each.name for each in found] == ["web"]
    assert len(await web.pods()) == 3
    await web.delete()
    assert not await web.exists()


def test_the_synchronous_client(k8s_api: Any) -> None:
    api = kr8s.api(kubeconfig=str(k8s_api.kubeconfig_path))
    body = {"metadata": {"name": "a", "namespace": "default"}, "data": {"x": "1"}}
    made = kr8s.objects.ConfigMap({"apiVersion": "v1", "kind": "ConfigMap", **body}, api=api)
    made.create()
    for event, found in api.watch("configmaps", field_selector="metadata.name=a"):
        assert (event, found.data) == ("ADDED", {"x": "1"})
        break
    made.patch({"data": {"y": "2"}})
    assert dict(made.data) == {"x": "1", "y": "2"}
    made.delete()
    with pytest.raises(kr8s.NotFoundError):
        made.refresh()
