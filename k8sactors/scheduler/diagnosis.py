"""Why no node fits, in the words that users of Kubernetes search for.

    0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {k: v}. preemption:
    0/3 nodes are available: 1 No preemption victims found for incoming pod, 2 Preemption is not
    helpful for scheduling.

Reasons are counted per node (a node may have several) and sorted as text, as FitError does in
kube-scheduler.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from k8sactors.scheduler.errors import UnschedulableError
from k8sactors.scheduler.framework.status import Status

__all__ = ["FitError", "fit_message"]


def fit_message(
    node_count: int,
    refused: Mapping[str, Status],
    absent_reason: str = "",
    pre_filter_message: str = "",
) -> str:
    """The text; nodes that are not in `refused` count for `absent_reason`."""
    text = f"0/{node_count} nodes are available:"
    if pre_filter_message:
        return f"{text} {pre_filter_message}."
    reasons = Counter(reason for status in refused.values() for reason in status.reasons)
    if absent_reason and len(refused) < node_count:
        reasons[absent_reason] += node_count - len(refused)
    if not reasons:
        return text
    lines = sorted(f"{count} {reason}" for reason, count in reasons.items())
    return f"{text} {', '.join(lines)}."


class FitError(UnschedulableError):
    """No node fits the pod."""

    def __init__(
        self,
        node_count: int,
        refused: Mapping[str, Status],
        *,
        absent_reason: str = "",
        pre_filter: Status | None = None,
    ) -> None:
        self.node_count = node_count
        # By node name; empty when the pod was refused before any node was looked at.
        self.refused = refused
        self.nominated_node = ""
        pre_filter_message = pre_filter.message if pre_filter else ""
        self.message = fit_message(node_count, refused, absent_reason, pre_filter_message)
        plugins = {status.plugin: None for status in refused.values()}
        if pre_filter:
            plugins[pre_filter.plugin] = None
        # The plugins whose events can bring the pod back.
        self.rejected_by = frozenset(plugins)
        super().__init__(self.message)

    def nominate(self, node_name: str, plugin: str) -> None:
        """A PostFilter plugin has found a node; its events can bring the pod back too."""
        self.nominated_node = node_name
        self.rejected_by |= {plugin}

    def add_post_filter_message(self, message: str) -> None:
        """Append what preemption has to say."""
        if message:
            self.message = f"{self.message} {message}"

    def __str__(self) -> str:
        return self.message
