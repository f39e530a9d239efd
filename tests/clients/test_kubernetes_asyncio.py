"""The client for Python under asyncio, over a socket."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

kubernetes_asyncio = pytest.importorskip("kubernetes_asyncio")


def test_config_maps_are_created_watched_patched_and_deleted(k8s_api: Any) -> None:
    asyncio.run(session(k8s_api.kubeconfig()))


async def session(kubeconfig: dict[str, Any]) -> None:
    configuration = kubernetes_asyncio.client.Configuration()
    await kubernetes_asyncio.config.load_kube_config_from_dict(
        kubeconfig, client_configuration=configuration
    )
    async with kubernetes_asyncio.client.ApiClient(configuration) as client:
        core = kubernetes_asyncio.client.CoreV1Api(client)
        start = (await core.list_namespaced_config_map("default")).metadata.resource_version
        following = asyncio.create_task(follow(core, start))
        body = {"metadata": {"name": "a"}, "data": {"x": "1"}}
        made = await core.create_namespaced_config_map("default", body)
        assert made.data == {"x": "1"}
        patched = await core.patch_namespaced_config_map("a", "default", {"data": {"y": "2"}})
        assert patched.data == {"x": "1", "y": "2"}
        applied = await core.patch_namespaced_config_map(
            "a",
            "default",
            {"apiVersion": "v1", "kind": "ConfigMap", "data": {"z": "3"}},
            field_manager="mine",
            _content_type="application/apply-patch+yaml",
        )
        assert applied.data == {"x": "1", "y": "2", "z": "3"}
        await core.delete_namespaced_config_map("a", "default")
        events = await asyncio.wait_for(following, 60)
        assert events == [
            ("ADDED", "a"),
            ("MODIFIED", "a"),
            ("MODIFIED", "a"),
            ("DELETED", "a"),
        ]
        with pytest.raises(kubernetes_asyncio.client.ApiException) as caught:
            await core.read_namespaced_config_map("a", "default")
        assert caught.value.status == 404


async def follow(core: Any, start: str) -> list[tuple[str, str]]:
    events = []
    watch = kubernetes_asyncio.watch.Watch()
    async with watch.stream(
        core.list_namespaced_config_map, "default", resource_version=start, timeout_seconds=50
    ) as stream:
        async for event in stream:
            events.append((event["type"], event["object"].metadata.name))
            if len(events) == 4:
                return events
    return events
