"""What the plugins that look at each node by itself say of all nodes, kept between decisions.

A ranking (ranking.py) needs plugins that all look at one node at a time. A pod with terms about
other pods, or with spread constraints, has plugins too whose answer for a node depends on all
others. For such pods the rest is kept here: whether a node passes, and the sum of its weighted
scores. Both belong to what a template demands (`PodInfo.requirements`), and are brought up to date
for the nodes that have changed, which the cache's journal names. What is left for a decision is to
ask the other plugins, column by column.

The nodes and the scores are exactly those of a look at everything (`DecisionEngine`).
"""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

from k8sactors.scheduler.cache import Cache
from k8sactors.scheduler.evaluation import filter_node, filter_rows, raw_scores
from k8sactors.scheduler.framework.interfaces import CycleState, MaxNormalizer, ScorePlugin
from k8sactors.scheduler.framework.runtime import Framework
from k8sactors.scheduler.podinfo import PodInfo
from k8sactors.scheduler.table import Rows

__all__ = ["KeptScores"]

# So many changed nodes are asked one by one; for more of them columns are cheaper.
_MAX_SCALAR_UPDATES = 6


@attrs.define(eq=False)
class _Normalized:
    """Raw scores per row, brought to 0..100 over the feasible nodes of each decision."""

    weight: int
    plugin: ScorePlugin
    normalizer: MaxNormalizer
    raw: NDArray[np.int64]
    # Whether any score may differ from 0: otherwise all nodes get the same.
    differs: bool = False

    def set(self, rows: Rows, raw: NDArray[np.int64]) -> None:
        self.raw[rows] = raw
        self.differs = self.differs or bool(raw.any())


class KeptScores:
    """The verdicts and scores of a template; `sync` before anything is read."""

    def __init__(self, framework: Framework, pod: PodInfo, cache: Cache) -> None:
        self._cache = cache
        # A copy: the pod itself gets a node soon.
        self._pod = attrs.evolve(pod)
        # What the plugins wrote down whose answers are kept.
        self.state = CycleState()
        outcome, _ = framework.run_pre_filters(self.state, self._pod, cache, framework.kept_part)
        # Pods that may go to few nodes only are looked after node by node.
        self.usable = outcome is None
        framework.run_pre_scores(self.state, self._pod, framework.kept_part)
        self._filters = self.state.filters
        self._scores = [(w, p) for w, p in self.state.scores if p.normalizer is None]
        self._normalized = [
            _Normalized(w, p, p.normalizer, np.zeros(0, np.int64))
            for w, p in self.state.scores
            if p.normalizer is not None
        ]
        self._passes: NDArray[np.bool_] = np.zeros(0, np.bool_)
        self._totals: NDArray[np.int64] = np.zeros(0, np.int64)
        self._position = -1

    def feasible(self) -> Rows:
        """The rows that all kept filters let pass, in order."""
        return np.flatnonzero(self._passes)

    def totals(self, rows: Rows) -> NDArray[np.int64]:
        """The sums of the kept scores of feasible rows, but for what all rows have in common."""
        totals = self._totals[rows]
        for part in self._normalized:
            if part.differs:
                raw = part.raw[rows]
                totals += part.weight * part.normalizer.vector(raw, int(raw.max()))
        return totals

    def sync(self) -> None:
        """Bring the nodes up to date that have changed."""
        table, journal = self._cache.table, self._cache.journal
        table.sync()
        if self._position == journal.end:
            return
        entries = None if self._position < 0 else journal.since(self._position)
        self._position = journal.end
        self._grow(table.size)
        if entries is None or len(entries) > table.size:
            self._passes[:] = False
            for part in self._normalized:
                part.differs = False
            self._update(table.rows())
            return
        changed = list(dict.fromkeys(entry if entry >= 0 else ~entry for entry in entries))
        if len(changed) <= _MAX_SCALAR_UPDATES:
            for row in changed:
                self._update_one(row)
            return
        rows = np.array(changed, np.intp)
        self._passes[rows] = False
        self._update(rows[table.exists[rows]])

    def _grow(self, size: int) -> None:
        more = size - len(self._passes)
        if more:
            self._passes = np.concatenate((self._passes, np.zeros(more, np.bool_)))
            nothing = np.zeros(more, np.int64)
            self._totals = np.concatenate((self._totals, nothing))
            for part in self._normalized:
                part.raw = np.concatenate((part.raw, nothing))

    def _update(self, rows: Rows) -> None:
        state, pod, table = self.state, self._pod, self._cache.table
        for plugin in self._filters:
            rows = rows[filter_rows(plugin, state, pod, table, rows)]
        self._passes[rows] = True
        totals = np.zeros(len(rows), np.int64)
        for weight, scorer in self._scores:
            totals += weight * raw_scores(scorer, state, pod, table, rows)
        self._totals[rows] = totals
        for part in self._normalized:
            part.set(rows, raw_scores(part.plugin, state, pod, table, rows))

    def _update_one(self, row: int) -> None:
        state, pod = self.state, self._pod
        node = self._cache.table.nodes[row]
        passes = node is not None and filter_node(state, pod, node) is None
        self._passes[row] = passes
        if node is None or not passes:
            return
        self._totals[row] = sum(w * p.score(state, pod, node) for w, p in self._scores)
        for part in self._normalized:
            raw = part.plugin.score(state, pod, node)
            part.raw[row] = raw
            part.differs = part.differs or raw != 0
