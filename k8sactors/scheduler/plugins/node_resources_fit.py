"""NodeResourcesFit: requests must be free; emptier nodes score higher (LeastAllocated)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from k8sactors.scheduler.events import ActionType, ClusterEvent, EventHint
from k8sactors.scheduler.framework.interfaces import (
    MAX_NODE_SCORE,
    CycleState,
    FilterPlugin,
    ScorePlugin,
)
from k8sactors.scheduler.framework.status import Code, Status
from k8sactors.scheduler.nodeinfo import NodeInfo
from k8sactors.scheduler.podinfo import PodInfo, Requirements
from k8sactors.scheduler.table import NodeTable, Rows

__all__ = ["NodeResourcesFit"]


class NodeResourcesFit(FilterPlugin, ScorePlugin):
    """Counts requests against allocatable, resource by resource."""

    name = "NodeResourcesFit"
    default_position = 80
    signature_is_requirements = True

    def filter(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> Status | None:
        """Refuse nodes without room; every lacking resource is a reason of its own."""
        del state
        need = pod.requirements
        if (
            node.pod_count < node.allocatable_pods
            and not need.extended
            and not need.ephemeral_bytes
            and need.milli_cpu <= node.allocatable_milli_cpu - node.requested_milli_cpu
            and need.memory_bytes <= node.allocatable_memory - node.requested_memory
        ):
            return None
        reasons, unresolvable = _lacking(need, node)
        if not reasons:
            return None
        code = Code.UNSCHEDULABLE_AND_UNRESOLVABLE if unresolvable else Code.UNSCHEDULABLE
        return Status(code, tuple(reasons), self.name)

    def filter_vector(
        self, state: CycleState, pod: PodInfo, table: NodeTable, rows: Rows
    ) -> NDArray[np.bool_]:
        """The vector form."""
        del state
        mask = np.ones(len(rows), dtype=np.bool_)
        for lacks in _lacking_vector(pod.requirements, table, rows).values():
            mask &= ~lacks
        return mask

    def score(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> int:
        """LeastAllocated: the mean over cpu and memory of the share that stays free."""
        del state
        need = pod.requirements
        total = parts = 0
        capacity = node.allocatable_milli_cpu
        if capacity:
            parts = 1
            free = capacity - node.scored_milli_cpu - need.scored_milli_cpu
            if free > 0:
                total = free * MAX_NODE_SCORE // capacity
        capacity = node.allocatable_memory
        if capacity:
            parts += 1
            free = capacity - node.scored_memory - need.scored_memory_bytes
            if free > 0:
                total += free * MAX_NODE_SCORE // capacity
        return total // parts if parts else 0

    def score_vector(
        self, state: CycleState, pod: PodInfo, table: NodeTable, rows: Rows
    ) -> NDArray[np.int64]:
        """The vector form."""
        del state
        need = pod.requirements
        cpu = table.allocatable_milli_cpu[rows]
        memory = table.allocatable_memory[rows]
        free_cpu = cpu - table.scored_milli_cpu[rows] - need.scored_milli_cpu
        free_memory = memory - table.scored_memory[rows] - need.scored_memory_bytes
        total = _share(free_cpu, cpu) + _share(free_memory, memory)
        parts = (cpu > 0).astype(np.int64) + (memory > 0)
        return total // np.maximum(parts, 1)

    def events_to_register(self) -> Sequence[EventHint]:
        """A pod goes or shrinks, a node comes or grows."""
        node_action = ActionType.ADD | ActionType.UPDATE_NODE_ALLOCATABLE
        return (
            EventHint(ClusterEvent("AssignedPod", ActionType.DELETE)),
            EventHint(ClusterEvent("AssignedPod", ActionType.UPDATE_POD_SCALE_DOWN)),
            EventHint(ClusterEvent("UnscheduledPod", ActionType.UPDATE_POD_SCALE_DOWN)),
            EventHint(ClusterEvent("Node", node_action), _could_fit),
        )


def _lacking(need: Requirements, node: NodeInfo) -> tuple[list[str], bool]:
    """What is short, and whether even the empty node would be too small."""
    reasons: list[str] = []
    unresolvable = False
    if node.pod_count >= node.allocatable_pods:
        reasons.append("Too many pods")
    for name, wanted, allocatable, requested in _demands(need, node):
        if wanted and wanted > allocatable - requested:
            reasons.append(f"Insufficient {name}")
            unresolvable = unresolvable or wanted > allocatable
    return reasons, unresolvable


def _demands(need: Requirements, node: NodeInfo) -> list[tuple[str, int, int, int]]:
    demands = [
        ("cpu", need.milli_cpu, node.allocatable_milli_cpu, node.requested_milli_cpu),
        ("memory", need.memory_bytes, node.allocatable_memory, node.requested_memory),
        (
            "ephemeral-storage",
            need.ephemeral_bytes,
            node.allocatable_ephemeral,
            node.requested_ephemeral,
        ),
    ]
    for name, wanted in need.extended.items():
        allocatable = node.allocatable_extended.get(name, 0)
        demands.append((name, wanted, allocatable, node.requested_extended.get(name, 0)))
    return demands


def _lacking_vector(
    need: Requirements, table: NodeTable, rows: Rows
) -> dict[str, NDArray[np.bool_]]:
    lacks = {"Too many pods": table.pod_count[rows] >= table.allocatable_pods[rows]}
    columns = [
        ("cpu", need.milli_cpu, table.allocatable_milli_cpu, table.requested_milli_cpu),
        ("memory", need.memory_bytes, table.allocatable_memory, table.requested_memory),
        (
            "ephemeral-storage",
            need.ephemeral_bytes,
            table.allocatable_ephemeral,
            table.requested_ephemeral,
        ),
    ]
    for name, wanted in need.extended.items():
        columns.append((name, wanted, *table.extended_columns(name)))
    for name, wanted, allocatable, requested in columns:
        if wanted:
            lacks[f"Insufficient {name}"] = wanted > allocatable[rows] - requested[rows]
    return lacks


def _share(free: NDArray[np.int64], capacity: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.maximum(free, 0) * MAX_NODE_SCORE // np.maximum(capacity, 1)


def _could_fit(pod: PodInfo, _old: Any, node: NodeInfo) -> bool:
    return not _lacking(pod.requirements, node)[0]
