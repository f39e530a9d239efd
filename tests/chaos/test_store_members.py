"""Members that come and go under load and faults: orders, judgement, shrinking, determinism."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from k8sactors.chaos.shrink import shrink
from k8sactors.chaos.store.cluster import StoreCluster
from k8sactors.chaos.store.options import StoreChaos
from k8sactors.chaos.store.replay import read_replay, write_replay
from k8sactors.chaos.store.run import run_store
from k8sactors.chaos.store.swarm import kinds_of, run_swarm
from k8sactors.faults import PlannedFault
from raftstore.server.member import Member

CHANGES = (
    ("add-member", {"learner": True}),
    ("remove-member", {"host": "$leader", "fewest": 1}),
    ("add-member", {"learner": False}),
    ("replace-member", {"host": "etcd-2", "learner": False}),
    ("lost-disk", {"host": "etcd-3", "learner": True}),
    ("bit-rot", {"host": "etcd-2", "learner": False, "rot_seed": 7}),
)


def _plan(*changes: tuple[str, dict[str, object]]) -> tuple[PlannedFault, ...]:
    return tuple(
        PlannedFault(3_000 + 4_000 * number, 1, kind, parameters)
        for number, (kind, parameters) in enumerate(changes)
    )


def test_every_order_is_carried_out_in_a_cluster_that_is_well() -> None:
    chaos = StoreChaos(faults_ms=30_000, spares=2, plan=_plan(*CHANGES), snapshot_entries=10)
    outcome = run_store(chaos, 1)
    assert outcome.findings == ()
    done = {kind: outcome.exercised.get(f"done: {kind}", 0) for kind, _ in CHANGES}
    assert done == {
        "add-member": 2,
        "remove-member": 1,
        "replace-member": 1,
        "lost-disk": 1,
        "bit-rot": 1,
    }
    assert outcome.exercised["members added"] == 5
    assert outcome.exercised["members removed"] == 4
    assert outcome.exercised["members removed that led"] == 1
    assert outcome.exercised["members removed that were dead"] == 3
    assert outcome.exercised["learners promoted"] == 2
    assert outcome.exercised["starts refused for bit rot"] >= 1


def test_a_cluster_does_not_lose_a_disk_it_cannot_do_without() -> None:
    change = ("lost-disk", {"host": "etcd-1", "learner": False})
    removal = ("remove-member", {"host": "etcd-3", "fewest": 1})
    outcome = run_store(StoreChaos(faults_ms=20_000, spares=1, plan=_plan(removal, change)), 1)
    assert outcome.findings == ()
    assert "done: lost-disk" not in outcome.exercised
    assert outcome.exercised["done: remove-member"] == 1


def _deaf_to_removal(*_: object) -> bool:
    return False


AROUND = (
    PlannedFault(1_000, 2_000, "pause-host", {"host": "etcd-1"}),
    PlannedFault(5_500, 2_000, "kill-host", {"host": "etcd-2"}),
    PlannedFault(8_000, 1_000, "reset-connections", {"host": "etcd-3"}),
)


def test_a_removed_member_that_does_not_stop_is_found_shrinks_and_replays(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as defect:
        defect.setattr(Member, "removed", property(_deaf_to_removal))
        plan = tuple(sorted((*_plan(*CHANGES[:2]), *AROUND), key=lambda fault: fault.at_ms))
        drawn = StoreChaos(faults_ms=15_000, settle_ms=8_000, spares=1, plan=plan)
        outcome = run_store(drawn, 1)
        shrunk = shrink(lambda each: run_store(each, 1), drawn, outcome, "liveness", 30)
        file = tmp_path / "replay.yaml"
        write_replay(file, shrunk.options, shrunk.outcome)
        replay = read_replay(file)
        again = run_store(replay.options, 1)
    assert [fault.kind for fault in shrunk.options.plan or ()] == ["remove-member"]
    assert "runs" in shrunk.outcome.findings[0].message
    assert (again.findings, again.trace_hash) == (shrunk.outcome.findings, replay.trace_hash)
    assert run_store(replay.options, 1).findings == ()


def test_a_member_that_starts_on_a_rotten_disk_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raftstore.server.disk.rotten", lambda *_: None)
    monkeypatch.setattr("raftstore.server.disk.SimulatedDisk.rot", lambda *_: True)
    chaos = StoreChaos(faults_ms=15_000, spares=1, plan=_plan(CHANGES[-1]))
    assert "bit-rot" in run_store(chaos, 1).checks


def test_members_that_are_not_the_ones_asked_for_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StoreCluster, "install", lambda *_: None)
    chaos = StoreChaos(faults_ms=10_000, settle_ms=10_000, spares=1, plan=_plan(CHANGES[0]))
    assert "liveness" in run_store(chaos, 1).checks


PROGRAM = """
from k8sactors.chaos.store.swarm import kinds_of, run_swarm
kinds = kinds_of(("membership", "network", "process"))
for seed in (2, 5):
    print(seed, run_swarm(3, kinds, seed).trace_hash)
print(run_swarm(5, kinds_of(("membership",)), 3).trace_hash)
"""


def test_seeds_with_changing_members_have_one_trace_in_every_process() -> None:
    def trace(hash_seed: int) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed)}
        command = [sys.executable, "-c", PROGRAM]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True, timeout=120
        ).stdout

    assert trace(1) == trace(77)


# What campaigns have found


@pytest.mark.parametrize(
    ("members", "seed", "kinds"),
    [
        # A member that was removed before it had heard of any other ran forever.
        (3, 347, ("membership", "network", "process", "disk", "clock")),
        # A client's members were all replaced while it was asleep: it never found the others.
        (3, 1180, ("membership", "network", "process", "disk", "clock", "store")),
        # A disk was given up while the other members did not know yet who may vote.
        (3, 1303, ("membership", "network", "process", "disk", "clock", "store")),
        # Of two members the leader left; the other one did not know, and needed its vote.
        (3, 334, ()),
        # A member made a snapshot while one of the leader's waited for its disk.
        (3, 350, ()),
        # Two removed members kept each other: one asked for votes, the other one stayed to vote.
        (5, 562, ()),
        # The only voter was given a second one without an answer; the operator did not start it.
        (3, 4318, ()),
    ],
)
def test_seeds_that_have_found_something_find_nothing(
    members: int, seed: int, kinds: tuple[str, ...]
) -> None:
    outcome = run_swarm(members, kinds_of(kinds), seed)
    assert [str(finding) for finding in outcome.findings] == []


def test_members_crash_while_they_write_a_change_down() -> None:
    kinds = ("interrupt-change", "remove-member")
    outcomes = [run_swarm(3, kinds, seed) for seed in range(1, 5)]
    assert [str(finding) for outcome in outcomes for finding in outcome.findings] == []
    crashes = [
        count
        for outcome in outcomes
        for name, count in outcome.exercised.items()
        if name.startswith("crashed") and name.endswith("of a change of members")
    ]
    assert sum(crashes) > 0
