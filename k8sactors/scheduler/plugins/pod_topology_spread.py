"""PodTopologySpread: pods of one kind in equal numbers per zone, per node or per any other label.

A domain is a value of the constraint's topology key on the nodes that count: those that have the
keys of all the pod's constraints, and that the constraint's inclusion policies accept (KEP-3094).
Pods count that the constraint's selector means, in the pod's namespace, unless they are being
deleted (KEP-895).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

from k8sactors.scheduler.cache import Cache
from k8sactors.scheduler.events import ActionType, ClusterEvent, EventHint
from k8sactors.scheduler.framework.interfaces import (
    MAX_NODE_SCORE,
    CycleState,
    FilterPlugin,
    PreFilterPlugin,
    PreScorePlugin,
    ScorePlugin,
)
from k8sactors.scheduler.framework.status import Code, Status
from k8sactors.scheduler.nodeinfo import NodeInfo
from k8sactors.scheduler.pod_terms import SpreadConstraint
from k8sactors.scheduler.podinfo import PodInfo
from k8sactors.scheduler.table import LabelColumn, NodeTable, Rows
from k8sactors.scheduler.taints import find_untolerated

__all__ = ["PodTopologySpread"]

_NAME = "PodTopologySpread"
_FILTER_NOTE = (_NAME, "filter")
_SCORE_NOTE = (_NAME, "score")
_SKIP = Status(Code.SKIP, (), _NAME)
_REASON = "node(s) didn't match pod topology spread constraints"
_SKEWED = Status(Code.UNSCHEDULABLE, (_REASON,), _NAME)
_UNLABELLED = Status(
    Code.UNSCHEDULABLE_AND_UNRESOLVABLE, (f"{_REASON} (missing required label)",), _NAME
)
_HOSTNAME = "kubernetes.io/hostname"

# What an empty set of domains has for its smallest count: no skew is too large.
_NO_DOMAIN = 2**31 - 1


@attrs.frozen(eq=False)
class _Domains:
    """The domains of a hard constraint."""

    constraint: SpreadConstraint
    column: LabelColumn
    # Per code of the column.
    counts: NDArray[np.int64]
    present: NDArray[np.bool_]
    # Per row.
    counting: NDArray[np.bool_]
    matches: Callable[[PodInfo], bool]
    # 1 when the pod itself counts.
    own: int

    def smallest(self, counts: NDArray[np.int64]) -> int:
        """The global minimum, which is 0 while there are too few domains."""
        present = counts[self.present]
        if len(present) < self.constraint.min_domains:
            return 0
        return int(present.min()) if present.size else _NO_DOMAIN

    def allowed(self, counts: NDArray[np.int64]) -> NDArray[np.bool_]:
        """For each code whether one more pod there leaves the skew small enough."""
        allowed: NDArray[np.bool_] = (
            counts + (self.own - self.smallest(counts)) <= self.constraint.max_skew
        )
        return allowed

    def changed(self, row: int, change: int) -> NDArray[np.int64]:
        """The counts after a change of the pods of one node."""
        if not change or not self.counting[row]:
            return self.counts
        counts = self.counts.copy()
        counts[self.column.codes[row]] += change
        return counts


@attrs.define(eq=False)
class _ScoreNote:
    constraints: tuple[SpreadConstraint, ...]
    # For each of the rows that were scored last whether it lacks a topology key.
    ignored: NDArray[np.bool_] = attrs.field(factory=lambda: np.zeros(0, np.bool_))


class PodTopologySpread(PreFilterPlugin, FilterPlugin, PreScorePlugin, ScorePlugin):
    """DoNotSchedule constraints filter, ScheduleAnyway constraints score."""

    name = _NAME
    default_position = 120
    default_weight = 2
    signs_skipped_pods_only = True

    def sign(self, pod: PodInfo) -> Hashable | None:
        """Sign the pods without constraints."""
        return pod.requirements if pod.requirements.spread is None else None

    # --- Filter

    def pre_filter(
        self, state: CycleState, pod: PodInfo, cache: Cache
    ) -> Status | frozenset[str] | None:
        """Count the pods of each domain."""
        constraints = _constraints(pod, hard=True)
        if not constraints:
            return _SKIP
        table = cache.table
        rows = table.rows()
        keys = [c.topology_key for c in constraints]
        labelled = _labelled(table, keys, rows)
        state.notes[_FILTER_NOTE] = [
            self._domains(constraint, pod, rows, labelled) for constraint in constraints
        ]
        return None

    def filter(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> Status | None:
        """Constraints in the pod's order; a node without a key cannot be helped."""
        del pod
        gone, more = self._difference(node)
        row = node.row
        for domains in state.notes[_FILTER_NOTE]:
            code = domains.column.codes[row]
            if not code:
                return _UNLABELLED
            matches = domains.matches
            change = sum(map(matches, more)) - sum(map(matches, gone))
            if not domains.allowed(domains.changed(row, change))[code]:
                return _SKEWED
        return None

    def filter_vector(
        self, state: CycleState, pod: PodInfo, table: NodeTable, rows: Rows
    ) -> NDArray[np.bool_]:
        """The vector form."""
        del pod, table
        mask = np.ones(len(rows), dtype=np.bool_)
        for domains in state.notes[_FILTER_NOTE]:
            codes = domains.column.codes[rows]
            mask &= (codes != 0) & domains.allowed(domains.counts)[codes]
        return mask

    def _domains(
        self, constraint: SpreadConstraint, pod: PodInfo, rows: Rows, labelled: NDArray[np.bool_]
    ) -> _Domains:
        table = self.handle.cache.table
        counting_rows = rows[labelled]
        counting_rows = counting_rows[_included(constraint, pod, table, counting_rows)]
        column = table.label_column(constraint.topology_key)
        counting = np.zeros(table.size, np.bool_)
        counting[counting_rows] = True
        matches, per_row = self._count(constraint, pod)
        codes = column.codes[counting_rows]
        size = len(column.values)
        return _Domains(
            constraint,
            column,
            np.bincount(codes, weights=per_row[counting_rows], minlength=size).astype(np.int64),
            np.bincount(codes, minlength=size) > 0,
            counting,
            matches,
            int(constraint.selector.matches(pod.labels)),
        )

    def _difference(self, node: NodeInfo) -> tuple[list[PodInfo], list[PodInfo]]:
        """The pods that the cache has on the node and this form of it has not, and the others."""
        known = self.handle.cache.nodes.get(node.name)
        if known is node or known is None:
            return [], []
        return (
            [pod for uid, pod in known.pods.items() if uid not in node.pods],
            [pod for uid, pod in node.pods.items() if uid not in known.pods],
        )

    # --- Score

    def pre_score(self, state: CycleState, pod: PodInfo) -> Status | None:
        """Skip pods without soft constraints."""
        constraints = _constraints(pod, hard=False)
        if not constraints:
            return _SKIP
        self.handle.cache.table.sync()
        state.notes[_SCORE_NOTE] = _ScoreNote(constraints)
        return None

    def score(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> int:
        """The score of a node that alone is feasible; the nodes that are feasible matter."""
        rows = np.array([node.row], dtype=np.intp)
        return int(self.score_vector(state, pod, self.handle.cache.table, rows)[0])

    def score_vector(
        self, state: CycleState, pod: PodInfo, table: NodeTable, rows: Rows
    ) -> NDArray[np.int64]:
        """The weighted counts of each node's domains: few is good.

        Constraints with more domains weigh more, by the logarithm, so that a zone does not drown
        a hostname.
        """
        note: _ScoreNote = state.notes[_SCORE_NOTE]
        every = table.rows()
        keys = [c.topology_key for c in note.constraints]
        labelled = _labelled(table, keys, rows)
        note.ignored = ~labelled
        counting = every[_labelled(table, keys, every)]
        total = np.zeros(len(rows), dtype=np.float64)
        for constraint in note.constraints:
            column = table.label_column(constraint.topology_key)
            codes = column.codes[rows]
            _, per_row = self._count(constraint, pod)
            if constraint.topology_key == _HOSTNAME:
                domain_count = int(labelled.sum())
                counts = per_row[rows]
            else:
                domain_count = len(np.unique(codes[labelled]))
                included = counting[_included(constraint, pod, table, counting)]
                sums = np.bincount(
                    column.codes[included],
                    weights=per_row[included],
                    minlength=len(column.values),
                )
                counts = sums[codes]
            total += counts * np.log(domain_count + 2) + (constraint.max_skew - 1)
        total[note.ignored] = 0
        # Half a point is rounded away from zero.
        return np.floor(total + 0.5).astype(np.int64)

    def normalize_scores(
        self, state: CycleState, pod: PodInfo, scores: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """The emptiest becomes 100; nodes without a topology key get nothing."""
        del pod
        ignored = state.notes[_SCORE_NOTE].ignored
        normalized = np.zeros_like(scores)
        judged = scores[~ignored]
        if not judged.size:
            return normalized
        lowest, highest = int(judged.min()), int(judged.max())
        if not highest:
            normalized[~ignored] = MAX_NODE_SCORE
        else:
            normalized[~ignored] = MAX_NODE_SCORE * (highest + lowest - judged) // highest
        return normalized

    # --- counts

    def _count(
        self, constraint: SpreadConstraint, pod: PodInfo
    ) -> tuple[Callable[[PodInfo], bool], NDArray[np.int64]]:
        """Whether a pod counts, and how many do on each row."""
        namespace, selector = pod.namespace, constraint.selector

        def matches(other: PodInfo) -> bool:
            return (
                other.namespace == namespace
                and not other.terminating
                and selector.matches(other.labels)
            )

        key = (_NAME, namespace, selector)
        return matches, self.handle.cache.pod_counts.of(key, matches)

    # --- queueing hints

    def events_to_register(self) -> Sequence[EventHint]:
        """A pod that counts came, went or changed, or the nodes have changed."""
        pods = ActionType.ADD | ActionType.DELETE | ActionType.UPDATE_POD_LABEL
        nodes = (
            ActionType.ADD
            | ActionType.DELETE
            | ActionType.UPDATE_NODE_LABEL
            | ActionType.UPDATE_NODE_TAINT
        )
        return (
            EventHint(ClusterEvent("AssignedPod", pods), _pod_helps),
            EventHint(ClusterEvent("UnscheduledPod", ActionType.UPDATE_POD_LABEL)),
            EventHint(ClusterEvent("Node", nodes)),
        )


def _constraints(pod: PodInfo, *, hard: bool) -> tuple[SpreadConstraint, ...]:
    spread = pod.requirements.spread
    if spread is None:
        return ()
    return tuple(c for c in spread.of(pod.labels) if c.hard is hard)


def _labelled(table: NodeTable, keys: Sequence[str], rows: Rows) -> NDArray[np.bool_]:
    """For each row whether the node has all the labels."""
    mask = np.ones(len(rows), dtype=np.bool_)
    for key in keys:
        mask &= table.label_column(key).codes[rows] != 0
    return mask


def _included(
    constraint: SpreadConstraint, pod: PodInfo, table: NodeTable, rows: Rows
) -> NDArray[np.bool_]:
    """For each row whether the constraint's policies let the node count."""
    need = pod.requirements
    mask = np.ones(len(rows), dtype=np.bool_)
    if constraint.honors_affinity and (need.node_selector or need.required_terms is not None):
        mask &= table.selected_by(need, rows)
    if constraint.honors_taints:
        tolerated = np.array(
            [find_untolerated(t, need.tolerations) is None for t in table.taint_sets], np.bool_
        )
        mask &= tolerated[table.taint_set[rows]]
    return mask


def _pod_helps(pod: PodInfo, old: PodInfo | None, new: PodInfo | None) -> bool:
    return any(
        other is not None
        and other.namespace == pod.namespace
        and constraint.selector.matches(other.labels)
        for constraint in _constraints(pod, hard=True)
        for other in (old, new)
    )
