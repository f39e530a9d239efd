"""Role-based access control: the rules that bindings give to a user.

Roles and bindings are read from the watch caches. An object is parsed once per version; which rules
hold for a user in a namespace is kept until any role or binding changes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple, Protocol

import attrs

from k8sactors.api import codec
from k8sactors.api.user import UserInfo
from k8sactors.apiserver.authz.attributes import Attributes
from k8sactors.apiserver.authz.rules import Rule
from k8sactors.apiserver.keys import key_of
from k8sactors.apiserver.watch_cache import WatchCache

GROUP: Final = "rbac.authorization.k8s.io"
ROLES: Final = f"roles.{GROUP}"
CLUSTER_ROLES: Final = f"clusterroles.{GROUP}"
ROLE_BINDINGS: Final = f"rolebindings.{GROUP}"
CLUSTER_ROLE_BINDINGS: Final = f"clusterrolebindings.{GROUP}"
# How many users' rules are kept, in how many namespaces.
KEPT_MAX: Final = 20_000

Subject = tuple[str, str]


class Caches(Protocol):
    """Where roles and bindings are cached (`feed.Feed`)."""

    def add_resource(self, resource: str) -> WatchCache:
        """The cache of a resource."""


class Decision(NamedTuple):
    """What an authorizer says; `reason` is for who asked.

    `denied`: no other authorizer is asked. `error` tells why an authorizer knows nothing.
    """

    allowed: bool
    reason: str = ""
    denied: bool = False
    error: str = ""


class Grant(NamedTuple):
    """One rule, and how the user comes by it."""

    rule: Rule
    source: str


@attrs.frozen
class UserRules:
    """All rules of a user in a namespace, and what could not be resolved."""

    grants: tuple[Grant, ...]
    problems: tuple[str, ...] = ()

    @property
    def rules(self) -> list[Rule]:
        """The rules without their sources."""
        return [grant.rule for grant in self.grants]

    @property
    def problem(self) -> str:
        """All problems in one text."""
        problems = self.problems
        return problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"


class _Binding(NamedTuple):
    name: str
    namespace: str
    role_kind: str
    role_name: str


class _Objects(ABC):
    """Something parsed from each object of a cache, once per version of the object."""

    def __init__(self, cache: WatchCache) -> None:
        self.cache = cache
        self._parsed: dict[bytes, tuple[int, Any]] = {}

    @abstractmethod
    def parse(self, obj: dict[str, Any]) -> Any:
        """What is kept of an object."""

    def get(self, key: bytes) -> Any:
        entry = self.cache.entries.get(key)
        if entry is None:
            self._parsed.pop(key, None)
            return None
        known = self._parsed.get(key)
        if known is None or known[0] != entry.mod_revision:
            known = entry.mod_revision, self.parse(codec.decode(entry.data, 0))
            self._parsed[key] = known
        return known[1]

    def forget_deleted(self) -> None:
        if len(self._parsed) > len(self.cache.entries):
            entries = self.cache.entries
            self._parsed = {key: known for key, known in self._parsed.items() if key in entries}


class _Roles(_Objects):
    def parse(self, obj: dict[str, Any]) -> tuple[Rule, ...]:
        return tuple(Rule.of(rule) for rule in obj.get("rules") or ())


class _Bindings(_Objects):
    """Bindings by the subjects that they name; an index per namespace, "" for the cluster's."""

    def __init__(self, cache: WatchCache) -> None:
        super().__init__(cache)
        self._version = -1
        self._indexes: dict[str, dict[Subject, list[_Binding]]] = {}

    def parse(self, obj: dict[str, Any]) -> tuple[_Binding, tuple[Subject, ...]]:
        metadata, role = obj["metadata"], obj.get("roleRef") or {}
        namespace = metadata.get("namespace") or ""
        binding = _Binding(
            metadata["name"], namespace, role.get("kind") or "", role.get("name") or ""
        )
        subjects = (_subject(each, namespace) for each in obj.get("subjects") or ())
        return binding, tuple(subject for subject in subjects if subject is not None)

    def of(self, user: UserInfo, namespace: str) -> Iterator[tuple[_Binding, Subject]]:
        """The bindings that name the user or one of its groups."""
        if self._version != self.cache.version:
            self._version = self.cache.version
            self._indexes.clear()
            self.forget_deleted()
        index = self._indexes.get(namespace)
        if index is None:
            index = self._indexes[namespace] = self._build(namespace)
        if index:
            for subject in (("User", user.name), *(("Group", group) for group in user.groups)):
                for binding in index.get(subject, ()):
                    yield binding, subject

    def _build(self, namespace: str) -> dict[Subject, list[_Binding]]:
        index: dict[Subject, list[_Binding]] = {}
        for key in sorted(self.cache.namespaces.get(namespace, ())):
            binding, subjects = self.get(key)
            for subject in subjects:
                index.setdefault(subject, []).append(binding)
        return index


