"""Who writes roles and bindings cannot give away more than they have.

Source: documentation of RBAC authorization, "Privilege escalation prevention and bootstrapping".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from k8sactors.api import errors
from k8sactors.api.user import UserInfo
from k8sactors.apiserver.authz.attributes import Attributes
from k8sactors.apiserver.authz.authorizer import Authorizer
from k8sactors.apiserver.authz.rbac import GROUP
from k8sactors.apiserver.authz.rules import ALL, Rule, compact, missing, quoted_list

Object = dict[str, Any]
# By resource, namespace and name.
FindRole = Callable[[str, str, str], Object | None]

_PLURALS: Final = {"Role": "roles", "ClusterRole": "clusterroles"}
_FULL: Final = (Rule((ALL,), (ALL,), (ALL,)), Rule((ALL,), urls=(ALL,)))


def check_role(
    authorizer: Authorizer, user: UserInfo, namespace: str, obj: Object, old: Object | None
) -> None:
    """Refuse a role with rights that its author lacks.

    Raises:
        StatusError: 403.
    """
    if old is not None and _is_same(obj, old, ("rules", "aggregationRule")):
        return
    plural = _PLURALS[obj["kind"]]
    name = obj["metadata"].get("name") or ""
    if _may(authorizer, user, "escalate", plural, namespace, name):
        return
    resource = f"{plural}.{GROUP}"
    held = authorizer.rules_of(user, namespace)
    aggregates = obj.get("aggregationRule")
    is_new = aggregates and (old is None or aggregates != old.get("aggregationRule"))
    if is_new and missing(held.rules, _FULL):
        text = "must have cluster-admin privileges to use an aggregationRule"
        raise errors.forbidden(resource, name, text)
    rules = [Rule.of(rule) for rule in obj.get("rules") or ()]
    _confirm(authorizer, user, namespace, rules, resource, name)


def check_binding(
    authorizer: Authorizer,
    user: UserInfo,
    namespace: str,
    obj: Object,
    old: Object | None,
    find: FindRole,
) -> None:
    """Refuse a binding to a role with rights that its author lacks; `find` has the role's object.

    Raises:
        StatusError: 403; 404 if there is no such role.
    """
    if old is not None and _is_same(obj, old, ("subjects", "roleRef")):
        return
    reference = obj["roleRef"]
    plural, role = _PLURALS[reference["kind"]], reference["name"]
    if _may(authorizer, user, "bind", plural, namespace, role):
        return
    found = find(f"{plural}.{GROUP}", namespace if plural == "roles" else "", role)
    if found is None:
        raise errors.not_found(f"{plural}.{GROUP}", role)
    rules = [Rule.of(rule) for rule in found.get("rules") or ()]
    resource = f"{'rolebindings' if namespace else 'clusterrolebindings'}.{GROUP}"
    name = obj["metadata"].get("name") or ""
    _confirm(authorizer, user, namespace, rules, resource, name)


def _is_same(obj: Object, old: Object, fields: tuple[str, ...]) -> bool:
    return all((obj.get(field) or None) == (old.get(field) or None) for field in fields)


def _may(
    authorizer: Authorizer, user: UserInfo, verb: str, plural: str, namespace: str, name: str
) -> bool:
    asked = Attributes(user, verb, GROUP, plural, namespace=namespace, name=name)
    return authorizer.decide(asked).allowed


def _confirm(
    authorizer: Authorizer,
    user: UserInfo,
    namespace: str,
    rules: list[Rule],
    resource: str,
    name: str,
) -> None:
    held = authorizer.rules_of(user, namespace)
    lacking = compact(missing(held.rules, rules))
    if not lacking:
        return
    text = (
        f'user "{user.name}" (groups={quoted_list(user.groups)}) is attempting to grant RBAC '
        "permissions not currently held:\n" + "\n".join(sorted(str(rule) for rule in lacking))
    )
    if held.problems:
        text += f"; resolution errors: {held.problem}"
    raise errors.forbidden(resource, name, text)
