"""Who may do what: the authorizer that a server is configured with."""

from __future__ import annotations

from k8sactors.apiserver.authz.authorizer import Authorizer
from k8sactors.apiserver.authz.node import Caches
from k8sactors.apiserver.authz.webhook import Asking
from k8sactors.apiserver.environment import Environment
from k8sactors.apiserver.webhooks.calling import Caller


def authorizer_of(environment: Environment, caches: Caches) -> Authorizer:
    """The authorizer of a server; its webhooks are asked by the server's actor."""
    config = environment.settings
    asking = Asking(config.authorization_webhooks, Caller(environment), environment.now_ns)
    return Authorizer(config.authorization_modes, caches, asking)
