"""Feature gates: what is refused, what they switch, and what is told of them."""

from __future__ import annotations

import attrs
import pytest
import trio

from k8sactors import simulation
from k8sactors.apiserver import APIServer
from k8sactors.apiserver.feature_gates import (
    GATES,
    enabled_features,
    exposition,
    feature_gate_problems,
)
from k8sactors.cluster import Cluster, ClusterSpec

SMALL = ClusterSpec(topology="single", workers=1)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("Magic", "true", "unrecognized feature gate: Magic"),
        ("WatchList", "", "missing bool value for WatchList"),
        (
            "WatchList",
            "maybe",
            (
                'invalid value of WatchList=maybe, err: strconv.ParseBool: parsing "maybe": '
                "invalid syntax"
            ),
        ),
        (
            "SidecarContainers",
            "false",
            "cannot set feature gate SidecarContainers to false, feature is locked to true",
        ),
        ("SidecarContainers", "true", ""),
        ("WatchList", "F", ""),
    ],
)
def test_settings_are_refused_in_the_words_of_the_real_server(
    name: str, value: str, problem: str
) -> None:
    assert feature_gate_problems({name: value}) == ([problem] if problem else [])
    spec = attrs.evolve(SMALL, feature_gates={name: value})
    assert spec.problems() == ([problem] if problem else [])


def test_all_gates_of_a_stage_but_those_that_are_named() -> None:
    enabled = enabled_features({"AllAlpha": "true", "HPAScaleToZero": "false"})
    assert enabled["CBORServingAndStorage"]
    assert not enabled["HPAScaleToZero"]
    assert enabled["WatchList"]
    assert not enabled_features({"AllBeta": "false"})["WatchList"]
    # What is locked is of no stage that these change.
    assert all(gate.stage == "" for gate in GATES.values() if gate.locked)


def test_the_metric_tells_name_stage_and_whether_it_is_on() -> None:
    lines = list(exposition({"HPAScaleToZero": "true"}))
    assert 'kubernetes_feature_enabled{name="HPAScaleToZero",stage="ALPHA"} 1' in lines
    assert 'kubernetes_feature_enabled{name="SidecarContainers",stage=""} 1' in lines
    assert 'kubernetes_feature_enabled{name="StorageVersionMigrator",stage="BETA"} 0' in lines
    assert lines[1] == "# TYPE kubernetes_feature_enabled gauge"


@pytest.mark.parametrize("on", [True, False])
def test_a_watch_may_ask_for_all_objects_only_with_watch_lists(on: bool) -> None:
    async def main() -> str:
        spec = attrs.evolve(SMALL, feature_gates={"WatchList": str(on).lower()})
        async with Cluster(spec) as cluster:
            ends: list[object] = []
            cluster.client.watch(
                "pods",
                namespace=None,
                options={"sendInitialEvents": True, "resourceVersionMatch": "NotOlderThan"},
                on_item=ends.append,
                on_close=ends.append,
            )
            await trio.sleep(1)
            return str(ends)

    assert (
        "unless the WatchList feature gate is enabled" in simulation.run(main, seed=1)
    ) is not on


def test_mutating_policies_are_off_with_their_gate() -> None:
    spec = attrs.evolve(SMALL, feature_gates={"MutatingAdmissionPolicy": "false"})
    assert SMALL.admission_plugins_off == ()
    assert spec.admission_plugins_off == ("MutatingAdmissionPolicy",)


def test_limits_of_requests_in_flight_are_seats() -> None:
    wrong = attrs.evolve(SMALL, max_readonly_in_flight=0)
    assert wrong.problems() == ["requests in flight: at least one of each kind must be possible"]

    async def main() -> list[int]:
        spec = attrs.evolve(SMALL, max_readonly_in_flight=30, max_mutating_in_flight=20)
        async with Cluster(spec) as cluster:
            actors = [host.actor("apiserver") for host in cluster.hosts.values()]
            return [each.flow.seats for each in actors if isinstance(each, APIServer)]

    assert simulation.run(main, seed=1) == [50]
