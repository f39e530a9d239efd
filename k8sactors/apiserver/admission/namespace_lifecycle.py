"""NamespaceLifecycle: nothing is made in a namespace that is missing or going away.

Source: documentation of admission controllers, "NamespaceLifecycle". The namespaces that the
cluster itself lives in cannot be deleted.
"""

from __future__ import annotations

from typing import ClassVar

from k8sactors.api import errors
from k8sactors.api.errors import Cause
from k8sactors.apiserver.admission_chain import Attributes, Cluster, Operation, Plugin

IMMORTAL = frozenset({"default", "kube-system", "kube-public"})


class NamespaceLifecycle(Plugin):
    """Checks the namespace of every object that is created."""

    order: ClassVar[int] = 30
    operations: ClassVar[tuple[Operation, ...]] = ("CREATE", "DELETE")
    subresources: ClassVar[tuple[str, ...] | None] = None

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        # Namespaces that were seen Active in this version of the cache: the common case is short.
        self._active: set[str] = set()
        self._version = -1
        self._namespaces = cluster.cache("namespaces")

    def admit(self, attributes: Attributes) -> None:
        """404 for a missing namespace, 403 for one that terminates."""
        info = attributes.call.resource.info
        if attributes.operation == "DELETE":
            if attributes.resource == "namespaces" and attributes.name in IMMORTAL:
                raise errors.forbidden(info, attributes.name, "this namespace may not be deleted")
            return
        if not info.namespaced:
            return
        namespace, version = attributes.call.namespace, self._namespaces.version
        if version != self._version:
            self._version = version
            self._active.clear()
        if namespace in self._active:
            return
        found = self.cluster.get(attributes, "namespaces", None, namespace)
        if found is None:
            raise errors.not_found("namespaces", namespace)
        if found["metadata"].get("deletionTimestamp"):
            error = errors.forbidden(
                info,
                attributes.name,
                f"unable to create new content in namespace {namespace} because it is being "
                "terminated",
            )
            error.causes = (
                Cause(
                    "metadata.namespace",
                    "NamespaceTerminating",
                    f"namespace {namespace} is being terminated",
                ),
            )
            raise error
        if self.cluster.cached_version("namespaces", None, namespace):
            self._active.add(namespace)
