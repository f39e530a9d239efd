"""PV protection controller: a deleted volume goes once it is bound to no claim.

Source: documentation of persistent volumes, "Storage Object in Use Protection".
"""

from __future__ import annotations

from typing import Final

from k8sactors.controllers.machinery.controller import Controller, ManagerContext

FINALIZER: Final = "kubernetes.io/pv-protection"
VOLUMES: Final = "persistentvolumes"


class PVProtectionController(Controller):
    """Reconciles volumes."""

    name = "persistentvolume-protection-controller"
    aliases = ("pv-protection",)
    service_account = "pv-protection-controller"

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self._volumes = self.watch_own(VOLUMES)

    async def reconcile(self, key: str) -> None:
        """Take the finalizer away from a deleted volume that is not bound."""
        volume = self._volumes.lister.get(None, key)
        if volume is None or not volume["metadata"].get("deletionTimestamp"):
            return
        finalizers = volume["metadata"].get("finalizers") or []
        bound = (volume.get("status") or {}).get("phase") == "Bound"
        if FINALIZER not in finalizers or bound:
            return
        left = [each for each in finalizers if each != FINALIZER]
        metadata = {**volume["metadata"], "finalizers": left}
        await self.client.update(VOLUMES, {**volume, "metadata": metadata})
