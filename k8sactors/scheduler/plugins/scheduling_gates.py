"""SchedulingGates: a gated pod stays out of the queue until its last gate goes (KEP-3521)."""

from __future__ import annotations

from collections.abc import Sequence

from k8sactors.scheduler.events import ActionType, ClusterEvent, EventHint
from k8sactors.scheduler.framework.interfaces import PreEnqueuePlugin
from k8sactors.scheduler.framework.status import Code, Status
from k8sactors.scheduler.podinfo import PodInfo

__all__ = ["SchedulingGates"]


class SchedulingGates(PreEnqueuePlugin):
    """Holds gated pods."""

    name = "SchedulingGates"
    default_position = 10

    def pre_enqueue(self, pod: PodInfo) -> Status | None:
        """A refusal while there are gates."""
        gates = pod.requirements.scheduling_gates
        if not gates:
            return None
        reason = f"waiting for scheduling gates: [{' '.join(gates)}]"
        return Status(Code.UNSCHEDULABLE_AND_UNRESOLVABLE, (reason,), self.name)

    def events_to_register(self) -> Sequence[EventHint]:
        """Only the pod itself can change that."""
        return (EventHint(ClusterEvent("UnscheduledPod", ActionType.UPDATE_POD_GATES)),)
