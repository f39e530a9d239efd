"""StorageObjectInUseProtection: volumes and claims stay while they are in use.

Source: documentation of admission controllers, "StorageObjectInUseProtection". Two controllers take
the finalizers away again.
"""

from __future__ import annotations

from typing import ClassVar, Final

from k8sactors.apiserver.admission_chain import Attributes, Plugin

FINALIZERS: Final = {
    "persistentvolumes": "kubernetes.io/pv-protection",
    "persistentvolumeclaims": "kubernetes.io/pvc-protection",
}


class StorageObjectInUseProtection(Plugin):
    """Adds the finalizer to new objects."""

    order: ClassVar[int] = 200
    resources: ClassVar[tuple[str, ...] | None] = tuple(FINALIZERS)

    def admit(self, attributes: Attributes) -> None:
        """Add it unless it is there."""
        assert attributes.obj is not None
        metadata = attributes.obj["metadata"]
        finalizer = FINALIZERS[attributes.resource]
        present = metadata.get("finalizers") or []
        if finalizer not in present:
            metadata["finalizers"] = [*present, finalizer]
