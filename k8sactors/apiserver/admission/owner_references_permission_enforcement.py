"""OwnerReferencesPermissionEnforcement: ownership is no way around the right to delete.

Source: documentation of admission controllers, "OwnerReferencesPermissionEnforcement". A user who
gives an object an owner lets the garbage collector delete it; one who sets `blockOwnerDeletion`
keeps the owner from being deleted.
"""

from __future__ import annotations

from typing import Any, ClassVar

from k8sactors.api import errors
from k8sactors.api.errors import UnknownKindError
from k8sactors.apiserver.admission_chain import Attributes, Operation, Plugin
from k8sactors.apiserver.authz import attributes as requests

Object = dict[str, Any]


class OwnerReferencesPermissionEnforcement(Plugin):
    """Looks at writes that change owner references."""

    default: ClassVar[bool] = False
    order: ClassVar[int] = 210
    operations: ClassVar[tuple[Operation, ...]] = ("CREATE", "UPDATE")
    subresources: ClassVar[tuple[str, ...] | None] = None

    def concerns(self, resource: str, subresource: str, operation: Operation) -> bool:
        """All writes; a report on a pod cannot change its owners."""
        if (resource, subresource) == ("pods", "status"):
            return False
        return super().concerns(resource, subresource, operation)

    def validate(self, attributes: Attributes) -> None:
        """403 without the right to delete the object, or to change the finalizers of the owner."""
        new, old = attributes.obj, attributes.old
        assert new is not None
        owners = (new.get("metadata") or {}).get("ownerReferences") or []
        before = ((old or {}).get("metadata") or {}).get("ownerReferences") or []
        if owners == before:
            return
        info = attributes.info
        reason = self._refused("delete", info, attributes, attributes.name)
        if reason is not None:
            self._refuse(
                attributes,
                f"cannot set an ownerRef on a resource you can't delete: {reason}, <nil>",
            )
        known = {each.get("uid"): each for each in before}
        for owner in owners:
            blocked = known.get(owner.get("uid"), {}).get("blockOwnerDeletion")
            if owner.get("blockOwnerDeletion") and not blocked:
                self._check_owner(attributes, owner)

    def _check_owner(self, attributes: Attributes, owner: Object) -> None:
        version, kind = owner.get("apiVersion") or "", owner.get("kind") or ""
        try:
            info = self.cluster.scheme.kind(version, kind)
        except UnknownKindError as error:
            self._refuse(
                attributes,
                "cannot set blockOwnerDeletion in this case because cannot find RESTMapping for "
                f"APIVersion {version} Kind {kind}: {error}",
            )
            return
        name = owner.get("name") or ""
        reason = self._refused("update", info, attributes, name, "finalizers")
        if reason is not None:
            self._refuse(
                attributes,
                "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't "
                f"set finalizers on: {reason}, <nil>",
            )

    def _refused(
        self, verb: str, info: Any, attributes: Attributes, name: str, subresource: str = ""
    ) -> str | None:
        """Why the user may not do something, None when they may."""
        namespace = attributes.namespace if info.namespaced else ""
        asked = requests.of_request(attributes.user, verb, info, namespace, name, subresource, {})
        decision = self.cluster.environment.authorizer.decide(asked)
        return None if decision.allowed else str(decision.reason)

    @staticmethod
    def _refuse(attributes: Attributes, text: str) -> None:
        raise errors.forbidden(attributes.info, attributes.name, text)
