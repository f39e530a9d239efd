"""Why a pod goes where it goes: every filter's answer and every score, node by node."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from k8sactors.scheduler.cache import Cache
from k8sactors.scheduler.evaluation import filter_node, raw_scores
from k8sactors.scheduler.framework.interfaces import CycleState
from k8sactors.scheduler.framework.runtime import Framework
from k8sactors.scheduler.framework.status import Code, Status
from k8sactors.scheduler.podinfo import PodInfo
from k8sactors.scheduler.table import Rows

__all__ = ["Explanation", "NodeExplanation", "PluginScore", "explain"]


@attrs.frozen
class PluginScore:
    """One plugin's opinion of one node."""

    plugin: str
    raw: int
    normalized: int
    weight: int

    @property
    def weighted(self) -> int:
        """What the plugin adds to the node's total."""
        return self.weight * self.normalized


@attrs.define
class NodeExplanation:
    """What the plugins say about one node."""

    node: str
    refusal: Status | None
    pod_count: int
    scores: list[PluginScore] = attrs.Factory(list)

    @property
    def total(self) -> int:
        """The node's score."""
        return sum(score.weighted for score in self.scores)


@attrs.define
class Explanation:
    """What the plugins say about all nodes, best first."""

    pod: str
    # Set when PreFilter refused the pod before any node was looked at.
    refusal: Status | None
    nodes: list[NodeExplanation]

    @property
    def best(self) -> list[str]:
        """The nodes among which the seed would decide."""
        feasible = [n for n in self.nodes if n.refusal is None]
        if not feasible:
            return []
        top = max((n.total, -n.pod_count) for n in feasible)
        return [n.node for n in feasible if (n.total, -n.pod_count) == top]

    def to_wire(self) -> dict[str, Any]:
        """Plain data for a message."""
        return {
            "pod": self.pod,
            "refusal": self.refusal.message if self.refusal else None,
            "best": self.best,
            "nodes": [
                {
                    "node": n.node,
                    "pods": n.pod_count,
                    "refusedBy": n.refusal.plugin if n.refusal else None,
                    "reasons": list(n.refusal.reasons) if n.refusal else [],
                    "total": n.total,
                    "scores": [
                        {
                            "plugin": s.plugin,
                            "raw": s.raw,
                            "normalized": s.normalized,
                            "weight": s.weight,
                        }
                        for s in n.scores
                    ],
                }
                for n in self.nodes
            ],
        }


def explain(framework: Framework, pod: PodInfo, cache: Cache) -> Explanation:
    """Ask all plugins about all nodes; changes nothing."""
    state = CycleState()
    outcome, restricting = framework.run_pre_filters(state, pod, cache)
    if isinstance(outcome, Status):
        return Explanation(pod.key, outcome, [])
    framework.run_pre_scores(state, pod)
    cache.table.sync()
    nodes: list[NodeExplanation] = []
    rows: list[int] = []
    for node in cache.existing_nodes():
        if outcome is not None and node.name not in outcome:
            from_plugins = f"node(s) didn't satisfy plugin(s) [{' '.join(restricting)}]"
            refusal: Status | None = Status(
                Code.UNSCHEDULABLE_AND_UNRESOLVABLE, (from_plugins,), restricting[0]
            )
        else:
            refusal = filter_node(state, pod, node)
        nodes.append(NodeExplanation(node.name, refusal, node.pod_count))
        if refusal is None:
            rows.append(node.row)
    feasible = [n for n in nodes if n.refusal is None]
    _add_scores(state, pod, cache, np.array(rows, dtype=np.intp), feasible)
    nodes.sort(key=lambda n: (n.refusal is not None, -n.total, n.pod_count, n.node))
    return Explanation(pod.key, None, nodes)


def _add_scores(
    state: CycleState,
    pod: PodInfo,
    cache: Cache,
    rows: Rows,
    feasible: list[NodeExplanation],
) -> None:
    for weight, plugin in state.scores:
        raw = raw_scores(plugin, state, pod, cache.table, rows)
        normalized = plugin.normalize_scores(state, pod, raw)
        for node, before, after in zip(feasible, raw.tolist(), normalized.tolist(), strict=True):
            node.scores.append(PluginScore(plugin.name, before, after, weight))
