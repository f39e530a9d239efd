"""Persistent volume binder: decides what a claim, or a volume, needs next.

Two kinds of keys share one queue: a claim's begins with `claim:`, a volume's with `volume:`. A
claim that waits, and a volume that could not be reclaimed, are looked at again every 15 seconds, as
the real controller does with everything; without any of them nothing runs.
"""

from __future__ import annotations

from typing import Final

import attrs

from k8sactors.api import pod_references
from k8sactors.api.errors import StatusError
from k8sactors.api.persistent_volumes import (
    BETA_STORAGE_PROVISIONER,
    BIND_COMPLETED,
    BOUND_BY_CONTROLLER,
    CLAIMS,
    PROVISIONED_BY,
    SELECTED_NODE,
    STORAGE_CLASSES,
    STORAGE_PROVISIONER,
    VOLUMES,
    annotations_of,
    claim_key,
    class_of,
    default_class,
    delays_binding,
    is_bound_to,
    names_no_class,
    phase_of,
    with_annotation,
)
from k8sactors.api.volume_matching import (
    best_match,
    mismatch,
    volume_mode,
)
from k8sactors.client import is_not_found, object_key
from k8sactors.controllers.machinery.controller import Controller, ManagerContext, Object
from k8sactors.controllers.machinery.options import ControllerOptions
from k8sactors.controllers.persistentvolume_binder.binding import Binding, Latest
from k8sactors.controllers.persistentvolume_binder.reclaiming import reclaim
from k8sactors.simulation import SECOND

_CLAIM: Final = "claim:"
_VOLUME: Final = "volume:"
# Index of volumes: of unbound ones by class, of the others by their claim.
_OFFER_INDEX: Final = "offer"
_CLAIM_OF_POD_INDEX: Final = "waiting for a claim"


@attrs.frozen
class PersistentVolumeBinderOptions(ControllerOptions):
    """How often what waits is looked at again, and whether claims are provisioned at all."""

    pvclaimbinder_sync_period_ns: int = 15 * SECOND
    enable_dynamic_provisioning: bool = True


def _offer(volume: Object) -> str:
    key = claim_key(volume)
    return f"class:{class_of(volume)}" if key is None else f"claim:{key}"


def _claims_waited_for(pod: Object) -> list[str]:
    """The claims of a pod that is not scheduled."""
    if pod["spec"].get("nodeName") or not pod["spec"].get("volumes"):
        return []
    namespace = pod["metadata"]["namespace"]
    return [f"{namespace}/{name}" for name in pod_references.claims(pod)]


