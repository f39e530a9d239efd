"""One attempt to place one pod, from the queue to the binding, and every way it can fail.

decide -> assume -> BindingCycle -> bound: event, the watch confirms the cache
   |                     `--------> failed: forget, requeue with back-off
   `-> no node: condition, event, wait for a change of the cluster
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import attrs

from k8sactors.scheduler.api_writer import ApiWriter
from k8sactors.scheduler.binding_cycle import After, BindingCycle
from k8sactors.scheduler.cache import Cache
from k8sactors.scheduler.decision import DecisionEngine
from k8sactors.scheduler.diagnosis import FitError
from k8sactors.scheduler.errors import NoNodesAvailableError
from k8sactors.scheduler.events import ASSIGNED_POD_DELETED
from k8sactors.scheduler.framework.handle import Handle
from k8sactors.scheduler.framework.runtime import Framework
from k8sactors.scheduler.framework.status import Code, Status
from k8sactors.scheduler.nodeinfo import NodeInfo
from k8sactors.scheduler.podinfo import Place, PodInfo, QueuedPod
from k8sactors.scheduler.queue import SchedulingQueue

__all__ = ["Counters", "SchedulingCycle"]


@attrs.define
class Counters:
    """What has happened so far."""

    attempts: int = 0
    scheduled: int = 0
    unschedulable: int = 0
    errors: int = 0
    # Attempts in which only one node was feasible, so that nothing was compared.
    scoring_skipped: int = 0


class SchedulingCycle:
    """Runs attempts."""

    def __init__(
        self,
        frameworks: Mapping[str, Framework],
        engine: DecisionEngine,
        handle: Handle,
        queue: SchedulingQueue,
        writer: ApiWriter,
        now_ns: Callable[[], int],
        after: After,
    ) -> None:
        self._frameworks = frameworks
        self._engine = engine
        self._handle = handle
        self._cache: Cache = handle.cache
        self._queue = queue
        self._writer = writer
        self._now_ns = now_ns
        self._after = after
        # Pods that have a node and are not bound yet.
        self.in_flight = 0
        self.counters = Counters()

    def run(self, queued: QueuedPod) -> None:
        """Try to place a pod that was popped from the queue."""
        self.counters.attempts += 1
        pod = queued.pod
        framework = self._frameworks[pod.scheduler_name]
        if self._cache.pod(pod.uid) is not None:
            # An earlier binding of unknown outcome has turned out well.
            self._queue.done(pod.uid)
            return
        try:
            decision = self._engine.decide(framework, pod)
        except NoNodesAvailableError as error:
            self._refused(queued, str(error), (), "")
            return
        except FitError as error:
            self._refused(queued, str(error), error.rejected_by, error.nominated_node)
            return
        if not decision.scored:
            self.counters.scoring_skipped += 1
        self._cache.assume(pod, decision.node.name)
        self._handle.nominations.remove(pod.uid, decision.node.name)
        self.in_flight += 1
        BindingCycle(framework, pod, decision, self._after, self._bound, self._failed).start()

    def _refused(
        self, queued: QueuedPod, message: str, rejected_by: Iterable[str], nominated_node: str
    ) -> None:
        self.counters.unschedulable += 1
        nominations = self._handle.nominations
        if nominated_node:
            nominations.add(queued.pod, nominated_node)
            # The less important pods that hope for this node may not fit there any more.
            for other in nominations.behind(queued.pod, nominated_node):
                self._queue.retry(other)
        else:
            nominations.remove(queued.pod.uid)
        self._queue.requeue_unschedulable(queued, rejected_by)
        self._writer.failed(queued.pod, "Unschedulable", message, nominated_node)

    def _bound(self, pod: PodInfo, node: NodeInfo) -> None:
        self.in_flight -= 1
        self.counters.scheduled += 1
        self._cache.finish_binding(pod.uid, self._now_ns())
        self._queue.done(pod.uid)
        self._writer.scheduled(pod, node.name)

    def _failed(self, pod: PodInfo, status: Status) -> None:
        """Give the room back, and try again later: at an event when a plugin refused."""
        self.in_flight -= 1
        if self._cache.forget(pod.uid):
            self._queue.move(ASSIGNED_POD_DELETED, pod, None)
        queued = self._queue.get(pod.uid)
        if queued is None or queued.place is not Place.IN_FLIGHT:
            return
        if status.code is Code.ERROR:
            self.counters.errors += 1
            self._queue.requeue_after_error(queued)
            self._writer.failed(queued.pod, "SchedulerError", status.message, "")
        else:
            self._refused(queued, status.message, (status.plugin,), "")
