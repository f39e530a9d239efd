"""Where a pod runs: the decision itself, without queue, clock or API server.

A pod with a nominated node goes there if it fits. For the others four ways lead to a node, and all
give the same answer (up to the draw among equals):

* a *ranking* remembered for the pod's signature (ranking.py): the usual way;
* the *kept scores* of the pod's template (kept_scores.py), and a look at all nodes by the plugins
  that cannot be ranked: pods that say something about other pods;
* one look at all nodes by all plugins, column by column: a template seen for the first time;
* the few nodes that a PreFilter plugin named, one by one: daemon pods.

The best score wins; among equals the node with the fewest pods; among those the seed decides.
Every node is looked at: there is no sampling as with percentageOfNodesToScore, because a ranking
makes the full answer cheaper than a sample.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable

import attrs
import numpy as np

from k8sactors.scheduler.cache import Cache
from k8sactors.scheduler.diagnosis import FitError
from k8sactors.scheduler.errors import NoNodesAvailableError
from k8sactors.scheduler.evaluation import (
    filter_node,
    filter_rows,
    looks_at_one_node,
    raw_scores,
    with_nominated_pods,
)
from k8sactors.scheduler.framework.interfaces import (
    CycleState,
    FilterPlugin,
    PostFilterResult,
)
from k8sactors.scheduler.framework.runtime import Framework
from k8sactors.scheduler.framework.status import Status
from k8sactors.scheduler.kept_scores import KeptScores
from k8sactors.scheduler.node_memo import NodeMemos
from k8sactors.scheduler.nodeinfo import NodeInfo
from k8sactors.scheduler.podinfo import PodInfo
from k8sactors.scheduler.ranking import RANK_STEP, Ranking
from k8sactors.scheduler.table import Rows

__all__ = ["Decision", "DecisionEngine"]

_MAX_RANKINGS = 128
_MAX_DIAGNOSES = 1024
# Each holds some bytes per node.
_MAX_KEPT_SCORES = 128


@attrs.define
class Decision:
    """The chosen node, and the notes that the rest of the cycle's plugins need."""

    node: NodeInfo
    state: CycleState
    # False when only one node was feasible: nothing to compare.
    scored: bool


@attrs.define
class _Remembered:
    state: CycleState
    ranking: Ranking