def _subject(subject: Mapping[str, Any], namespace: str) -> Subject | None:
    kind, name = subject.get("kind"), subject.get("name") or ""
    if kind == "ServiceAccount":
        owner = subject.get("namespace") or namespace
        return ("User", f"system:serviceaccount:{owner}:{name}") if owner else None
    return (kind, name) if kind in {"User", "Group"} else None


class Rbac:
    """Decides by roles and their bindings."""

    def __init__(self, caches: Caches) -> None:
        self._roles = _Roles(caches.add_resource(ROLES))
        self._cluster_roles = _Roles(caches.add_resource(CLUSTER_ROLES))
        self._bindings = _Bindings(caches.add_resource(ROLE_BINDINGS))
        self._cluster_bindings = _Bindings(caches.add_resource(CLUSTER_ROLE_BINDINGS))
        self._parts = (
            self._roles.cache,
            self._cluster_roles.cache,
            self._bindings.cache,
            self._cluster_bindings.cache,
        )
        self._version = -1
        self._kept: dict[tuple[str, tuple[str, ...], str], UserRules] = {}

    @property
    def version(self) -> int:
        """A number that moves when any role or binding changes."""
        first, second, third, fourth = self._parts
        return first.version + second.version + third.version + fourth.version

    def decide(self, attributes: Attributes) -> Decision:
        """Whether a rule grants the request."""
        held = self.rules_of(attributes.user, attributes.namespace)
        for rule, source in held.grants:
            if rule.grants(attributes):
                return Decision(True, source)
        return Decision(False, f"RBAC: {held.problem}" if held.problems else "")

    def names_granted(self, attributes: Attributes) -> frozenset[str] | None:
        """The object names for which such requests are granted; None: for all."""
        names: list[str] = []
        for rule, _source in self.rules_of(attributes.user, attributes.namespace).grants:
            if rule.grants_kind(attributes):
                if not rule.names:
                    return None
                names += rule.names
        return frozenset(names)

    def rules_of(self, user: UserInfo, namespace: str) -> UserRules:
        """All rules of a user: those of the whole cluster, and those of the namespace."""
        version = self.version
        if version != self._version or len(self._kept) > KEPT_MAX:
            self._version = version
            self._kept.clear()
        key = (user.name, user.groups, namespace)
        held = self._kept.get(key)
        if held is None:
            held = self._kept[key] = self._resolve(user, namespace)
        return held

    def rules_of_role(self, kind: str, namespace: str, name: str) -> tuple[Rule, ...] | None:
        """The rules of a role that a binding in `namespace` refers to; None: there is none."""
        if kind == "ClusterRole":
            found = self._cluster_roles.get(key_of(CLUSTER_ROLES, None, name))
        else:
            found = self._roles.get(key_of(ROLES, namespace, name))
        rules: tuple[Rule, ...] | None = found
        return rules

    def _resolve(self, user: UserInfo, namespace: str) -> UserRules:
        grants: list[Grant] = []
        problems: list[str] = []
        bindings = [("ClusterRoleBinding", *each) for each in self._cluster_bindings.of(user, "")]
        if namespace:
            bindings += [("RoleBinding", *each) for each in self._bindings.of(user, namespace)]
        for kind, binding, subject in bindings:
            rules = self.rules_of_role(binding.role_kind, binding.namespace, binding.role_name)
            if rules is None:
                role = binding.role_kind.lower()
                problems.append(f'{role}.{GROUP} "{binding.role_name}" not found')
                continue
            source = _source(kind, binding, subject)
            grants.extend(Grant(rule, source) for rule in rules)
        return UserRules(tuple(grants), tuple(dict.fromkeys(problems)))


def _source(kind: str, binding: _Binding, subject: Subject) -> str:
    name = f"{binding.name}/{binding.namespace}" if binding.namespace else binding.name
    who, named = subject
    prefix = "system:serviceaccount:"
    if who == "User" and named.startswith(prefix):
        owner, _, account = named.removeprefix(prefix).partition(":")
        who, named = "ServiceAccount", f"{account}/{owner}"
    return (
        f'RBAC: allowed by {kind} "{name}" of {binding.role_kind} "{binding.role_name}" '
        f'to {who} "{named}"'
    )
