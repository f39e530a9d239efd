"""PersistentVolumeClaimResize: a claim grows only where its storage class lets it.

Source: documentation of admission controllers, "PersistentVolumeClaimResize".
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from k8sactors.api import errors, quantity
from k8sactors.apiserver.admission_chain import Attributes, Cluster, Operation, Plugin

CLASSES: Final = "storageclasses.storage.k8s.io"
BETA_CLASS: Final = "volume.beta.kubernetes.io/storage-class"


class PersistentVolumeClaimResize(Plugin):
    """Checks claims that ask for more than before."""

    order: ClassVar[int] = 220
    resources: ClassVar[tuple[str, ...] | None] = ("persistentvolumeclaims",)
    operations: ClassVar[tuple[Operation, ...]] = ("UPDATE",)

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._classes = cluster.objects(CLASSES)

    def validate(self, attributes: Attributes) -> None:
        """403 where growing is not allowed."""
        new, old = attributes.obj, attributes.old
        assert new is not None
        assert old is not None
        if _size(new) <= _size(old):
            return
        problem = ""
        name = _class(old)
        found = self._classes.get(None, name) if name else None
        if (old.get("status") or {}).get("phase") != "Bound":
            problem = "Only bound persistent volume claims can be expanded"
        elif found is None or not found.get("allowVolumeExpansion"):
            problem = (
                "only dynamically provisioned pvc can be resized and the storageclass that "
                "provisions the pvc must support resize"
            )
        if problem:
            raise errors.forbidden(attributes.info, attributes.name, problem)


def _size(claim: dict[str, Any]) -> Any:
    requests = ((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}
    return quantity.parse(requests.get("storage", "0"))


def _class(claim: dict[str, Any]) -> str:
    annotations = claim["metadata"].get("annotations") or {}
    return annotations.get(BETA_CLASS) or claim["spec"].get("storageClassName") or ""
