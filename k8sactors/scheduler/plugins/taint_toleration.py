"""TaintToleration: NoSchedule and NoExecute keep pods away, PreferNoSchedule costs score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from k8sactors.scheduler.events import ActionType, ClusterEvent, EventHint
from k8sactors.scheduler.framework.interfaces import (
    CycleState,
    FilterPlugin,
    MaxNormalizer,
    ScorePlugin,
)
from k8sactors.scheduler.framework.status import Code, Status
from k8sactors.scheduler.nodeinfo import NodeInfo
from k8sactors.scheduler.podinfo import PodInfo
from k8sactors.scheduler.table import NodeTable, Rows
from k8sactors.scheduler.taints import PREFER_NO_SCHEDULE, Taint, find_untolerated

__all__ = ["TaintToleration"]


class TaintToleration(FilterPlugin, ScorePlugin):
    """Compares the node's taints with the pod's tolerations."""

    name = "TaintToleration"
    default_position = 50
    default_weight = 3
    signature_is_requirements = True
    depends_on_pods = False
    normalizer = MaxNormalizer(reverse=True)

    def filter(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> Status | None:
        """Refuse a node with a taint the pod does not tolerate; the first one is named."""
        del state
        if not node.taints:
            return None
        taint = find_untolerated(node.taints, pod.requirements.tolerations)
        if taint is None:
            return None
        reason = f"node(s) had untolerated taint {{{taint.key}: {taint.value}}}"
        return Status(Code.UNSCHEDULABLE_AND_UNRESOLVABLE, (reason,), self.name)

    def filter_vector(
        self, state: CycleState, pod: PodInfo, table: NodeTable, rows: Rows
    ) -> NDArray[np.bool_]:
        """The vector form: asks once per distinct set of taints."""
        del state
        tolerations = pod.requirements.tolerations
        verdicts = np.array(
            [find_untolerated(taints, tolerations) is None for taints in table.taint_sets],
            dtype=np.bool_,
        )
        return verdicts[table.taint_set[rows]]

    def score(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> int:
        """The number of PreferNoSchedule taints that are not tolerated; few is good."""
        del state
        return _count_unpreferred(node.taints, pod) if node.taints else 0

    def score_vector(
        self, state: CycleState, pod: PodInfo, table: NodeTable, rows: Rows
    ) -> NDArray[np.int64]:
        """The vector form."""
        del state
        counts = np.array(
            [_count_unpreferred(taints, pod) for taints in table.taint_sets], dtype=np.int64
        )
        return counts[table.taint_set[rows]]

    def events_to_register(self) -> Sequence[EventHint]:
        """A node without the taint, or a new toleration."""
        return (
            EventHint(ClusterEvent("Node", ActionType.ADD | ActionType.UPDATE_NODE_TAINT), _helps),
            EventHint(ClusterEvent("UnscheduledPod", ActionType.UPDATE_POD_TOLERATION)),
        )


def _count_unpreferred(taints: Sequence[Taint], pod: PodInfo) -> int:
    tolerations = [t for t in pod.requirements.tolerations if t.effect in ("", PREFER_NO_SCHEDULE)]
    return sum(
        taint.effect == PREFER_NO_SCHEDULE and not any(t.tolerates(taint) for t in tolerations)
        for taint in taints
    )


def _helps(pod: PodInfo, _old: Any, node: NodeInfo) -> bool:
    return find_untolerated(node.taints, pod.requirements.tolerations) is None
