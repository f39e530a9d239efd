"""Which FlowSchema a request belongs to: the first, by precedence and name, of which a rule fits.

Source: documentation of API Priority and Fairness ("FlowSchema"), reference of FlowSchema v1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from k8sactors.api.user import UserInfo, service_account_of
from k8sactors.apiserver.authz.attributes import Attributes

Object = Mapping[str, Any]
Condition = Callable[[Attributes], bool]

_ALL: Final = "*"
_SUFFIX: Final = "/*"
_HASH_BYTES: Final = 8


class FlowSchema:
    """A FlowSchema, and what became of the requests that it matched."""

    def __init__(self, obj: Object) -> None:
        metadata, spec = obj["metadata"], obj["spec"]
        self.name: str = metadata["name"]
        self.uid: str = metadata.get("uid", "")
        self.level_name: str = spec["priorityLevelConfiguration"]["name"]
        self.precedence: int = spec["matchingPrecedence"]
        # How many of its requests were served.
        self.dispatched = 0
        self._method: str = (spec.get("distinguisherMethod") or {}).get("type", "")
        self._rules = [_rule(rule) for rule in spec.get("rules") or ()]

    def matches(self, request: Attributes) -> bool:
        """Whether a request belongs to it."""
        return any(rule(request) for rule in self._rules)

    def distinguisher(self, user: UserInfo, namespace: str) -> str:
        """What sets the flows of this schema apart."""
        if self._method == "ByUser":
            return user.name
        return namespace if self._method == "ByNamespace" else ""


def sorted_schemas(objects: Sequence[Object]) -> list[FlowSchema]:
    """FlowSchemas in the order in which they are tried."""
    schemas = (FlowSchema(obj) for obj in objects)
    return sorted(schemas, key=lambda schema: (schema.precedence, schema.name))


def hash_of(schema_name: str, distinguisher: str) -> int:
    """The number that identifies a flow when its queues are dealt."""
    digest = hashlib.sha256(f"{schema_name}\0{distinguisher}".encode()).digest()
    return int.from_bytes(digest[:_HASH_BYTES], "little")


def _rule(rule: Object) -> Condition:
    subjects = [_subject(subject) for subject in rule.get("subjects") or ()]
    resources = [_resource_rule(each) for each in rule.get("resourceRules") or ()]
    paths = [_path_rule(each) for each in rule.get("nonResourceRules") or ()]

    def matches(request: Attributes) -> bool:
        if not any(subject(request.user) for subject in subjects):
            return False
        return any(each(request) for each in (paths if request.path else resources))

    return matches


def _subject(subject: Object) -> Callable[[UserInfo], bool]:
    kind = subject.get("kind")
    if kind == "User":
        user_name = subject["user"]["name"]
        return lambda user: user_name in {_ALL, user.name}
    if kind == "Group":
        group = subject["group"]["name"]
        return lambda user: group == _ALL or group in user.groups
    if kind == "ServiceAccount":
        account = subject["serviceAccount"]
        namespace, name = account["namespace"], account["name"]

        def is_account(user: UserInfo) -> bool:
            found = service_account_of(user.name)
            return found is not None and found[0] == namespace and name in {_ALL, found[1]}

        return is_account
    return lambda _user: False


def _resource_rule(rule: Object) -> Condition:
    verbs, groups = rule.get("verbs") or (), rule.get("apiGroups") or ()
    resources, namespaces = rule.get("resources") or (), rule.get("namespaces") or ()
    cluster_scope = bool(rule.get("clusterScope"))

    def matches(request: Attributes) -> bool:
        if not _holds(verbs, request.verb) or not _holds(groups, request.group):
            return False
        if not _holds(resources, request.combined_resource):
            return False
        return _holds(namespaces, request.namespace) if request.namespace else cluster_scope

    return matches


def _path_rule(rule: Object) -> Condition:
    verbs, urls = rule.get("verbs") or (), rule.get("nonResourceURLs") or ()

    def matches(request: Attributes) -> bool:
        if not _holds(verbs, request.verb):
            return False
        return any(
            url in {_ALL, request.path}
            or (url.endswith(_SUFFIX) and request.path.startswith(url[:-1]))
            for url in urls
        )

    return matches


def _holds(values: Sequence[str], value: str) -> bool:
    return value in values or _ALL in values