class PersistentVolumeBinder(Controller):
    """Binds claims to volumes, and asks provisioners for those that are missing."""

    name = "persistentvolume-binder-controller"
    aliases = ("persistentvolume-binder",)
    component = "persistentvolume-controller"
    service_account = "persistent-volume-binder"
    options_type = PersistentVolumeBinderOptions
    options: PersistentVolumeBinderOptions

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        # One at a time, so that two claims do not reach for the same volume.
        self.workers = 1
        self._claim_informer = self.informer(CLAIMS)
        self._volume_informer = self.informer(VOLUMES)
        self._volume_informer.add_index(_OFFER_INDEX, _offer)
        self._claims = Latest(self._claim_informer)
        self._volumes = Latest(self._volume_informer)
        self._classes = self.informer(STORAGE_CLASSES)
        self._pods = self.informer("pods")
        self._pods.add_index(_CLAIM_OF_POD_INDEX, _claims_waited_for)
        self._binding = Binding(self.client, self.recorder, self._volumes, self._claims)
        self._claim_informer.add_handler(
            on_add=self._claim_changed,
            on_update=lambda _old, new: self._claim_changed(new),
            on_delete=self._claim_deleted,
        )
        self._volume_informer.add_handler(
            on_add=self._volume_changed,
            on_update=lambda _old, new: self._volume_changed(new),
            on_delete=self._volume_deleted,
        )

    # --- events

    def _claim_changed(self, claim: Object) -> None:
        self.queue.add(_CLAIM + object_key(claim))

    def _claim_deleted(self, claim: Object) -> None:
        name = claim["spec"].get("volumeName")
        if name:
            self.queue.add(_VOLUME + name)

    def _volume_changed(self, volume: Object) -> None:
        self.queue.add(_VOLUME + volume["metadata"]["name"])

    def _volume_deleted(self, volume: Object) -> None:
        key = claim_key(volume)
        if key is not None:
            self.queue.add(_CLAIM + key)

    def _later(self, key: str) -> None:
        self.queue.add_after(key, self.options.pvclaimbinder_sync_period_ns)

    async def reconcile(self, key: str) -> None:
        """Bring one claim or volume a step further."""
        if key.startswith(_VOLUME):
            volume = self._volumes.get(key.removeprefix(_VOLUME))
            if volume is not None:
                await self._sync_volume(key, volume)
            return
        claim = self._claims.get(key.removeprefix(_CLAIM))
        if claim is None:
            return
        if BIND_COMPLETED in annotations_of(claim):
            await self._sync_bound_claim(claim)
        elif claim["spec"].get("volumeName"):
            await self._sync_choosy_claim(key, claim)
        else:
            await self._sync_unbound_claim(key, claim)

    # --- claims

    async def _sync_unbound_claim(self, key: str, claim: Object) -> None:
        """A claim to any volume that suits it."""
        delayed = delays_binding(self._classes.lister.get(None, class_of(claim)))
        volume = best_match(self._offers(claim), claim, delayed=delayed)
        if volume is not None:
            await self._binding.bind(volume, claim)
            return
        if names_no_class(claim) and await self._assign_default_class(claim):
            return
        self._later(key)
        if delayed and SELECTED_NODE not in annotations_of(claim):
            self._tell_of_delay(claim)
        elif class_of(claim):
            await self._provision(claim)
            return
        else:
            message = "no persistent volumes available for this claim and no storage class is set"
            self.recorder.event(claim, "Normal", "FailedBinding", message)
        await self._binding.set_claim_phase(claim, "Pending")

    def _offers(self, claim: Object) -> list[Object]:
        by_index = self._volume_informer.by_index
        found = by_index(_OFFER_INDEX, f"class:{class_of(claim)}")
        found += by_index(_OFFER_INDEX, f"claim:{object_key(claim)}")
        return [self._volumes.newest(volume) for volume in found]

    async def _assign_default_class(self, claim: Object) -> bool:
        """Give a claim that names no class the default one that has come since (KEP-3333)."""
        found = default_class(self._classes.lister.list())
        if found is None:
            return False
        spec = {**claim["spec"], "storageClassName": found["metadata"]["name"]}
        self._claims.remember(await self.client.update(CLAIMS, {**claim, "spec": spec}))
        return True

    def _tell_of_delay(self, claim: Object) -> None:
        pods = self._pods.by_index(_CLAIM_OF_POD_INDEX, object_key(claim))
        reason, message = (
            "WaitForFirstConsumer",
            "waiting for first consumer to be created before binding",
        )
        if pods:
            names = ",".join(sorted(pod["metadata"]["name"] for pod in pods))
            reason = "WaitForPodScheduled"
            plural = "s" if len(pods) > 1 else ""
            message = f"waiting for pod{plural} {names} to be scheduled"
        self.recorder.event(claim, "Normal", reason, message)

    async def _sync_choosy_claim(self, key: str, claim: Object) -> None:
        """A claim to a volume that it names."""
        volume = self._volumes.get(claim["spec"]["volumeName"])
        if volume is not None and volume["spec"].get("claimRef") is None:
            problem = mismatch(volume, claim)
            if not problem:
                await self._binding.bind(volume, claim)
                return
            name = volume["metadata"]["name"]
            message = f'Cannot bind to requested volume "{name}": {problem}'
            self.recorder.event(claim, "Warning", "VolumeMismatch", message)
        elif volume is not None and is_bound_to(volume, claim):
            await self._binding.bind(volume, claim)
            return
        elif volume is not None and BOUND_BY_CONTROLLER not in annotations_of(claim):
            message = f'volume "{volume["metadata"]["name"]}" already bound to a different claim.'
            self.recorder.event(claim, "Warning", "FailedBinding", message)
        await self._binding.set_claim_phase(claim, "Pending")
        self._later(key)

    async def _sync_bound_claim(self, claim: Object) -> None:
        name = claim["spec"].get("volumeName")
        volume = self._volumes.get(name) if name else None
        if not name:
            message = (
                "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!"
            )
            await self._binding.lose_claim(claim, "ClaimLost", message)
        elif volume is None:
            message = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
            await self._binding.lose_claim(claim, "ClaimLost", message)
        elif (volume["spec"].get("claimRef") or {}).get("uid") in {None, claim["metadata"]["uid"]}:
            await self._binding.bind(volume, claim)
        else:
            message = "Two claims are bound to the same volume, this one is bound incorrectly"
            await self._binding.lose_claim(claim, "ClaimMisbound", message)

    async def _provision(self, claim: Object) -> None:
        """Ask the provisioner of the claim's class, which watches for its name on claims."""
        if not self.options.enable_dynamic_provisioning:
            return
        found = self._classes.lister.get(None, class_of(claim))
        if found is None:
            message = f'storageclass.storage.k8s.io "{class_of(claim)}" not found'
            self.recorder.event(claim, "Warning", "ProvisioningFailed", message)
            return
        provisioner = found["provisioner"]
        if provisioner.startswith("kubernetes.io/"):
            message = f"no volume plugin matched name: {provisioner}"
            self.recorder.event(claim, "Warning", "ProvisioningFailed", message)
            return
        if annotations_of(claim).get(STORAGE_PROVISIONER) != provisioner:
            wanted = with_annotation(claim, BETA_STORAGE_PROVISIONER, provisioner)
            wanted = with_annotation(wanted, STORAGE_PROVISIONER, provisioner)
            claim = self._claims.remember(await self.client.update(CLAIMS, wanted))
        message = (
            "Waiting for a volume to be created either by the external provisioner "
            f"'{provisioner}' or manually by the system administrator. If volume creation is "
            "delayed, please verify that the provisioner is running and correctly registered."
        )
        self.recorder.event(claim, "Normal", "ExternalProvisioning", message)

    # --- volumes

    async def _sync_volume(self, key: str, volume: Object) -> None:
        reference = volume["spec"].get("claimRef")
        if reference is None or not reference.get("uid"):
            # Unused, or reserved for a claim that has not come: the claim's turn binds it.
            await self._binding.set_volume_phase(volume, "Available")
            return
        claim = await self._claim_of(volume)
        if claim is None:
            await self._release(key, volume)
        elif not claim["spec"].get("volumeName"):
            if volume_mode(claim) != volume_mode(volume):
                self._tell_of_modes(volume, claim)
                return
            self.queue.add(_CLAIM + object_key(claim))
        elif claim["spec"]["volumeName"] == volume["metadata"]["name"]:
            await self._binding.set_volume_phase(volume, "Bound")
        elif (
            PROVISIONED_BY in annotations_of(volume)
            and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"
        ):
            # It was made for a claim that was bound elsewhere in the meantime.
            await self._release(key, volume)
        else:
            await self._binding.unbind(volume)

    async def _claim_of(self, volume: Object) -> Object | None:
        """The very claim that the volume refers to."""
        reference = volume["spec"]["claimRef"]
        claim = self._claims.get(f"{reference['namespace']}/{reference['name']}")
        if claim is None:
            # A scheduler may bind a claim before it is in the cache: ask before it is reclaimed.
            try:
                claim = await self.client.get(CLAIMS, reference["name"], reference["namespace"])
            except StatusError as error:
                if not is_not_found(error):
                    raise
                return None
        return claim if claim["metadata"]["uid"] == reference["uid"] else None

    async def _release(self, key: str, volume: Object) -> None:
        # A volume that has failed keeps saying so while it is tried again.
        if phase_of(volume) not in {"Released", "Failed"}:
            volume = await self._binding.set_volume_phase(volume, "Released")
        if volume["spec"].get("persistentVolumeReclaimPolicy") != "Retain":
            await reclaim(self.client, self._binding, volume)
            self._later(key)

    def _tell_of_modes(self, volume: Object, claim: Object) -> None:
        names = volume["metadata"]["name"], claim["metadata"]["name"]
        about = "Cannot bind PersistentVolume"
        reason = "due to incompatible volumeMode."
        message = f'{about} to requested PersistentVolumeClaim "{names[1]}" {reason}'
        self.recorder.event(volume, "Warning", "VolumeMismatch", message)
        message = f'{about} "{names[0]}" to requested PersistentVolumeClaim {reason}'
        self.recorder.event(claim, "Warning", "VolumeMismatch", message)
