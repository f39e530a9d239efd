"""RequiredConfigMap: a pod that names a config map in an annotation waits until it exists."""

from __future__ import annotations

from collections.abc import Sequence

from k8sactors.scheduler.events import ActionType, ClusterEvent, EventHint
from k8sactors.scheduler.framework import CycleState, Handle, PreFilterPlugin, Status
from k8sactors.scheduler.framework.status import Code
from k8sactors.scheduler.nodeinfo import NodeInfo
from k8sactors.scheduler.podinfo import PodInfo

__all__ = ["RequiredConfigMap"]

ANNOTATION = "example.org/required-config-map"


class RequiredConfigMap(PreFilterPlugin):
    """Reads config maps from memory, and waits for new ones."""

    name = "RequiredConfigMap"
    default_position = 45

    def __init__(self, handle: Handle) -> None:
        super().__init__(handle)
        self._config_maps = handle.lister("configmaps")

    def pre_filter(
        self, state: CycleState, pod: PodInfo, cache: object
    ) -> Status | frozenset[str] | None:
        del state, cache
        wanted = _wanted(pod)
        if not wanted or self._config_maps.get(pod.namespace, wanted) is not None:
            return None
        return Status(Code.UNSCHEDULABLE, (f"config map {wanted} is missing",), self.name)

    def events_to_register(self) -> Sequence[EventHint]:
        return (EventHint(ClusterEvent("configmaps", ActionType.ADD), _is_wanted),)


def _wanted(pod: PodInfo) -> str:
    return str((pod.obj["metadata"].get("annotations") or {}).get(ANNOTATION, ""))


def _is_wanted(pod: PodInfo, _old: NodeInfo | None, new: dict[str, dict[str, str]]) -> bool:
    return new["metadata"]["name"] == _wanted(pod)
