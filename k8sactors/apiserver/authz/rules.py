"""Policy rules: what one grants, and whether some rules grant all that others do.

Source: documentation of RBAC authorization, and the real server's validation of rules. A resource
rule names verbs, API groups, resources (`pods`, `pods/log`, `*/scale`, `*`) and maybe object names;
a rule for paths names verbs and URLs (`/healthz`, `/healthz/*`, `*`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import attrs

from k8sactors.apiserver.authz.attributes import Attributes

ALL: Final = "*"


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(values or ())


@attrs.frozen
class Rule:
    """A PolicyRule."""

    verbs: tuple[str, ...]
    groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()

    @classmethod
    def of(cls, rule: Mapping[str, Any]) -> Rule:
        """The rule that an object of the API states."""
        return cls(
            _texts(rule.get("verbs")),
            _texts(rule.get("apiGroups")),
            _texts(rule.get("resources")),
            _texts(rule.get("resourceNames")),
            _texts(rule.get("nonResourceURLs")),
        )

    def to_object(self) -> dict[str, Any]:
        """The rule as the API states it."""
        fields = {
            "verbs": self.verbs,
            "apiGroups": self.groups,
            "resources": self.resources,
            "resourceNames": self.names,
            "nonResourceURLs": self.urls,
        }
        return {name: list(values) for name, values in fields.items() if values}

    def __str__(self) -> str:
        """As errors show it."""
        fields = (
            ("APIGroups", self.groups),
            ("Resources", self.resources),
            ("NonResourceURLs", self.urls),
            ("ResourceNames", self.names),
            ("Verbs", self.verbs),
        )
        parts = [f"{name}:{quoted_list(values)}" for name, values in fields if values]
        return "{" + ", ".join(parts) + "}"

    def grants_kind(self, attributes: Attributes) -> bool:
        """Whether it grants such a request, for some names at least."""
        if attributes.verb not in self.verbs and ALL not in self.verbs:
            return False
        if attributes.path:
            return any(_covers_url(url, attributes.path) for url in self.urls)
        if attributes.group not in self.groups and ALL not in self.groups:
            return False
        return _names_resource(self.resources, attributes.combined_resource)

    def grants(self, attributes: Attributes) -> bool:
        """Whether it grants the request."""
        if not self.grants_kind(attributes):
            return False
        return bool(attributes.path) or not self.names or attributes.name in self.names


def quoted_list(values: Iterable[str]) -> str:
    """`["a" "b"]`, as Go prints texts."""
    return "[" + " ".join(f'"{value}"' for value in values) + "]"


def _covers_url(pattern: str, path: str) -> bool:
    if pattern in {ALL, path}:
        return True
    return pattern.endswith(ALL) and path.startswith(pattern.rstrip(ALL))


def _names_resource(resources: tuple[str, ...], wanted: str) -> bool:
    if ALL in resources or wanted in resources:
        return True
    _, slash, subresource = wanted.partition("/")
    return bool(slash) and f"*/{subresource}" in resources


# What is granted, compared with what is held


def missing(held: Iterable[Rule], wanted: Iterable[Rule]) -> list[Rule]:
    """What `wanted` grants and `held` does not, in its simplest parts."""
    owned = list(held)
    return [
        part
        for rule in wanted
        for part in _parts(rule)
        if not any(_covers(each, part) for each in owned)
    ]


def _parts(rule: Rule) -> Iterator[Rule]:
    """Rules of one verb for one thing each, that together grant the same."""
    for group in rule.groups:
        for resource in rule.resources:
            for verb in rule.verbs:
                for name in rule.names or (None,):
                    names = () if name is None else (name,)
                    yield Rule((verb,), (group,), (resource,), names)
    for url in rule.urls:
        for verb in rule.verbs:
            yield Rule((verb,), urls=(url,))


def _covers(owned: Rule, part: Rule) -> bool:
    if not _has_all(owned.verbs, part.verbs):
        return False
    if part.urls:
        return all(any(_covers_url(own, url) for own in owned.urls) for url in part.urls)
    if not _has_all(owned.groups, part.groups):
        return False
    if not all(_covers_resource(owned.resources, resource) for resource in part.resources):
        return False
    if not owned.names:
        return True
    return bool(part.names) and all(name in owned.names for name in part.names)


def _has_all(owned: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    return ALL in owned or all(each in owned for each in wanted)


def _covers_resource(owned: tuple[str, ...], wanted: str) -> bool:
    return _names_resource(owned, wanted) if wanted != ALL else ALL in owned


def compact(rules: Iterable[Rule]) -> list[Rule]:
    """The same rights in fewer rules: the verbs for one thing stand together."""
    verbs: dict[tuple[Any, ...], list[str]] = {}
    for rule in rules:
        key = (rule.groups, rule.resources, rule.names, rule.urls)
        known = verbs.setdefault(key, [])
        known.extend(verb for verb in rule.verbs if verb not in known)
    return [Rule(tuple(known), *key) for key, known in verbs.items()]
