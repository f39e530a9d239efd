"""Chaos on the store: seeds that once found a defect, and a few fresh ones."""

from __future__ import annotations

import pytest

from k8sactors import simulation
from k8sactors.chaos.store.options import StoreChaos
from k8sactors.chaos.store.run import StoreChaosRun

# A killed process left written but unsynced records; its successor acknowledged entries on them.
UNSYNCED_AFTER_PROCESS_KILL = (41, 47, 62, 149)


@pytest.mark.covers("DC-08", "DC-14")
@pytest.mark.parametrize("seed", [*UNSYNCED_AFTER_PROCESS_KILL, *range(1, 31)])
def test_a_store_under_faults_keeps_its_guarantees_and_serves_again(seed: int) -> None:
    outcome = simulation.run(StoreChaosRun(StoreChaos()).main, seed=seed)
    assert [str(finding) for finding in outcome.findings] == []
    assert outcome.operations > 0


def test_the_same_seed_gives_the_same_faults_and_the_same_trace() -> None:
    first, second = (simulation.run(StoreChaosRun(StoreChaos()).main, seed=9) for _ in range(2))
    assert (first.trace_hash, first.faults) == (second.trace_hash, second.faults)
    other = simulation.run(StoreChaosRun(StoreChaos()).main, seed=10)
    assert other.trace_hash != first.trace_hash
