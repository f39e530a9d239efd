"""The writes of the binder, in the order that lets each be repeated after a failure.

The volume is written first, then the claim: a volume that refers to a claim is taken, also when the
claim does not know of it yet. As bind and unbindVolume of the real controller.
"""

from __future__ import annotations

from typing import Any

from k8sactors.api.persistent_volumes import (
    BIND_COMPLETED,
    BOUND_BY_CONTROLLER,
    CLAIMS,
    VOLUMES,
    annotations_of,
    is_bound_to,
    phase_of,
    with_annotation,
)
from k8sactors.client import Client, EventRecorder, SharedInformer, object_key

Object = dict[str, Any]


class Latest:
    """An informer's objects, and what was written since and is not there yet."""

    def __init__(self, informer: SharedInformer) -> None:
        self._informer = informer
        self._written: dict[str, Object] = {}
        informer.add_handler(
            on_add=self._seen, on_update=lambda _old, new: self._seen(new), on_delete=self._gone
        )

    def _seen(self, obj: Object) -> None:
        written = self._written.get(object_key(obj))
        if written is not None and _version(obj) >= _version(written):
            del self._written[object_key(obj)]

    def _gone(self, obj: Object) -> None:
        self._written.pop(object_key(obj), None)

    def remember(self, obj: Object) -> Object:
        """The server has stored this; gives it back."""
        key = object_key(obj)
        known = self._informer.lister.get_by_key(key)
        if known is not None and _version(known) < _version(obj):
            self._written[key] = obj
        return obj

    def get(self, key: str) -> Object | None:
        """The newest form that is known of an object."""
        known = self._informer.lister.get_by_key(key)
        return None if known is None else self._written.get(key, known)

    def newest(self, obj: Object) -> Object:
        """The newest form that is known of an object of the informer."""
        return self._written.get(object_key(obj), obj) if self._written else obj


def _version(obj: Object) -> int:
    return int(obj["metadata"]["resourceVersion"])


class Binding:
    """Writes volumes and claims; `volumes` and `claims` learn of each write."""

    def __init__(
        self, client: Client, recorder: EventRecorder, volumes: Latest, claims: Latest
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._volumes = volumes
        self._claims = claims

    async def _update_volume(self, volume: Object, subresource: str | None = None) -> Object:
        return self._volumes.remember(await self._client.update(VOLUMES, volume, subresource))

    async def _update_claim(self, claim: Object, subresource: str | None = None) -> Object:
        return self._claims.remember(await self._client.update(CLAIMS, claim, subresource))

    async def bind(self, volume: Object, claim: Object) -> None:
        """Make volume and claim refer to each other, and both say Bound.

        Raises:
            StatusError: a write was refused; what is missing is done the next time.
        """
        volume = await self._refer_to_claim(volume, claim)
        volume = await self.set_volume_phase(volume, "Bound")
        claim = await self._refer_to_volume(claim, volume)
        await self.set_claim_phase(claim, "Bound", volume)

    async def _refer_to_claim(self, volume: Object, claim: Object) -> Object:
        metadata, reference = claim["metadata"], volume["spec"].get("claimRef") or {}
        if reference.get("uid") == metadata["uid"] and is_bound_to(volume, claim):
            return volume
        wanted = volume
        if not is_bound_to(volume, claim):
            wanted = with_annotation(volume, BOUND_BY_CONTROLLER, "yes")
        reference = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
        }
        return await self._update_volume(
            {**wanted, "spec": {**wanted["spec"], "claimRef": reference}}
        )

    async def _refer_to_volume(self, claim: Object, volume: Object) -> Object:
        name = volume["metadata"]["name"]
        wanted = claim
        if claim["spec"].get("volumeName") != name:
            wanted = with_annotation(wanted, BOUND_BY_CONTROLLER, "yes")
            wanted = {**wanted, "spec": {**wanted["spec"], "volumeName": name}}
        if BIND_COMPLETED not in annotations_of(claim):
            wanted = with_annotation(wanted, BIND_COMPLETED, "yes")
        return claim if wanted is claim else await self._update_claim(wanted)

    async def unbind(self, volume: Object) -> None:
        """Take back a binding of the controller; one of a user keeps the claim's name."""
        annotations = dict(annotations_of(volume))
        spec = dict(volume["spec"])
        if annotations.pop(BOUND_BY_CONTROLLER, None) is not None:
            del spec["claimRef"]
        else:
            spec["claimRef"] = {k: v for k, v in spec["claimRef"].items() if k != "uid"}
        metadata = {**volume["metadata"], "annotations": annotations}
        volume = await self._update_volume({**volume, "metadata": metadata, "spec": spec})
        await self.set_volume_phase(volume, "Available")

    async def set_volume_phase(self, volume: Object, phase: str, message: str = "") -> Object:
        """The volume with this phase, written if it is news."""
        if phase_of(volume) == phase and (volume.get("status") or {}).get("phase"):
            return volume
        status = {**(volume.get("status") or {}), "phase": phase}
        status.pop("message", None)
        if message:
            status["message"] = message
        return await self._update_volume({**volume, "status": status}, "status")

    async def fail_volume(self, volume: Object, reason: str, message: str) -> None:
        """Say Failed, and why; said once."""
        if phase_of(volume) != "Failed":
            volume = await self.set_volume_phase(volume, "Failed", message)
            self._recorder.event(volume, "Warning", reason, message)

    async def set_claim_phase(
        self, claim: Object, phase: str, volume: Object | None = None
    ) -> Object:
        """The claim with this phase and what its volume offers, written if it is news."""
        before = claim.get("status") or {}
        status = {**before, "phase": phase}
        if volume is None:
            status.pop("accessModes", None)
            status.pop("capacity", None)
        else:
            spec = volume["spec"]
            status["accessModes"] = spec.get("accessModes")
            # A bound claim may lag behind its volume on purpose: its file system still grows.
            if before.get("phase") != phase or "capacity" not in before:
                status["capacity"] = spec["capacity"]
            if spec.get("volumeAttributesClassName"):
                status["currentVolumeAttributesClassName"] = spec["volumeAttributesClassName"]
        if status == before:
            return claim
        return await self._update_claim({**claim, "status": status}, "status")

    async def lose_claim(self, claim: Object, reason: str, message: str) -> None:
        """Say Lost, and why; said once."""
        if phase_of(claim) != "Lost":
            claim = await self.set_claim_phase(claim, "Lost")
            self._recorder.event(claim, "Warning", reason, message)
