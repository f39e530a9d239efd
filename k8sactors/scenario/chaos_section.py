"""The `chaos` section of a scenario: how `k8sactors chaos` breaks the cluster that it sets up."""

from __future__ import annotations

from typing import Any

import attrs

from k8sactors.api.located_yaml import KeyPath
from k8sactors.faults import cluster_faults
from k8sactors.scenario.binding import (
    Choice,
    Duration,
    Integer,
    ListOf,
    Reader,
    Schema,
    setting,
)
from k8sactors.simulation import SECOND


@attrs.frozen
class FaultName:
    """The name of a fault that can strike a whole cluster."""

    def read(self, value: Any, path: KeyPath, reader: Reader) -> str:
        """The name."""
        return Choice(cluster_faults()).read(value, path, reader)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """An enumeration."""
        return Choice(cluster_faults()).schema(definitions)


@attrs.define
class ChaosSection:
    """The two phases of each seed's run, and what keeps the cluster busy meanwhile."""

    duration_ns: int = setting(
        Duration(), "how long faults strike", key="duration", default=60 * SECOND
    )
    settle_ns: int = setting(
        Duration(),
        "after the last fault everything must converge within this time",
        key="settle",
        default=300 * SECOND,
    )
    kinds: list[str] = setting(
        ListOf(FaultName(), 0),
        "the faults that each seed chooses from; by default those that strike at random",
        default=[],
    )
    store_clients: int = setting(
        Integer(0, 50), "clients of the store whose history must be linearizable", default=3
    )
    users: int = setting(
        Integer(0, 50), "users that scale, delete, create and update through the API", default=2
    )
