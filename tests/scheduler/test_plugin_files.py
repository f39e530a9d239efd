"""A plugin is one file: found, ordered, given what it reads, and woken by what it waits for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from k8sactors import simulation
from k8sactors.cluster import Cluster, ClusterSpec
from k8sactors.scheduler import default_profile, plugins
from k8sactors.scheduler.errors import ConfigurationError
from tests.scheduler.builders import World

ANNOTATION = "example.org/required-config-map"

REAL_DEFAULT_PROFILE = [
    "SchedulingGates",
    "PrioritySort",
    "NodeUnschedulable",
    "NodeName",
    "TaintToleration",
    "NodeAffinity",
    "NodePorts",
    "NodeResourcesFit",
    "VolumeRestrictions",
    "NodeVolumeLimits",
    "VolumeBinding",
    "VolumeZone",
    "PodTopologySpread",
    "InterPodAffinity",
    "DefaultPreemption",
    "NodeResourcesBalancedAllocation",
    "ImageLocality",
    "DefaultBinder",
]
REAL_WEIGHTS = {
    "TaintToleration": 3,
    "NodeAffinity": 2,
    "PodTopologySpread": 2,
    "InterPodAffinity": 2,
}


@pytest.fixture
def extra_plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    directory = Path(__file__).parent / "extra_plugins"
    monkeypatch.setattr(plugins, "__path__", [*plugins.__path__, str(directory)])
    return "RequiredConfigMap"


def test_the_default_profile_has_the_order_and_the_weights_of_the_real_one() -> None:
    entries = default_profile().plugins
    names = [entry.name for entry in entries]
    assert names == [name for name in REAL_DEFAULT_PROFILE if name in names]
    assert len(names) >= 11
    assert {e.name: e.weight for e in entries} == {n: REAL_WEIGHTS.get(n, 1) for n in names}


def test_a_file_in_the_folder_is_a_plugin_of_the_default_profile(extra_plugin: str) -> None:
    names = [entry.name for entry in default_profile().plugins]
    assert names.index("NodeName") + 1 == names.index(extra_plugin)
    assert names.index("TaintToleration") - 1 == names.index(extra_plugin)


def test_without_an_api_server_there_is_nothing_to_list(extra_plugin: str) -> None:
    assert extra_plugin
    with pytest.raises(ConfigurationError, match="no API server to list configmaps from"):
        World()


@pytest.mark.usefixtures("extra_plugin")
def test_a_cluster_schedules_with_a_plugin_that_waits_for_another_resource() -> None:
    async def main() -> tuple[list[str | None], str, float]:
        async with Cluster(ClusterSpec(topology="single", workers=1)) as cluster:
            client = cluster.client
            metadata = {"name": "app", "annotations": {ANNOTATION: "settings"}}
            spec = {"containers": [{"name": "app", "image": "example.org/app:1"}]}
            await client.create("pods", {"metadata": metadata, "spec": spec}, "default")
            await trio.sleep(20)
            waiting = await client.get("pods", "app", "default")
            other = {"metadata": {"name": "other"}}
            await client.create("configmaps", other, "default")
            await trio.sleep(5)
            still_waiting = await client.get("pods", "app", "default")
            begin_s = trio.current_time()
            await client.create("configmaps", {"metadata": {"name": "settings"}}, "default")

            async def bound() -> str | None:
                pod = await client.get("pods", "app", "default")
                return None if pod["spec"].get("nodeName") else "not bound"

            await cluster.wait_for(bound, "the pod is bound", timeout_s=60)
            nodes = [p["spec"].get("nodeName") for p in (waiting, still_waiting)]
            message = waiting["status"]["conditions"][0]["message"]
            return nodes, message, trio.current_time() - begin_s

    nodes, message, took_s = simulation.run(main)
    assert nodes == [None, None]
    assert "config map settings is missing" in message
    assert took_s < 2
