"""InterPodAffinity: pods that want to be near other pods, or far from them.

Anti-affinity works both ways: a pod is refused next to pods whose required anti-affinity means it.
Preferences work both ways too, and the required affinity of pods on nodes counts as a preference
of weight `hardPodAffinityWeight` for the pods that it means.

All counts are per value of the term's topology key. A node that is asked about with other pods than
the cache has there, as preemption does, is answered by the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import partial

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
from k8sactors.scheduler.pod_terms import REQUIRED, REQUIRED_ANTI, AffinityTerm, CarriedTerm
from k8sactors.scheduler.podinfo import PodInfo
from k8sactors.scheduler.table import LabelColumn, NodeTable, Rows

__all__ = ["InterPodAffinity"]

_NAME = "InterPodAffinity"
_FILTER_NOTE = (_NAME, "filter")
_SCORE_NOTE = (_NAME, "score")
_SKIP = Status(Code.SKIP, (), _NAME)
_NOT_NEAR = Status(
    Code.UNSCHEDULABLE_AND_UNRESOLVABLE, ("node(s) didn't match pod affinity rules",), _NAME
)
_NOT_FAR = Status(Code.UNSCHEDULABLE, ("node(s) didn't match pod anti-affinity rules",), _NAME)
_UNWANTED = Status(
    Code.UNSCHEDULABLE, ("node(s) didn't satisfy existing pods anti-affinity rules",), _NAME
)


@attrs.frozen(eq=False)
class _Term:
    """A term with its counts per code of the topology key."""

    column: LabelColumn
    counts: NDArray[np.int64]
    # Whether a pod on a node counts for this term.
    matches: Callable[[PodInfo], bool]

    def near(self, codes: NDArray[np.int32]) -> NDArray[np.bool_]:
        """For each code whether a counted pod is in that domain."""
        return self.counts[codes] > 0

    def count(self, code: int, gone: Sequence[PodInfo], more: Sequence[PodInfo]) -> int:
        """The count of one domain after a change of its pods."""
        return (
            int(self.counts[code]) + sum(map(self.matches, more)) - sum(map(self.matches, gone))
            if code
            else 0
        )


@attrs.frozen(eq=False)
class _FilterNote:
    near: list[_Term]
    far: list[_Term]
    unwanted: list[_Term]
    # Whether the pod may be the first of its group: its terms mean the pod itself.
    may_be_first: bool


class InterPodAffinity(PreFilterPlugin, FilterPlugin, PreScorePlugin, ScorePlugin):
    """Required terms filter, preferred terms score."""

    name = _NAME
    default_position = 130
    default_weight = 2
    signs_skipped_pods_only = True

    def __init__(
        self,
        handle: Handle,
        *,
        hard_pod_affinity_weight: int = 1,
        ignore_preferred_terms_of_existing_pods: bool = False,
    ) -> None:
        super().__init__(handle)
        self._hard_weight = hard_pod_affinity_weight
        self._ignore_preferred = ignore_preferred_terms_of_existing_pods
        self._namespaces = None if handle.informers is None else handle.lister("namespaces")

    def sign(self, pod: PodInfo) -> Hashable | None:
        """Sign the pods without terms that no pod on a node means."""
        if pod.requirements.pod_affinity is not None:
            return None
        return None if self._carried(pod) else pod.requirements

    # --- Filter

    def pre_filter(
        self, state: CycleState, pod: PodInfo, cache: Cache
    ) -> Status | frozenset[str] | None:
        """Count the pods that the pod's terms mean, and those whose terms mean the pod."""
        terms = pod.affinity_terms
        near = terms.required if terms else ()
        far = terms.required_anti if terms else ()
        carried = [c for c in self._carried(pod) if c.kind == REQUIRED_ANTI]
        if not near and not far and not carried:
            return _SKIP
        cache.table.sync()
        state.notes[_FILTER_NOTE] = _FilterNote(
            self._count_near(near),
            [self._counted((term,), term.topology_key) for term in far],
            [self._counted_carriers(c) for c in carried],
            all(self._means(term, pod) for term in near),
        )
        return None

    def filter(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> Status | None:
        """Affinity first, then the pod's anti-affinity, then that of the pods on nodes."""
        note: _FilterNote = state.notes[_FILTER_NOTE]
        gone, more = self._difference(node)
        row = node.row
        if not self._is_near(note, row, gone, more):
            return _NOT_NEAR
        if any(t.count(int(t.column.codes[row]), gone, more) > 0 for t in note.far):
            return _NOT_FAR
        if any(t.count(int(t.column.codes[row]), gone, more) > 0 for t in note.unwanted):
            return _UNWANTED
        return _UNWANTED if self._newly_unwanted(pod, node, more) else None

    def filter_vector(
        self, state: CycleState, pod: PodInfo, table: NodeTable, rows: Rows
    ) -> NDArray[np.bool_]:
        """The vector form."""
        del pod, table
        note: _FilterNote = state.notes[_FILTER_NOTE]
        mask = np.ones(len(rows), dtype=np.bool_)
        if note.near:
            labelled = np.ones(len(rows), dtype=np.bool_)
            for term in note.near:
                codes = term.column.codes[rows]
                labelled &= codes != 0
                mask &= term.near(codes)
            if note.may_be_first and not any(term.counts.any() for term in note.near):
                mask = labelled
        for term in (*note.far, *note.unwanted):
            mask &= ~term.near(term.column.codes[rows])
        return mask

    def _is_near(
        self, note: _FilterNote, row: int, gone: Sequence[PodInfo], more: Sequence[PodInfo]
    ) -> bool:
        if not note.near:
            return True
        codes = [int(term.column.codes[row]) for term in note.near]
        if not all(codes):
            return False
        if all(t.count(code, gone, more) > 0 for t, code in zip(note.near, codes, strict=True)):
            return True
        return note.may_be_first and not any(
            int(t.counts.sum()) - int(t.counts[code]) + t.count(code, gone, more)
            for t, code in zip(note.near, codes, strict=True)
        )

    def _newly_unwanted(self, pod: PodInfo, node: NodeInfo, more: Iterable[PodInfo]) -> bool:
        """Whether a pod that the cache does not have here does not want the pod in its domain."""
        return any(
            term.topology_key in node.labels and self._means(term, pod)
            for other in more
            if (terms := other.affinity_terms) is not None
            for term in terms.required_anti
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
        """Sum the weights per topology key and domain."""
        terms = pod.affinity_terms
        own = (*terms.preferred, *terms.preferred_anti) if terms else ()
        carried = self._weighted_carried(pod, has_preference=bool(own))
        if not own and not carried:
            return _SKIP
        table = self.handle.cache.table
        table.sync()
        sums: dict[str, NDArray[np.int64]] = {}
        for weight, counted, key in (
            *((w, self._counted((t,), t.topology_key), t.topology_key) for w, t in own),
            *((w, self._counted_carriers(c), c.term.topology_key) for w, c in carried),
        ):
            more = weight * counted.counts
            sums[key] = sums[key] + more if key in sums else more
        state.notes[_SCORE_NOTE] = [(table.label_column(key), each) for key, each in sums.items()]
        return None

    def score(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> int:
        """The sum of the weights of the node's domains; negative where the pod is not wanted."""
        del pod
        return sum(int(sums[column.codes[node.row]]) for column, sums in state.notes[_SCORE_NOTE])

    def score_vector(
        self, state: CycleState, pod: PodInfo, table: NodeTable, rows: Rows
    ) -> NDArray[np.int64]:
        """The vector form."""
        del pod, table
        total = np.zeros(len(rows), dtype=np.int64)
        for column, sums in state.notes[_SCORE_NOTE]:
            total += sums[column.codes[rows]]
        return total

    def normalize_scores(
        self, state: CycleState, pod: PodInfo, scores: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """The smallest becomes 0, the largest 100."""
        del state, pod
        if not scores.size:
            return scores
        lowest, highest = int(scores.min()), int(scores.max())
        if lowest == highest:
            return np.zeros_like(scores)
        return MAX_NODE_SCORE * (scores - lowest) // (highest - lowest)

    def _weighted_carried(
        self, pod: PodInfo, *, has_preference: bool
    ) -> list[tuple[int, CarriedTerm]]:
        if self._ignore_preferred and not has_preference:
            return []
        weighted: list[tuple[int, CarriedTerm]] = []
        for carried in self._carried(pod):
            if carried.kind == REQUIRED:
                weighted.append((self._hard_weight, carried))
            elif carried.kind != REQUIRED_ANTI:
                weighted.append((carried.weight, carried))
        return [(weight, carried) for weight, carried in weighted if weight]

    # --- counts

    def _carried(self, pod: PodInfo) -> tuple[CarriedTerm, ...]:
        cache = self.handle.cache
        if not cache.affinity_pod_count:
            return ()
        return cache.carried_terms.matching(pod.namespace, pod.labels, self._labels_of)

    def _count_near(self, terms: tuple[AffinityTerm, ...]) -> list[_Term]:
        """Only pods that all terms mean count for any of them."""
        return [self._counted(terms, term.topology_key) for term in terms]

    def _counted(self, terms: tuple[AffinityTerm, ...], topology_key: str) -> _Term:
        """The pods that all the terms mean, per domain of the key."""
        cache = self.handle.cache
        where = tuple((term.selector, self._namespaces_of(term)) for term in terms)

        def matches(pod: PodInfo) -> bool:
            labels = pod.labels
            return all(
                pod.namespace in names and selector.matches(labels) for selector, names in where
            )

        column = cache.table.label_column(topology_key)
        counts = cache.pod_counts.sums(where, matches, topology_key, column)
        return _Term(column, counts, matches)

    def _counted_carriers(self, carried: CarriedTerm) -> _Term:
        cache = self.handle.cache
        column = cache.table.label_column(carried.term.topology_key)
        return _Term(column, cache.carried_terms.sums(carried), partial(_carries, carried))

    # --- namespaces

    def _means(self, term: AffinityTerm, pod: PodInfo) -> bool:
        return term.matches(pod.namespace, pod.labels, self._labels_of)

    def _labels_of(self, namespace: str) -> Mapping[str, str]:
        if self._namespaces is None:
            return {}
        obj = self._namespaces.get(None, namespace)
        return {} if obj is None else obj["metadata"].get("labels") or {}

    def _namespaces_of(self, term: AffinityTerm) -> frozenset[str]:
        if term.namespace_selector is None or self._namespaces is None:
            return term.namespaces
        selected = self._namespaces.list(selector=term.namespace_selector)
        return term.namespaces | {obj["metadata"]["name"] for obj in selected}

    # --- queueing hints

    def events_to_register(self) -> Sequence[EventHint]:
        """A pod that is wanted came or changed, one that is in the way went, or a node came."""
        pods = ActionType.ADD | ActionType.DELETE | ActionType.UPDATE_POD_LABEL
        nodes = ActionType.ADD | ActionType.UPDATE_NODE_LABEL
        return (
            EventHint(ClusterEvent("AssignedPod", pods), self._pod_helps),
            EventHint(ClusterEvent("UnscheduledPod", ActionType.UPDATE_POD_LABEL)),
            EventHint(ClusterEvent("Node", nodes)),
        )

    def _pod_helps(self, pod: PodInfo, old: PodInfo | None, new: PodInfo | None) -> bool:
        terms = pod.affinity_terms
        near = terms.required if terms else ()
        far = terms.required_anti if terms else ()
        if new is not None and near and all(self._means(term, new) for term in near):
            return True
        if old is None:
            return False
        if any(self._means(term, old) for term in far):
            return True
        carried = old.affinity_terms
        return carried is not None and any(self._means(t, pod) for t in carried.required_anti)


def _carries(carried: CarriedTerm, pod: PodInfo) -> bool:
    terms = pod.affinity_terms
    return terms is not None and carried in terms.carried
