"""PVC protection controller: a deleted claim goes once no pod uses it.

Source: documentation of persistent volumes, "Storage Object in Use Protection".
"""

from __future__ import annotations

from typing import Final

from k8sactors.api import pod_references
from k8sactors.controllers.machinery.controller import Controller, ManagerContext, Object

FINALIZER: Final = "kubernetes.io/pvc-protection"
CLAIMS: Final = "persistentvolumeclaims"


class PVCProtectionController(Controller):
    """Reconciles claims."""

    name = "persistentvolumeclaim-protection-controller"
    aliases = ("pvc-protection",)
    service_account = "pvc-protection-controller"

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self._claims = self.watch_own(CLAIMS)
        self._pods = self.informer("pods")
        self._pods.add_handler(on_update=self._pod_changed, on_delete=self._pod_gone)

    def _pod_changed(self, old: Object, new: Object) -> None:
        if _has_ended(new) and not _has_ended(old):
            self._pod_gone(new)

    def _pod_gone(self, pod: Object) -> None:
        for name in pod_references.claims(pod):
            self.queue.add(f"{pod['metadata']['namespace']}/{name}")

    async def reconcile(self, key: str) -> None:
        """Take the finalizer away from a deleted claim that is not used."""
        namespace, _, name = key.partition("/")
        claim = self._claims.lister.get(namespace, name)
        if claim is None or not claim["metadata"].get("deletionTimestamp"):
            return
        finalizers = claim["metadata"].get("finalizers") or []
        if FINALIZER not in finalizers or self._is_used(namespace, name):
            return
        left = [each for each in finalizers if each != FINALIZER]
        metadata = {**claim["metadata"], "finalizers": left}
        await self.client.update(CLAIMS, {**claim, "metadata": metadata})

    def _is_used(self, namespace: str, name: str) -> bool:
        return any(
            name in pod_references.claims(pod)
            for pod in self._pods.lister.list(namespace)
            if pod["spec"].get("nodeName") and not _has_ended(pod)
        )


def _has_ended(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}
