"""The scheduling queue: which pod is tried next, which ones back off or wait for a change.

    add -> ACTIVE -> pop -> IN_FLIGHT -> done
             ^                  |-> BACKOFF        an error: try again after a while
             |                  `-> UNSCHEDULABLE  no node fits: wait for an event that may help
             |- BACKOFF runs out
             `- an event came, or five minutes have passed (through BACKOFF when that still runs)

A pod that PreEnqueue refuses is GATED and can only be helped by a change of its own. The back-off
is one second after the first attempt and doubles up to ten. Heaps keep outdated entries,
which are known by their tickets.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from k8sactors.scheduler.events import ASSIGNED_POD_DELETED, ActionType, ClusterEvent, EventHint
from k8sactors.scheduler.framework.runtime import Framework
from k8sactors.scheduler.podinfo import Place, PodInfo, QueuedPod
from k8sactors.simulation import SECOND

__all__ = ["SchedulingQueue"]

INITIAL_BACKOFF_NS = 1 * SECOND
MAX_BACKOFF_NS = 10 * SECOND
UNSCHEDULABLE_TIMEOUT_NS = 300 * SECOND

# Profile and the plugins that refused: what decides which events can help.
Group = tuple[str, frozenset[str]]

Heap = list[tuple[Any, int, QueuedPod]]


class SchedulingQueue:
    """Holds every pod that has no node yet. Times are the host's monotonic nanoseconds."""

    def __init__(self, frameworks: Mapping[str, Framework], now_ns: Callable[[], int]) -> None:
        self._frameworks = frameworks
        self._now_ns = now_ns
        self._sort_key = next(iter(frameworks.values())).queue_sort.sort_key
        self._registrations = {name: f.registrations() for name, f in frameworks.items()}
        self._pods: dict[str, QueuedPod] = {}
        self._active: Heap = []
        self._backoff: Heap = []
        self._unschedulable: dict[Group, dict[str, QueuedPod]] = {}
        self._gated: dict[str, QueuedPod] = {}
        self._tickets = 0

    # --- pods come, change and go

    def add(self, pod: PodInfo) -> None:
        """A pod without a node has appeared."""
        now_ns = self._now_ns()
        queued = self._pods[pod.uid] = QueuedPod(pod, now_ns)
        self._activate(queued)

    def update(self, pod: PodInfo) -> None:
        """A waiting pod has changed; it is tried again when the change may help it."""
        queued = self._pods.get(pod.uid)
        if queued is None:
            self.add(pod)
            return
        old, queued.pod = queued.pod, pod
        action = _compare(old, pod)
        if queued.place is Place.GATED:
            self._ungate(queued)
        elif queued.place is Place.UNSCHEDULABLE and action:
            event = ClusterEvent("UnscheduledPod", action)
            if self._may_help(queued, self._hints_for(_group_of(queued), event), old, pod):
                self._retry(queued)
        elif queued.place is Place.ACTIVE and old.priority != pod.priority:
            self._push_active(queued)

    def refresh(self, uid: str, obj: dict[str, Any]) -> None:
        """A waiting pod has changed in a way that does not matter here."""
        queued = self._pods.get(uid)
        if queued is not None:
            queued.pod.obj = obj

    def delete(self, uid: str) -> None:
        """The pod is gone or has got a node."""
        queued = self._pods.pop(uid, None)
        if queued is not None:
            self._leave(queued)

    def get(self, uid: str) -> QueuedPod | None:
        """The queue's record of a pod."""
        return self._pods.get(uid)

    # --- attempts

    def pop(self) -> QueuedPod | None:
        """The next pod to try, which is then in flight."""
        self._flush_backoff()
        active = self._active
        while active:
            _, ticket, queued = heapq.heappop(active)
            if queued.ticket == ticket:
                queued.place = Place.IN_FLIGHT
                queued.attempts += 1
                return queued
        return None

    def done(self, uid: str) -> None:
        """The pod has been bound."""
        self.delete(uid)

    def requeue_unschedulable(self, queued: QueuedPod, rejected_by: Iterable[str]) -> None:
        """No node fits: wait for an event that concerns the plugins that refused."""
        if self._pods.get(queued.pod.uid) is not queued:
            return
        now_ns = self._now_ns()
        queued.queued_ns = now_ns
        queued.rejected_by = frozenset(rejected_by)
        queued.backoff_until_ns = now_ns + _backoff_ns(queued.attempts)
        queued.place = Place.UNSCHEDULABLE
        self._unschedulable.setdefault(_group_of(queued), {})[queued.pod.uid] = queued

    def requeue_after_error(self, queued: QueuedPod) -> None:
        """Something broke: try again after the back-off."""
        if self._pods.get(queued.pod.uid) is not queued:
            return
        now_ns = self._now_ns()
        queued.queued_ns = now_ns
        queued.rejected_by = frozenset()
        queued.backoff_until_ns = now_ns + _backoff_ns(queued.attempts)
        self._push_backoff(queued)

    def retry(self, pod: PodInfo) -> None:
        """Bring one pod back that waits for an event: something else may help it."""
        queued = self._pods.get(pod.uid)
        if queued is not None and queued.place is Place.UNSCHEDULABLE:
            self._retry(queued)

    # --- events and time

    def concerns(self, event: ClusterEvent) -> bool:
        """Whether `move` with this event would have any pod to look at."""
        return any(self._hints_for(group, event) for group in self._unschedulable)

    def move(self, event: ClusterEvent, old: Any, new: Any) -> int:
        """The cluster has changed: bring back the pods that this may help; returns how many."""
        moved = 0
        for group in list(self._unschedulable):
            hints = self._hints_for(group, event)
            if not hints:
                continue
            for queued in list(self._unschedulable.get(group, {}).values()):
                if self._may_help(queued, hints, old, new):
                    self._retry(queued)
                    moved += 1
        return moved

    def room_released(self, pod: PodInfo) -> None:
        """Room that was kept for the pod is free, as if a pod had gone."""
        self.move(ASSIGNED_POD_DELETED, pod, None)

    def flush_unschedulable(self) -> int:
        """Bring back the pods that have waited five minutes without any event."""
        limit_ns = self._now_ns() - UNSCHEDULABLE_TIMEOUT_NS
        stale = [
            queued
            for members in self._unschedulable.values()
            for queued in members.values()
            if queued.queued_ns <= limit_ns
        ]
        for queued in stale:
            self._retry(queued)
        return len(stale)

    def next_backoff_ns(self) -> int | None:
        """When the next pod comes back from its back-off."""
        heap = self._backoff
        while heap and heap[0][2].ticket != heap[0][1]:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def statistics(self) -> dict[str, int]:
        """How many pods are where."""
        counts = {place.value: 0 for place in Place if place is not Place.NOWHERE}
        for queued in self._pods.values():
            counts[queued.place.value] += 1
        return counts

    # --- moves between the parts

    def _activate(self, queued: QueuedPod) -> None:
        framework = self._frameworks[queued.pod.scheduler_name]
        if framework.pre_enqueue and framework.run_pre_enqueue(queued.pod) is not None:
            queued.place = Place.GATED
            self._gated[queued.pod.uid] = queued
            return
        self._push_active(queued)

    def _ungate(self, queued: QueuedPod) -> None:
        del self._gated[queued.pod.uid]
        self._activate(queued)

    def _retry(self, queued: QueuedPod) -> None:
        self._leave(queued)
        if queued.backoff_until_ns > self._now_ns():
            self._push_backoff(queued)
        else:
            self._activate(queued)

    def _flush_backoff(self) -> None:
        now_ns = self._now_ns()
        while (due_ns := self.next_backoff_ns()) is not None and due_ns <= now_ns:
            _, _, queued = heapq.heappop(self._backoff)
            self._activate(queued)

    def _push_active(self, queued: QueuedPod) -> None:
        queued.place = Place.ACTIVE
        key = self._sort_key(queued)
        heapq.heappush(self._active, (key, self._new_ticket(queued), queued))

    def _push_backoff(self, queued: QueuedPod) -> None:
        queued.place = Place.BACKOFF
        ticket = self._new_ticket(queued)
        heapq.heappush(self._backoff, (queued.backoff_until_ns, ticket, queued))

    def _new_ticket(self, queued: QueuedPod) -> int:
        self._tickets += 1
        queued.ticket = self._tickets
        return self._tickets

    def _leave(self, queued: QueuedPod) -> None:
        if queued.place is Place.UNSCHEDULABLE:
            group = _group_of(queued)
            members = self._unschedulable[group]
            del members[queued.pod.uid]
            if not members:
                del self._unschedulable[group]
        elif queued.place is Place.GATED:
            del self._gated[queued.pod.uid]
        queued.place = Place.NOWHERE
        queued.ticket = 0

    def _hints_for(self, group: Group, event: ClusterEvent) -> list[EventHint]:
        """The registrations of the group's plugins that the event concerns."""
        scheduler_name, rejected_by = group
        registered = self._registrations[scheduler_name]
        found: list[EventHint] = []
        for plugin in sorted(rejected_by):
            hints = registered.get(plugin)
            if hints is None:
                return [EventHint(event)]
            found.extend(hint for hint in hints if hint.event.matches(event))
        return found if rejected_by else [EventHint(event)]

    @staticmethod
    def _may_help(queued: QueuedPod, hints: list[EventHint], old: Any, new: Any) -> bool:
        return any(hint.hint is None or hint.hint(queued.pod, old, new) for hint in hints)


def _group_of(queued: QueuedPod) -> Group:
    return queued.pod.scheduler_name, queued.rejected_by


def _backoff_ns(attempts: int) -> int:
    doublings = min(max(attempts - 1, 0), 10)
    return min(INITIAL_BACKOFF_NS << doublings, MAX_BACKOFF_NS)


def _compare(old: PodInfo, new: PodInfo) -> ActionType:
    action = ActionType(0)
    before, after = old.requirements, new.requirements
    if old.labels != new.labels:
        action |= ActionType.UPDATE_POD_LABEL
    if before is after:
        return action
    if before.tolerations != after.tolerations:
        action |= ActionType.UPDATE_POD_TOLERATION
    if before.scheduling_gates != after.scheduling_gates:
        action |= ActionType.UPDATE_POD_GATES
    if after.milli_cpu < before.milli_cpu or after.memory_bytes < before.memory_bytes:
        action |= ActionType.UPDATE_POD_SCALE_DOWN
    return action or ActionType.UPDATE_OTHER
