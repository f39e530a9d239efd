"""How a run of the store under faults is set up: plain data, all of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Self

import attrs

from k8sactors.cluster.defaults import STORE_MEMBERS
from k8sactors.faults import DEFAULT_PACE, Pace, PlannedFault, Targets
from k8sactors.faults.fault import STORE_ACTOR


@attrs.frozen
class StoreChaos:
    """How a store campaign runs. Durations in virtual milliseconds.

    Some of the settings are there because a rare fault needs room: a slow network and one entry per
    message stretch the moments in which a crash does harm.
    """

    members: int = STORE_MEMBERS
    # Machines next to the founding members', for members that are added.
    spares: int = 0
    clients: int = 4
    faults_ms: int = 40_000
    settle_ms: int = 30_000
    operations: int = 2_000
    latency_us: int = 500
    sync_latency_us: int = 1_000
    snapshot_entries: int = 200
    entries_per_message: int = 4_096
    election_ticks: int = 10
    think_ms: int = 1_500
    # How much room the store may take; 0: as much as it wants.
    quota_bytes: int = 0
    # Whether leaders answer reads within a lease, without asking the others.
    lease_reads: bool = False
    # By how much clocks may differ in speed for that to be sound.
    max_clock_drift_percent: int = 10
    # Whether elections must settle under one, before all is healed.
    partial_partition: bool = False
    # What clients ask for next to reads and writes of single keys (`store_mix`).
    features: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    pace: Pace = DEFAULT_PACE
    # The faults; None: each seed draws them from `kinds` at a `pace`.
    plan: tuple[PlannedFault, ...] | None = None

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names of the machines: the founding members' by id from 1 on, then the spares."""
        return tuple(f"etcd-{number}" for number in range(1, self.members + self.spares + 1))

    @property
    def targets(self) -> Targets:
        """What faults may break: everything but the clients' machine."""
        hosts = self.hosts
        return Targets(hosts, hosts, tuple((host, STORE_ACTOR) for host in hosts))

    def with_plan(self, plan: Sequence[PlannedFault]) -> Self:
        """The same with other faults."""
        return attrs.evolve(self, plan=tuple(plan))

    def ending(self, faults_ms: int) -> Self:
        """The same with an earlier end of the faults."""
        return attrs.evolve(self, faults_ms=faults_ms)

    def lighter(self) -> Iterator[Self]:
        """One client less."""
        if self.clients > 1:
            yield attrs.evolve(self, clients=self.clients - 1)
