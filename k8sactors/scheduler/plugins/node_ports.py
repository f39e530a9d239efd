"""NodePorts: a host port is given to one pod per address and protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from k8sactors.scheduler.cache import Cache
from k8sactors.scheduler.events import ActionType, ClusterEvent, EventHint
from k8sactors.scheduler.framework.interfaces import CycleState, FilterPlugin, PreFilterPlugin
from k8sactors.scheduler.framework.status import Code, Status
from k8sactors.scheduler.nodeinfo import NodeInfo
from k8sactors.scheduler.podinfo import PodInfo
from k8sactors.scheduler.table import NodeTable, Rows

__all__ = ["NodePorts"]

_SKIP = Status(Code.SKIP, (), "NodePorts")


class NodePorts(PreFilterPlugin, FilterPlugin):
    """Compares the pod's host ports with those taken on the node."""

    name = "NodePorts"
    default_position = 70
    signature_is_requirements = True

    _refusal = Status(
        Code.UNSCHEDULABLE,
        ("node(s) didn't have free ports for the requested pod ports",),
        "NodePorts",
    )

    def pre_filter(
        self, state: CycleState, pod: PodInfo, cache: Cache
    ) -> Status | frozenset[str] | None:
        """Skip pods without host ports."""
        del state, cache
        return None if pod.requirements.host_ports else _SKIP

    def filter(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> Status | None:
        """Refuse nodes where a port is taken."""
        del state
        if not node.host_ports:
            return None
        taken = any(node.port_conflicts(port) for port in pod.requirements.host_ports)
        return self._refusal if taken else None

    def filter_vector(
        self, state: CycleState, pod: PodInfo, table: NodeTable, rows: Rows
    ) -> NDArray[np.bool_]:
        """The vector form: only nodes with any port taken are looked at."""
        mask = np.ones(len(rows), dtype=np.bool_)
        for index in np.flatnonzero(table.has_host_ports[rows]):
            node = table.nodes[rows[index]]
            mask[index] = node is not None and self.filter(state, pod, node) is None
        return mask

    def events_to_register(self) -> Sequence[EventHint]:
        """A pod with one of the ports goes, or a node comes."""
        return (
            EventHint(ClusterEvent("AssignedPod", ActionType.DELETE), _frees_port),
            EventHint(ClusterEvent("Node", ActionType.ADD)),
        )


def _frees_port(pod: PodInfo, gone: PodInfo, _new: Any) -> bool:
    wanted = pod.requirements.host_ports
    return any(
        ours.port == theirs.port and ours.protocol == theirs.protocol
        for ours in wanted
        for theirs in gone.requirements.host_ports
    )
