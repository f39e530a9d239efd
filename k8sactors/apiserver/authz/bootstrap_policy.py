"""The default roles and bindings as objects, made from the tables next to this file.

They are created when a server starts that authorizes by RBAC. What is there already stays as it is.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from k8sactors.apiserver.authz import policy_table
from k8sactors.apiserver.authz.controller_policy_table import CONTROLLER_ROLES
from k8sactors.apiserver.authz.policy_table import READ, WRITE, Lines
from k8sactors.apiserver.authz.rbac import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    GROUP,
    ROLE_BINDINGS,
    ROLES,
)
from k8sactors.apiserver.authz.rules import Rule

Object = dict[str, Any]

_API_VERSION: Final = f"{GROUP}/v1"
_LABELS: Final = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_ANNOTATIONS: Final = {"rbac.authorization.kubernetes.io/autoupdate": "true"}
_AGGREGATE: Final = "rbac.authorization.k8s.io/aggregate-to-"
_VERBS: Final = {"READ": READ, "WRITE": WRITE, "ALL": f"{READ},{WRITE}"}
_CONTROLLER: Final = "system:controller:"
_ACCOUNTS_NAMESPACE: Final = "kube-system"


def _rule(line: str) -> Rule:
    verbs, groups, things, *names = line.split(" ")
    known = tuple(_VERBS.get(verbs, verbs).split(","))
    if groups == "url":
        return Rule(known, urls=tuple(things.split(",")))
    named = tuple(names[0].split(",")) if names else ()
    api_groups = tuple("" if group == "core" else group for group in groups.split(","))
    return Rule(known, api_groups, tuple(things.split(",")), named)


def _rules(lines: Lines) -> list[Object]:
    return [_rule(line).to_object() for line in lines]


@cache
def node_rules() -> tuple[Rule, ...]:
    """The rules of the role `system:node`, which the Node authorizer applies."""
    return tuple(_rule(line) for line in policy_table.NODE)


def initial_policy() -> list[tuple[str, str, Object]]:
    """Resource, namespace and object of everything to create, roles before their bindings."""
    created: list[tuple[str, str, Object]] = []
    for name, lines in policy_table.CLUSTER_ROLES.items():
        created.append((CLUSTER_ROLES, "", {**_role(name), "rules": _rules(lines)}))
    for name, source, target in policy_table.AGGREGATED:
        selector = {"matchLabels": {f"{_AGGREGATE}{source}": "true"}}
        role = _role(name, target)
        role["aggregationRule"] = {"clusterRoleSelectors": [selector]}
        created.append((CLUSTER_ROLES, "", role))
    for name, lines in CONTROLLER_ROLES.items():
        role = {**_role(f"{_CONTROLLER}{name}"), "rules": _rules(lines)}
        created.append((CLUSTER_ROLES, "", role))
    for (namespace, name), lines in policy_table.ROLES.items():
        role = {**_object("Role", name, namespace), "rules": _rules(lines)}
        created.append((ROLES, namespace, role))
    for name, subjects in policy_table.CLUSTER_ROLE_BINDINGS.items():
        created.append((CLUSTER_ROLE_BINDINGS, "", _cluster_binding(name, subjects)))
    for name in CONTROLLER_ROLES:
        account = (f"account:{_ACCOUNTS_NAMESPACE}/{name}",)
        binding = _cluster_binding(f"{_CONTROLLER}{name}", account)
        created.append((CLUSTER_ROLE_BINDINGS, "", binding))
    for (namespace, name), (role_name, subjects) in policy_table.ROLE_BINDINGS.items():
        binding = _object("RoleBinding", name, namespace)
        binding["roleRef"] = {"apiGroup": GROUP, "kind": "Role", "name": role_name}
        binding["subjects"] = [_subject(text) for text in subjects]
        created.append((ROLE_BINDINGS, namespace, binding))
    return created


def _role(name: str, aggregates_to: str = "") -> Object:
    role = _object("ClusterRole", name)
    target = aggregates_to or name.partition("system:aggregate-to-")[2]
    if target:
        role["metadata"]["labels"][f"{_AGGREGATE}{target}"] = "true"
    return role


def _cluster_binding(name: str, subjects: Lines) -> Object:
    binding = _object("ClusterRoleBinding", name)
    binding["roleRef"] = {"apiGroup": GROUP, "kind": "ClusterRole", "name": name}
    if subjects:
        binding["subjects"] = [_subject(text) for text in subjects]
    return binding


def _object(kind: str, name: str, namespace: str = "") -> Object:
    metadata: Object = {"name": name, "labels": {**_LABELS}, "annotations": {**_ANNOTATIONS}}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": _API_VERSION, "kind": kind, "metadata": metadata}


def _subject(text: str) -> Object:
    kind, _, name = text.partition(":")
    if kind == "account":
        namespace, _, account = name.partition("/")
        return {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    return {"apiGroup": GROUP, "kind": kind.capitalize(), "name": name}
