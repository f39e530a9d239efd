"""VolumeZone: a pod goes to the zone that the labels of its volumes name.

Volumes of today say by node affinity who can reach them; older ones carry the labels of their zone
and region, several zones joined by `__`. A node without such labels is in no zone and takes all.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Final

from k8sactors.api.persistent_volumes import (
    CLAIMS,
    STORAGE_CLASSES,
    VOLUMES,
    class_of,
    delays_binding,
)
from k8sactors.client import Lister
from k8sactors.scheduler.cache import Cache
from k8sactors.scheduler.events import ActionType, ClusterEvent, EventHint
from k8sactors.scheduler.framework.handle import Handle
from k8sactors.scheduler.framework.interfaces import CycleState, FilterPlugin, PreFilterPlugin
from k8sactors.scheduler.framework.status import Code, Status
from k8sactors.scheduler.nodeinfo import NodeInfo
from k8sactors.scheduler.pod_claims import claim_names
from k8sactors.scheduler.podinfo import PodInfo

__all__ = ["VolumeZone"]

NAME: Final = "VolumeZone"
# The label of today, by each label that a volume may carry.
_LABELS: Final = {
    "topology.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region": "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
}
_SEPARATOR: Final = "__"
_SKIP = Status(Code.SKIP, (), NAME)

# A label, its form of today, and the values that a node may have.
Demand = tuple[str, str, frozenset[str]]


class VolumeZone(PreFilterPlugin, FilterPlugin):
    """Compares labels of volumes and nodes."""

    name = NAME
    default_position = 110
    depends_on_pods = False
    signs_skipped_pods_only = True

    _refusal = Status(
        Code.UNSCHEDULABLE_AND_UNRESOLVABLE, ("node(s) had no available volume zone",), NAME
    )

    def __init__(self, handle: Handle) -> None:
        super().__init__(handle)
        followed = handle.informers is not None
        self._claims: Lister | None = handle.lister(CLAIMS) if followed else None
        self._volumes: Lister | None = handle.lister(VOLUMES) if followed else None
        self._classes: Lister | None = handle.lister(STORAGE_CLASSES) if followed else None

    def sign(self, pod: PodInfo) -> Hashable | None:
        """Pods with claims share nothing."""
        return None if pod.requirements.uses_storage else pod.requirements

    def pre_filter(self, state: CycleState, pod: PodInfo, cache: Cache) -> Status | None:
        """Gather what the volumes demand; skip the pod when that is nothing."""
        del cache
        demands: list[Demand] = []
        for name, _ in claim_names(pod):
            found = self._demands(pod, name)
            if isinstance(found, Status):
                return found
            demands += found
        if not demands:
            return _SKIP
        state.notes[NAME] = demands
        return None

    def filter(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> Status | None:
        """Refuse nodes of other zones."""
        del pod
        labels = node.labels
        if not any(label in labels for label in _LABELS):
            return None
        demands: list[Demand] = state.notes[NAME]
        for label, modern, values in demands:
            if labels.get(label, labels.get(modern)) not in values:
                return self._refusal
        return None

    def events_to_register(self) -> Sequence[EventHint]:
        """Claims, volumes and classes that come or change, and nodes with other labels."""
        changed = ActionType.ADD | ActionType.UPDATE_OTHER
        return (
            *(EventHint(ClusterEvent(each, changed)) for each in (CLAIMS, VOLUMES)),
            EventHint(ClusterEvent(STORAGE_CLASSES, ActionType.ADD)),
            EventHint(ClusterEvent("Node", ActionType.ADD | ActionType.UPDATE_NODE_LABEL)),
        )

    def _demands(self, pod: PodInfo, name: str) -> list[Demand] | Status:
        if self._claims is None or self._volumes is None or self._classes is None:
            return []
        claim = self._claims.get(pod.namespace, name)
        if claim is None:
            return _refused(f'persistentvolumeclaim "{name}" not found')
        volume_name = claim["spec"].get("volumeName")
        if not volume_name:
            if delays_binding(self._classes.get(None, class_of(claim))):
                return []
            return _refused("PersistentVolume had no name")
        volume = self._volumes.get(None, volume_name)
        if volume is None:
            return _refused(f'persistentvolume "{volume_name}" not found')
        return _of_labels(volume["metadata"].get("labels") or {})


def _of_labels(labels: dict[str, Any]) -> list[Demand]:
    return [
        (label, modern, frozenset(labels[label].split(_SEPARATOR)))
        for label, modern in _LABELS.items()
        if label in labels
    ]


def _refused(reason: str) -> Status:
    return Status(Code.UNSCHEDULABLE_AND_UNRESOLVABLE, (reason,), NAME)
