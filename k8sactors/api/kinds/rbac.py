"""Roles and their bindings (`rbac.authorization.k8s.io`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from k8sactors.api.columns import AGE, NAME, Column, Tell, value_at
from k8sactors.api.defaulting import cluster as cluster_defaulting
from k8sactors.api.kind import Kind, Served
from k8sactors.api.strategies import CreatedByUpdateStrategy
from k8sactors.api.validation import cluster as cluster_validation
from k8sactors.api.validation import names


def _subjects(kind: str) -> Tell:
    def tell(binding: Mapping[str, Any], _now_ns: int) -> str:
        found = [each for each in value_at(binding, "subjects", ()) if each.get("kind") == kind]
        if kind == "ServiceAccount":
            return ", ".join(f"{each.get('namespace', '')}/{each['name']}" for each in found)
        return ", ".join(each["name"] for each in found)

    return tell


def _role(binding: Mapping[str, Any], _now_ns: int) -> str:
    role = value_at(binding, "roleRef", {})
    return f"{role.get('kind', '')}/{role.get('name', '')}"


_BINDING_COLUMNS = (
    NAME,
    Column("Role", _role),
    AGE,
    Column("Users", _subjects("User"), priority=1),
    Column("Groups", _subjects("Group"), priority=1),
    Column("ServiceAccounts", _subjects("ServiceAccount"), priority=1),
)


KINDS = (
    Kind(
        kind="Role",
        plural="roles",
        served=(Served("rbac.authorization.k8s.io", "v1"),),
        name_rule=names.path_segment,
        check=cluster_validation.check_role,
        strategy=CreatedByUpdateStrategy,
    ),
    Kind(
        kind="RoleBinding",
        plural="rolebindings",
        columns=_BINDING_COLUMNS,
        served=(
            Served(
                "rbac.authorization.k8s.io", "v1", default=cluster_defaulting.default_role_binding
            ),
        ),
        name_rule=names.path_segment,
        check=cluster_validation.check_role_binding,
        check_update=cluster_validation.check_role_binding_update,
        strategy=CreatedByUpdateStrategy,
    ),
    Kind(
        kind="ClusterRole",
        plural="clusterroles",
        served=(Served("rbac.authorization.k8s.io", "v1"),),
        namespaced=False,
        name_rule=names.path_segment,
        check=cluster_validation.check_role,
        strategy=CreatedByUpdateStrategy,
    ),
    Kind(
        kind="ClusterRoleBinding",
        plural="clusterrolebindings",
        columns=_BINDING_COLUMNS,
        served=(
            Served(
                "rbac.authorization.k8s.io", "v1", default=cluster_defaulting.default_role_binding
            ),
        ),
        namespaced=False,
        name_rule=names.path_segment,
        check=cluster_validation.check_role_binding,
        check_update=cluster_validation.check_role_binding_update,
        strategy=CreatedByUpdateStrategy,
    ),
)
