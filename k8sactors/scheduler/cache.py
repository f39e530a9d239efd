r"""What the scheduler assumes about nodes and pods, ahead of what the API server has confirmed.

A pod that has been given a node is *assumed*: it counts at once, so that the next decision sees it.
Its life in the cache:

    assume -> finish_binding -> add_pod (the watch shows it bound: confirmed) -> remove_pod
           \-> forget (binding failed)      \\-> expires when the watch never shows it

There is no snapshot per decision: decisions are taken in the turn of one actor, so the cache cannot
change under them. Instead it keeps a journal of touched rows, which tells a ranking (ranking.py)
which nodes it must look at again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import attrs

from k8sactors.scheduler.errors import CacheError
from k8sactors.scheduler.events import ActionType
from k8sactors.scheduler.journal import Journal
from k8sactors.scheduler.nodeinfo import NodeInfo, NodeSpec
from k8sactors.scheduler.pod_counts import CarriedTerms, PodCounts
from k8sactors.scheduler.podinfo import PodInfo
from k8sactors.scheduler.table import NodeTable
from k8sactors.simulation import SECOND

__all__ = ["ASSUMED_TTL_NS", "Cache"]

# Long enough that a slow watch does not free a node that is really taken.
ASSUMED_TTL_NS = 15 * 60 * SECOND


@attrs.define(eq=False)
class _PodState:
    pod: PodInfo
    node_name: str
    assumed: bool
    # None for confirmed pods, and for assumed ones whose binding has not been sent.
    expires_ns: int | None = None


class Cache:
    """Nodes by name, pods by uid, the sums per node, and the journal."""

    def __init__(self) -> None:
        # Includes nodes that only pods name; those have no row.
        self.nodes: dict[str, NodeInfo] = {}
        self.table = NodeTable()
        self.journal = Journal()
        self.pod_counts = PodCounts(self.table, self.journal)
        self.carried_terms = CarriedTerms(self.table, self.journal)
        # How many pods on nodes have terms about other pods.
        self.affinity_pod_count = 0
        # How many Node objects there are.
        self.node_count = 0
        # How many pods on nodes have each priority.
        self.priorities: Counter[int] = Counter()
        self._pods: dict[str, _PodState] = {}
        self._specs: dict[str, NodeSpec] = {}

    # --- nodes

    def set_node(self, name: str, spec: NodeSpec) -> ActionType | None:
        """A Node object appeared or changed; returns what did, None if nothing that matters."""
        old = self._specs.get(name)
        if old is not None and old == spec:
            return None
        self._specs[name] = spec
        node = self.nodes.get(name)
        if node is None:
            node = self.nodes[name] = NodeInfo(name)
        node.apply_spec(spec)
        if old is None:
            self.table.add(node)
            self.node_count += 1
            self.journal.touch_spec(node.row)
            return ActionType.ADD
        self.table.mark_spec(node.row)
        self.journal.touch_spec(node.row)
        return _compare(old, spec)

    def remove_node(self, name: str) -> bool:
        """A Node object is gone; its pods are remembered until they go too."""
        if self._specs.pop(name, None) is None:
            return False
        node = self.nodes[name]
        self.journal.touch_spec(node.row)
        self.table.remove(node)
        self.node_count -= 1
        self._drop_if_unused(node)
        return True

    def existing_nodes(self) -> Iterator[NodeInfo]:
        """The nodes that can be scheduled to, in row order."""
        return (node for node in self.table.nodes if node is not None)

    # --- pods

    def assume(self, pod: PodInfo, node_name: str) -> None:
        """Count a pod on the node it is about to be bound to."""
        if pod.uid in self._pods:
            raise CacheError(f"pod {pod.key} ({pod.uid}) is already on a node")
        self._pods[pod.uid] = _PodState(pod, node_name, assumed=True)
        self._place(pod, node_name)

    def finish_binding(self, uid: str, now_ns: int) -> None:
        """The binding has been accepted: the pod expires unless the watch confirms it in time."""
        state = self._pods.get(uid)
        if state is not None and state.assumed:
            state.expires_ns = now_ns + ASSUMED_TTL_NS

    def forget(self, uid: str) -> bool:
        """The binding failed: the pod no longer counts. False when it was not assumed."""
        state = self._pods.get(uid)
        if state is None or not state.assumed:
            return False
        self._displace(state)
        return True

    def expire(self, now_ns: int) -> list[PodInfo]:
        """Drop the assumed pods whose time is up."""
        expired = [
            state
            for state in self._pods.values()
            if state.expires_ns is not None and state.expires_ns <= now_ns
        ]
        for state in expired:
            self._displace(state)
        return [state.pod for state in expired]

    def confirm(self, uid: str, node_name: str, obj: dict[str, Any]) -> bool:
        """The watch shows the pod bound. True when we knew: there is nothing to recount."""
        state = self._pods.get(uid)
        if state is None or state.node_name != node_name:
            return False
        state.assumed = False
        state.expires_ns = None
        state.pod.node_name = node_name
        state.pod.obj = obj
        self.nodes[node_name].version += 1
        return True

    def refresh(self, uid: str, obj: dict[str, Any]) -> None:
        """A bound pod has changed in a way that moves no resources."""
        state = self._pods.get(uid)
        if state is not None:
            was_terminating = state.pod.terminating
            state.pod.obj = obj
            node = self.nodes[state.node_name]
            node.version += 1
            if state.pod.terminating != was_terminating:
                self._touch(node)

    def set_pod(self, pod: PodInfo) -> None:
        """A bound pod as the API server has it, whatever was assumed about it."""
        state = self._pods.get(pod.uid)
        if state is not None:
            if state.node_name == pod.node_name and state.pod.requirements is pod.requirements:
                state.pod = pod
                state.assumed = False
                state.expires_ns = None
                node = self.nodes[pod.node_name]
                node.replace_pod(pod)
                self._touch(node)
                return
            self._displace(state)
        self._pods[pod.uid] = _PodState(pod, pod.node_name, assumed=False)
        self._place(pod, pod.node_name)

    def remove_pod(self, uid: str) -> PodInfo | None:
        """The pod is gone or has ended."""
        state = self._pods.get(uid)
        if state is None:
            return None
        self._displace(state)
        return state.pod

    def pod(self, uid: str) -> PodInfo | None:
        """The pod if it is on a node, assumed or confirmed."""
        state = self._pods.get(uid)
        return state.pod if state else None

    def is_assumed(self, uid: str) -> bool:
        """Whether the pod counts although the watch has not shown it bound."""
        state = self._pods.get(uid)
        return state is not None and state.assumed

    def has_pods_below(self, priority: int) -> bool:
        """Whether any pod on a node could be preempted by one of this priority."""
        return any(count > 0 and level < priority for level, count in self.priorities.items())

    @property
    def pod_count(self) -> int:
        """How many pods are on nodes."""
        return len(self._pods)

    def _place(self, pod: PodInfo, node_name: str) -> None:
        node = self.nodes.get(node_name)
        if node is None:
            node = self.nodes[node_name] = NodeInfo(node_name)
        node.add_pod(pod)
        self.priorities[pod.priority] += 1
        if pod.requirements.pod_affinity is not None:
            self.affinity_pod_count += 1
        self._touch(node)

    def _displace(self, state: _PodState) -> None:
        del self._pods[state.pod.uid]
        node = self.nodes[state.node_name]
        node.remove_pod(state.pod.uid)
        self.priorities[state.pod.priority] -= 1
        if state.pod.requirements.pod_affinity is not None:
            self.affinity_pod_count -= 1
        self._touch(node)
        self._drop_if_unused(node)

    def _touch(self, node: NodeInfo) -> None:
        if node.row >= 0:
            self.table.mark(node.row)
            self.journal.touch_pods(node.row)

    def _drop_if_unused(self, node: NodeInfo) -> None:
        if node.row < 0 and not node.pods:
            del self.nodes[node.name]


def _compare(old: NodeSpec, new: NodeSpec) -> ActionType:
    action = ActionType(0)
    if old.allocatable != new.allocatable:
        action |= ActionType.UPDATE_NODE_ALLOCATABLE
    if old.labels != new.labels:
        action |= ActionType.UPDATE_NODE_LABEL
    if old.taints != new.taints or old.unschedulable != new.unschedulable:
        action |= ActionType.UPDATE_NODE_TAINT
    return action
