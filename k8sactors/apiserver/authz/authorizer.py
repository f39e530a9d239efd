"""The authorizers that a server is configured with, asked one after the other.

A request is allowed as soon as one of them allows it, and refused as soon as one denies it; only
webhooks do that. Members of `system:masters` may do everything
in every mode. Whether a user may do something with the objects of a resource in a namespace is
found once and kept until a role or a binding changes; what a kubelet may do with single objects is
found each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
from k8sactors.apiserver.authz.webhook import Asking, WebhookAuthorizer
from k8sactors.apiserver.call import Call

ALWAYS_ALLOW: Final = "AlwaysAllow"
ALWAYS_DENY: Final = "AlwaysDeny"
NODE: Final = "Node"
RBAC: Final = "RBAC"
WEBHOOK: Final = "Webhook"
MODES: Final = (ALWAYS_ALLOW, ALWAYS_DENY, NODE, RBAC, WEBHOOK)
# How many decisions are kept.
KEPT_MAX: Final = 100_000

Decide = Callable[[Attributes], Decision]

_NONE: Final[frozenset[str]] = frozenset()
_EVERYTHING: Final = (
    Grant(Rule((ALL,), (ALL,), (ALL,)), ""),
    Grant(Rule((ALL,), urls=(ALL,)), ""),
)


class Authorizer:
    """Decides in the given modes (`--authorization-mode`), in their order.

    `asking` has the webhooks: the first for the first mode `Webhook`, and so on.
    """

    def __init__(self, modes: Sequence[str], caches: Caches, asking: Asking | None = None) -> None:
        # What comes before the first webhook cannot be denied.
        sure = modes[: modes.index(WEBHOOK)] if WEBHOOK in modes else modes
        self.allows_all = ALWAYS_ALLOW in sure
        # Roles can be resolved whatever the mode.
        self.rbac = Rbac(caches)
        self._uses_rbac = RBAC in modes
        self._rbac_is_sure = RBAC in sure
        self._node = Node(caches, node_rules()) if NODE in modes else None
        self._asks = WEBHOOK in modes
        self._allows_last = ALWAYS_ALLOW in modes
        webhooks = iter(_webhooks(asking))
        self._parts = [part for mode in modes if (part := self._part(mode, webhooks)) is not None]
        self._version = -1
        # The object names for which requests of a kind are granted; None: for all.
        self._kept: dict[tuple[Any, ...], frozenset[str] | None] = {}

    def decide(self, attributes: Attributes) -> Decision:
        """Whether the request is allowed, and why."""
        user = attributes.user
        if self.allows_all or MASTERS in user.groups:
            return Decision(True)
        reasons, problems = [], []
        for part in self._parts:
            decision = part(attributes)
            if decision.allowed or decision.denied:
                return decision
            reasons.append(decision.reason)
            problems.append(decision.error)
        return Decision(
            False, "\n".join(filter(None, reasons)), False, ", ".join(filter(None, problems))
        )

    def _part(self, mode: str, webhooks: Iterator[WebhookAuthorizer]) -> Decide | None:
        """What decides in a mode; None: nothing does."""
        if mode == WEBHOOK:
            return next(webhooks).decide
        if mode == NODE and self._node is not None:
            return self._node.decide
        if mode == ALWAYS_ALLOW:
            return lambda _attributes: Decision(True)
        return self.rbac.decide if mode == RBAC else None

    def refusal(self, attributes: Attributes) -> StatusError | None:
        """403 if the request is not allowed; 500 if that cannot be known, as in the real server.

        Raises:
            AnswerNeededError: a webhook must be asked first.
        """
        decision = self.decide(attributes)
        if decision.allowed:
            return None
        if decision.error:
            return errors.internal_error(decision.error)
        return refused(attributes, decision.reason)

    def check(self, call: Call) -> StatusError | None:
        """403 if a request that is served is not allowed; else as `refusal`."""
        user = call.user
        if self.allows_all or MASTERS in user.groups:
            return None
        if self._rbac_is_sure:
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
        if self._allows_last or MASTERS in user.groups:
            return UserRules(_EVERYTHING)
        held = self.rbac.rules_of(user, namespace) if self._uses_rbac else UserRules(())
        if self._node is not None and node_of(user):
            unknown = "node authorizer does not support user rule resolution"
            held = UserRules(held.grants, (*held.problems, unknown))
        if self._asks:
            unknown = "webhook authorizer does not support user rule resolution"
            held = UserRules(held.grants, (*held.problems, unknown))
        return held


def _webhooks(asking: Asking | None) -> list[WebhookAuthorizer]:
    if asking is None:
        return []
    return [WebhookAuthorizer(each, asking.caller, asking.now_ns) for each in asking.options]


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
