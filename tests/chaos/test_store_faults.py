"""Faults of the store itself: crashes at named points, lost answers, slow watchers, no room."""

from __future__ import annotations

import pytest

import k8sactors.simulation as simulation_module
from k8sactors.chaos.store.options import StoreChaos
from k8sactors.chaos.store.run import run_store
from k8sactors.chaos.store.swarm import QUOTA_BYTES
from k8sactors.chaos.store.watcher import StoreWatcher
from k8sactors.faults import PlannedFault
from k8sactors.faults.crashes import STEPS, WRITTEN
from k8sactors.faults.fault import WATCHER_HOST
from raftstore.server import disk
from raftstore.server.alarms import Alarms

HOSTS = ("etcd-1", "etcd-2", "etcd-3")


def _trap(at_ms: int, host: str, step: str, what: str, *, power: bool) -> PlannedFault:
    where = {"host": host, "step": step, "of": what, "passed": 0, "power": power}
    return PlannedFault(at_ms, 5_000, "crash-at", where)


def test_the_steps_and_writes_are_those_that_the_disk_knows() -> None:
    assert STEPS == (disk.BEFORE_WRITE, disk.BEFORE_SYNC, disk.AFTER_SYNC)
    assert WRITTEN == disk.WRITTEN


@pytest.mark.parametrize("power", [False, True])
@pytest.mark.parametrize("step", STEPS)
def test_a_member_crashes_at_each_named_point_and_comes_back(step: str, *, power: bool) -> None:
    plan = (
        _trap(2_000, "etcd-1", step, "entries", power=power),
        PlannedFault(2_500, 1, "add-member", {"learner": False}),
        _trap(8_000, "etcd-2", step, "a change of members", power=power),
        PlannedFault(9_000, 1, "replace-member", {"host": "etcd-3", "learner": False}),
        _trap(14_000, "etcd-1", step, "a snapshot", power=power),
        _trap(14_000, "etcd-2", step, "a vote or a commit", power=power),
        PlannedFault(14_500, 3_000, "kill-leader", {"host": "$leader", "actor": "etcd"}),
    )
    chaos = StoreChaos(
        faults_ms=22_000, spares=1, plan=plan, snapshot_entries=10, think_ms=200, clients=3
    )
    outcome = run_store(chaos, 3)
    assert outcome.findings == ()
    for what in ("entries", "a change of members", "a snapshot", "a vote or a commit"):
        assert outcome.exercised.get(f"crashed {step} of {what}") == 1, outcome.exercised


@pytest.mark.parametrize("step", STEPS)
def test_a_member_crashes_while_it_installs_a_snapshot(step: str) -> None:
    cut = {"a": ["etcd-3"], "b": ["etcd-1", "etcd-2"], "one_way": False}
    plan = (
        PlannedFault(1_000, 8_000, "partition", cut),
        _trap(9_000, "etcd-3", step, "an installed snapshot", power=True),
    )
    outcome = run_store(
        StoreChaos(faults_ms=16_000, plan=plan, snapshot_entries=10, think_ms=200), 1
    )
    assert outcome.findings == ()
    assert outcome.exercised[f"crashed {step} of an installed snapshot"] == 1


def test_writes_whose_answers_are_lost_are_carried_out() -> None:
    plan = tuple(
        PlannedFault(1_000 + 3_000 * turn, 1_000, "lose-answers", {"host": host})
        for turn in range(4)
        for host in HOSTS
    )
    outcome = run_store(StoreChaos(faults_ms=15_000, plan=plan, think_ms=200), 1)
    assert outcome.findings == ()
    assert outcome.exercised["outcomes unknown"] > 2


def test_watchers_that_take_nothing_for_a_while_miss_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times_s = []
    sound = StoreWatcher._events

    def timed(watcher: StoreWatcher, events: list[list[object]], revision: int) -> None:
        if watcher.name == WATCHER_HOST and events:
            times_s.append(simulation_module.current().now_ns() / simulation_module.SECOND)
        sound(watcher, events, revision)

    monkeypatch.setattr(StoreWatcher, "_events", timed)
    plan = tuple(
        PlannedFault(3_000, 8_000, "slow-watcher", {"host": host, "watcher": WATCHER_HOST})
        for host in HOSTS
    )
    outcome = run_store(StoreChaos(faults_ms=15_000, plan=plan, think_ms=200), 1)
    assert outcome.findings == ()
    assert [moment for moment in times_s if moment < 3]
    assert not [moment for moment in times_s if 3.1 < moment < 11]
    assert [moment for moment in times_s if 11 <= moment < 12]


FULL = StoreChaos(
    faults_ms=15_000,
    quota_bytes=QUOTA_BYTES,
    plan=(PlannedFault(3_000, 5_000, "exceed-quota", {}),),
)


def test_a_store_that_was_full_takes_writes_again() -> None:
    outcome = run_store(FULL, 1)
    assert outcome.findings == ()
    assert outcome.exercised["done: exceed-quota"] == 1
    assert outcome.exercised["done: make-room"] == 1
    assert outcome.exercised["applied alarm_set"] >= 2


def test_a_store_that_stays_full_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = Alarms._set

    def never_cleared(alarms: Alarms, fields: list[int], now_ns: int) -> list[object]:
        return sound(alarms, [1, *fields[1:]], now_ns)

    monkeypatch.setattr(Alarms, "_set", never_cleared)
    assert "liveness" in run_store(FULL, 1).checks


def test_an_operator_compacts_under_watchers_and_readers() -> None:
    plan = tuple(
        PlannedFault(2_000 + 2_000 * turn, 1, "compact", {"kept": turn % 2}) for turn in range(12)
    )
    chaos = StoreChaos(faults_ms=28_000, plan=plan, features=("past",), think_ms=300)
    outcome = run_store(chaos, 1)
    assert outcome.findings == ()
    assert outcome.exercised["done: compact"] == 12
    assert outcome.exercised["refused: revision compacted"] > 0
    assert outcome.exercised["watches compacted"] > 0
