"""PrioritySort: higher priority first, then who has waited longer."""

from typing import Any

from k8sactors.scheduler.framework.interfaces import QueueSortPlugin
from k8sactors.scheduler.podinfo import QueuedPod

__all__ = ["PrioritySort"]


class PrioritySort(QueueSortPlugin):
    """The order of the default profile."""

    name = "PrioritySort"

    def sort_key(self, queued: QueuedPod) -> tuple[Any, ...]:
        """Smaller is earlier."""
        return (-queued.pod.priority, queued.queued_ns)
