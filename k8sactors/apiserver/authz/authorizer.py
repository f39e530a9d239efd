"""The authorizers that a server is configured with, asked one after the other.

A request is allowed as soon as one of them allows it. Members of `system:masters` may do everything
in every mode. Whether a user may do something with the objects of a resource in a namespace is
found once and kept until a role or a binding changes; what a kubelet may do with single objects is
found each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from k8sactors.api import errors
from k8sactors.api.errors import StatusError
from k8sactors.api.go_text import go_quoted
from k8sactors.api.user import MASTERS, UserInfo
from k8sactors.apiserver.authz import attributes as requests
from k8sactors.apiserver.authz.attributes import Attributes
from k8sactors.apiserver.authz.bootstrap_policy import node_rules
from k8sactors.apiserver.authz.node import Caches, Node, node_of
from k8sactors.apiserver.authz.rbac import Decision, Grant, Rbac, UserRules
from k8sactors.apiserver.authz.rules import ALL, Rule
from k8sactors.apiserver.call import Call

ALWAYS_ALLOW: Final = "AlwaysAllow"
ALWAYS_DENY: Final = "AlwaysDeny"
NODE: Final = "Node"
RBAC: Final = "RBAC"
MODES: Final = (ALWAYS_ALLOW, ALWAYS_DENY, NODE, RBAC)
# How many decisions are kept.
KEPT_MAX: Final = 100_000

_NONE: Final[frozenset[str]] = frozenset()
_EVERYTHING: Final = (
    Grant(Rule((ALL,), (ALL,), (ALL,)), ""),
    Grant(Rule((ALL,), urls=(ALL,)), ""),
)


class Authorizer:
    """Decides in the given modes (`--authorization-mode`)."""

    def __init__(self, modes: Sequence[str], caches: Caches) -> None:
        self.allows_all = ALWAYS_ALLOW in modes
        # Roles can be resolved whatever the mode.
        self.rbac = Rbac(caches)
        self._uses_rbac = RBAC in modes
        self._node = Node(caches, node_rules()) if NODE in modes else None
        self._version = -1
        # The object names for which requests of a kind are granted; None: for all.
        self._kept: dict[tuple[Any, ...], frozenset[str] | None] = {}

    def decide(self, attributes: Attributes) -> Decision:
        """Whether the request is allowed, and why."""
        user = attributes.user
        if self.allows_all or MASTERS in user.groups:
            return Decision(True)
        reasons: list[str] = []
        if self._node is not None:
            decision = self._node.decide(attributes)
            if decision.allowed:
                return decision
            reasons.append(decision.reason)
        if self._uses_rbac:
            decision = self.rbac.decide(attributes)
            if decision.allowed:
                return decision
            reasons.append(decision.reason)
        return Decision(False, "\n".join(filter(None, reasons)))

    def refusal(self, attributes: Attributes) -> StatusError | None:
        """403 if the request is not allowed."""
        decision = self.decide(attributes)
        return None if decision.allowed else refused(attributes, decision.reason)

    def check(self, call: Call) -> StatusError | None:
        """403 if a request that is served is not allowed."""
        user = call.user
        if self.allows_all or MASTERS in user.groups:
            return None
        if self._uses_rbac:
            version = self.rbac.version
            if version != self._version or len(self._kept) > KEPT_MAX:
                self._version = version
                self._kept.clear()
            info = call.resource.info
            space = call.namespace or requests.own_namespace(info.group, info.plural, call.name)
            key = (user.name, user.groups, call.verb, info.name, call.subresource, space)
            names = self._kept.get(key, _NONE)
            if names is None or (names and call.name in names):
                return None
            if names is _NONE and key not in self._kept:
                attributes = requests.of_call(call)
                names = self._kept[key] = self.rbac.names_granted(attributes)
                if names is None:
                    return None
        return self.refusal(requests.of_call(call))

    def check_create(self, call: Call) -> None:
        """Refuse to create what does not exist by an update, for those who may not create it.

        Raises:
            StatusError: 403.
        """
        if self.allows_all:
            return
        info = call.resource.info
        asked = requests.of_request(
            call.user, "create", info, call.namespace, call.name, call.subresource, {}
        )
        refusal = self.refusal(asked)
        if refusal is not None:
            raise refusal

    def rules_of(self, user: UserInfo, namespace: str) -> UserRules:
        """What a user may do in a namespace, as rules."""
        if self.allows_all or MASTERS in user.groups:
            return UserRules(_EVERYTHING)
        held = self.rbac.rules_of(user, namespace) if self._uses_rbac else UserRules(())
        if self._node is not None and node_of(user):
            unknown = "node authorizer does not support user rule resolution"
            return UserRules(held.grants, (*held.problems, unknown))
        return held


def refused(attributes: Attributes, reason: str = "") -> StatusError:
    """403 in the words of the real server."""
    who, verb = go_quoted(attributes.user.name), attributes.verb
    if attributes.path:
        text = f'User {who} cannot {verb} path "{attributes.path}"'
    else:
        where = "at the cluster scope"
        if attributes.namespace:
            where = f'in the namespace "{attributes.namespace}"'
        text = (
            f'User {who} cannot {verb} resource "{attributes.combined_resource}" in API group '
            f'"{attributes.group}" {where}'
        )
    resource = errors.qualified(attributes.resource, attributes.group)
    return errors.forbidden(resource, attributes.name, f"{text}: {reason}" if reason else text)
