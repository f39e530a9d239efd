"""Ephemeral volume controller: the claims of generic ephemeral volumes (KEP-1698).

A pod's volume with a `volumeClaimTemplate` is a claim named `<pod>-<volume>` that the pod owns: the
garbage collector deletes it with the pod.
"""

from __future__ import annotations

from k8sactors.api.meta import is_controlled_by, owner_reference
from k8sactors.api.persistent_volumes import CLAIMS
from k8sactors.controllers.errors import ControllersError
from k8sactors.controllers.machinery.controller import Controller, ManagerContext, Object

_POD_INDEX = "ephemeral claim"


class ForeignClaimError(ControllersError):
    """A claim of the name that an ephemeral volume needs belongs to another pod, or to no pod."""

    def __init__(self, claim: str, pod: str) -> None:
        super().__init__(f"PVC {claim} was not created for pod {pod} (pod is not owner)")


def _templates(pod: Object) -> list[tuple[str, Object]]:
    """Name of the claim, and its template, of each ephemeral volume."""
    name = pod["metadata"]["name"]
    return [
        (f"{name}-{volume['name']}", volume["ephemeral"]["volumeClaimTemplate"])
        for volume in pod["spec"].get("volumes") or ()
        if volume.get("ephemeral") is not None
    ]


def _claims_of(pod: Object) -> list[str]:
    return [f"{pod['metadata']['namespace']}/{claim}" for claim, _ in _templates(pod)]


class EphemeralVolumeController(Controller):
    """Creates the claims of pods."""

    name = "ephemeral-volume-controller"
    aliases = ("ephemeral-volume",)

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self._pods = self.informer("pods")
        self._pods.add_index(_POD_INDEX, _claims_of)
        self._pods.add_handler(on_add=self._pod_added)
        self._claims = self.informer(CLAIMS)
        self._claims.add_handler(on_delete=self._claim_deleted)

    def _pod_added(self, pod: Object) -> None:
        if _templates(pod):
            self.enqueue(pod)

    def _claim_deleted(self, claim: Object) -> None:
        metadata = claim["metadata"]
        for pod in self._pods.by_index(_POD_INDEX, f"{metadata['namespace']}/{metadata['name']}"):
            self.enqueue(pod)

    async def reconcile(self, key: str) -> None:
        """Create the claims of one pod that are missing."""
        pod = self._pods.lister.get_by_key(key)
        if pod is None or "deletionTimestamp" in pod["metadata"]:
            return
        namespace = pod["metadata"]["namespace"]
        for name, template in _templates(pod):
            claim = self._claims.lister.get(namespace, name)
            if claim is None:
                await self._create(pod, name, template)
            elif not is_controlled_by(claim, pod):
                raise ForeignClaimError(f"{namespace}/{name}", key)

    async def _create(self, pod: Object, name: str, template: Object) -> None:
        metadata = template.get("metadata") or {}
        kept = {field: metadata[field] for field in ("labels", "annotations") if field in metadata}
        body = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {
                **kept,
                "name": name,
                "namespace": pod["metadata"]["namespace"],
                "ownerReferences": [owner_reference(pod)],
            },
            "spec": template["spec"],
        }
        await self.client.create(CLAIMS, body)
