"""The audit policy: how much is written down of a request (`--audit-policy-file`).

The first rule that matches decides; without one nothing is written. Bodies that hold credentials
(Secrets, tokens, token reviews) are never written down, whatever the policy says: there the level
is at most Metadata. Source: documentation of auditing, `audit.k8s.io/v1` Policy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any, Final, Protocol

import attrs

from k8sactors.api.user import UserInfo
from k8sactors.apiserver.errors import AuditPolicyError

Object = Mapping[str, Any]

COMPLETE: Final = "ResponseComplete"
STARTED: Final = "ResponseStarted"
_API_VERSION: Final = "audit.k8s.io/v1"
_SECRET: Final = frozenset(
    {
        ("", "secrets", ""),
        ("", "serviceaccounts", "token"),
        ("authentication.k8s.io", "tokenreviews", ""),
    }
)
_LISTS: Final = ("users", "userGroups", "verbs", "namespaces", "nonResourceURLs", "omitStages")


class Asked(Protocol):
    """What a rule sees of a request (`authz.attributes.Attributes`)."""

    @property
    def user(self) -> UserInfo:
        """Who asks."""

    @property
    def verb(self) -> str:
        """The verb."""

    @property
    def group(self) -> str:
        """The API group."""

    @property
    def resource(self) -> str:
        """The resource."""

    @property
    def subresource(self) -> str:
        """Its subresource, "" for the object itself."""

    @property
    def combined_resource(self) -> str:
        """Both, with a slash between them."""

    @property
    def namespace(self) -> str:
        """The namespace, "" for a cluster-scoped object."""

    @property
    def name(self) -> str:
        """The object's name."""


class Level(IntEnum):
    """How much is written down."""

    NONE = 0
    METADATA = 1
    REQUEST = 2
    REQUEST_RESPONSE = 3

    @property
    def word(self) -> str:
        """As policies and events write it."""
        return _WORDS[self]


_WORDS: Final = {
    Level.NONE: "None",
    Level.METADATA: "Metadata",
    Level.REQUEST: "Request",
    Level.REQUEST_RESPONSE: "RequestResponse",
}
_LEVELS: Final = {word: level for level, word in _WORDS.items()}


@attrs.frozen
class _Resources:
    """A group with resources, each maybe with a subresource, and names."""

    group: str
    resources: tuple[str, ...]
    names: tuple[str, ...]

    def match(self, attributes: Asked) -> bool:
        if attributes.group != self.group:
            return False
        if self.names and attributes.name not in self.names:
            return False
        if not self.resources:
            return True
        combined, sub = attributes.combined_resource, attributes.subresource
        wanted = {"*", combined}
        if sub:
            wanted |= {f"*/{sub}", f"{attributes.resource}/*"}
        return any(each in wanted for each in self.resources)


@attrs.frozen
class _Rule:
    """One rule; an empty list matches everything."""

    level: Level
    lists: Mapping[str, tuple[str, ...]]
    resources: tuple[_Resources, ...]

    def match(self, attributes: Asked) -> bool:
        lists, user = self.lists, attributes.user
        if lists["users"] and user.name not in lists["users"]:
            return False
        if lists["userGroups"] and not set(lists["userGroups"]).intersection(user.groups):
            return False
        if lists["verbs"] and attributes.verb not in lists["verbs"]:
            return False
        if lists["namespaces"] and attributes.namespace not in lists["namespaces"]:
            return False
        if self.resources:
            return any(each.match(attributes) for each in self.resources)
        # A rule for paths alone matches no request for a resource.
        return not lists["nonResourceURLs"]


@attrs.frozen
class AuditPolicy:
    """The rules in order."""

    _rules: tuple[_Rule, ...]
    _omitted: frozenset[str] = frozenset()

    @classmethod
    def of(cls, obj: Any) -> AuditPolicy:
        """The policy that an object states.

        Raises:
            AuditPolicyError: it is malformed; the text says where.
        """
        if not isinstance(obj, dict) or obj.get("kind") != "Policy":
            raise AuditPolicyError("an object of kind Policy is expected")
        if obj.get("apiVersion") != _API_VERSION:
            raise AuditPolicyError(f"apiVersion: {_API_VERSION} is expected")
        rules = obj.get("rules")
        if not isinstance(rules, list) or not rules:
            raise AuditPolicyError("rules: at least one is needed")
        omitted = frozenset(_texts(obj, "omitStages", "omitStages"))
        return cls(tuple(_rule(each, f"rules[{n}]") for n, each in enumerate(rules)), omitted)

    def level(self, attributes: Asked, stage: str) -> Level:
        """How much is written down of a request at a stage."""
        if stage in self._omitted:
            return Level.NONE
        for rule in self._rules:
            if rule.match(attributes):
                if stage in rule.lists["omitStages"]:
                    return Level.NONE
                return min(rule.level, _most(attributes))
        return Level.NONE


@attrs.frozen
class AuditOptions:
    """What is written down, and where to: `write` takes a line with its end."""

    policy: AuditPolicy
    write: Callable[[str], None]


def _most(attributes: Asked) -> Level:
    what = (attributes.group, attributes.resource, attributes.subresource)
    return Level.METADATA if what in _SECRET else Level.REQUEST_RESPONSE


def _rule(obj: Any, at: str) -> _Rule:
    if not isinstance(obj, dict):
        raise AuditPolicyError(f"{at}: an object is expected")
    level = _LEVELS.get(str(obj.get("level")))
    if level is None:
        known = ", ".join(_LEVELS)
        raise AuditPolicyError(f"{at}.level: {obj.get('level')!r} is not one of {known}")
    lists = {name: _texts(obj, name, f"{at}.{name}") for name in _LISTS}
    groups = obj.get("resources") or []
    if not isinstance(groups, list):
        raise AuditPolicyError(f"{at}.resources: a list is expected")
    found = tuple(_resources(each, f"{at}.resources[{n}]") for n, each in enumerate(groups))
    return _Rule(level, lists, found)


def _resources(obj: Any, at: str) -> _Resources:
    if not isinstance(obj, dict):
        raise AuditPolicyError(f"{at}: an object is expected")
    resources = _texts(obj, "resources", f"{at}.resources")
    names = _texts(obj, "resourceNames", f"{at}.resourceNames")
    return _Resources(str(obj.get("group") or ""), resources, names)


def _texts(obj: Object, name: str, at: str) -> tuple[str, ...]:
    values = obj.get(name) or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise AuditPolicyError(f"{at}: a list of texts is expected")
    return tuple(values)
