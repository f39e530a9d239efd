"""NamespaceLifecycle: nothing is made in a namespace that is missing or going away.

Source: documentation of admission controllers, "NamespaceLifecycle". The namespaces that the
cluster itself lives in cannot be deleted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from k8sactors.api import errors
from k8sactors.api.errors import Cause
from k8sactors.apiserver.admission.chain import Cluster, Plugin

if TYPE_CHECKING:
    from k8sactors.apiserver.call import Call

IMMORTAL = frozenset({"default", "kube-system", "kube-public"})


class NamespaceLifecycle(Plugin):
    """Checks the namespace of every object that is created."""

    verbs: ClassVar[tuple[str, ...]] = ("create", "delete")

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        # Namespaces that were seen Active at this mod_revision: the common case costs two lookups.
        self._active: dict[str, int] = {}

    def admit(self, call: Call, obj: dict[str, Any] | None) -> None:
        """404 for a missing namespace, 403 for one that terminates."""
        resource = call.resource
        if call.verb == "delete":
            if resource.name == "namespaces" and call.name in IMMORTAL:
                raise errors.forbidden(
                    resource.info, call.name, "this namespace may not be deleted"
                )
            return
        if not resource.info.namespaced:
            return
        namespace = call.namespace
        version = self.cluster.cached_version("namespaces", None, namespace)
        if version and self._active.get(namespace) == version:
            return
        found = self.cluster.get(call, "namespaces", None, namespace)
        if found is None:
            raise errors.not_found("namespaces", namespace)
        if found["metadata"].get("deletionTimestamp"):
            name = (obj or {}).get("metadata", {}).get("name") or ""
            error = errors.forbidden(
                resource.info,
                name,
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
        if version:
            self._active[namespace] = version
