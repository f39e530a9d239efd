"""Roles and bindings grant only what their author has.

In the real server a part of the storage of these kinds; it runs after all other checks there too.
"""

from __future__ import annotations

from typing import Any, ClassVar

from k8sactors.apiserver.admission_chain import Attributes, Operation, Plugin
from k8sactors.apiserver.authz import escalation
from k8sactors.apiserver.authz.rbac import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    ROLES,
)


class RbacEscalation(Plugin):
    """Refuses grants of what their author lacks."""

    order: ClassVar[int] = 10_000
    resources: ClassVar[tuple[str, ...] | None] = (
        ROLES,
        CLUSTER_ROLES,
        ROLE_BINDINGS,
        CLUSTER_ROLE_BINDINGS,
    )
    operations: ClassVar[tuple[Operation, ...]] = ("CREATE", "UPDATE")

    def validate(self, attributes: Attributes) -> None:
        """403; 404 for a binding to a role that does not exist."""
        obj, old = attributes.obj, attributes.old
        assert obj is not None
        authorizer = self.cluster.environment.authorizer
        user, namespace = attributes.user, attributes.namespace
        if attributes.resource in {ROLES, CLUSTER_ROLES}:
            escalation.check_role(authorizer, user, namespace, obj, old)
            return

        def find(resource: str, namespace: str, name: str) -> dict[str, Any] | None:
            return self.cluster.get(attributes, resource, namespace or None, name)

        escalation.check_binding(authorizer, user, namespace, obj, old, find)
