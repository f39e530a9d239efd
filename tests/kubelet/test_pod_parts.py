"""Ephemeral containers and resizes, from the subresource to the container."""

from __future__ import annotations

from typing import Any

import pytest

from k8sactors.api.errors import StatusError
from k8sactors.cluster import Cluster
from tests.kubelet.test_streams import execute, logs, pod, run, shell, wait_phase

Object = dict[str, Any]


async def change(cluster: Cluster, part: str, spec: Object) -> Object:
    found: Object = await cluster.client.patch(
        "pods", "a", {"spec": spec}, "default", part, "strategic"
    )
    return found


async def wait_status(cluster: Cluster, key: str, wanted: Object) -> Object:
    seen: Object = {}

    async def missing() -> str | None:
        nonlocal seen
        seen = (await cluster.client.get("pods", "a", "default"))["status"]
        items = seen.get(key) or [{}]
        held = all(items[-1].get(name) == value for name, value in wanted.items())
        return None if held else str(items[-1])

    await cluster.wait_for(missing, f"{key} has {wanted}", timeout_s=30)
    return seen


def test_an_ephemeral_container_runs_next_to_the_others() -> None:
    async def main(cluster: Cluster) -> None:
        await cluster.client.create("pods", pod("a", shell("sleep 1h"), restartPolicy="Never"))
        await wait_phase(cluster, "a")
        debugger = shell("echo debugging; sleep 60; exit 2", "debugger")
        changed = await change(cluster, "ephemeralcontainers", {"ephemeralContainers": [debugger]})
        assert changed["metadata"]["generation"] == 2
        status = await wait_status(cluster, "ephemeralContainerStatuses", {"name": "debugger"})
        assert await logs(cluster, "a", container="debugger") == "debugging\n"
        out, _, _ = await execute(cluster, "a", "hostname", container="debugger")
        assert out == "a\n"
        ready = {each["type"]: each["status"] for each in status["conditions"]}
        assert ready["Ready"] == "True"
        assert status["phase"] == "Running"

        async def missing() -> str | None:
            found = await cluster.client.get("pods", "a", "default")
            state = found["status"]["ephemeralContainerStatuses"][0]["state"]
            return None if "terminated" in state else "it still runs"

        await cluster.wait_for(missing, "the debugger has ended", timeout_s=90)
        found = await cluster.client.get("pods", "a", "default")
        state = found["status"]["ephemeralContainerStatuses"][0]
        assert (state["state"]["terminated"]["exitCode"], state["restartCount"]) == (2, 0)
        assert found["status"]["phase"] == "Running"

    run(main)


@pytest.mark.parametrize(
    ("container", "text"),
    [
        (shell("true", "main"), 'Duplicate value: "main"'),
        (shell("true", "d", ports=[{"containerPort": 1}]), "cannot be set for an Ephemeral"),
        (shell("true", "d", targetContainerName="x"), 'targetContainerName: Not found: "x"'),
        (shell("false", "first"), 'existing ephemeral containers "first" may not be changed'),
    ],
    ids=["name", "ports", "target", "changed"],
)
def test_an_ephemeral_container_is_checked(container: Object, text: str) -> None:
    async def main(cluster: Cluster) -> None:
        await cluster.client.create("pods", pod("a", shell("sleep 1h")))
        first = {"ephemeralContainers": [shell("true", "first")]}
        await change(cluster, "ephemeralcontainers", first)
        with pytest.raises(StatusError) as refusal:
            await change(cluster, "ephemeralcontainers", {"ephemeralContainers": [container]})
        assert (refusal.value.code, text in refusal.value.message) == (422, True), refusal.value

    run(main)


def resources(cpu: str) -> Object:
    return {"containers": [{"name": "main", "resources": {"requests": {"cpu": cpu}}}]}


def test_a_resize_happens_while_the_container_runs() -> None:
    async def main(cluster: Cluster) -> None:
        before = {"requests": {"cpu": "100m"}}
        await cluster.client.create("pods", pod("a", shell("sleep 1h", resources=before)))
        await wait_phase(cluster, "a")
        changed = await change(cluster, "resize", resources("200m"))
        assert changed["metadata"]["generation"] == 2
        wanted = {"requests": {"cpu": "200m"}}
        status = await wait_status(cluster, "containerStatuses", {"resources": wanted})
        assert status["containerStatuses"][0]["restartCount"] == 0
        assert status["containerStatuses"][0]["allocatedResources"] == {"cpu": "200m"}

    run(main)


def test_a_resize_restarts_the_container_if_its_policy_says_so() -> None:
    async def main(cluster: Cluster) -> None:
        policy = [{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]
        given = {"resources": {"requests": {"cpu": "100m"}}, "resizePolicy": policy}
        await cluster.client.create("pods", pod("a", shell("sleep 1h", **given)))
        await wait_phase(cluster, "a")
        await change(cluster, "resize", resources("200m"))

        async def missing() -> str | None:
            found = await cluster.client.get("pods", "a", "default")
            count = found["status"]["containerStatuses"][0]["restartCount"]
            return None if count == 1 else f"restarted {count} times"

        await cluster.wait_for(missing, "the container is restarted", timeout_s=90)

    run(main)


def test_a_resize_waits_for_room_and_says_what_can_never_be() -> None:
    async def main(cluster: Cluster) -> None:
        node = await cluster.client.get("nodes", "worker-1")
        cores = int(node["status"]["allocatable"]["cpu"])
        before = {"requests": {"cpu": "100m"}}
        big = {"requests": {"cpu": str(cores - 1)}}
        placed = {"nodeName": "worker-1"}
        await cluster.client.create("pods", pod("a", shell("sleep 1h", resources=before), **placed))
        await cluster.client.create("pods", pod("b", shell("sleep 1h", resources=big), **placed))
        await wait_phase(cluster, "a")
        await wait_phase(cluster, "b")
        await change(cluster, "resize", resources(str(cores + 1)))
        pending = {"type": "PodResizePending", "status": "True"}
        await wait_status(cluster, "conditions", {**pending, "reason": "Infeasible"})
        await change(cluster, "resize", resources("2"))
        await wait_status(cluster, "conditions", {**pending, "reason": "Deferred"})
        await cluster.client.delete("pods", "b", "default", gracePeriodSeconds=1)
        wanted = {"resources": {"requests": {"cpu": "2"}}}
        status = await wait_status(cluster, "containerStatuses", wanted)
        assert "PodResizePending" not in {each["type"] for each in status["conditions"]}

    run(main)


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"containers": [{"name": "main", "image": "other"}]}, "only cpu and memory resources"),
        (
            {
                "containers": [
                    {"name": "main", "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}
                ]
            },
            "Pod QOS Class may not change as a result of resizing",
        ),
    ],
    ids=["image", "class"],
)
def test_a_resize_is_checked(spec: Object, text: str) -> None:
    async def main(cluster: Cluster) -> None:
        await cluster.client.create("pods", pod("a", shell("sleep 1h")))
        with pytest.raises(StatusError) as refusal:
            await change(cluster, "resize", spec)
        assert (refusal.value.code, text in refusal.value.message) == (422, True), refusal.value

    run(main)
