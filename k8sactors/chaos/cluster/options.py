"""How a run of a whole cluster under faults is set up: plain data, all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Self

import attrs

from k8sactors.cluster import Cluster
from k8sactors.faults import DEFAULT_PACE, Pace, PlannedFault, Targets


@attrs.frozen
class ClusterChaos:
    """How a cluster campaign runs. Durations in virtual milliseconds."""

    faults_ms: int = 60_000
    settle_ms: int = 300_000
    # Clients of the store whose history must be linearizable.
    store_clients: int = 3
    # Users that scale, delete, create and update through the API.
    api_clients: int = 2
    # What each client of the store does at most, and how long it thinks in between.
    operations: int = 2_000
    think_ms: int = 1_500
    # Users of one pod of a fixed name each.
    named_pods: int = 0
    kinds: tuple[str, ...] = ()
    pace: Pace = DEFAULT_PACE
    # What faults may strike; everything but the operator's machine unless given.
    targets: Callable[[Cluster], Targets] | None = None
    # The faults; None: each seed draws them from `kinds` at a `pace`.
    plan: tuple[PlannedFault, ...] | None = None

    def with_plan(self, plan: Sequence[PlannedFault]) -> Self:
        """The same with other faults."""
        return attrs.evolve(self, plan=tuple(plan))

    def ending(self, faults_ms: int) -> Self:
        """The same with an earlier end of the faults."""
        return attrs.evolve(self, faults_ms=faults_ms)

    def lighter(self) -> Iterator[Self]:
        """Without a sort of clients, or with one client less."""
        if self.api_clients:
            yield attrs.evolve(self, api_clients=0)
            yield attrs.evolve(self, api_clients=self.api_clients - 1)
        if self.store_clients:
            yield attrs.evolve(self, store_clients=0)
            yield attrs.evolve(self, store_clients=self.store_clients - 1)
        if self.named_pods:
            yield attrs.evolve(self, named_pods=0)
            yield attrs.evolve(self, named_pods=self.named_pods - 1)
