"""Who asks: the identity of each connection, and of each request that a proxy passes on.

A connection presents its credentials once; they stand for a TLS client's certificate, whose subject
is the user and whose organisations are the groups. Requests of the connection are that user's, and
nothing in a request changes that. Only an authenticating proxy (the real server's
`--requestheader-allowed-names`) may state the user of a single request, in the field of the
envelope that is made for it, or pass on what its client has shown: then `identify` finds the user.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from k8sactors.actors import Connection
from k8sactors.api.effects import KeyState
from k8sactors.api.errors import StatusError
from k8sactors.api.user import ANONYMOUS_USER, UserInfo
from k8sactors.apiserver.authn.authenticator import Authenticator
from k8sactors.apiserver.authn.service_account import Tokens
from k8sactors.apiserver.authn.webhook_token import WebhookTokens
from k8sactors.apiserver.environment import Environment
from k8sactors.apiserver.webhooks.calling import Caller

FORBIDDEN = 403

# What was read from the store in order to know the user.
Known = dict[bytes, KeyState | None]
Identify = Callable[[dict[str, Any], Known | None], UserInfo]


def authenticator_of(environment: Environment, tokens: Tokens) -> Authenticator:
    """The authentication methods that a server is configured with."""
    config = environment.settings
    webhook = None
    if config.webhook_tokens is not None:
        webhook = WebhookTokens(config.webhook_tokens, Caller(environment), environment.now_ns)
    return Authenticator(
        config.static_tokens,
        tokens,
        environment.wall_ns,
        issuers=config.oidc_issuers,
        webhook=webhook,
        anonymous=config.anonymous_auth,
    )


class Authentication:
    """The users of all connections of a server."""

    def __init__(self, proxies: Collection[str], identify: Identify) -> None:
        self._identify = identify
        self._proxies = frozenset(proxies)
        self._users: dict[Connection, UserInfo] = {}

    def present(self, connection: Connection, credentials: Any) -> None:
        """Take the credentials of a connection; one with bad or second credentials is closed."""
        if connection in self._users:
            connection.close("Unauthorized: the connection has presented credentials before")
            return
        try:
            user = UserInfo.from_wire(credentials)
        except StatusError as error:
            connection.close(f"Unauthorized: {error.message}")
            return
        self._users[connection] = user.authenticated()

    def user_of(
        self,
        connection: Connection | None,
        payload: list[Any],
        place: int,
        known: Known | None = None,
    ) -> UserInfo:
        """The user of a request; `place` is where its payload holds a user or credentials, if any.

        Raises:
            StatusError: 403 when the connection may not state one, 400 when it is malformed, 401
                when the credentials prove nothing.
            SuspendedError: something is needed first, such as what the store holds.
        """
        user = ANONYMOUS_USER
        if connection is not None:
            user = self._users.get(connection, user)
        if len(payload) <= place:
            return user
        if user.name not in self._proxies:
            text = f'user "{user.name}" is not an authenticating proxy: it acts for itself alone'
            raise StatusError(FORBIDDEN, "Forbidden", text)
        stated = payload[place]
        if isinstance(stated, dict):
            return self._identify(stated, known)
        return UserInfo.from_wire(stated).authenticated()

    def forget(self, connection: Connection) -> None:
        """A connection has ended."""
        self._users.pop(connection, None)