class DecisionEngine:
    """Decides for all profiles over one cache; `draw` gives random numbers in [0, 1)."""

    def __init__(self, cache: Cache, draw: Callable[[], float]) -> None:
        self._cache = cache
        self._draw = draw
        self._rankings: OrderedDict[Hashable, _Remembered] = OrderedDict()
        self._kept_scores: OrderedDict[Hashable, KeptScores] = OrderedDict()
        # Signatures that have been met once and have no ranking.
        self._seen: OrderedDict[Hashable, None] = OrderedDict()
        # By name and template why a node is refused.
        self._refusal_memos: NodeMemos[Status | None] = NodeMemos()
        self._diagnoses: OrderedDict[Hashable, tuple[int, FitError]] = OrderedDict()

    def decide(self, framework: Framework, pod: PodInfo) -> Decision:
        """A node for the pod.

        Raises:
            NoNodesAvailableError: the cluster has no node.
            FitError: no node fits.
        """
        if not self._cache.node_count:
            raise NoNodesAvailableError
        nominated: dict[str, list[PodInfo]] = {}
        nominated_node = ""
        nominations = framework.handle.nominations
        if nominations:
            nominated = nominations.against(pod)
            nominated_node = nominations.node_of(pod.uid)
        rankable = framework.can_rank and not nominated and not nominated_node
        signature = framework.signature(pod) if rankable else None
        key = (framework.name, signature)
        if signature is not None:
            remembered = self._rankings.get(key)
            if remembered is not None:
                return self._from_ranking(framework, pod, key, remembered)
        if signature is None:
            kept = self._kept_for(framework, pod)
            if kept is not None:
                decision = self._from_kept(framework, pod, kept, nominated, nominated_node)
                if decision is not None:
                    return decision
        state = CycleState()
        outcome, restricting = framework.run_pre_filters(state, pod, self._cache)
        if isinstance(outcome, Status):
            raise self._post_filtered(
                framework,
                state,
                pod,
                FitError(self._cache.node_count, {}, pre_filter=outcome),
            )
        if nominated_node and (outcome is None or nominated_node in outcome):
            node = self._fitting(state, pod, nominated_node, nominated)
            if node is not None:
                return Decision(node, state, scored=False)
        framework.run_pre_scores(state, pod)
        if outcome is not None:
            return self._from_named(framework, state, pod, outcome, restricting, nominated)
        if signature is not None and self._is_repeated(key):
            remembered = _Remembered(state, Ranking(state, pod, self._cache))
            self._rankings[key] = remembered
            if len(self._rankings) > _MAX_RANKINGS:
                self._rankings.popitem(last=False)
            return self._from_ranking(framework, pod, key, remembered)
        return self._from_scan(framework, state, pod, self._cache.table.rows(), nominated)

    def _fitting(
        self,
        state: CycleState,
        pod: PodInfo,
        nominated_node: str,
        nominated: dict[str, list[PodInfo]],
    ) -> NodeInfo | None:
        """The node that the pod is nominated to, if it fits there."""
        node = self._cache.nodes.get(nominated_node)
        if node is None or node.row < 0:
            return None
        refused = filter_node(state, pod, with_nominated_pods(node, nominated))
        return node if refused is None else None

    def _kept_for(self, framework: Framework, pod: PodInfo) -> KeptScores | None:
        """What is kept of the pod's template, from the second pod on."""
        if not framework.can_rank or pod.node_name:
            return None
        key = (framework.name, "kept", pod.requirements)
        kept = self._kept_scores.get(key)
        if kept is None:
            if not self._is_repeated(key):
                return None
            kept = self._kept_scores[key] = KeptScores(framework, pod, self._cache)
            if len(self._kept_scores) > _MAX_KEPT_SCORES:
                self._kept_scores.popitem(last=False)
        else:
            self._kept_scores.move_to_end(key)
        return kept if kept.usable else None

    def _from_kept(
        self,
        framework: Framework,
        pod: PodInfo,
        kept: KeptScores,
        nominated: dict[str, list[PodInfo]],
        nominated_node: str,
    ) -> Decision | None:
        """The decision, or None when a plugin refuses the pod as a whole or names nodes."""
        state = kept.state.fork()
        outcome, _ = framework.run_pre_filters(state, pod, self._cache, framework.asked_part)
        if outcome is not None:
            return None
        asked = state.filters
        state.filters = [p for p in framework.filters if p in asked or p in kept.state.filters]
        if nominated_node:
            node = self._fitting(state, pod, nominated_node, nominated)
            if node is not None:
                return Decision(node, state, scored=False)
        framework.run_pre_scores(state, pod, framework.asked_part)
        kept.sync()
        feasible = self._filtered(state, pod, asked, kept.feasible(), nominated)
        if not feasible.size:
            raise self._unfitting(framework, state, pod, self._cache.table.rows(), nominated)
        return self._chosen(state, pod, feasible, kept)

    def _is_repeated(self, key: Hashable) -> bool:
        if key in self._seen:
            del self._seen[key]
            return True
        self._seen[key] = None
        if len(self._seen) > 8 * _MAX_RANKINGS:
            self._seen.popitem(last=False)
        return False

    def _from_ranking(
        self, framework: Framework, pod: PodInfo, key: Hashable, remembered: _Remembered
    ) -> Decision:
        self._rankings.move_to_end(key)
        row = remembered.ranking.best(self._draw)
        if row < 0:
            raise self._known_failure(framework, pod, key, remembered.state)
        node = self._cache.table.nodes[row]
        assert node is not None, "rankings hold only rows in use"
        return Decision(node, remembered.state.fork(), scored=self._cache.node_count > 1)

    def _from_named(
        self,
        framework: Framework,
        state: CycleState,
        pod: PodInfo,
        names: frozenset[str],
        restricting: tuple[str, ...],
        nominated: dict[str, list[PodInfo]],
    ) -> Decision:
        nodes = self._cache.nodes
        rows = sorted(nodes[name].row for name in names if name in nodes and nodes[name].row >= 0)
        reason = f"node(s) didn't satisfy plugin(s) [{' '.join(restricting)}]"
        self._cache.table.sync()
        return self._from_scan(
            framework, state, pod, np.array(rows, dtype=np.intp), nominated, reason
        )

    def _from_scan(
        self,
        framework: Framework,
        state: CycleState,
        pod: PodInfo,
        rows: Rows,
        nominated: dict[str, list[PodInfo]],
        absent_reason: str = "",
    ) -> Decision:
        feasible = self._filtered(state, pod, state.filters, rows, nominated)
        if not feasible.size:
            raise self._unfitting(framework, state, pod, rows, nominated, absent_reason)
        return self._chosen(state, pod, feasible, None)

    def _filtered(
        self,
        state: CycleState,
        pod: PodInfo,
        filters: list[FilterPlugin],
        rows: Rows,
        nominated: dict[str, list[PodInfo]],
    ) -> Rows:
        """The rows that pass, in the order given."""
        for plugin in filters:
            rows = rows[filter_rows(plugin, state, pod, self._cache.table, rows)]
        return self._without_nominated(state, pod, rows, nominated) if nominated else rows

    def _chosen(
        self, state: CycleState, pod: PodInfo, feasible: Rows, kept: KeptScores | None
    ) -> Decision:
        row = int(feasible[0])
        if feasible.size > 1:
            row = self._best_of(state, pod, feasible, kept)
        node = self._cache.table.nodes[row]
        assert node is not None, "only rows in use are looked at"
        return Decision(node, state, scored=feasible.size > 1)

    def _without_nominated(
        self,
        state: CycleState,
        pod: PodInfo,
        feasible: Rows,
        nominated: dict[str, list[PodInfo]],
    ) -> Rows:
        nodes = self._cache.nodes
        passing = set(feasible.tolist())
        refusal = self._refusing(state, pod, nominated)
        taken = [
            nodes[name].row
            for name in nominated
            if name in nodes and nodes[name].row in passing and refusal(nodes[name]) is not None
        ]
        return feasible[~np.isin(feasible, np.array(taken, dtype=np.intp))]

    def _best_of(
        self, state: CycleState, pod: PodInfo, feasible: Rows, kept: KeptScores | None
    ) -> int:
        """`kept`: has the scores of the plugins that are not in `state.scores`."""
        table = self._cache.table
        nothing = np.zeros(len(feasible), dtype=np.int64)
        totals = nothing if kept is None else kept.totals(feasible)
        for weight, plugin in state.scores:
            raw = raw_scores(plugin, state, pod, table, feasible)
            totals += weight * plugin.normalize_scores(state, pod, raw)
        ranks = totals * RANK_STEP - table.pod_count[feasible]
        best = feasible[ranks == ranks.max()]
        return int(best[int(self._draw() * len(best))])

    # --- failures

    def _unfitting(
        self,
        framework: Framework,
        state: CycleState,
        pod: PodInfo,
        rows: Rows,
        nominated: dict[str, list[PodInfo]],
        absent_reason: str = "",
    ) -> FitError:
        refused = self._refusals(state, pod, rows, nominated)
        error = FitError(self._cache.node_count, refused, absent_reason=absent_reason)
        return self._post_filtered(framework, state, pod, error)

    def _known_failure(
        self, framework: Framework, pod: PodInfo, key: Hashable, state: CycleState
    ) -> FitError:
        """A FitError, shared by pods that differ in nothing that any plugin looks at.

        What Filter looks at does not suffice: PostFilter reads more of a pod, its priority for
        instance. What is shared is outdated as soon as anything changes on any node.
        """
        post_filter_signature = framework.post_filter_signature(pod)
        shared = post_filter_signature is not None
        key = (key, post_filter_signature)
        journal_end = self._cache.journal.end
        known = self._diagnoses.get(key) if shared else None
        if known is not None and known[0] == journal_end:
            return known[1]
        rows = self._cache.table.rows()
        error = FitError(self._cache.node_count, self._refusals(state, pod, rows, {}))
        error = self._post_filtered(framework, state.fork(), pod, error)
        if shared and not error.nominated_node:
            self._diagnoses[key] = (journal_end, error)
            if len(self._diagnoses) > _MAX_DIAGNOSES:
                self._diagnoses.popitem(last=False)
        return error

    def _refusals(
        self,
        state: CycleState,
        pod: PodInfo,
        rows: Rows,
        nominated: dict[str, list[PodInfo]],
    ) -> dict[str, Status]:
        refusal = self._refusing(state, pod, nominated)
        refused: dict[str, Status] = {}
        for row in rows.tolist():
            node = self._cache.table.nodes[row]
            if node is None:
                continue
            status = refusal(node)
            if status is not None:
                refused[node.name] = status
        return refused

    def _refusing(
        self, state: CycleState, pod: PodInfo, nominated: dict[str, list[PodInfo]]
    ) -> Callable[[NodeInfo], Status | None]:
        """Tells why a node is refused, with the pods counted in that are nominated to it."""

        def refusal(node: NodeInfo) -> Status | None:
            return filter_node(state, pod, with_nominated_pods(node, nominated))

        # Without nominated pods the whole diagnosis is shared (`_known_failure`).
        if not nominated or pod.node_name or not looks_at_one_node(state):
            return refusal
        known = self._refusal_memos.of(pod.requirements, self._cache.node_count).of
        return lambda node: known(node, nominated.get(node.name), refusal)

    def _post_filtered(
        self, framework: Framework, state: CycleState, pod: PodInfo, error: FitError
    ) -> FitError:
        result: PostFilterResult = framework.run_post_filters(state, pod, error.refused)
        if result.nominated_node:
            error.nominate(result.nominated_node, result.plugin)
        error.add_post_filter_message(result.message)
        return error
