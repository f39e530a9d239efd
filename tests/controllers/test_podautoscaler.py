"""HorizontalPodAutoscalers follow metrics, as fast as their behavior lets them."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio

from k8sactors.api.meta import format_time, get_condition
from k8sactors.controllers.manager import ControllerManagerConfig
from tests.controllers import harness
from tests.controllers.harness import World, replica_set

Object = dict[str, Any]
HPAS, RS = "horizontalpodautoscalers.autoscaling", "replicasets.apps"
CONFIG = ControllerManagerConfig(
    controllers=("horizontal-pod-autoscaler-controller", "replicaset-controller")
)
run = partial(harness.run, config=CONFIG)


def target(replicas: int, load: str = "", cpu: str = "100m", **more: str) -> Object:
    """A ReplicaSet whose pods request `cpu` and share `load`."""
    obj = replica_set(replicas=replicas)
    container = obj["spec"]["template"]["spec"]["containers"][0]
    container["resources"] = {"requests": {"cpu": cpu}}
    notes = {"sim/load-cpu": load} if load else {}
    obj["metadata"]["annotations"] = {**notes, **more}
    return obj


def resource(percent: int = 50) -> Object:
    goal = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": "cpu", "target": goal}}


async def autoscale(world: World, *metrics: Object, **spec: Any) -> None:
    reference = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web"}
    obj = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "scaleTargetRef": reference,
            "maxReplicas": 10,
            "metrics": list(metrics or (resource(),)),
            **spec,
        },
    }
    await world.network.hosts["console"].actor("kubectl").client.create(HPAS, obj)


def size(world: World) -> int:
    replicas: int = world.store.get(RS, "web", "default")["spec"]["replicas"]
    return replicas


def status(world: World) -> Object:
    found: Object = world.store.get(HPAS, "web", "default")["status"]
    return found


def condition(world: World, kind: str) -> tuple[str, str]:
    found = get_condition({"status": status(world)}, kind)
    assert found is not None
    return found["status"], found["reason"]


def load(world: World, amount: str, name: str = "cpu") -> None:
    notes = {f"sim/load-{name}": amount}
    world.store.edit(RS, "web", "default", metadata={"annotations": notes})


async def start(world: World, obj: Object) -> None:
    """The pods have run for long enough that their cpu counts."""
    world.put(RS, obj)
    await trio.sleep(2)
    begin(world)


def begin(world: World) -> None:
    for pod in world.pods():
        if "startTime" not in pod["status"]:
            world.store.edit(
                "pods",
                pod["metadata"]["name"],
                "default",
                status={"startTime": format_time(world.wall_ns)},
            )


@pytest.mark.covers("WL-27", "CT-32", "LC-19")
def test_more_pods_when_they_use_more_than_wanted_and_fewer_later() -> None:
    async def body(world: World) -> None:
        await start(world, target(2, "400m"))
        await autoscale(world)
        await trio.sleep(1)
        # 200 percent of the requests, 50 are wanted: four times as many, but no more than twice.
        assert size(world) == 4
        assert condition(world, "ScalingLimited") == ("True", "ScaleUpLimit")
        [current] = status(world)["currentMetrics"]
        used = {"averageUtilization": 200, "averageValue": "200m"}
        assert current["resource"]["current"] == used
        await trio.sleep(2)
        begin(world)
        await trio.sleep(15)
        assert size(world) == 8
        await trio.sleep(2)
        begin(world)
        await trio.sleep(30)
        assert size(world) == 8
        load(world, "100m")
        await trio.sleep(200)
        assert size(world) == 8
        assert condition(world, "AbleToScale") == ("True", "ScaleDownStabilized")
        await trio.sleep(130)
        assert size(world) == 2
        told = world.events("SuccessfulRescale")
        reason = "cpu resource utilization (percentage of request) above target"
        assert f"New size: 4; reason: {reason}" in told
        assert "New size: 2; reason: All metrics below target" in told

    run(body)


def test_a_small_difference_changes_nothing() -> None:
    async def body(world: World) -> None:
        await start(world, target(4, "216m"))
        await autoscale(world)
        await trio.sleep(40)
        assert size(world) == 4
        assert condition(world, "ScalingActive") == ("True", "ValidMetricFound")

    run(body)


@pytest.mark.parametrize(("replicas", "expected"), [(1, 3), (9, 6)])
def test_the_bounds_hold_without_metrics(replicas: int, expected: int) -> None:
    async def body(world: World) -> None:
        await start(world, target(replicas))
        await autoscale(world, minReplicas=3, maxReplicas=6)
        await trio.sleep(20)
        assert size(world) == expected
        assert condition(world, "ScalingActive") == ("False", "FailedGetResourceMetric")
        assert "currentMetrics" not in status(world)

    run(body)


def test_a_target_that_is_switched_off_stays_off() -> None:
    async def body(world: World) -> None:
        await start(world, target(0, "900m"))
        await autoscale(world)
        await trio.sleep(20)
        assert size(world) == 0
        assert condition(world, "ScalingActive") == ("False", "ScalingDisabled")

    run(body)


def test_a_missing_target_and_missing_requests_are_reported() -> None:
    async def body(world: World) -> None:
        await autoscale(world)
        await trio.sleep(1)
        assert condition(world, "AbleToScale") == ("False", "FailedGetScale")
        obj = target(2, "400m")
        del obj["spec"]["template"]["spec"]["containers"][0]["resources"]
        await start(world, obj)
        await trio.sleep(20)
        assert size(world) == 2
        [told, *_] = world.events("FailedGetResourceMetric")[-1:]
        assert "missing request for cpu in container app of Pod web-" in told

    run(body)


def test_pods_that_have_not_started_do_not_drive_it_up() -> None:
    async def body(world: World) -> None:
        world.make_ready = lambda pod: world.pods().index(pod) < 2
        await start(world, target(4, "240m"))
        await autoscale(world)
        await trio.sleep(40)
        # The ready two use 120m each, 50m are wanted: 2.4 times as many. With the others at
        # nothing it is 1.2 times four.
        assert size(world) == 5

    run(body)


@pytest.mark.parametrize(
    ("metric", "notes", "expected"),
    [
        (
            {
                "type": "Pods",
                "pods": {
                    "metric": {"name": "requests"},
                    "target": {"type": "AverageValue", "averageValue": "10"},
                },
            },
            {"sim/load-requests": "30"},
            3,
        ),
        (
            {
                "type": "Object",
                "object": {
                    "metric": {"name": "queued"},
                    "describedObject": {"apiVersion": "v1", "kind": "ConfigMap", "name": "queue"},
                    "target": {"type": "Value", "value": "20"},
                },
            },
            {},
            3,
        ),
        (
            {
                "type": "Object",
                "object": {
                    "metric": {"name": "queued"},
                    "describedObject": {"apiVersion": "v1", "kind": "ConfigMap", "name": "queue"},
                    "target": {"type": "AverageValue", "averageValue": "8"},
                },
            },
            {},
            4,
        ),
        (
            {
                "type": "ContainerResource",
                "containerResource": {
                    "name": "cpu",
                    "container": "app",
                    "target": {"type": "AverageValue", "averageValue": "100m"},
                },
            },
            {"sim/load-cpu": "300m"},
            3,
        ),
    ],
    ids=["pods", "object value", "object average", "container"],
)
def test_each_type_of_metric(metric: Object, notes: dict[str, str], expected: int) -> None:
    async def body(world: World) -> None:
        note = {"annotations": {"sim/metric-queued": "30"}}
        described = {"name": "queue", "namespace": "default", **note}
        world.put("configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": described})
        await start(world, target(2, **notes))
        await autoscale(world, metric)
        await trio.sleep(1)
        assert size(world) == expected
        assert status(world)["currentMetrics"][0]["type"] == metric["type"]

    run(body)


def test_the_largest_proposal_counts_and_a_broken_metric_never_removes_pods() -> None:
    async def body(world: World) -> None:
        broken = {
            "type": "External",
            "external": {
                "metric": {"name": "elsewhere"},
                "target": {"type": "Value", "value": "1"},
            },
        }
        await start(world, target(3, "60m"))
        await autoscale(world, resource(), broken)
        await trio.sleep(400)
        assert size(world) == 3
        assert condition(world, "ScalingActive") == ("False", "FailedGetExternalMetric")
        load(world, "300m")
        await trio.sleep(16)
        assert size(world) == 6

    run(body)


def test_policies_limit_what_changes_in_a_period() -> None:
    async def body(world: World) -> None:
        behavior = {
            "scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]},
            "scaleDown": {
                "stabilizationWindowSeconds": 0,
                "policies": [{"type": "Percent", "value": 50, "periodSeconds": 60}],
            },
        }
        await start(world, target(2, "900m"))
        await autoscale(world, behavior=behavior)
        await trio.sleep(50)
        assert size(world) == 3
        assert condition(world, "ScalingLimited") == ("True", "ScaleUpLimit")
        begin(world)
        await trio.sleep(30)
        assert size(world) == 4
        # What was added in the last minute would count as not yet there.
        load(world, "210m")
        await trio.sleep(61)
        load(world, "10m")
        await trio.sleep(20)
        # Half of them, and half of the rest a minute later.
        assert size(world) == 2
        await trio.sleep(60)
        assert size(world) == 1

    run(body)


def test_a_direction_can_be_switched_off_and_up_can_be_stabilised() -> None:
    async def body(world: World) -> None:
        behavior = {
            "scaleDown": {"selectPolicy": "Disabled"},
            "scaleUp": {"stabilizationWindowSeconds": 60},
        }
        await start(world, target(2, "400m"))
        await autoscale(world, behavior=behavior)
        await trio.sleep(50)
        assert size(world) == 2
        assert condition(world, "AbleToScale") == ("True", "ScaleUpStabilized")
        await trio.sleep(30)
        assert size(world) > 2
        load(world, "1m")
        await trio.sleep(400)
        assert size(world) > 2

    run(body)


def test_a_pod_can_say_what_it_uses_itself() -> None:
    async def body(world: World) -> None:
        obj = target(2)
        obj["spec"]["template"]["metadata"]["annotations"] = {"sim/usage-cpu": "100m"}
        await start(world, obj)
        await autoscale(world)
        await trio.sleep(1)
        assert size(world) == 4

    run(body)
