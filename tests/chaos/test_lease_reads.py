"""Reads within leases under chaos: never old while clocks keep to the bound, old beyond it."""

from __future__ import annotations

from k8sactors.chaos.store.options import StoreChaos
from k8sactors.chaos.store.run import run_store
from k8sactors.chaos.store.swarm import DRIFT_BOUND_PERCENT, draw_chaos, kinds_of
from k8sactors.faults import PlannedFault
from k8sactors.faults.injectors.clock_drift import LARGEST_DRIFT_PPM
from k8sactors.faults.parameters import LEADER

ALL = kinds_of(())
HOSTS = ["etcd-1", "etcd-2", "etcd-3"]
ROUND_MS = 6_000
STALE = {"linearizability", "revision-order", "exact-order"}


def _drift(at_ms: int, host: str, drift_ppm: int) -> PlannedFault:
    parameters = {"host": host, "drift_ppm": drift_ppm}
    return PlannedFault(at_ms, ROUND_MS - 100, "clock-drift", parameters)


def cut_off_slow_leaders(slow_ppm: int, fast_ppm: int, rounds: int = 3) -> StoreChaos:
    """The leader's clock goes slow and the others' fast; then it is cut off from them."""
    cut = {"a": [LEADER], "b": HOSTS, "one_way": False}
    plan: list[PlannedFault] = []
    for start_ms in range(2_000, 2_000 + rounds * ROUND_MS, ROUND_MS):
        plan += [_drift(start_ms, host, fast_ppm) for host in HOSTS]
        plan.append(_drift(start_ms + 1, LEADER, slow_ppm))
        plan.append(PlannedFault(start_ms + 300, 5_000, "isolate-leader", cut))
    return StoreChaos(
        clients=8,
        think_ms=100,
        operations=9_000,
        faults_ms=2_000 + rounds * ROUND_MS,
        lease_reads=True,
        max_clock_drift_percent=DRIFT_BOUND_PERCENT,
        plan=tuple(plan),
    )


def test_leases_are_sound_at_the_limit_of_the_drift_that_is_drawn() -> None:
    outcome = run_store(cut_off_slow_leaders(-LARGEST_DRIFT_PPM, LARGEST_DRIFT_PPM), 1)
    assert [str(finding) for finding in outcome.findings] == []
    assert outcome.exercised["leaders elected"] == 4


def test_a_clock_beyond_the_bound_makes_old_reads_that_the_checkers_see() -> None:
    too_slow = cut_off_slow_leaders(-800_000, LARGEST_DRIFT_PPM)
    found: set[str] = set()
    for seed in range(1, 6):
        found |= set(run_store(too_slow, seed).checks)
        if found:
            break
    assert found == STALE


def test_leases_are_drawn_only_where_clocks_keep_to_the_bound() -> None:
    drawn = [draw_chaos(seed, 3, ALL) for seed in range(200)]
    with_leases = [chaos for chaos in drawn if chaos.lease_reads]
    assert 20 < len(with_leases) < 100
    drifting = 0
    for chaos in with_leases:
        kinds = {fault.kind for fault in chaos.plan or ()}
        assert "clock-freeze" not in kinds
        if "clock-drift" in kinds:
            drifting += 1
            assert chaos.max_clock_drift_percent == DRIFT_BOUND_PERCENT
    assert drifting


def test_the_bound_covers_the_drift_that_is_drawn() -> None:
    """While a follower's clock passes a timeout, the leader's lease must end, by its own clock."""
    fast, slow = 1_000_000 + LARGEST_DRIFT_PPM, 1_000_000 - LARGEST_DRIFT_PPM
    assert slow / fast > (100 - DRIFT_BOUND_PERCENT) / 100
