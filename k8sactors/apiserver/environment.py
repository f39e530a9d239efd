"""What all requests of one API server share: its clock, random stream, configuration and leases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from k8sactors.api import meta
from k8sactors.apiserver.config import APIServerConfig
from k8sactors.apiserver.leases import SharedLeases
from k8sactors.apiserver.store import Store
from k8sactors.simulation import SECOND


class Environment:
    """A server's side of `api.strategy.Environment`; `context` is its actor's."""

    __slots__ = (
        "_second",
        "_second_text",
        "after",
        "authorizer",
        "context",
        "leases",
        "now_ns",
        "random",
        "settings",
        "tokens",
        "wall_ns",
    )

    def __init__(self, context: Any, settings: APIServerConfig, store: Store) -> None:
        # The server's actor: what connects to other actors.
        self.context: Any = context
        self.random: Any = context.random
        self.settings = settings
        self.leases = SharedLeases(store, context)
        # `authz.authorizer.Authorizer` and `authn.service_account.Tokens` of the server.
        self.authorizer: Any = None
        self.tokens: Any = None
        self._second = -1
        self._second_text = ""
        self.now_ns: Callable[[], int] = context.now_ns
        self.wall_ns: Callable[[], int] = context.wall_ns
        self.after: Callable[..., Any] = context.after

    def now(self) -> str:
        """The time as metadata carries it."""
        wall_ns = self.wall_ns()
        second = wall_ns // SECOND
        if second != self._second:
            self._second = second
            self._second_text = meta.format_time(wall_ns)
        return self._second_text
