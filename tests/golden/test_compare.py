"""The comparison finds what it is there for: each kind of fact, when changed, is a difference."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from k8sactors import simulation
from tests.golden import recordings
from tests.golden.compare import differences
from tests.golden.replay import replay
from tests.golden.subset import assign, missing, object_differences

Object = dict[str, Any]
Change = Callable[[Object], None]

if not recordings.present():
    pytest.skip(recordings.missing(), allow_module_level=True)

CASE = "deploy-rolling-surge1-unavail0"


@cache
def our_facts() -> Object:
    return simulation.run(replay, recordings.case(CASE), seed=1)


def fewer_pods(ours: Object) -> None:
    group = next(g for g in ours["final"] if g["object"]["kind"] == "Pod")
    group["count"] -= 1


def another_status(ours: Object) -> None:
    group = next(g for g in ours["final"] if g["object"]["kind"] == "Deployment")
    group["object"]["status"]["readyReplicas"] = 2


def another_object(ours: Object) -> None:
    group = next(g for g in ours["final"] if g["object"]["kind"] == "ReplicaSet")
    ours["final"].append({"count": 1, "object": {**group["object"], "name": "stray"}})


def another_order(ours: Object) -> None:
    ours["lifecycle"].reverse()


def an_event_less(ours: Object) -> None:
    ours["events"] = [e for e in ours["events"] if e["reason"] != "SuccessfulDelete"]


def an_event_more(ours: Object) -> None:
    ours["events"].append({**ours["events"][0], "reason": "Surprise"})


def an_event_repeated(ours: Object) -> None:
    ours["events"][0]["count"] += 1


def another_end(ours: Object) -> None:
    rows = ours["rows"]["Deployment/web"]
    rows[0][-1] = [[key, 0 if key == "ready" else value] for key, value in rows[0][-1]]


def too_many_at_once(ours: Object) -> None:
    ours["invariants"]["rollout"]["web"]["pods_max"] += 1


def too_few_at_once(ours: Object) -> None:
    ours["invariants"]["rollout"]["web"]["ready_min"] -= 1


@pytest.mark.parametrize(
    "change",
    [
        fewer_pods,
        another_status,
        another_object,
        another_order,
        an_event_less,
        an_event_more,
        an_event_repeated,
        another_end,
        too_many_at_once,
        too_few_at_once,
    ],
)
def test_a_changed_fact_is_a_difference(change: Change) -> None:
    recorded = recordings.recorded(CASE)
    ours = copy.deepcopy(our_facts())
    assert differences(recorded, ours) == []
    change(ours)
    assert len(differences(recorded, ours)) >= 1


def test_what_later_releases_add_is_no_difference() -> None:
    recorded = {"a": 1, "conditions": [{"type": "Ready", "status": "True"}], "b": "<varies>"}
    ours = {
        "a": 1,
        "new": 2,
        "b": 7,
        "conditions": [
            {"type": "Added", "status": "True"},
            {"type": "Ready", "status": "True", "observedGeneration": 3},
        ],
    }
    assert missing(recorded, ours) == []
    assert missing({"a": 2}, ours) == [".a: recorded 2, here 1"]


def test_each_object_stands_for_one_recorded_object() -> None:
    assert assign([{"a": 1}, {}], [{"a": 1}, {"b": 2}]) == [0, 1]
    assert assign([{}, {"a": 1}], [{"a": 1}, {"b": 2}]) == [1, 0]
    assert assign([{"a": 1}, {"a": 1}], [{"a": 1}]) == [0, None]
    pod = {"kind": "Pod", "name": "p"}
    recorded = [{"count": 2, "object": pod}]
    assert object_differences(recorded, [{"count": 2, "object": pod}], "final") == []
    assert object_differences(recorded, [{"count": 1, "object": pod}], "final") == [
        "final Pod/p is not there"
    ]
