"""Pods that wait for their victims to go, each with the node that it is nominated to.

Until they run, pods of lower or equal importance must not take the room: Filter runs for these with
the nominated pods counted in (they would be evicted again at once). When a nomination ends and its
pod does not run on that node, the room is free for other pods, as after a deletion.
"""

from __future__ import annotations

from collections.abc import Callable

from k8sactors.scheduler.podinfo import PodInfo

__all__ = ["Nominations"]


def _no_queue(_pod: PodInfo) -> None:
    """Without a scheduling queue no pod waits for the room."""


class Nominations:
    """Pods with `status.nominatedNodeName`, by uid."""

    def __init__(self) -> None:
        # Called with the pod whose room is free now.
        self.on_released: Callable[[PodInfo], None] = _no_queue
        self._nominated: dict[str, tuple[PodInfo, str]] = {}

    def __len__(self) -> int:
        return len(self._nominated)

    def add(self, pod: PodInfo, node_name: str) -> None:
        """Nominate a pod to a node, in place of an earlier nomination."""
        earlier = self._nominated.get(pod.uid)
        self._nominated[pod.uid] = (pod, node_name)
        if earlier is not None and earlier[1] != node_name:
            self.on_released(earlier[0])

    def refresh(self, pod: PodInfo) -> None:
        """The pod has changed; its nomination stays."""
        nominated = self._nominated.get(pod.uid)
        if nominated is not None:
            self._nominated[pod.uid] = (pod, nominated[1])

    def remove(self, uid: str, assigned_node: str = "") -> None:
        """The pod runs on `assigned_node`, or it has gone, or it will not fit after all."""
        nominated = self._nominated.pop(uid, None)
        if nominated is not None and nominated[1] != assigned_node:
            self.on_released(nominated[0])

    def node_of(self, uid: str) -> str:
        """The node that the pod is nominated to; empty when there is none."""
        nominated = self._nominated.get(uid)
        return nominated[1] if nominated else ""

    def against(self, pod: PodInfo) -> dict[str, list[PodInfo]]:
        """The nominated pods whose room the pod must respect, by node name."""
        found: dict[str, list[PodInfo]] = {}
        for other, node_name in self._nominated.values():
            if other.priority >= pod.priority and other.uid != pod.uid:
                found.setdefault(node_name, []).append(other)
        return found

    def behind(self, pod: PodInfo, node_name: str) -> list[PodInfo]:
        """The less important pods that are nominated to the same node."""
        return [
            other
            for other, nominated_node in self._nominated.values()
            if nominated_node == node_name and other.priority < pod.priority
        ]
