"""The operator's machine: where `kubectl` and the front proxy would run.

It is part of the network, but not of the cluster: it is no node, and faults leave it alone. Its
actor carries the clients that embedding programs, scenarios, chaos campaigns and gateways use.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import trio

from k8sactors.actors import Actor
from k8sactors.api.errors import StatusError
from k8sactors.api.scheme import Scheme
from k8sactors.api.user import ADMIN_USER, FRONT_PROXY_USER
from k8sactors.apiextensions.definition import RESOURCE as DEFINITIONS
from k8sactors.client import Client, SharedInformer, is_already_exists
from k8sactors.client.custom_resources import CustomResourceKinds
from k8sactors.client.reflector import Source
from k8sactors.faults.fault import OPERATOR_HOST
from k8sactors.simulation import SECOND

__all__ = ["OPERATOR_HOST", "OperatorClients"]

Object = dict[str, Any]

RETRY_NS: Final = SECOND


class OperatorClients(Actor):
    """Carries two clients of the API servers.

    `client` is authenticated as the cluster's administrator; `proxy` as the proxy in front of the
    API servers, which states the user of each request. `addons` are created when the cluster
    starts: resource and object, in order.
    """

    def __init__(self, servers: Sequence[str], addons: Sequence[tuple[str, Object]] = ()) -> None:
        self._servers = list(servers)
        self._addons = list(addons)
        self.client: Client
        self.proxy: Client
        self.started = trio.Event()
        self._definitions: SharedInformer | None = None

    def on_start(self) -> None:
        """Connect lazily: a client opens its connection with its first request."""
        self.client = Client(self.ctx, self._servers, ADMIN_USER)
        self.proxy = Client(self.ctx, self._servers, FRONT_PROXY_USER)
        self.started.set()
        self._install()

    def proxy_to(self, server: str) -> Client:
        """Another client like `proxy`, which knows one API server alone."""
        return Client(self.ctx, [server], FRONT_PROXY_USER)

    def _install(self) -> None:
        """Create the next addon, until it is there."""
        if not self._addons:
            return
        resource, obj = self._addons[0]

        def created(_obj: Object) -> None:
            del self._addons[0]
            self._install()

        def failed(error: StatusError) -> None:
            if is_already_exists(error):
                created({})
            else:
                self.ctx.after(RETRY_NS, self._install)

        self.client.submit("create", resource, body=obj, on_done=created, on_error=failed)

    def follow_custom_resources(self, *schemes: Scheme) -> None:
        """Keep in `schemes`, from now on, the kinds of the custom resources that are served."""
        if self._definitions is None:
            self._definitions = SharedInformer(self.client, Source(DEFINITIONS))
            for scheme in schemes:
                CustomResourceKinds(self._definitions, scheme)
            self._definitions.start()
