"""VolumeRestrictions: what may not be used twice.

A claim with the access mode ReadWriteOncePod belongs to one pod in the whole cluster; a pod of
lower priority that has it may be preempted. Disks that a pod names itself may be used once on a
node, or by many that only read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, Final

from k8sactors.api.persistent_volumes import CLAIMS
from k8sactors.client import Lister
from k8sactors.scheduler.cache import Cache
from k8sactors.scheduler.events import ActionType, ClusterEvent, EventHint
from k8sactors.scheduler.framework.handle import Handle
from k8sactors.scheduler.framework.interfaces import CycleState, FilterPlugin, PreFilterPlugin
from k8sactors.scheduler.framework.status import Code, Status
from k8sactors.scheduler.nodeinfo import NodeInfo
from k8sactors.scheduler.pod_claims import claim_names
from k8sactors.scheduler.podinfo import PodInfo

__all__ = ["VolumeRestrictions"]

Object = Mapping[str, Any]

NAME: Final = "VolumeRestrictions"
_ONE_POD: Final = "ReadWriteOncePod"
_IN_USE: Final = (
    "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"
)
_SKIP = Status(Code.SKIP, (), NAME)


class VolumeRestrictions(PreFilterPlugin, FilterPlugin):
    """Looks at the volumes of pods; pods without any cost nothing."""

    name = NAME
    default_position = 85
    signs_skipped_pods_only = True

    _claim_in_use = Status(Code.UNSCHEDULABLE, (_IN_USE,), NAME)
    _disk_in_use = Status(Code.UNSCHEDULABLE, ("node(s) had no available disk",), NAME)

    def __init__(self, handle: Handle) -> None:
        super().__init__(handle)
        self._claims: Lister | None = None
        if handle.informers is not None:
            self._claims = handle.lister(CLAIMS)

    def sign(self, pod: PodInfo) -> Hashable | None:
        """Pods whose volumes may be restricted share nothing."""
        return None if pod.requirements.uses_storage else pod.requirements

    def pre_filter(self, state: CycleState, pod: PodInfo, cache: Cache) -> Status | None:
        """Count who uses the pod's exclusive claims, node by node."""
        exclusive = frozenset(self._exclusive_claims(pod))
        disks = any(_is_disk(each) for each in pod.obj["spec"].get("volumes") or ())
        if not exclusive and not disks:
            return _SKIP
        users: Counter[str] = Counter()
        if exclusive:
            for node in cache.nodes.values():
                users[node.name] = _users(node, pod.namespace, exclusive)
        state.notes[NAME] = exclusive, users, users.total()
        return None

    def filter(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> Status | None:
        """Refuse while another pod has the claim, anywhere, or the disk, on this node."""
        exclusive, users, total = state.notes[NAME]
        if exclusive:
            # Preemption asks about a node without some of its pods.
            here = _users(node, pod.namespace, exclusive)
            if total - users[node.name] + here:
                return self._claim_in_use
        volumes = [each for each in pod.obj["spec"].get("volumes") or () if _is_disk(each)]
        if volumes:
            for present in node.pods.values():
                for other in present.obj["spec"].get("volumes") or ():
                    if any(_conflict(volume, other) for volume in volumes):
                        return self._disk_in_use
        return None

    def events_to_register(self) -> Sequence[EventHint]:
        """A pod leaves, or a claim of the pod comes."""
        return (
            EventHint(ClusterEvent("AssignedPod", ActionType.DELETE)),
            EventHint(ClusterEvent("Node", ActionType.ADD)),
            EventHint(ClusterEvent(CLAIMS, ActionType.ADD | ActionType.UPDATE_OTHER)),
        )

    def _exclusive_claims(self, pod: PodInfo) -> Iterator[str]:
        if self._claims is None:
            return
        for name, _ in claim_names(pod):
            claim = self._claims.get(pod.namespace, name)
            if claim is not None and _ONE_POD in (claim["spec"].get("accessModes") or ()):
                yield name


def _users(node: NodeInfo, namespace: str, claims: frozenset[str]) -> int:
    return sum(
        present.namespace == namespace and any(name in claims for name, _ in claim_names(present))
        for present in node.pods.values()
    )


def _is_disk(volume: Object) -> bool:
    return any(source in volume for source in _CONFLICTS)


def _conflict(volume: Object, other: Object) -> bool:
    return any(
        volume.get(source) and other.get(source) and tells(volume[source], other[source])
        for source, tells in _CONFLICTS.items()
    )


def _both_read(one: Object, other: Object) -> bool:
    return bool(one.get("readOnly") and other.get("readOnly"))


def _same_pd(one: Object, other: Object) -> bool:
    return bool(one["pdName"] == other["pdName"]) and not _both_read(one, other)


def _same_ebs(one: Object, other: Object) -> bool:
    return bool(one["volumeID"] == other["volumeID"])


def _same_iscsi(one: Object, other: Object) -> bool:
    return bool(one["iqn"] == other["iqn"]) and not _both_read(one, other)


def _same_rbd(one: Object, other: Object) -> bool:
    shared = set(one["monitors"]) & set(other["monitors"])
    image = (one.get("pool") or "rbd", one["image"]) == (other.get("pool") or "rbd", other["image"])
    return bool(shared) and image and not _both_read(one, other)


_CONFLICTS: Final[dict[str, Callable[[Object, Object], bool]]] = {
    "gcePersistentDisk": _same_pd,
    "awsElasticBlockStore": _same_ebs,
    "iscsi": _same_iscsi,
    "rbd": _same_rbd,
}
