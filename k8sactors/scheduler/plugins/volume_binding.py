"""VolumeBinding: a pod goes where its volumes are, and claims that wait for it are bound there.

A claim that is missing, is being deleted or should have been bound before keeps the pod from every
node. The others are looked at node by node (volume_choice.py). What is chosen is reserved in memory
until the API server shows it: volumes are bound and provisioners asked before the pod itself is
bound, and the pod waits until the binder has finished with its claims.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Final

import attrs

from k8sactors.api import meta
from k8sactors.api.persistent_volumes import (
    BIND_COMPLETED,
    CLAIMS,
    STORAGE_CLASSES,
    VOLUMES,
    annotations_of,
    class_of,
    delays_binding,
    phase_of,
)
from k8sactors.api.volume_matching import matches
from k8sactors.client import Lister
from k8sactors.scheduler.cache import Cache
from k8sactors.scheduler.claim_binding import ClaimBinding
from k8sactors.scheduler.events import ActionType, ClusterEvent, EventHint
from k8sactors.scheduler.framework.handle import Handle
from k8sactors.scheduler.framework.interfaces import (
    CycleState,
    Done,
    FilterPlugin,
    PreBindPlugin,
    PreFilterPlugin,
    ReservePlugin,
)
from k8sactors.scheduler.framework.status import Code, Status
from k8sactors.scheduler.nodeinfo import NodeInfo
from k8sactors.scheduler.pod_claims import claim_names, has_claims
from k8sactors.scheduler.podinfo import PodInfo
from k8sactors.scheduler.volume_choice import (
    BIND_CONFLICT,
    BoundClaim,
    Choice,
    ClaimToBind,
    Reservation,
    Volume,
    choose,
    reaches,
)

__all__ = ["VolumeBinding"]

Object = dict[str, Any]

NAME: Final = "VolumeBinding"
_SKIP = Status(Code.SKIP, (), NAME)


@attrs.frozen
class _Claims:
    """The claims of a pod, as they were when its attempt began."""

    bound: tuple[BoundClaim, ...]
    to_bind: tuple[ClaimToBind, ...]


class _ClaimError(Exception):
    """A claim that keeps the pod from every node."""


def _refusal(reason: str) -> Status:
    return Status(Code.UNSCHEDULABLE_AND_UNRESOLVABLE, (reason,), NAME)


class VolumeBinding(PreFilterPlugin, FilterPlugin, ReservePlugin, PreBindPlugin):
    """Looks at claims; pods without any cost nothing."""

    name = NAME
    default_position = 100
    signs_skipped_pods_only = True
    skips_binding_too = True

    def __init__(self, handle: Handle) -> None:
        super().__init__(handle)
        followed = handle.informers is not None
        self._claims: Lister | None = handle.lister(CLAIMS) if followed else None
        self._volumes: Lister | None = handle.lister(VOLUMES) if followed else None
        self._classes: Lister | None = handle.lister(STORAGE_CLASSES) if followed else None
        # By key of the claim: what pods that are being bound have chosen; the claims by volume.
        self._reservations: dict[str, Reservation] = {}
        self._claim_keys: dict[str, str] = {}

    def sign(self, pod: PodInfo) -> Hashable | None:
        """Pods with claims share nothing."""
        return None if pod.requirements.uses_storage else pod.requirements

    # Filter

    def pre_filter(self, state: CycleState, pod: PodInfo, cache: Cache) -> Status | None:
        """Read the claims; refuse the pod when one of them can be bound nowhere."""
        del cache
        if self._claims is None or not has_claims(pod):
            return _SKIP
        bound: list[BoundClaim] = []
        to_bind: list[ClaimToBind] = []
        immediate = False
        try:
            for name, ephemeral in claim_names(pod):
                claim = self._claim(pod, name, ephemeral=ephemeral)
                storage_class = self._class_of(claim)
                if claim["spec"].get("volumeName") and BIND_COMPLETED in annotations_of(claim):
                    bound.append(BoundClaim(self._volume(claim["spec"]["volumeName"])))
                elif storage_class is None or claim["spec"].get("volumeName"):
                    immediate = True
                else:
                    to_bind.append(self._to_bind(claim, storage_class))
        except _ClaimError as error:
            return _refusal(str(error))
        if immediate:
            return _refusal("pod has unbound immediate PersistentVolumeClaims")
        state.notes[NAME] = _Claims(tuple(bound), tuple(to_bind))
        return None

    def filter(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> Status | None:
        """Refuse nodes that cannot reach a bound volume, or have none for an unbound claim."""
        del pod
        claims: _Claims = state.notes[NAME]
        reason = reaches(claims.bound, node)
        if reason is not None:
            return _refusal(reason)
        if claims.to_bind and choose(claims.to_bind, node, self._is_taken) is None:
            return _refusal(BIND_CONFLICT)
        return None

    def events_to_register(self) -> Sequence[EventHint]:
        """Claims of the pod, volumes, classes, and nodes with other labels."""
        changed = ActionType.ADD | ActionType.UPDATE_OTHER
        node_changed = ActionType.ADD | ActionType.UPDATE_NODE_LABEL
        return (
            EventHint(ClusterEvent(CLAIMS, changed), _is_of_pod),
            EventHint(ClusterEvent(VOLUMES, changed)),
            EventHint(ClusterEvent(STORAGE_CLASSES, changed)),
            EventHint(ClusterEvent("Node", node_changed)),
            EventHint(ClusterEvent("AssignedPod", ActionType.DELETE), _has_claims),
        )

    def _claim(self, pod: PodInfo, name: str, *, ephemeral: bool) -> Object:
        assert self._claims is not None
        claim = self._claims.get(pod.namespace, name)
        if claim is None:
            text = f'persistentvolumeclaim "{name}" not found'
            if ephemeral:
                text = (
                    "waiting for ephemeral volume controller to create the "
                    f'persistentvolumeclaim "{name}"'
                )
            raise _ClaimError(text)
        if phase_of(claim) == "Lost":
            volume_name = claim["spec"].get("volumeName") or ""
            raise _ClaimError(
                f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume '
                f'"{volume_name}"'
            )
        if "deletionTimestamp" in claim["metadata"]:
            raise _ClaimError(f'persistentvolumeclaim "{name}" is being deleted')
        if ephemeral and (meta.controller_of(claim) or {}).get("uid") != pod.uid:
            raise _ClaimError(
                f"PVC {pod.namespace}/{name} was not created for pod {pod.key} (pod is not owner)"
            )
        return claim

    def _class_of(self, claim: Object) -> Object | None:
        """The class of a claim, if its claims wait for a consumer."""
        assert self._classes is not None
        found = self._classes.get(None, class_of(claim))
        return found if delays_binding(found) else None

    def _volume(self, name: str) -> Volume | None:
        assert self._volumes is not None
        obj = self._volumes.get(None, name)
        return None if obj is None else Volume.parse(obj)

    def _to_bind(self, claim: Object, storage_class: Object) -> ClaimToBind:
        assert self._volumes is not None
        found = matches(self._volumes.list(), claim, delayed=False)
        key = f"{claim['metadata']['namespace']}/{claim['metadata']['name']}"
        volumes = tuple(Volume.parse(volume) for volume in found)
        return ClaimToBind(claim, volumes, storage_class, self._reservations.get(key))

    def _is_taken(self, volume_name: str, claim_key: str) -> bool:
        return self._claim_keys.get(volume_name, claim_key) != claim_key

    # Reserve

    def reserve(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> Status | None:
        """Keep what is chosen on the node from other pods."""
        claims: _Claims | None = state.notes.get(NAME)
        if claims is None:
            return None
        choice = choose(claims.to_bind, node, self._is_taken)
        if choice is None:
            return _refusal(BIND_CONFLICT)
        state.notes[NAME] = choice
        for claim, volume in choice.bindings:
            self._reserve(claim, pod, node, volume.name)
        for claim in choice.provisions:
            self._reserve(claim, pod, node, None)
        return None

    def _reserve(
        self, claim: ClaimToBind, pod: PodInfo, node: NodeInfo, volume_name: str | None
    ) -> None:
        if claim.reservation is not None:
            return
        self._reservations[claim.key] = Reservation(pod.uid, node.name, volume_name)
        if volume_name is not None:
            self._claim_keys[volume_name] = claim.key

    def unreserve(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> None:
        """Let other pods have what was reserved."""
        del node
        if NAME in state.notes:
            self._release(pod)

    def _release(self, pod: PodInfo) -> None:
        self._reservations = {
            key: reservation
            for key, reservation in self._reservations.items()
            if reservation.pod_uid != pod.uid
        }
        self._claim_keys = {
            reservation.volume_name: key
            for key, reservation in self._reservations.items()
            if reservation.volume_name is not None
        }

    # PreBind

    def pre_bind(self, state: CycleState, pod: PodInfo, node: NodeInfo, done: Done) -> None:
        """Bind the volumes, ask the provisioners, and wait until the claims are bound."""
        choice: Choice | None = state.notes.get(NAME)
        if choice is None or not (choice.bindings or choice.provisions):
            done(None)
            return

        def ended(status: Status | None) -> None:
            if status is None:
                self._release(pod)
            done(status)

        assert self._claims is not None
        assert self._volumes is not None
        ClaimBinding(self.handle, self._claims, self._volumes, choice, pod, node, ended).start()


def _is_of_pod(pod: PodInfo, _old: Any, claim: Object) -> bool:
    metadata = claim["metadata"]
    return metadata["namespace"] == pod.namespace and any(
        name == metadata["name"] for name, _ in claim_names(pod)
    )


def _has_claims(_pod: PodInfo, gone: PodInfo, _new: Any) -> bool:
    """A pod that was being bound may have given volumes back."""
    return has_claims(gone)
