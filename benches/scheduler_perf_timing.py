"""The scheduler of scheduler_perf: it notes how long each attempt took."""

from __future__ import annotations

from collections.abc import Iterable
from time import perf_counter

import attrs

from k8sactors.scheduler import Scheduler
from k8sactors.scheduler.cycle import SchedulingCycle
from k8sactors.scheduler.framework.status import Status
from k8sactors.scheduler.nodeinfo import NodeInfo
from k8sactors.scheduler.podinfo import PodInfo, QueuedPod

__all__ = ["Attempts", "TimedScheduler"]


@attrs.define
class Attempts:
    """Wall-clock seconds of attempts that have ended."""

    # Looking for a node alone.
    decisions_s: list[float] = attrs.Factory(list)
    # From the queue until the binding was answered: scheduling_attempt_duration_seconds.
    scheduled_s: list[float] = attrs.Factory(list)
    # From the queue until it was clear that no node fits.
    unschedulable_s: list[float] = attrs.Factory(list)

    def clear(self) -> None:
        """Forget what was before the measurement."""
        for noted in (self.decisions_s, self.scheduled_s, self.unschedulable_s):
            noted.clear()


class _TimedCycle(SchedulingCycle):
    """The scheduling cycle with a clock."""

    attempts: Attempts
    begun_s: dict[str, float]

    def run(self, queued: QueuedPod) -> None:
        begun_s = self.begun_s[queued.pod.uid] = perf_counter()
        super().run(queued)
        self.attempts.decisions_s.append(perf_counter() - begun_s)

    def _bound(self, pod: PodInfo, node: NodeInfo) -> None:
        self.attempts.scheduled_s.append(perf_counter() - self.begun_s.pop(pod.uid))
        super()._bound(pod, node)

    def _refused(
        self, queued: QueuedPod, message: str, rejected_by: Iterable[str], nominated_node: str
    ) -> None:
        super()._refused(queued, message, rejected_by, nominated_node)
        begun_s = self.begun_s.pop(queued.pod.uid, None)
        if begun_s is not None:
            self.attempts.unschedulable_s.append(perf_counter() - begun_s)

    def _failed(self, pod: PodInfo, status: Status) -> None:
        super()._failed(pod, status)
        self.begun_s.pop(pod.uid, None)


class TimedScheduler(Scheduler):
    """kube-scheduler, and what its attempts took."""

    cycle_type = _TimedCycle

    def on_start(self) -> None:
        """Begin with empty notes."""
        super().on_start()
        cycle = self.cycle
        assert isinstance(cycle, _TimedCycle), "the cycle is made from cycle_type"
        self.attempts = cycle.attempts = Attempts()
        cycle.begun_s = {}
