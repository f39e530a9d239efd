"""NodeVolumeLimits: a node attaches only so many volumes of a CSI driver.

The node's CSINode says how many (`spec.drivers[].allocatable.count`); a driver or node that says
nothing has no limit. A volume that several pods of a node use counts once. Claims that are not
bound yet count for the driver that their class names.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from k8sactors.api.persistent_volumes import CLAIMS, STORAGE_CLASSES, VOLUMES, class_of
from k8sactors.client import Lister
from k8sactors.scheduler.cache import Cache
from k8sactors.scheduler.events import ActionType, ClusterEvent, EventHint
from k8sactors.scheduler.framework.handle import Handle
from k8sactors.scheduler.framework.interfaces import CycleState, FilterPlugin, PreFilterPlugin
from k8sactors.scheduler.framework.status import Code, Status
from k8sactors.scheduler.nodeinfo import NodeInfo
from k8sactors.scheduler.pod_claims import claim_names, has_claims
from k8sactors.scheduler.podinfo import PodInfo

__all__ = ["NodeVolumeLimits"]

Object = Mapping[str, Any]

NAME: Final = "NodeVolumeLimits"
CSI_NODES: Final = "csinodes.storage.k8s.io"
_SKIP = Status(Code.SKIP, (), NAME)

# A volume, as a node counts it: driver and handle, or the claim that will get one.
Attached = tuple[str, str]


class NodeVolumeLimits(PreFilterPlugin, FilterPlugin):
    """Counts the volumes of the pods on a node, by driver."""

    name = NAME
    default_position = 90
    signs_skipped_pods_only = True

    _refusal = Status(Code.UNSCHEDULABLE, ("node(s) exceed max volume count",), NAME)

    def __init__(self, handle: Handle) -> None:
        super().__init__(handle)
        followed = handle.informers is not None
        self._claims: Lister | None = handle.lister(CLAIMS) if followed else None
        self._volumes: Lister | None = handle.lister(VOLUMES) if followed else None
        self._classes: Lister | None = handle.lister(STORAGE_CLASSES) if followed else None
        self._nodes: Lister | None = handle.lister(CSI_NODES) if followed else None

    def sign(self, pod: PodInfo) -> Hashable | None:
        """Pods with claims share nothing."""
        return None if pod.requirements.uses_storage else pod.requirements

    def pre_filter(self, state: CycleState, pod: PodInfo, cache: Cache) -> Status | None:
        """Skip pods without claims, and all while no node has a limit."""
        del cache
        if self._nodes is None or not self._nodes.any() or not has_claims(pod):
            return _SKIP
        state.notes[NAME] = frozenset(self._attached([pod]))
        return None

    def filter(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> Status | None:
        """Refuse nodes that would have more volumes of a driver than they can attach."""
        del pod
        limits = self._limits(node.name)
        wanted: frozenset[Attached] = state.notes[NAME]
        if not any(driver in limits for driver, _ in wanted):
            return None
        present = frozenset(self._attached(node.pods.values()))
        for driver, limit in limits.items():
            new = sum(each[0] == driver for each in wanted - present)
            if new and new + sum(each[0] == driver for each in present) > limit:
                return self._refusal
        return None

    def events_to_register(self) -> Sequence[EventHint]:
        """A pod leaves its node, a node can attach more, or a claim turns out to be another's."""
        changed = ActionType.ADD | ActionType.UPDATE_OTHER
        return (
            EventHint(ClusterEvent(CSI_NODES, changed)),
            EventHint(ClusterEvent(CLAIMS, changed)),
            EventHint(ClusterEvent("AssignedPod", ActionType.DELETE)),
        )

    def _limits(self, node_name: str) -> dict[str, int]:
        assert self._nodes is not None
        found = self._nodes.get(None, node_name)
        drivers = [] if found is None else found["spec"].get("drivers") or []
        return {
            each["name"]: each["allocatable"]["count"]
            for each in drivers
            if (each.get("allocatable") or {}).get("count") is not None
        }

    def _attached(self, pods: Iterable[PodInfo]) -> Iterator[Attached]:
        for pod in pods:
            if pod.requirements.uses_storage:
                for name, _ in claim_names(pod):
                    found = self._of_claim(pod.namespace, name)
                    if found is not None:
                        yield found

    def _of_claim(self, namespace: str, name: str) -> Attached | None:
        """What a claim attaches; None: nothing of a CSI driver, as far as is known."""
        assert self._claims is not None
        assert self._volumes is not None
        assert self._classes is not None
        claim = self._claims.get(namespace, name)
        if claim is None:
            return None
        volume_name = claim["spec"].get("volumeName")
        volume = self._volumes.get(None, volume_name) if volume_name else None
        if volume is not None:
            source = volume["spec"].get("csi")
            return None if source is None else (source["driver"], source["volumeHandle"])
        found = self._classes.get(None, class_of(claim))
        return None if found is None else (found["provisioner"], f"{namespace}/{name}")
