"""What one scheduling signature knows about all nodes, kept between decisions.

The first pod of a signature pays for a look at every node. After that a decision costs as much as
looking at the nodes that have changed since, which is usually the one that took the last pod:
the cache's journal names them. A node's rank is kept in `RankBuckets`.

What a node's total depends on is split in two. The static part comes from plugins that look only at
the Node object: their filter answers and scores are kept per row. The rest is asked again whenever
pods on the node change. Plugins with the default normalisation are static (`Framework.can_rank`
sees to that), and their scores depend on the largest raw score among the feasible nodes: when
that changes, the ranking is built again.

The rank orders nodes by score, then by few pods, so that equal nodes fill evenly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import attrs
import numpy as np
from numpy.typing import NDArray

from k8sactors.scheduler.buckets import RankBuckets
from k8sactors.scheduler.cache import Cache
from k8sactors.scheduler.evaluation import filter_rows, raw_scores
from k8sactors.scheduler.framework.interfaces import CycleState, MaxNormalizer, ScorePlugin
from k8sactors.scheduler.nodeinfo import NodeInfo
from k8sactors.scheduler.podinfo import PodInfo
from k8sactors.scheduler.table import Rows

__all__ = ["RANK_STEP", "Ranking"]

# One point of score outweighs this many pods on a node.
RANK_STEP = 1 << 20

# Above this many changed nodes a look at all of them is cheaper.
_MAX_SCALAR_UPDATES = 256


class _Normalized:
    """A static score that is brought to 0..100 over the feasible nodes."""

    def __init__(self, weight: int, plugin: ScorePlugin, normalizer: MaxNormalizer) -> None:
        self.weight = weight
        self.plugin = plugin
        self.normalizer = normalizer
        self.raw: list[int] = []
        self.feasible: Counter[int] = Counter()
        self.maximum = 0

    def weighted(self, row: int) -> int:
        return self.weight * self.normalizer(self.raw[row], self.maximum)

    def maximum_changed(self) -> bool:
        feasible = self.feasible
        if feasible[self.maximum] > 0 and len(feasible) == 1:
            return False
        return max((raw for raw, count in feasible.items() if count), default=0) != self.maximum


class Ranking:
    """The feasible nodes of a signature in order of rank."""

    def __init__(self, state: CycleState, pod: PodInfo, cache: Cache) -> None:
        self._state = state
        # Any pod of the signature: to the plugins all of them are equal. A copy, as the pod itself
        # gets a node soon, and NodeName would let no other one pass when all is built again.
        self._pod = attrs.evolve(pod)
        self._cache = cache
        self._static_filters = [p for p in state.filters if not p.depends_on_pods]
        self._filters = [p for p in state.filters if p.depends_on_pods]
        self._scores = [(w, p) for w, p in state.scores if p.depends_on_pods]
        self._static_scores = [
            (w, p) for w, p in state.scores if not p.depends_on_pods and p.normalizer is None
        ]
        self._normalized = [
            _Normalized(w, p, p.normalizer)
            for w, p in state.scores
            if not p.depends_on_pods and p.normalizer is not None
        ]
        self._build()

    def best(self, draw: Callable[[], float]) -> int:
        """The row to take, or -1 when no node fits."""
        self._catch_up()
        return self._buckets.best(draw)

    # --- all rows

    def _build(self) -> None:
        table = self._cache.table
        state, pod = self._state, self._pod
        self._position = self._cache.journal.end
        rows = table.rows()
        static = np.zeros(table.size, dtype=np.bool_)
        static[rows] = True
        for plugin in self._static_filters:
            static[rows] &= filter_rows(plugin, state, pod, table, rows)
        base = np.zeros(table.size, dtype=np.int64)
        for weight, scorer in self._static_scores:
            base[rows] += weight * raw_scores(scorer, state, pod, table, rows)
        feasible = np.flatnonzero(static)
        for plugin in self._filters:
            feasible = feasible[filter_rows(plugin, state, pod, table, feasible)]
        for part in self._normalized:
            base[rows] += self._build_normalized(part, rows, feasible)
        totals = base[feasible]
        for weight, scorer in self._scores:
            totals = totals + weight * raw_scores(scorer, state, pod, table, feasible)
        ranks = (totals + 1) * RANK_STEP - table.pod_count[feasible]
        self._static_ok: list[bool] = static.tolist()
        self._base: list[int] = base.tolist()
        self._buckets = RankBuckets(table.size, feasible, ranks)

    def _build_normalized(self, part: _Normalized, rows: Rows, feasible: Rows) -> NDArray[np.int64]:
        table = self._cache.table
        raw = np.zeros(table.size, dtype=np.int64)
        raw[rows] = raw_scores(part.plugin, self._state, self._pod, table, rows)
        values, counts = np.unique(raw[feasible], return_counts=True)
        part.raw = raw.tolist()
        part.feasible = Counter(dict(zip(values.tolist(), counts.tolist(), strict=True)))
        part.maximum = int(values[-1]) if values.size else 0
        return part.weight * part.normalizer.vector(raw[rows], part.maximum)

    # --- the rows that have changed

    def _catch_up(self) -> None:
        journal = self._cache.journal
        if self._position == journal.end:
            return
        entries = journal.since(self._position)
        if entries is None or len(entries) > _MAX_SCALAR_UPDATES:
            self._build()
            return
        self._position = journal.end
        self._feasible_changed = False
        nodes = self._cache.table.nodes
        for entry in dict.fromkeys(entries) if len(entries) > 1 else entries:
            row = entry if entry >= 0 else ~entry
            node = nodes[row]
            if entry < 0:
                self._update_static(row, node)
            if node is not None and self._static_ok[row]:
                self._update(row, node)
        if self._feasible_changed and any(part.maximum_changed() for part in self._normalized):
            self._build()

    def _update_static(self, row: int, node: NodeInfo | None) -> None:
        state, pod = self._state, self._pod
        self._grow(self._cache.table.size)
        self._leave(row)
        ok = node is not None and all(
            plugin.filter(state, pod, node) is None for plugin in self._static_filters
        )
        self._static_ok[row] = ok
        if not ok or node is None:
            return
        base = sum(w * p.score(state, pod, node) for w, p in self._static_scores)
        for part in self._normalized:
            part.raw[row] = part.plugin.score(state, pod, node)
            base += part.weighted(row)
        self._base[row] = base

    def _grow(self, size: int) -> None:
        more = size - len(self._static_ok)
        if more <= 0:
            return
        self._static_ok.extend([False] * more)
        self._base.extend([0] * more)
        for part in self._normalized:
            part.raw.extend([0] * more)
        self._buckets.grow(more)

    def _update(self, row: int, node: NodeInfo) -> None:
        state, pod = self._state, self._pod
        for plugin in self._filters:
            if plugin.filter(state, pod, node) is not None:
                self._leave(row)
                return
        total = self._base[row] + 1
        for weight, scorer in self._scores:
            total += weight * scorer.score(state, pod, node)
        if row not in self._buckets:
            self._feasible_changed = True
            for part in self._normalized:
                part.feasible[part.raw[row]] += 1
        self._buckets.set(row, total * RANK_STEP - node.pod_count)

    def _leave(self, row: int) -> None:
        if row not in self._buckets:
            return
        self._buckets.discard(row)
        self._feasible_changed = True
        for part in self._normalized:
            part.feasible[part.raw[row]] -= 1
