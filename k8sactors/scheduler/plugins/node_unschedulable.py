"""NodeUnschedulable: cordoned nodes take only pods that tolerate the cordon's taint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from k8sactors.scheduler.events import ActionType, ClusterEvent, EventHint
from k8sactors.scheduler.framework.interfaces import CycleState, FilterPlugin
from k8sactors.scheduler.framework.status import Code, Status
from k8sactors.scheduler.nodeinfo import NodeInfo
from k8sactors.scheduler.podinfo import PodInfo
from k8sactors.scheduler.table import NodeTable, Rows
from k8sactors.scheduler.taints import NO_SCHEDULE, Taint

__all__ = ["NodeUnschedulable"]

_CORDONED = Taint("node.kubernetes.io/unschedulable", "", NO_SCHEDULE)


class NodeUnschedulable(FilterPlugin):
    """Respects spec.unschedulable."""

    name = "NodeUnschedulable"
    default_position = 30
    signature_is_requirements = True
    depends_on_pods = False

    _refusal = Status(
        Code.UNSCHEDULABLE_AND_UNRESOLVABLE, ("node(s) were unschedulable",), "NodeUnschedulable"
    )

    def filter(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> Status | None:
        """Refuse cordoned nodes to pods without the toleration."""
        del state
        if not node.unschedulable or _tolerates_cordon(pod):
            return None
        return self._refusal

    def filter_vector(
        self, state: CycleState, pod: PodInfo, table: NodeTable, rows: Rows
    ) -> NDArray[np.bool_]:
        """The vector form."""
        del state
        if _tolerates_cordon(pod):
            return np.ones(len(rows), dtype=np.bool_)
        return ~table.unschedulable[rows]

    def events_to_register(self) -> Sequence[EventHint]:
        """A new node, an uncordoned one, or a new toleration."""
        return (
            EventHint(ClusterEvent("Node", ActionType.ADD | ActionType.UPDATE_NODE_TAINT), _usable),
            EventHint(ClusterEvent("UnscheduledPod", ActionType.UPDATE_POD_TOLERATION)),
        )


def _tolerates_cordon(pod: PodInfo) -> bool:
    return any(t.tolerates(_CORDONED) for t in pod.requirements.tolerations)


def _usable(pod: PodInfo, _old: Any, node: NodeInfo) -> bool:
    return not node.unschedulable or _tolerates_cordon(pod)
