"""What one seed of a store campaign looks like: drawn once, then plain data.

Swarm testing (Groce et al., 2012): a seed does not get a little of everything. It first draws which
kinds of fault are on at all and how dense they come, how fast network and disks are, and what the
clients ask for. So some seeds see nothing but pauses on a slow network, others everything at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

import attrs

from k8sactors.chaos.outcome import Outcome
from k8sactors.chaos.store.mix import FEATURES
from k8sactors.chaos.store.options import StoreChaos
from k8sactors.chaos.store.run import run_store
from k8sactors.faults import (
    FAULTS,
    UnknownFaultError,
    draw_faults,
    faults_of_groups,
)
from k8sactors.simulation import Random, named_stream

ENABLED_SHARES = (0.1, 0.2, 0.4, 0.7)
MEAN_GAPS_MS = (500, 1_500, 4_000, 10_000)
LONGEST_MS = (1_000, 5_000, 15_000)
FAULTS_MS = (15_000, 30_000)
LATENCIES_US = (100, 500, 2_000, 20_000)
SYNC_LATENCIES_US = (100, 1_000, 10_000)
SNAPSHOT_ENTRIES = (10, 50, 500)
ENTRIES_PER_MESSAGE = (1, 8, 4_096)
THINK_MS = (100, 400, 1_200)
CLIENTS = (2, 4, 6)
FEATURE_SHARE = 0.5
SPARES = (1, 2)
"""Machines for members to come, in a run whose members change."""
QUOTA_BYTES = 200_000
"""Several times what the load fills it with."""
CHANGES = (
    "add-member",
    "remove-member",
    "replace-member",
    "replace-jointly",
    "lost-disk",
    "bit-rot",
    "interrupt-change",
)
SETTLE_MS = 60_000
PARTIAL_PARTITION_SHARE = 0.2
"""Of the runs whose members stay the same."""
LEASE_READS_SHARE = 0.3
"""Of the runs in which no clock stands still: there a leader would trust in its lease forever."""
DRIFT_BOUND_PERCENT = 35
"""Bounds the drift that is drawn: one clock may run at six fifths, another at four, 50 % faster."""


def kinds_of(names: Sequence[str]) -> tuple[str, ...]:
    """Kinds of fault by their own names or by those of their groups; none: all.

    Raises:
        UnknownFaultError: a name is neither.
    """
    groups = faults_of_groups()
    if not names:
        return tuple(kind for kinds in groups.values() for kind in kinds)
    kinds: list[str] = []
    for name in names:
        if name not in groups and name not in FAULTS:
            raise UnknownFaultError(_unknown(name, groups))
        kinds += groups.get(name, (name,))
    return tuple(dict.fromkeys(kinds))


def _unknown(name: str, groups: Mapping[str, Sequence[str]]) -> str:
    near = get_close_matches(name, [*groups, *FAULTS], 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    lines = [f"  {group}: {', '.join(kinds)}" for group, kinds in groups.items()]
    return "\n".join([f"no fault {name!r}{hint} Groups and kinds:", *lines])


def draw_chaos(seed: int, members: int, kinds: Sequence[str]) -> StoreChaos:
    """Everything that a run of this seed needs, its faults included."""
    random = named_stream(seed, "chaos/swarm")
    share = random.choice(ENABLED_SHARES)
    enabled = [kind for kind in kinds if random.random() < share] or [random.choice(kinds)]
    snapshot_entries = random.choice(SNAPSHOT_ENTRIES)
    if "interrupt-install" in enabled:
        snapshot_entries = SNAPSHOT_ENTRIES[0]
    chaos = StoreChaos(
        members=members,
        spares=random.choice(SPARES) if any(kind in CHANGES for kind in enabled) else 0,
        quota_bytes=QUOTA_BYTES if "exceed-quota" in enabled else 0,
        clients=random.choice(CLIENTS),
        faults_ms=random.choice(FAULTS_MS),
        settle_ms=SETTLE_MS,
        latency_us=random.choice(LATENCIES_US),
        sync_latency_us=random.choice(SYNC_LATENCIES_US),
        snapshot_entries=snapshot_entries,
        entries_per_message=random.choice(ENTRIES_PER_MESSAGE),
        think_ms=random.choice(THINK_MS),
        features=tuple(each for each in FEATURES if random.random() < FEATURE_SHARE),
    )
    if not chaos.spares:
        partial = named_stream(seed, "chaos/partial").random() < PARTIAL_PARTITION_SHARE
        chaos = attrs.evolve(chaos, partial_partition=partial)
    if "clock-freeze" not in enabled:
        leases = named_stream(seed, "chaos/lease-reads").random() < LEASE_READS_SHARE
        chaos = attrs.evolve(chaos, lease_reads=leases)
        if leases and "clock-drift" in enabled:
            chaos = attrs.evolve(chaos, max_clock_drift_percent=DRIFT_BOUND_PERCENT)
    return _with_plan(chaos, random, enabled)


def _with_plan(chaos: StoreChaos, random: Random, enabled: Sequence[str]) -> StoreChaos:
    plan = draw_faults(
        random,
        chaos.targets,
        chaos.faults_ms,
        enabled,
        random.choice(MEAN_GAPS_MS),
        LONGEST_MS,
    )
    return attrs.evolve(chaos, plan=tuple(plan))


def run_swarm(members: int, kinds: Sequence[str], seed: int) -> Outcome:
    """Draw and run one seed."""
    return run_store(draw_chaos(seed, members, kinds), seed)
