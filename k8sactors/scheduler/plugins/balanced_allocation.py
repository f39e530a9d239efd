"""NodeResourcesBalancedAllocation: like shares of cpu and memory in use score high."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from k8sactors.scheduler.framework.interfaces import (
    MAX_NODE_SCORE,
    CycleState,
    PreScorePlugin,
    ScorePlugin,
)
from k8sactors.scheduler.framework.status import Code, Status
from k8sactors.scheduler.nodeinfo import NodeInfo
from k8sactors.scheduler.podinfo import PodInfo
from k8sactors.scheduler.table import NodeTable, Rows

__all__ = ["NodeResourcesBalancedAllocation"]

_SKIP = Status(Code.SKIP, (), "NodeResourcesBalancedAllocation")


class NodeResourcesBalancedAllocation(PreScorePlugin, ScorePlugin):
    """Scores one minus the standard deviation of the used shares."""

    name = "NodeResourcesBalancedAllocation"
    default_position = 160
    signature_is_requirements = True

    def pre_score(self, state: CycleState, pod: PodInfo) -> Status | None:
        """Skip pods without requests: they do not change the balance."""
        del state
        need = pod.requirements
        return None if need.milli_cpu or need.memory_bytes else _SKIP

    def score(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> int:
        """100 when both shares are equal, 50 when one is full and the other empty."""
        del state
        cpu = node.allocatable_milli_cpu
        memory = node.allocatable_memory
        if not cpu or not memory:
            return MAX_NODE_SCORE
        need = pod.requirements
        cpu_share = (node.requested_milli_cpu + need.milli_cpu) / cpu
        memory_share = (node.requested_memory + need.memory_bytes) / memory
        cpu_share = min(cpu_share, 1.0)
        memory_share = min(memory_share, 1.0)
        return int((1.0 - abs((cpu_share - memory_share) / 2)) * MAX_NODE_SCORE)

    def score_vector(
        self, state: CycleState, pod: PodInfo, table: NodeTable, rows: Rows
    ) -> NDArray[np.int64]:
        """The vector form, in the same order of operations, for equal rounding."""
        del state
        need = pod.requirements
        cpu = table.allocatable_milli_cpu[rows]
        memory = table.allocatable_memory[rows]
        cpu_share = (table.requested_milli_cpu[rows] + need.milli_cpu) / np.maximum(cpu, 1)
        memory_share = (table.requested_memory[rows] + need.memory_bytes) / np.maximum(memory, 1)
        deviation = np.abs((np.minimum(cpu_share, 1.0) - np.minimum(memory_share, 1.0)) / 2)
        scores = ((1.0 - deviation) * MAX_NODE_SCORE).astype(np.int64)
        scores[(cpu == 0) | (memory == 0)] = MAX_NODE_SCORE
        return scores
