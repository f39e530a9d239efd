"""Persistent volume expander: claims that ask for more than they have.

No volume type is expanded by the controller manager any more: a claim is left to the resizer of its
CSI driver, and told so.
"""

from __future__ import annotations

from k8sactors.api.persistent_volumes import (
    CLAIMS,
    VOLUMES,
    capacity_of,
    phase_of,
    request_of,
)
from k8sactors.client import object_key
from k8sactors.controllers.machinery.controller import Controller, ManagerContext, Object


class PersistentVolumeExpander(Controller):
    """Reconciles bound claims."""

    name = "persistentvolume-expander-controller"
    aliases = ("persistentvolume-expander",)
    component = "volume_expand"
    service_account = "expand-controller"

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self._volumes = self.informer(VOLUMES)
        self._claims = self.informer(CLAIMS)
        self._claims.add_handler(on_add=self.enqueue, on_update=self._claim_updated)

    def _claim_updated(self, old: Object, new: Object) -> None:
        if request_of(old) < request_of(new):
            self.queue.add(object_key(new))

    async def reconcile(self, key: str) -> None:
        """Tell who expands the volume of a claim, if it asks for more."""
        claim = self._claims.lister.get_by_key(key)
        if claim is None or phase_of(claim) != "Bound":
            return
        volume = self._volumes.lister.get(None, claim["spec"].get("volumeName") or "")
        if volume is None or request_of(claim) <= capacity_of(volume):
            return
        message = "waiting for an external controller to expand this PVC"
        self.recorder.event(claim, "Normal", "ExternalExpanding", message)
