"""DefaultStorageClass: a claim that names no storage class gets the cluster's default.

Source: documentation of admission controllers, "DefaultStorageClass".
"""

from __future__ import annotations

from typing import ClassVar, Final

from k8sactors.apiserver.admission_chain import Attributes, Cluster, Plugin
from k8sactors.apiserver.default_class import default_class

CLASSES: Final = "storageclasses.storage.k8s.io"
DEFAULTS: Final = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
BETA_CLASS: Final = "volume.beta.kubernetes.io/storage-class"


class DefaultStorageClass(Plugin):
    """Fills in `storageClassName`; an empty name is a choice too."""

    order: ClassVar[int] = 190
    resources: ClassVar[tuple[str, ...] | None] = ("persistentvolumeclaims",)

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._classes = cluster.objects(CLASSES)

    def admit(self, attributes: Attributes) -> None:
        """Set the default class."""
        obj = attributes.obj
        assert obj is not None
        spec = obj.get("spec") or {}
        if "storageClassName" in spec or BETA_CLASS in (obj["metadata"].get("annotations") or {}):
            return
        name = default_class(self._classes.all(), DEFAULTS)
        if name:
            obj["spec"] = {**spec, "storageClassName": name}
