"""The limits and intervals of one API server; the defaults are the real server's unless noted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from k8sactors.api.user import FRONT_PROXY
from k8sactors.apiserver.audit_policy import AuditOptions
from k8sactors.apiserver.authn.jwt import SigningKey
from k8sactors.apiserver.authn.oidc import Issuer
from k8sactors.apiserver.authn.service_account import ISSUER
from k8sactors.apiserver.authn.token_file import StaticTokens
from k8sactors.apiserver.authn.webhook_token import WebhookTokenOptions
from k8sactors.apiserver.webhook_authorizer_options import WebhookAuthorizerOptions
from k8sactors.simulation import MILLISECOND, SECOND


@attrs.frozen
class APIServerConfig:
    """Settings. `store_endpoints` are actor addresses, tried in order."""

    store_endpoints: tuple[str, ...] = ()
    # Whether the limits below are seats that priority levels share, or only limits.
    enable_priority_and_fairness: bool = True
    # The real defaults are 200 and 400, for requests that each hold a thread. Here a request in
    # flight is one small object, and thousands leave in one frame: the limits bound memory.
    max_mutating_in_flight: int = 10_000
    max_readonly_in_flight: int = 10_000
    request_timeout_ns: int = 60 * SECOND
    store_timeout_ns: int = 10 * SECOND
    # How long a read waits for the cache to reach a revision ("Too large resource version").
    freshness_timeout_ns: int = 3 * SECOND
    # Events kept per resource for watches that resume.
    event_window: int = 10_000
    # Events that wait for a watcher that does not read; beyond that its watch ends.
    watch_buffer_events: int = 10_000
    bookmark_interval_ns: int = 60 * SECOND
    relist_backoff_ns: int = 100 * MILLISECOND
    compaction_interval_ns: int = 300 * SECOND
    audit_window: int = 10_000
    event_ttl_seconds: int = 3600
    # A pod waits this long for its namespace's "default" ServiceAccount to be made.
    service_account_wait_ns: int = SECOND
    service_account_must_exist: bool = True
    # Off where no node lifecycle controller runs, which would take the taint away again.
    taint_new_nodes: bool = True
    service_cidr: str = "10.96.0.0/12"
    node_ports: tuple[int, int] = (30000, 32767)
    max_body_bytes: int = 3 * 1024 * 1024
    advertise_address: str = "10.0.0.1"
    # Users whose connections may state the user of each request (--requestheader-allowed-names).
    authenticating_proxies: tuple[str, ...] = (FRONT_PROXY,)
    # Admission plugins next to those that are on by default, and those of them that are off.
    # NodeRestriction is what kubeadm adds.
    enable_admission_plugins: tuple[str, ...] = ("NodeRestriction",)
    disable_admission_plugins: tuple[str, ...] = ()
    # The configuration of plugins by name, as in the files of `--admission-control-config-file`.
    admission_configuration: Mapping[str, Any] = attrs.field(factory=dict, hash=False)
    # Whether pods get the volume with a token of their service account.
    service_account_token_volumes: bool = False
    # Whether a mistake in the server ends it, next to the 500 that its client gets. On in
    # simulations, where the crash is a finding; off in a server that other clients use.
    crash_on_internal_error: bool = True
    # As in `--feature-gates`: texts by name.
    feature_gates: Mapping[str, str] = attrs.field(factory=dict, hash=False)
    # As in `--authorization-mode`.
    authorization_modes: tuple[str, ...] = ("AlwaysAllow",)
    # The webhooks that decide: the first for the first mode `Webhook`, and so on.
    authorization_webhooks: tuple[WebhookAuthorizerOptions, ...] = ()
    anonymous_auth: bool = True
    static_tokens: StaticTokens = attrs.field(factory=StaticTokens)
    # Whose tokens of OpenID Connect are taken.
    oidc_issuers: tuple[Issuer, ...] = attrs.field(default=(), hash=False)
    # Which program is asked about tokens that are not known here; None: none.
    webhook_tokens: WebhookTokenOptions | None = attrs.field(default=None, hash=False)
    # Has the key that signs and verifies the tokens of ServiceAccounts, the same for all servers on
    # one store. None: a key that follows from the server's random stream.
    service_account_key: Callable[[], SigningKey] | None = attrs.field(default=None, repr=False)
    service_account_issuer: str = ISSUER
    # For whom tokens are good that name no audience; none: for the issuer.
    api_audiences: tuple[str, ...] = ()
    # What is written down of requests; None: nothing.
    audit: AuditOptions | None = attrs.field(default=None, repr=False)
