"""What the tests of Jobs share: a manager with the Job controller, and pods that end on order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import trio

from k8sactors.api.meta import format_time
from k8sactors.controllers.manager import ControllerManagerConfig
from tests.controllers import harness
from tests.controllers.harness import World

Object = dict[str, Any]
JOBS = "jobs.batch"
INDEX = "batch.kubernetes.io/job-completion-index"
FINALIZER = "batch.kubernetes.io/job-tracking"
CONFIG = ControllerManagerConfig(controllers=("job-controller",))

run: Callable[[Callable[[World], Awaitable[None]]], None] = partial(harness.run, config=CONFIG)


def job(name: str = "work", restart_policy: str = "Never", **spec: Any) -> Object:
    """A Job with one container, `app`."""
    template = harness.template("work")
    template["spec"]["restartPolicy"] = restart_policy
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"template": template, **spec},
    }


async def create(world: World, obj: Object) -> Object:
    """Create an object through the API server."""
    console = world.network.hosts["console"].actor("kubectl")
    created: Object = await console.client.create("jobs.batch", obj)
    return created


async def patch(world: World, name: str = "work", **spec: Any) -> None:
    """Change the specification of a Job through the API server."""
    console = world.network.hosts["console"].actor("kubectl")
    await console.client.patch(JOBS, name, {"spec": spec}, "default")


def end(world: World, pod: Object, code: int = 0, **status: Any) -> None:
    """Let a pod end with an exit code."""
    now = format_time(world.wall_ns)
    metadata = pod["metadata"]
    ended = {"exitCode": code, "startedAt": now, "finishedAt": now}
    world.store.edit(
        "pods",
        metadata["name"],
        metadata["namespace"],
        status={
            "phase": "Failed" if code else "Succeeded",
            "conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": now}],
            "containerStatuses": [{"name": "app", "state": {"terminated": ended}}],
            **status,
        },
    )


def running(world: World) -> list[Object]:
    """The pods that have neither ended nor are being deleted, oldest first."""
    return [
        pod for pod in world.active_pods() if pod["status"]["phase"] not in {"Succeeded", "Failed"}
    ]


def of_index(world: World, index: int) -> list[Object]:
    """The running pods of an index."""
    return [pod for pod in running(world) if pod["metadata"]["annotations"][INDEX] == str(index)]


def status(world: World, name: str = "work") -> Object:
    """The status of a Job."""
    found: Object = world.store.get(JOBS, name, "default").get("status") or {}
    return found


def conditions(world: World, name: str = "work") -> dict[str, str]:
    """Type and reason of the conditions that hold."""
    return {
        each["type"]: each.get("reason", "")
        for each in status(world, name).get("conditions") or ()
        if each["status"] == "True"
    }


async def wait_until(holds: Callable[[], bool], timeout_s: float = 60) -> None:
    """Wait in virtual time."""
    with trio.fail_after(timeout_s):
        while not holds():  # noqa: ASYNC110 - the store has no event for it
            await trio.sleep(0.05)
