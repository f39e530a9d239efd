"""PodTopologySpread: pods of one kind in equal numbers per zone, per node or per any other label.

A domain is a value of the constraint's topology key on the nodes that count: those that have the
keys of all the pod's constraints, and that the constraint's inclusion policies accept (KEP-3094).
Pods count that the constraint's selector means, in the pod's namespace, unless they are being
deleted (KEP-895).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

from k8sactors.scheduler.cache import Cache
from k8sactors.scheduler.events import ActionType, ClusterEvent, EventHint
from k8sactors.scheduler.framework.handle import Handle
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

# For how many constraints it is remembered which nodes count.
_MAX_REMEMBERED = 256

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


@attrs.frozen(eq=False)
class _Counting:
    """Which nodes count for a constraint; that changes with Node objects only."""

    spec_changes: int
    # Per row.
    rows: NDArray[np.bool_]
    # Per code of the constraint's label.
    present: NDArray[np.bool_]


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

    def __init__(self, handle: Handle) -> None:
        super().__init__(handle)
        self._counting: OrderedDict[Hashable, _Counting] = OrderedDict()

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
        cache.table.sync()
        keys = tuple(c.topology_key for c in constraints)
        state.notes[_FILTER_NOTE] = [self._domains(c, pod, keys) for c in constraints]
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
        self, constraint: SpreadConstraint, pod: PodInfo, keys: tuple[str, ...]
    ) -> _Domains:
        counting = self._counting_nodes(constraint, pod, keys)
        return _Domains(
            constraint,
            self.handle.cache.table.label_column(constraint.topology_key),
            self._sums(constraint, pod, keys, counting),
            counting.present,
            counting.rows,
            self._matches(constraint, pod),
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
        table.sync()
        keys = tuple(c.topology_key for c in note.constraints)
        labelled = _labelled(table, keys, rows)
        note.ignored = ~labelled
        total = np.zeros(len(rows), dtype=np.float64)
        for constraint in note.constraints:
            column = table.label_column(constraint.topology_key)
            codes = column.codes[rows]
            if constraint.topology_key == _HOSTNAME:
                domain_count = int(labelled.sum())
                matches = self._matches(constraint, pod)
                counts = self.handle.cache.pod_counts.of(_key(constraint, pod), matches)[rows]
            else:
                domain_count = int(np.count_nonzero(np.bincount(codes[labelled])))
                counting = self._counting_nodes(constraint, pod, keys)
                counts = self._sums(constraint, pod, keys, counting)[codes]
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

    def _counting_nodes(
        self, constraint: SpreadConstraint, pod: PodInfo, keys: tuple[str, ...]
    ) -> _Counting:
        """The nodes with all the keys that the constraint's policies let count."""
        cache = self.handle.cache
        where = _where(constraint, pod, keys)
        found = self._counting.get(where)
        if found is None or found.spec_changes != cache.journal.spec_changes:
            table = cache.table
            rows = table.rows()
            rows = rows[_labelled(table, keys, rows)]
            rows = rows[_included(constraint, pod, table, rows)]
            counting = np.zeros(table.size, np.bool_)
            counting[rows] = True
            column = table.label_column(constraint.topology_key)
            present = np.bincount(column.codes[rows], minlength=len(column.values)) > 0
            found = _Counting(cache.journal.spec_changes, counting, present)
            self._counting[where] = found
            if len(self._counting) > _MAX_REMEMBERED:
                self._counting.popitem(last=False)
        return found

    def _sums(
        self, constraint: SpreadConstraint, pod: PodInfo, keys: tuple[str, ...], counting: _Counting
    ) -> NDArray[np.int64]:
        """The number of pods in each domain, on the nodes that count."""
        cache = self.handle.cache
        return cache.pod_counts.sums(
            _key(constraint, pod),
            self._matches(constraint, pod),
            _where(constraint, pod, keys),
            cache.table.label_column(constraint.topology_key),
            counting.rows,
        )

    def _matches(self, constraint: SpreadConstraint, pod: PodInfo) -> Callable[[PodInfo], bool]:
        """Whether a pod counts."""
        namespace, selector = pod.namespace, constraint.selector

        def matches(other: PodInfo) -> bool:
            return (
                other.namespace == namespace
                and not other.terminating
                and selector.matches(other.labels)
            )

        return matches

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


def _key(constraint: SpreadConstraint, pod: PodInfo) -> Hashable:
    """What tells the pods that count from the others."""
    return _NAME, pod.namespace, constraint.selector


def _where(constraint: SpreadConstraint, pod: PodInfo, keys: tuple[str, ...]) -> Hashable:
    """What tells the nodes that count from the others, and how they are summed up."""
    return (
        constraint.topology_key,
        keys,
        pod.requirements if constraint.honors_affinity or constraint.honors_taints else None,
        constraint.honors_affinity,
        constraint.honors_taints,
    )


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
