"""Finds out who a request is from, by the credentials that it shows.

A client certificate counts first, then the token, which every method is asked for in turn. Without
either the client is `system:anonymous`, where that is allowed. Whatever is wrong, the answer is 401
without a reason, as in the real server.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from k8sactors.api import errors
from k8sactors.api.credentials import Credentials
from k8sactors.api.user import ANONYMOUS_USER, UserInfo
from k8sactors.apiserver.authn import bootstrap_token
from k8sactors.apiserver.authn.lookup import Find
from k8sactors.apiserver.authn.oidc import Issuer, Oidc
from k8sactors.apiserver.authn.service_account import Tokens
from k8sactors.apiserver.authn.token_file import StaticTokens
from k8sactors.apiserver.authn.webhook_token import WebhookTokens
from k8sactors.apiserver.errors import InvalidTokenError

INVALID: Final = "invalid bearer token"


class Proven(NamedTuple):
    """A user, and the audiences for which the token is good."""

    user: UserInfo
    audiences: list[str]


class Authenticator:
    """The authentication methods of a server."""

    def __init__(
        self,
        static: StaticTokens,
        tokens: Tokens,
        wall_ns: Callable[[], int],
        *,
        issuers: Sequence[Issuer] = (),
        webhook: WebhookTokens | None = None,
        anonymous: bool = True,
    ) -> None:
        self._oidc = Oidc(issuers, wall_ns)
        self._webhook = webhook
        self._static = static
        self._tokens = tokens
        self._wall_ns = wall_ns
        self._anonymous = anonymous

    def identify(self, credentials: Credentials, find: Find) -> UserInfo:
        """The user of a request, before it acts as another.

        Raises:
            StatusError: 401.
            LookupNeededError: by `find`.
        """
        if credentials.subject is not None:
            return credentials.subject.authenticated()
        if credentials.token:
            try:
                return self.prove(credentials.token, (), find).user.authenticated()
            except InvalidTokenError as error:
                raise errors.unauthorized() from error
        if not self._anonymous:
            raise errors.unauthorized()
        return ANONYMOUS_USER

    def prove(self, token: str, audiences: Sequence[str], find: Find) -> Proven:
        """Whose token this is; `audiences` are by default the server's.

        Raises:
            InvalidTokenError: no method knows it.
            LookupNeededError: by `find`.
            AnswerNeededError: another program must be asked.
        """
        wanted = tuple(audiences) or self._tokens.audiences
        user = self._static.user_of(token)
        if user is None:
            parts = bootstrap_token.split(token)
            if parts is not None:
                user = self._joining(*parts, find)
        if user is None and self._oidc.is_ours(token):
            user = self._oidc.authenticate(token)
        if user is not None:
            # These tokens name no audience: they are good for the server itself.
            good = [each for each in wanted if each in self._tokens.audiences]
            if not good:
                raise InvalidTokenError("the token is for the API server alone")
            return Proven(user, good)
        if not self._tokens.is_ours(token):
            if self._webhook is not None:
                return Proven(*self._webhook.prove(token, wanted))
            raise InvalidTokenError(INVALID)
        return Proven(*self._tokens.authenticate(token, wanted, find))

    def _joining(self, token_id: str, secret: str, find: Find) -> UserInfo:
        name = bootstrap_token.secret_name(token_id)
        stored = find("secrets", bootstrap_token.NAMESPACE, name)
        if stored is None:
            raise InvalidTokenError(INVALID)
        return bootstrap_token.user_of(token_id, secret, stored, self._wall_ns())
