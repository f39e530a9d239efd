"""DaemonSets keep one pod on each node that they are meant for."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import pytest
import trio

from k8sactors.controllers.manager import ControllerManagerConfig
from tests.controllers import harness
from tests.controllers.harness import World, template

run = partial(harness.run, config=ControllerManagerConfig(controllers=("daemonset-controller",)))
DS = "daemonsets.apps"
REVISIONS = "controllerrevisions.apps"
HASH = "controller-revision-hash"


def daemon_set(name: str = "agent", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(),
            **spec,
        },
    }


def add_nodes(world: World, *names: str, **labels: str) -> None:
    for name in names:
        world.put(
            "nodes",
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **labels}},
                "spec": {},
            },
        )


def places(world: World) -> Counter[str]:
    return Counter(pod["spec"]["nodeName"] for pod in world.active_pods())


def images(world: World) -> list[str]:
    return sorted(pod["spec"]["containers"][0]["image"] for pod in world.active_pods())


def new_image(world: World, image: str) -> None:
    world.store.edit(DS, "agent", "default", spec={"template": template(image=image)})


def rolling(**settings: Any) -> dict[str, Any]:
    return {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": settings}}


@pytest.mark.covers("WL-31")
def test_each_node_gets_one_pod_and_a_node_that_joins_gets_one_too() -> None:
    async def body(world: World) -> None:
        add_nodes(world, "n0", "n1")
        world.put(DS, daemon_set())
        await trio.sleep(2)
        assert places(world) == {"n0": 1, "n1": 1}
        add_nodes(world, "n2")
        await trio.sleep(2)
        assert places(world) == {"n0": 1, "n1": 1, "n2": 1}
        status = world.store.get(DS, "agent", "default")["status"]
        assert status == {
            "currentNumberScheduled": 3,
            "desiredNumberScheduled": 3,
            "numberAvailable": 3,
            "numberMisscheduled": 0,
            "numberReady": 3,
            "observedGeneration": 1,
            "updatedNumberScheduled": 3,
        }

    run(body)


def test_only_nodes_that_selector_and_affinity_admit_get_a_pod() -> None:
    async def body(world: World) -> None:
        add_nodes(world, "n0", disk="ssd", size="4")
        add_nodes(world, "n1", disk="ssd", size="16")
        add_nodes(world, "n2", disk="hdd", size="16")
        big = {"key": "size", "operator": "Gt", "values": ["8"]}
        terms = {"nodeSelectorTerms": [{"matchExpressions": [big]}]}
        required = {"requiredDuringSchedulingIgnoredDuringExecution": terms}
        wanted = template()
        wanted["spec"]["nodeSelector"] = {"disk": "ssd"}
        wanted["spec"]["affinity"] = {"nodeAffinity": required}
        world.put(DS, daemon_set(template=wanted))
        await trio.sleep(2)
        assert places(world) == {"n1": 1}
        world.store.edit("nodes", "n1", "", metadata={"labels": {"disk": "hdd"}})
        await trio.sleep(2)
        assert not places(world)

    run(body)


@pytest.mark.covers("WL-33", "WL-34")
def test_taints_keep_new_pods_away_but_only_no_execute_ends_running_ones() -> None:
    async def body(world: World) -> None:
        add_nodes(world, "n0", "n1")
        world.put(DS, daemon_set())
        await trio.sleep(2)
        taint = {"key": "maint", "effect": "NoSchedule"}
        world.store.edit("nodes", "n1", "", spec={"taints": [taint]})
        await trio.sleep(2)
        assert places(world) == {"n0": 1, "n1": 1}
        status = world.store.get(DS, "agent", "default")["status"]
        assert (status["desiredNumberScheduled"], status["numberMisscheduled"]) == (1, 1)
        world.store.edit("nodes", "n1", "", spec={"taints": [{**taint, "effect": "NoExecute"}]})
        await trio.sleep(2)
        assert places(world) == {"n0": 1}
        tolerant = template()
        tolerant["spec"]["tolerations"] = [{"key": "maint", "operator": "Exists"}]
        world.store.edit(DS, "agent", "default", spec={"template": tolerant})
        await trio.sleep(3)
        assert places(world) == {"n0": 1, "n1": 1}

    run(body)


def test_a_rolling_update_keeps_within_max_unavailable() -> None:
    async def body(world: World) -> None:
        add_nodes(world, "n0", "n1", "n2", "n3")
        world.put(DS, daemon_set(**rolling(maxUnavailable="50%")))
        await trio.sleep(2)
        new_image(world, "shop/web:2")
        fewest = 4
        for _ in range(60):
            await trio.sleep(0.1)
            ready = [p for p in world.active_pods() if p["status"].get("conditions")]
            fewest = min(fewest, len(ready))
        assert fewest == 2
        assert images(world) == ["shop/web:2"] * 4

    run(body)


def test_with_surge_the_new_pod_is_ready_before_the_old_one_goes() -> None:
    async def body(world: World) -> None:
        add_nodes(world, "n0", "n1", "n2")
        world.put(DS, daemon_set(**rolling(maxSurge=1, maxUnavailable=0)))
        await trio.sleep(2)
        new_image(world, "shop/web:2")
        most = 0
        for _ in range(80):
            await trio.sleep(0.1)
            pods = world.active_pods()
            most = max(most, len(pods))
            ready_on = {p["spec"].get("nodeName") for p in pods if p["status"].get("conditions")}
            assert {"n0", "n1", "n2"} <= ready_on
        assert most == 4
        assert images(world) == ["shop/web:2"] * 3

    run(body)


def test_a_broken_template_stops_at_the_limit_and_its_fix_replaces_the_broken_pods() -> None:
    async def body(world: World) -> None:
        add_nodes(world, "n0", "n1", "n2")
        world.put(DS, daemon_set())
        await trio.sleep(2)
        world.make_ready = lambda pod: pod["spec"]["containers"][0]["image"] != "shop/web:bad"
        new_image(world, "shop/web:bad")
        await trio.sleep(10)
        assert images(world) == ["shop/web:1", "shop/web:1", "shop/web:bad"]
        new_image(world, "shop/web:3")
        await trio.sleep(10)
        assert images(world) == ["shop/web:3"] * 3

    run(body)


def test_min_ready_seconds_slow_the_rollout_down() -> None:
    async def body(world: World) -> None:
        add_nodes(world, "n0", "n1")
        world.put(DS, daemon_set(minReadySeconds=10))
        await trio.sleep(5)
        status = world.store.get(DS, "agent", "default")["status"]
        assert (status["numberReady"], status["numberUnavailable"]) == (2, 2)
        await trio.sleep(10)
        assert world.store.get(DS, "agent", "default")["status"]["numberAvailable"] == 2
        new_image(world, "shop/web:2")
        await trio.sleep(5)
        assert images(world) == ["shop/web:1", "shop/web:2"]
        await trio.sleep(25)
        assert images(world) == ["shop/web:2", "shop/web:2"]

    run(body)


def test_on_delete_replaces_only_what_is_deleted() -> None:
    async def body(world: World) -> None:
        add_nodes(world, "n0", "n1")
        world.put(DS, daemon_set(updateStrategy={"type": "OnDelete"}))
        await trio.sleep(2)
        new_image(world, "shop/web:2")
        await trio.sleep(3)
        assert images(world) == ["shop/web:1", "shop/web:1"]
        world.delete("pods", world.active_pods()[0]["metadata"]["name"], "default")
        await trio.sleep(3)
        assert images(world) == ["shop/web:1", "shop/web:2"]

    run(body)


def test_the_history_is_limited_and_a_former_template_gets_the_next_number() -> None:
    async def body(world: World) -> None:
        add_nodes(world, "n0")
        world.put(DS, daemon_set(revisionHistoryLimit=1))
        for number in (2, 3, 2):
            await trio.sleep(4)
            new_image(world, f"shop/web:{number}")
        await trio.sleep(4)
        found = {
            each["revision"]: each["data"]["spec"]["template"]["spec"]["containers"][0]["image"]
            for each in world.store.list(REVISIONS)
        }
        assert found == {3: "shop/web:3", 4: "shop/web:2"}

    run(body)


def test_two_templates_with_the_same_hash_get_different_names() -> None:
    async def body(world: World) -> None:
        add_nodes(world, "n0")
        world.put(DS, daemon_set())
        await trio.sleep(2)
        first = world.store.list(REVISIONS)[0]
        name = first["metadata"]["name"]
        # The same name, but with another content and another owner.
        world.store.remove(DS, "agent", "default")
        world.store.remove(REVISIONS, name, "default")
        world.put(
            REVISIONS,
            {
                "apiVersion": "apps/v1",
                "kind": "ControllerRevision",
                "metadata": {"name": name, "namespace": "default"},
                "data": {"spec": {}},
                "revision": 7,
            },
        )
        await trio.sleep(1)
        world.put(DS, daemon_set())
        await trio.sleep(3)
        revisions = world.store.list(REVISIONS)
        assert len(revisions) == 2
        assert world.store.get(DS, "agent", "default")["status"]["collisionCount"] == 1

    run(body)


def test_a_node_that_fails_each_pod_gets_a_new_one_after_growing_delays() -> None:
    async def body(world: World) -> None:
        add_nodes(world, "n0")
        world.put(DS, daemon_set())
        seen = set()
        for _ in range(200):
            await trio.sleep(0.2)
            for pod in world.active_pods():
                seen.add(pod["metadata"]["uid"])
                if pod["status"]["phase"] == "Running":
                    world.set_pod(pod, ready=False, phase="Failed")
        # 1 + 2 + 4 + 8 + 16 s of waiting: without back-off there would be about a hundred.
        assert 5 <= len(seen) <= 8
        assert any("will try to kill it" in message for message in world.events("FailedDaemonPod"))

    run(body)


def test_a_selector_of_everything_is_reported_and_others_are_served_on() -> None:
    async def body(world: World) -> None:
        add_nodes(world, "n0")
        # No API server takes this; an old store may hold it.
        world.store.put(DS, daemon_set("all", selector={}))
        world.put(DS, daemon_set())
        await trio.sleep(2)
        assert places(world) == {"n0": 1}
        assert len(world.events("SelectingAll")) == 1

    run(body)
