"""PrioritySort: higher priority first, then the pod that has waited longer."""

from __future__ import annotations

from typing import Any

from k8sactors.scheduler.framework.interfaces import QueueSortPlugin
from k8sactors.scheduler.podinfo import QueuedPod

__all__ = ["PrioritySort"]


class PrioritySort(QueueSortPlugin):
    """The order of the default profile."""

    name = "PrioritySort"
    default_position = 20

    def sort_key(self, queued: QueuedPod) -> tuple[Any, ...]:
        """Smaller is earlier."""
        return (-queued.pod.priority, queued.queued_ns)
