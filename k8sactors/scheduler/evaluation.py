"""Filters and scores over many rows: the vector form where a plugin has one, else node by node."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from k8sactors.scheduler.framework.interfaces import CycleState, FilterPlugin, ScorePlugin
from k8sactors.scheduler.framework.status import Status
from k8sactors.scheduler.nodeinfo import NodeInfo
from k8sactors.scheduler.podinfo import PodInfo
from k8sactors.scheduler.table import NodeTable, Rows

__all__ = [
    "filter_node",
    "filter_rows",
    "looks_at_one_node",
    "raw_scores",
    "with_nominated_pods",
]


def filter_node(state: CycleState, pod: PodInfo, node: NodeInfo) -> Status | None:
    """The first refusal of a node."""
    for plugin in state.filters:
        status = plugin.filter(state, pod, node)
        if status is not None:
            return status
    return None


def looks_at_one_node(state: CycleState) -> bool:
    """Whether a filter's answer for a node follows from the pod's demands and that node alone."""
    return all(plugin.signature_is_requirements for plugin in state.filters)


def with_nominated_pods(node: NodeInfo, nominated: Mapping[str, list[PodInfo]]) -> NodeInfo:
    """The node with the pods counted in that are nominated to it."""
    pods = nominated.get(node.name)
    if not pods:
        return node
    full = node.copy()
    for pod in pods:
        full.add_pod(pod)
    return full


def filter_rows(
    plugin: FilterPlugin, state: CycleState, pod: PodInfo, table: NodeTable, rows: Rows
) -> NDArray[np.bool_]:
    """For each row whether the plugin lets it pass. Every row must belong to a node."""
    mask = plugin.filter_vector(state, pod, table, rows)
    if mask is not None:
        return mask
    nodes = (table.nodes[row] for row in rows)
    return np.fromiter(
        (node is not None and plugin.filter(state, pod, node) is None for node in nodes),
        np.bool_,
        len(rows),
    )


def raw_scores(
    plugin: ScorePlugin, state: CycleState, pod: PodInfo, table: NodeTable, rows: Rows
) -> NDArray[np.int64]:
    """The raw score of each row. Every row must belong to a node."""
    scores = plugin.score_vector(state, pod, table, rows)
    if scores is not None:
        return scores
    nodes = (table.nodes[row] for row in rows)
    return np.fromiter(
        (plugin.score(state, pod, node) if node is not None else 0 for node in nodes),
        np.int64,
        len(rows),
    )
