"""DefaultIngressClass: an Ingress that names no class gets the cluster's default.

Source: documentation of admission controllers, "DefaultIngressClass".
"""

from __future__ import annotations

from typing import ClassVar, Final

from k8sactors.apiserver.admission_chain import Attributes, Cluster, Plugin
from k8sactors.apiserver.default_class import default_class

CLASSES: Final = "ingressclasses.networking.k8s.io"
DEFAULT: Final = "ingressclass.kubernetes.io/is-default-class"
BETA_CLASS: Final = "kubernetes.io/ingress.class"


class DefaultIngressClass(Plugin):
    """Fills in `ingressClassName`."""

    order: ClassVar[int] = 280
    resources: ClassVar[tuple[str, ...] | None] = ("ingresses.networking.k8s.io",)

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._classes = cluster.objects(CLASSES)

    def admit(self, attributes: Attributes) -> None:
        """Set the default class."""
        obj = attributes.obj
        assert obj is not None
        spec = obj.get("spec") or {}
        if "ingressClassName" in spec or BETA_CLASS in (obj["metadata"].get("annotations") or {}):
            return
        name = default_class(self._classes.all(), (DEFAULT,))
        if name:
            obj["spec"] = {**spec, "ingressClassName": name}
