"""NodeAffinity: nodeSelector and required node affinity filter, preferred node affinity scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from k8sactors.scheduler.cache import Cache
from k8sactors.scheduler.events import ActionType, ClusterEvent, EventHint
from k8sactors.scheduler.framework.interfaces import (
    CycleState,
    FilterPlugin,
    MaxNormalizer,
    PreFilterPlugin,
    PreScorePlugin,
    ScorePlugin,
)
from k8sactors.scheduler.framework.status import Code, Status
from k8sactors.scheduler.node_selector import SelectorTerm
from k8sactors.scheduler.nodeinfo import NodeInfo
from k8sactors.scheduler.podinfo import PodInfo, Requirements
from k8sactors.scheduler.table import NodeTable, Rows

__all__ = ["NodeAffinity"]

_SKIP = Status(Code.SKIP, (), "NodeAffinity")


class NodeAffinity(PreFilterPlugin, FilterPlugin, PreScorePlugin, ScorePlugin):
    """Both the selector and one of the required terms must match."""

    name = "NodeAffinity"
    default_position = 60
    default_weight = 2
    signature_is_requirements = True
    depends_on_pods = False
    normalizer = MaxNormalizer()

    _refusal = Status(
        Code.UNSCHEDULABLE_AND_UNRESOLVABLE,
        ("node(s) didn't match Pod's node affinity/selector",),
        "NodeAffinity",
    )
    _conflict = Status(
        Code.UNSCHEDULABLE_AND_UNRESOLVABLE, ("pod affinity terms conflict",), "NodeAffinity"
    )

    def pre_filter(
        self, state: CycleState, pod: PodInfo, cache: Cache
    ) -> Status | frozenset[str] | None:
        """Skip pods without a demand; name the nodes when every term does (as daemon pods do)."""
        del state, cache
        need = pod.requirements
        if need.required_terms is None:
            return None if need.node_selector else _SKIP
        names: set[str] = set()
        for term in need.required_terms:
            named = _names_in(term)
            if named is None:
                return None
            names |= named
        return frozenset(names) if names else self._none_named(need)

    def _none_named(self, need: Requirements) -> Status | None:
        return self._conflict if need.required_terms else None

    def filter(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> Status | None:
        """Refuse nodes that do not match."""
        del state
        return None if node.selected_by(pod.requirements) else self._refusal

    def filter_vector(
        self, state: CycleState, pod: PodInfo, table: NodeTable, rows: Rows
    ) -> NDArray[np.bool_]:
        """The vector form."""
        del state
        return table.selected_by(pod.requirements, rows)

    def pre_score(self, state: CycleState, pod: PodInfo) -> Status | None:
        """Skip pods without a preference."""
        del state
        return None if pod.requirements.preferred_terms else _SKIP

    def score(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> int:
        """The sum of the weights of the matching preferences."""
        del state
        terms = pod.requirements.preferred_terms
        return sum(weight for weight, term in terms if node.matches(term))

    def score_vector(
        self, state: CycleState, pod: PodInfo, table: NodeTable, rows: Rows
    ) -> NDArray[np.int64]:
        """The vector form."""
        del state
        total = np.zeros(len(rows), dtype=np.int64)
        for weight, term in pod.requirements.preferred_terms:
            total += weight * table.matches(term, rows)
        return total

    def events_to_register(self) -> Sequence[EventHint]:
        """A node with other labels."""
        action = ActionType.ADD | ActionType.UPDATE_NODE_LABEL
        return (EventHint(ClusterEvent("Node", action), _helps),)


def _names_in(term: SelectorTerm) -> frozenset[str] | None:
    """The only names that the term allows, or None when it does not say."""
    names: frozenset[str] | None = None
    for expression in term.names:
        if expression.operator == "In":
            values = frozenset(expression.values)
            names = values if names is None else names & values
    return names


def _helps(pod: PodInfo, _old: Any, node: NodeInfo) -> bool:
    return node.selected_by(pod.requirements)
