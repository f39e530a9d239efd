"""Pods per node that a selector means, and the terms that pods on nodes carry, kept between cycles.

Both catch up by the cache's journal: a decision pays for the nodes whose pods have changed since,
not for all pods. The sums per domain, that is per value of a label, follow the changes too. They
are summed up again after any Node object has changed, which costs one pass over the nodes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping

import attrs
import numpy as np
from numpy.typing import NDArray

from k8sactors.scheduler.journal import Journal
from k8sactors.scheduler.nodeinfo import NodeInfo
from k8sactors.scheduler.pod_terms import CarriedTerm, NamespaceLabels
from k8sactors.scheduler.podinfo import Group, PodInfo
from k8sactors.scheduler.table import LabelColumn, NodeTable

__all__ = ["CarriedTerms", "Matches", "PodCounts"]

Counts = NDArray[np.int64]
# Whether a pod counts; it must look at no more than what makes the pod's group.
Matches = Callable[[PodInfo], bool]

_MAX_COUNTED = 512
_MAX_MATCHES = 4096
_MAX_SUMS = 64


@attrs.define(eq=False)
class _Sums:
    """For each code of a label the sum over its nodes; nodes without the label count nowhere."""

    column: LabelColumn
    # The rows that count; None: all of them.
    counting: NDArray[np.bool_] | None
    values: Counts

    @classmethod
    def of(cls, column: LabelColumn, counting: NDArray[np.bool_] | None, counts: Counts) -> _Sums:
        weights = counts if counting is None else np.where(counting, counts, 0)
        codes = column.codes[: len(counts)]
        values = np.bincount(codes, weights=weights, minlength=len(column.values))
        values[0] = 0
        return cls(column, counting, values.astype(np.int64))

    def add(self, row: int, change: int) -> None:
        """The count of a row has changed."""
        code = self.column.codes[row]
        if code and (self.counting is None or self.counting[row]):
            self.values[code] += change


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
    def __init__(self, table: NodeTable, journal: Journal, matches: Matches) -> None:
        self._table = table
        self._journal = journal
        self._rows = _Rows(table, journal)
        self._matches = matches
        self._known: dict[Group, bool] = {}
        self._counts: Counts = np.zeros(0, np.int64)
        self._sums: OrderedDict[Hashable, _Sums] = OrderedDict()
        self._spec_changes = -1

    def current(self) -> Counts:
        if self._spec_changes != self._journal.spec_changes:
            self._spec_changes = self._journal.spec_changes
            self._sums.clear()
        nodes = self._table.nodes
        counts = self._counts = _resized(self._counts, len(nodes))
        for row in self._rows.changed():
            change = self._count(nodes[row]) - int(counts[row])
            if change:
                counts[row] += change
                for sums in self._sums.values():
                    sums.add(row, change)
        return counts

    def sums(
        self, where: Hashable, column: LabelColumn, counting: NDArray[np.bool_] | None
    ) -> Counts:
        counts = self.current()
        found = self._sums.get(where)
        if found is None:
            found = self._sums[where] = _Sums.of(column, counting, counts)
            if len(self._sums) > _MAX_SUMS:
                self._sums.popitem(last=False)
        return found.values

    def _count(self, node: NodeInfo | None) -> int:
        if node is None:
            return 0
        known, total = self._known, 0
        for pod in node.pods.values():
            group = pod.group
            counts = known.get(group)
            if counts is None:
                if len(known) >= _MAX_MATCHES:
                    known.clear()
                counts = known[group] = self._matches(pod)
            total += counts
        return total


def _resized(counts: Counts, size: int) -> Counts:
    if len(counts) == size:
        return counts
    resized = np.zeros(size, np.int64)
    resized[: len(counts)] = counts
    return resized


class PodCounts:
    """How many pods on each node fulfil a condition, for the conditions that were asked lately.

    Equal keys must mean equal conditions. The arrays are not to be changed, and hold until pods or
    nodes change.
    """

    def __init__(self, table: NodeTable, journal: Journal) -> None:
        self._table = table
        self._journal = journal
        self._counted: OrderedDict[Hashable, _Counted] = OrderedDict()

    def of(self, key: Hashable, matches: Matches) -> Counts:
        """The count of each row."""
        return self._get(key, matches).current()

    def sums(
        self,
        key: Hashable,
        matches: Matches,
        where: Hashable,
        column: LabelColumn,
        counting: NDArray[np.bool_] | None = None,
    ) -> Counts:
        """The sum for each code of a label over the rows that count; the table must be in sync.

        Equal `where` must mean the same label and, while no Node object changes, the same rows.
        """
        return self._get(key, matches).sums(where, column, counting)

    def _get(self, key: Hashable, matches: Matches) -> _Counted:
        counted = self._counted.get(key)
        if counted is None:
            counted = self._counted[key] = _Counted(self._table, self._journal, matches)
            if len(self._counted) > _MAX_COUNTED:
                self._counted.popitem(last=False)
        else:
            self._counted.move_to_end(key)
        return counted


@attrs.define(eq=False)
class _Carriers:
    counts: Counts
    total: int = 0
    # Per domain of the term's key; None: to be summed up.
    sums: _Sums | None = None


class CarriedTerms:
    """The distinct terms of all pods on nodes, and how many carriers each node has."""

    def __init__(self, table: NodeTable, journal: Journal) -> None:
        self._table = table
        self._journal = journal
        self._rows = _Rows(table, journal)
        self._by_row: dict[int, dict[CarriedTerm, int]] = {}
        self._carriers: dict[CarriedTerm, _Carriers] = {}
        self._matches: dict[Hashable, tuple[CarriedTerm, ...]] = {}
        self._spec_changes = -1

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

    def sums(self, carried: CarriedTerm) -> Counts:
        """For each domain of the term's key how often its pods carry the term.

        Call `matching` before; the table must be in sync.
        """
        carriers = self._carriers[carried]
        if carriers.sums is None:
            carriers.counts = _resized(carriers.counts, self._table.size)
            column = self._table.label_column(carried.term.topology_key)
            carriers.sums = _Sums.of(column, None, carriers.counts)
        return carriers.sums.values

    def _catch_up(self) -> None:
        if self._spec_changes != self._journal.spec_changes:
            self._spec_changes = self._journal.spec_changes
            for carriers in self._carriers.values():
                carriers.sums = None
        for row in self._rows.changed():
            node = self._table.nodes[row]
            if row in self._by_row or (node is not None and node.affinity_pods):
                self._recount(row, node)

    def _recount(self, row: int, node: NodeInfo | None) -> None:
        before = self._by_row.pop(row, {})
        after: dict[CarriedTerm, int] = {}
        for pod in node.affinity_pods.values() if node is not None else ():
            terms = pod.affinity_terms
            if terms is not None:
                for carried in terms.carried:
                    after[carried] = after.get(carried, 0) + 1
        if after:
            self._by_row[row] = after
        for carried in {**before, **after}:
            change = after.get(carried, 0) - before.get(carried, 0)
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
        if carriers.sums is not None:
            carriers.sums.add(row, change)
        if not carriers.total:
            del self._carriers[carried]
            self._matches.clear()
