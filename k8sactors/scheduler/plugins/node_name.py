"""NodeName: a pod that names its node runs nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from operator import eq

import numpy as np
from numpy.typing import NDArray

from k8sactors.scheduler.events import ActionType, ClusterEvent, EventHint
from k8sactors.scheduler.framework.interfaces import CycleState, FilterPlugin
from k8sactors.scheduler.framework.status import Code, Status
from k8sactors.scheduler.nodeinfo import NodeInfo
from k8sactors.scheduler.podinfo import PodInfo
from k8sactors.scheduler.table import NodeTable, Rows

__all__ = ["NodeName"]


class NodeName(FilterPlugin):
    """Compares spec.nodeName. Pods in the queue have none, so this serves explanations."""

    name = "NodeName"
    default_position = 40
    signature_is_requirements = True  # a pod in the queue names no node
    depends_on_pods = False

    _refusal = Status(
        Code.UNSCHEDULABLE_AND_UNRESOLVABLE,
        ("node(s) didn't match the requested node name",),
        "NodeName",
    )

    def filter(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> Status | None:
        """Refuse every other node."""
        del state
        return None if not pod.node_name or pod.node_name == node.name else self._refusal

    def filter_vector(
        self, state: CycleState, pod: PodInfo, table: NodeTable, rows: Rows
    ) -> NDArray[np.bool_]:
        """The vector form."""
        del state
        if not pod.node_name:
            return np.ones(len(rows), dtype=np.bool_)
        return table.name_mask(partial(eq, pod.node_name), rows)

    def events_to_register(self) -> Sequence[EventHint]:
        """The node appears."""
        return (EventHint(ClusterEvent("Node", ActionType.ADD)),)
