"""Nodes promised to pods that wait for their victims to go.

Until the promise is kept, pods of lower or equal importance must not take the room: Filter runs for
them with the nominated pods counted in (they would be evicted again at once).
"""

from k8sactors.scheduler.podinfo import PodInfo

__all__ = ["Nominations"]


class Nominations:
    """Pods with `status.nominatedNodeName`, by uid."""

    def __init__(self) -> None:
        self._promised: dict[str, tuple[PodInfo, str]] = {}

    def __len__(self) -> int:
        return len(self._promised)

    def add(self, pod: PodInfo, node_name: str) -> None:
        """Promise a node, in place of an earlier promise."""
        self._promised[pod.uid] = (pod, node_name)

    def remove(self, uid: str) -> None:
        """The pod has been bound, has gone, or will not fit after all."""
        self._promised.pop(uid, None)

    def node_of(self, uid: str) -> str:
        """The node promised to the pod; empty when there is none."""
        promised = self._promised.get(uid)
        return promised[1] if promised else ""

    def against(self, pod: PodInfo) -> dict[str, list[PodInfo]]:
        """The promises that the pod must respect, by node name."""
        found: dict[str, list[PodInfo]] = {}
        for other, node_name in self._promised.values():
            if other.priority >= pod.priority and other.uid != pod.uid:
                found.setdefault(node_name, []).append(other)
        return found
