"""Who may ask the API servers of a cluster, and what they may do."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

import attrs

import k8sactors.simulation as simulation_module
from k8sactors.apiserver.audit_policy import AuditOptions
from k8sactors.apiserver.authn.jwt import SigningKey
from k8sactors.apiserver.authn.oidc import Issuer
from k8sactors.apiserver.authn.service_account import ISSUER
from k8sactors.apiserver.authn.token_file import StaticTokens
from k8sactors.apiserver.authn.webhook_token import WebhookTokenOptions
from k8sactors.apiserver.authz.authorizer import ALWAYS_ALLOW, MODES, RBAC, WEBHOOK
from k8sactors.apiserver.webhook_authorizer_options import WebhookAuthorizerOptions

# The modes that kubeadm sets.
NODE_AND_RBAC: Final = ("Node", RBAC)
_KEY_STREAM: Final = "service-account-key"


@attrs.frozen
class AccessOptions:
    """Settings of authentication and authorization, with the real server's names.

    By default everything is allowed, as in the real server: simulations save the time. With `RBAC`
    every component of the cluster has the rights of its real counterpart and no others.
    """

    authorization_modes: tuple[str, ...] = (ALWAYS_ALLOW,)
    # The programs that decide: the first for the first mode `Webhook`, and so on.
    authorization_webhooks: tuple[WebhookAuthorizerOptions, ...] = attrs.field(
        default=(), eq=False, repr=False
    )
    anonymous_auth: bool = True
    static_tokens: StaticTokens = attrs.field(factory=StaticTokens, eq=False, repr=False)
    # Signs tokens of ServiceAccounts; None: one that follows from the seed, or on real time a new
    # one.
    service_account_key: SigningKey | None = attrs.field(default=None, eq=False, repr=False)
    service_account_issuer: str = ISSUER
    # Whose tokens of OpenID Connect are taken.
    oidc_issuers: tuple[Issuer, ...] = attrs.field(default=(), eq=False, repr=False)
    # Which program is asked about tokens that are not known here; None: none.
    webhook_tokens: WebhookTokenOptions | None = attrs.field(default=None, eq=False, repr=False)
    # What is written down of requests; None: nothing.
    audit: AuditOptions | None = attrs.field(default=None, eq=False, repr=False)

    @property
    def enforced(self) -> bool:
        """Whether roles decide."""
        return RBAC in self.authorization_modes and ALWAYS_ALLOW not in self.authorization_modes

    def problems(self) -> list[str]:
        """Why these settings cannot be."""
        unknown = [mode for mode in self.authorization_modes if mode not in MODES]
        known = ", ".join(MODES)
        found = [f"authorization mode {mode!r} is unknown; known are {known}" for mode in unknown]
        if not self.authorization_modes:
            found.append("at least one authorization mode is needed")
        modes, webhooks = self.authorization_modes.count(WEBHOOK), len(self.authorization_webhooks)
        if modes != webhooks:
            found.append(f"{modes} authorization modes {WEBHOOK}, and {webhooks} webhooks for them")
        # A webhook may be there several times; the others do the same each time.
        for mode in sorted({each for each in self.authorization_modes if each != WEBHOOK}):
            if self.authorization_modes.count(mode) > 1:
                text = f"authorization mode {mode!r} is there twice"
                found.append(text)
        return found

    def signing_key(self) -> Callable[[], SigningKey]:
        """Has the key of all API servers, which is made when it is first asked for."""
        simulation = simulation_module.current()

        @cache
        def key() -> SigningKey:
            if self.service_account_key is not None:
                return self.service_account_key
            if simulation.virtual:
                return SigningKey.derived(simulation.random(_KEY_STREAM))
            return SigningKey.generate()

        return key
