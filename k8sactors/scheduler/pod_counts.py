"""Pods per node that a selector means, and the terms that pods on nodes carry, kept between cycles.

Both catch up by the cache's journal: a decision pays for the nodes that have changed since, not for
all pods. Domains are not kept: `domain_counts` sums the nodes of each value of a label, which costs
one pass over the nodes and stays right when labels of nodes change.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import NamedTuple

import attrs
import numpy as np
from numpy.typing import NDArray

from k8sactors.scheduler.journal import Journal
from k8sactors.scheduler.nodeinfo import NodeInfo
from k8sactors.scheduler.pod_terms import AffinityTerm, NamespaceLabels
from k8sactors.scheduler.podinfo import PodInfo
from k8sactors.scheduler.table import LabelColumn, NodeTable

__all__ = ["REQUIRED", "REQUIRED_ANTI", "CarriedTerm", "CarriedTerms", "PodCounts", "domain_counts"]

Counts = NDArray[np.int64]

_MAX_COUNTED = 512
_MAX_MATCHES = 4096

# Kinds of carried terms; the others are preferences.
REQUIRED = "required"
REQUIRED_ANTI = "required anti"
PREFERRED = "preferred"


def domain_counts(column: LabelColumn, counts: Counts) -> Counts:
    """For each code of a label the sum over its nodes; nodes without the label count nowhere."""
    size = len(counts)
    sums = np.bincount(column.codes[:size], weights=counts, minlength=len(column.values))
    sums[0] = 0
    return sums.astype(np.int64)


class _Rows:
    """Tells which rows have changed since the last time."""

    def __init__(self, table: NodeTable, journal: Journal) -> None:
        self._table = table
        self._journal = journal
        self._position = -1

    def changed(self) -> Iterable[int]:
        """The rows to look at again: all of them at first."""
        journal = self._journal
        if self._position == journal.end:
            return ()
        entries = None if self._position < 0 else journal.since(self._position)
        self._position = journal.end
        if entries is None or len(entries) > self._table.size:
            return range(self._table.size)
        return dict.fromkeys(entry if entry >= 0 else ~entry for entry in entries)


class _Counted:
    def __init__(
        self, table: NodeTable, journal: Journal, matches: Callable[[PodInfo], bool]
    ) -> None:
        self._table = table
        self._rows = _Rows(table, journal)
        self._matches = matches
        self._counts: Counts = np.zeros(0, np.int64)

    def current(self) -> Counts:
        nodes = self._table.nodes
        self._counts = _resized(self._counts, len(nodes))
        for row in self._rows.changed():
            node = nodes[row]
            self._counts[row] = 0 if node is None else sum(map(self._matches, node.pods.values()))
        return self._counts


def _resized(counts: Counts, size: int) -> Counts:
    if len(counts) == size:
        return counts
    resized = np.zeros(size, np.int64)
    resized[: len(counts)] = counts
    return resized


class PodCounts:
    """How many pods on each node fulfil a condition, for the conditions that were asked lately."""

    def __init__(self, table: NodeTable, journal: Journal) -> None:
        self._table = table
        self._journal = journal
        self._counted: OrderedDict[Hashable, _Counted] = OrderedDict()

    def of(self, key: Hashable, matches: Callable[[PodInfo], bool]) -> Counts:
        """The count of each row. Equal keys must mean equal conditions. Not to be changed."""
        counted = self._counted.get(key)
        if counted is None:
            counted = self._counted[key] = _Counted(self._table, self._journal, matches)
            if len(self._counted) > _MAX_COUNTED:
                self._counted.popitem(last=False)
        else:
            self._counted.move_to_end(key)
        return counted.current()


class CarriedTerm(NamedTuple):
    """A term of pods that are on nodes; the weight counts for preferences only."""

    kind: str
    weight: int
    term: AffinityTerm

    def carried_by(self, pod: PodInfo) -> bool:
        """Whether the pod has this term."""
        return self in _terms_of(pod)


def _terms_of(pod: PodInfo) -> list[CarriedTerm]:
    terms = pod.affinity_terms
    if terms is None:
        return []
    return [
        *(CarriedTerm(REQUIRED, 0, term) for term in terms.required),
        *(CarriedTerm(REQUIRED_ANTI, 0, term) for term in terms.required_anti),
        *(CarriedTerm(PREFERRED, weight, term) for weight, term in terms.preferred),
        *(CarriedTerm(PREFERRED, weight, term) for weight, term in terms.preferred_anti),
    ]


@attrs.define(eq=False)
class _Carriers:
    counts: Counts
    total: int = 0


class CarriedTerms:
    """The distinct terms of all pods on nodes, and how many carriers each node has."""

    def __init__(self, table: NodeTable, journal: Journal) -> None:
        self._table = table
        self._rows = _Rows(table, journal)
        self._by_row: dict[int, Counter[CarriedTerm]] = {}
        self._carriers: dict[CarriedTerm, _Carriers] = {}
        self._matches: dict[Hashable, tuple[CarriedTerm, ...]] = {}

    def matching(
        self, namespace: str, labels: Mapping[str, str], namespace_labels: NamespaceLabels
    ) -> tuple[CarriedTerm, ...]:
        """The terms that mean a pod of this namespace with these labels."""
        self._catch_up()
        if not self._carriers:
            return ()
        of_namespace = namespace_labels(namespace)
        key = (namespace, tuple(labels.items()), tuple(of_namespace.items()))
        found = self._matches.get(key)
        if found is None:
            if len(self._matches) >= _MAX_MATCHES:
                self._matches.clear()
            found = self._matches[key] = tuple(
                carried
                for carried in self._carriers
                if carried.term.matches(namespace, labels, lambda _: of_namespace)
            )
        return found

    def counts(self, carried: CarriedTerm) -> Counts:
        """For each row how often its pods carry the term; call `matching` before."""
        carriers = self._carriers[carried]
        carriers.counts = _resized(carriers.counts, self._table.size)
        return carriers.counts

    def _catch_up(self) -> None:
        for row in self._rows.changed():
            node = self._table.nodes[row]
            if row in self._by_row or (node is not None and node.affinity_pods):
                self._recount(row, node)

    def _recount(self, row: int, node: NodeInfo | None) -> None:
        before = self._by_row.pop(row, Counter[CarriedTerm]())
        pods = node.affinity_pods.values() if node is not None else ()
        after = Counter(carried for pod in pods for carried in _terms_of(pod))
        if after:
            self._by_row[row] = after
        for carried in {**before, **after}:
            change = after[carried] - before[carried]
            if change:
                self._change(carried, row, change)

    def _change(self, carried: CarriedTerm, row: int, change: int) -> None:
        carriers = self._carriers.get(carried)
        if carriers is None:
            carriers = self._carriers[carried] = _Carriers(np.zeros(self._table.size, np.int64))
            self._matches.clear()
        carriers.counts = _resized(carriers.counts, self._table.size)
        carriers.counts[row] += change
        carriers.total += change
        if not carriers.total:
            del self._carriers[carried]
            self._matches.clear()
