"""Tokens of OpenID Connect: whose they are, by the claims that an issuer has signed.

The keys of an issuer are configured: nothing is fetched. An issuer is described by the options
`--oidc-...`, or by an entry of an AuthenticationConfiguration, whose mappings and rules may be CEL
over `claims` and `user`. Source: documentation of authentication ("OpenID Connect Tokens",
"Configuring a JWT authenticator").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs

from k8sactors import cel
from k8sactors.api.user import UserInfo
from k8sactors.apiserver.authn.jwks import KeySet
from k8sactors.apiserver.authn.jwt import looks_signed, unverified_issuer
from k8sactors.apiserver.errors import InvalidTokenError, OidcConfigurationError
from k8sactors.cel.errors import CelError
from k8sactors.simulation import SECOND

Object = Mapping[str, Any]

_EMAIL: Final = "email"
# How far the issuer's clock may be ahead, for `nbf`.
_LEEWAY_NS: Final = 300 * SECOND
_VARIABLES: Final = ("claims", "user")
_ENVIRONMENT: Final = cel.Environment(dict.fromkeys(_VARIABLES, cel.Type.DYN))


@attrs.frozen
class Mapped:
    """How something of a user follows from the claims: by one of them, or an expression."""

    claim: str = ""
    prefix: str = ""
    expression: cel.Program | None = None

    def of(self, claims: Object) -> Any:
        """What follows; None: nothing."""
        if self.expression is not None:
            return evaluate(self.expression, {"claims": claims})
        return claims.get(self.claim) if self.claim else None


@attrs.frozen
class Rule:
    """What must hold for the claims, or for the user that follows from them."""

    expression: cel.Program
    message: str = ""


@attrs.frozen
class Issuer:
    """An issuer whose tokens are taken."""

    url: str
    audiences: tuple[str, ...]
    keys: KeySet = attrs.field(repr=False)
    username: Mapped
    groups: Mapped = Mapped()
    uid: Mapped = Mapped()
    extra: Mapping[str, Mapped] = attrs.field(factory=dict)
    required_claims: Mapping[str, str] = attrs.field(factory=dict)
    claim_rules: tuple[Rule, ...] = ()
    user_rules: tuple[Rule, ...] = ()
    algorithms: tuple[str, ...] = ("RS256",)


def evaluate(program: cel.Program, values: Object) -> Any:
    """The value of an expression.

    Raises:
        InvalidTokenError: it has none for this token.
    """
    try:
        names = (name for name in _VARIABLES if name in program.names)
        return program.evaluate({name: values.get(name) for name in names})
    except CelError as error:
        raise InvalidTokenError(f"an expression fails for this token: {error}") from error


def expression(source: str) -> cel.Program:
    """An expression over `claims` and `user`.

    Raises:
        OidcConfigurationError: it is invalid.
    """
    try:
        return _ENVIRONMENT.compile(source)
    except CelError as error:
        raise OidcConfigurationError(f"{source}: {error}") from error


class Oidc:
    """The issuers of a server."""

    def __init__(self, issuers: Sequence[Issuer], wall_ns: Callable[[], int]) -> None:
        self._issuers = {issuer.url: issuer for issuer in issuers}
        self._wall_ns = wall_ns

    def is_ours(self, token: str) -> bool:
        """Whether a token claims to be of one of the issuers."""
        if not self._issuers or not looks_signed(token):
            return False
        try:
            return unverified_issuer(token) in self._issuers
        except InvalidTokenError:
            return False

    def authenticate(self, token: str) -> UserInfo:
        """The user of a token.

        Raises:
            InvalidTokenError: it proves nothing.
        """
        issuer = self._issuers[unverified_issuer(token)]
        claims = issuer.keys.verify(token, issuer.algorithms)
        self._check_times(claims)
        audience = claims.get("aud")
        named = [audience] if isinstance(audience, str) else audience
        if not isinstance(named, list) or not any(each in issuer.audiences for each in named):
            raise InvalidTokenError("the token is for other audiences")
        for name, value in issuer.required_claims.items():
            if claims.get(name) != value:
                raise InvalidTokenError(f"the claim {name} has not the required value")
        _check(issuer.claim_rules, {"claims": claims})
        user = _user(issuer, claims)
        known = {
            "username": user.name,
            "uid": user.uid,
            "groups": list(user.groups),
            "extra": user.extra,
        }
        _check(issuer.user_rules, {"user": known})
        return user

    def _check_times(self, claims: Object) -> None:
        now_ns = self._wall_ns()
        expires, begins = claims.get("exp"), claims.get("nbf", 0)
        if not isinstance(expires, (int, float)) or expires * SECOND <= now_ns:
            raise InvalidTokenError("the token has expired")
        if not isinstance(begins, (int, float)) or begins * SECOND > now_ns + _LEEWAY_NS:
            raise InvalidTokenError("the token is not valid yet")


def _check(rules: Sequence[Rule], values: Object) -> None:
    for rule in rules:
        if evaluate(rule.expression, values) is not True:
            raise InvalidTokenError(rule.message or "a validation rule does not hold")


def _user(issuer: Issuer, claims: Object) -> UserInfo:
    name = issuer.username.of(claims)
    if not isinstance(name, str) or not name:
        raise InvalidTokenError("the token names no user")
    if issuer.username.claim == _EMAIL and claims.get("email_verified", True) is not True:
        raise InvalidTokenError("the email of the token is not verified")
    uid = issuer.uid.of(claims)
    extra = {key: _texts(mapped.of(claims)) for key, mapped in issuer.extra.items()}
    return UserInfo(
        issuer.username.prefix + name,
        uid if isinstance(uid, str) else "",
        tuple(issuer.groups.prefix + group for group in _texts(issuer.groups.of(claims))),
        {key: values for key, values in extra.items() if values},
    )


def _texts(value: Any) -> list[str]:
    """A claim that is a text or a list of texts; the empty text counts for nothing."""
    values = [value] if isinstance(value, str) else value
    if values is None:
        return []
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise InvalidTokenError("a claim is not a list of strings")
    return [each for each in values if each]
