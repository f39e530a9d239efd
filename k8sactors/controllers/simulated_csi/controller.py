"""The simulated driver's controller: one queue for claims, volumes and attachments.

Each operation takes its time on the simulated clock, as a storage system's would.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import attrs

from k8sactors.api.attachments import RESOURCE as ATTACHMENTS
from k8sactors.api.errors import StatusError
from k8sactors.api.persistent_volumes import (
    CLAIMS,
    PROVISIONED_BY,
    SELECTED_NODE,
    STORAGE_CLASSES,
    STORAGE_PROVISIONER,
    VOLUMES,
    WAIT_FOR_FIRST_CONSUMER,
    annotations_of,
    capacity_of,
    class_of,
    is_fully_bound,
    phase_of,
    request_of,
)
from k8sactors.client import is_already_exists, is_not_found, object_key
from k8sactors.client.indexer import Lister
from k8sactors.controllers.machinery.controller import Controller, ManagerContext, Object
from k8sactors.controllers.machinery.options import ControllerOptions
from k8sactors.controllers.simulated_csi.volumes import FINALIZER, volume_for
from k8sactors.simulation import SECOND

ACCOUNT: Final = "simulated-csi-controller"
DRIVER: Final = "csi.simulated"
ATTACHED_FINALIZER: Final = "external-attacher/csi-simulated"
Operation = Callable[[], Awaitable[None]]


@attrs.frozen
class SimulatedCSIOptions(ControllerOptions):
    """How long the storage system takes for one operation."""

    simulated_csi_operation_ns: int = SECOND


class SimulatedCSIController(Controller):
    """Provisions claims, attaches, resizes and deletes volumes of the driver `csi.simulated`."""

    name = "simulated-csi-controller"
    service_account = ACCOUNT
    component = f"{DRIVER}-provisioner"
    options_type = SimulatedCSIOptions
    options: SimulatedCSIOptions

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self._claims = self._follow("claim", CLAIMS)
        self._volumes = self._follow("volume", VOLUMES)
        self._attachments = self._follow("attachment", ATTACHMENTS)
        self._classes = self.informer(STORAGE_CLASSES).lister
        self._nodes = self.informer("nodes").lister
        # When the operation for a key is done.
        self._due_ns: dict[str, int] = {}

    def _follow(self, prefix: str, resource: str) -> Lister:
        informer = self.informer(resource)

        def enqueue(obj: Object) -> None:
            self.queue.add(f"{prefix}:{object_key(obj)}")

        informer.add_handler(on_add=enqueue, on_update=lambda _old, new: enqueue(new))
        return informer.lister

    async def reconcile(self, key: str) -> None:
        """Begin or finish the operation that one object needs."""
        kind, _, name = key.partition(":")
        match kind:
            case "claim":
                operation = self._operation_for_claim(self._claims.get_by_key(name))
            case "volume":
                operation = self._operation_for_volume(self._volumes.get_by_key(name))
            case _:
                operation = self._operation_for_attachment(self._attachments.get_by_key(name))
        if operation is None:
            self._due_ns.pop(key, None)
            return
        now_ns = self.ctx.now_ns()
        due_ns = self._due_ns.setdefault(key, now_ns + self.options.simulated_csi_operation_ns)
        if now_ns < due_ns:
            self.queue.add_after(key, due_ns - now_ns)
            return
        await operation()
        self._due_ns.pop(key, None)

    # --- claims

    def _operation_for_claim(self, claim: Object | None) -> Operation | None:
        if claim is None:
            return None
        name = claim["spec"].get("volumeName")
        if name:
            volume = self._volumes.get(None, name)
            if volume is None or not self._is_ours(volume) or not is_fully_bound(claim, volume):
                return None
            grows = capacity_of(volume) < request_of(claim)
            return partial(self._resize, claim, volume) if grows else None
        annotations = annotations_of(claim)
        storage_class = self._classes.get(None, class_of(claim))
        if storage_class is None or annotations.get(STORAGE_PROVISIONER) != DRIVER:
            return None
        if "deletionTimestamp" in claim["metadata"]:
            return None
        delayed = storage_class.get("volumeBindingMode") == WAIT_FOR_FIRST_CONSUMER
        if delayed and SELECTED_NODE not in annotations:
            return None
        return partial(self._provision, claim, storage_class)

    async def _provision(self, claim: Object, storage_class: Object) -> None:
        node = self._nodes.get(None, annotations_of(claim).get(SELECTED_NODE, ""))
        volume = volume_for(claim, storage_class, node)
        try:
            await self.client.create(VOLUMES, volume)
        except StatusError as error:
            if not is_already_exists(error):
                raise
            return
        message = f"Successfully provisioned volume {volume['metadata']['name']}"
        self.recorder.event(claim, "Normal", "ProvisioningSucceeded", message)

    async def _resize(self, claim: Object, volume: Object) -> None:
        """Grow the volume, then say so at the claim; the file system grows with it."""
        size = {"storage": claim["spec"]["resources"]["requests"]["storage"]}
        patch = {"spec": {"capacity": size}}
        await self.client.patch(VOLUMES, volume["metadata"]["name"], patch)
        metadata = claim["metadata"]
        name, namespace = metadata["name"], metadata["namespace"]
        status = {"status": {"capacity": size}}
        await self.client.patch(CLAIMS, name, status, namespace, subresource="status")
        message = "Resize volume succeeded"
        self.recorder.event(claim, "Normal", "VolumeResizeSuccessful", message)

    # --- volumes

    @staticmethod
    def _is_ours(volume: Object) -> bool:
        return bool((volume["spec"].get("csi") or {}).get("driver") == DRIVER)

    def _operation_for_volume(self, volume: Object | None) -> Operation | None:
        if volume is None or annotations_of(volume).get(PROVISIONED_BY) != DRIVER:
            return None
        policy = volume["spec"].get("persistentVolumeReclaimPolicy")
        released = phase_of(volume) in {"Released", "Failed"}
        if released and policy == "Delete":
            # The storage system refuses while a node has the volume.
            name = volume["metadata"]["name"]
            if any(
                each["spec"]["source"].get("persistentVolumeName") == name
                for each in self._attachments.list()
            ):
                return partial(self._look_again, f"volume:{name}")
            return partial(self._delete, volume)
        deleting = "deletionTimestamp" in volume["metadata"]
        if deleting and FINALIZER in (volume["metadata"].get("finalizers") or ()) and released:
            return partial(self._drop_finalizer, VOLUMES, volume, FINALIZER)
        return None

    async def _look_again(self, key: str) -> None:
        self.queue.add_after(key, self.options.simulated_csi_operation_ns)

    async def _delete(self, volume: Object) -> None:
        if "deletionTimestamp" not in volume["metadata"]:
            try:
                await self.client.delete(VOLUMES, volume["metadata"]["name"])
            except StatusError as error:
                if not is_not_found(error):
                    raise
        elif FINALIZER in (volume["metadata"].get("finalizers") or ()):
            await self._drop_finalizer(VOLUMES, volume, FINALIZER)

    async def _drop_finalizer(self, resource: str, obj: Object, finalizer: str) -> None:
        metadata = obj["metadata"]
        kept = [each for each in metadata.get("finalizers") or () if each != finalizer]
        patch = {
            "metadata": {"resourceVersion": metadata["resourceVersion"], "finalizers": kept or None}
        }
        try:
            await self.client.patch(resource, metadata["name"], patch)
        except StatusError as error:
            if not is_not_found(error):
                raise

    # --- attachments

    def _operation_for_attachment(self, attachment: Object | None) -> Operation | None:
        if attachment is None or attachment["spec"]["attacher"] != DRIVER:
            return None
        held = ATTACHED_FINALIZER in (attachment["metadata"].get("finalizers") or ())
        if "deletionTimestamp" in attachment["metadata"]:
            release = partial(self._drop_finalizer, ATTACHMENTS, attachment, ATTACHED_FINALIZER)
            return release if held else None
        attached = (attachment.get("status") or {}).get("attached")
        return None if attached else partial(self._attach, attachment, held=held)

    async def _attach(self, attachment: Object, *, held: bool) -> None:
        name = attachment["metadata"]["name"]
        if not held:
            finalizers = [*(attachment["metadata"].get("finalizers") or ()), ATTACHED_FINALIZER]
            await self.client.patch(ATTACHMENTS, name, {"metadata": {"finalizers": finalizers}})
        await self.client.patch(
            ATTACHMENTS, name, {"status": {"attached": True}}, subresource="status"
        )
