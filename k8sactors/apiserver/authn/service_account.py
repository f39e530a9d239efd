"""Tokens of ServiceAccounts: how they are issued, and whom they prove.

A token is a signed JWT that is bound to the account and maybe to a pod, Secret or node: it is good
until it expires by the cluster's clock, or one of these is gone. Source: documentation of managing
service accounts, "Bound service account tokens".
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import attrs

from k8sactors.api import meta
from k8sactors.api.user import UserInfo, service_account_user
from k8sactors.apiserver.authn.bootstrap_token import text_of
from k8sactors.apiserver.authn.jwt import SigningKey, looks_signed, unverified_issuer
from k8sactors.apiserver.authn.lookup import Find
from k8sactors.apiserver.errors import InvalidTokenError
from k8sactors.simulation import SECOND

Object = dict[str, Any]

ISSUER: Final = "https://kubernetes.default.svc.cluster.local"
JWKS_PATH: Final = "/openid/v1/jwks"
CONFIGURATION_PATH: Final = "/.well-known/openid-configuration"
# How many tokens whose signature was found good are remembered.
VERIFIED_MAX: Final = 10_000
# An account or a pod that is being deleted proves its tokens a little longer.
_DELETION_LEEWAY_NS: Final = 60 * SECOND
_PRIVATE: Final = "kubernetes.io"
_EXTRA: Final = "authentication.kubernetes.io"
# Tokens in Secrets of this type name their issuer so, and do not expire.
LEGACY_TYPE: Final = "kubernetes.io/service-account-token"
LEGACY_ISSUER: Final = "kubernetes/serviceaccount"
_LEGACY: Final = "kubernetes.io/serviceaccount/"
# What a token can be bound to, by the word in its claims.
BOUND: Final = {"pod": "pods", "secret": "secrets", "node": "nodes"}


@attrs.frozen
class Bound:
    """The object that a token is bound to: `what` is a key of `BOUND`."""

    what: str
    name: str
    uid: str


@attrs.frozen
class TokenKey:
    """Has the key that signs tokens in Secrets; None: there is none, and they get no token."""

    make: Callable[[], SigningKey] | None = None


def legacy_token(key: SigningKey, namespace: str, account: str, uid: str, secret: str) -> str:
    """The token that a Secret holds: it is good as long as the Secret holds it."""
    claims = {
        "iss": LEGACY_ISSUER,
        f"{_LEGACY}namespace": namespace,
        f"{_LEGACY}secret.name": secret,
        f"{_LEGACY}service-account.name": account,
        f"{_LEGACY}service-account.uid": uid,
        "sub": f"system:serviceaccount:{namespace}:{account}",
    }
    return key.sign(claims)


class Tokens:
    """Issues tokens and verifies them."""

    def __init__(
        self,
        key: Callable[[], SigningKey] | None,
        issuer: str,
        audiences: Sequence[str],
        random: Any,
        wall_ns: Callable[[], int],
    ) -> None:
        self.issuer = issuer
        self._issuers = frozenset({issuer, LEGACY_ISSUER})
        self.audiences = tuple(audiences) or (issuer,)
        # Made when it is needed first: few clusters issue tokens.
        self._make_key = key or partial(SigningKey.derived, random)
        self._known_key: SigningKey | None = None
        self._random = random
        self._wall_ns = wall_ns
        self._verified: dict[str, dict[str, Any]] = {}

    @property
    def _key(self) -> SigningKey:
        key = self._known_key
        if key is None:
            key = self._known_key = self._make_key()
        return key

    def issue(
        self,
        account: Object,
        audiences: Sequence[str],
        expiration_seconds: int,
        bound: Sequence[Bound] = (),
    ) -> tuple[str, int]:
        """A token of an account, and when it expires in nanoseconds since the epoch."""
        metadata = account["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        now_seconds = self._wall_ns() // SECOND
        expiration = now_seconds + expiration_seconds
        private: Object = {
            "namespace": namespace,
            "serviceaccount": {"name": name, "uid": metadata["uid"]},
        }
        for each in bound:
            private[each.what] = {"name": each.name, "uid": each.uid}
        claims = {
            "aud": list(audiences or self.audiences),
            "exp": expiration,
            "iat": now_seconds,
            "iss": self.issuer,
            "jti": meta.new_uid(self._random),
            _PRIVATE: private,
            "nbf": now_seconds,
            "sub": f"system:serviceaccount:{namespace}:{name}",
        }
        return self._key.sign(claims), expiration * SECOND

    def is_ours(self, token: str) -> bool:
        """Whether a token claims to have been issued here."""
        try:
            return looks_signed(token) and unverified_issuer(token) in self._issuers
        except InvalidTokenError:
            return False

    def authenticate(
        self, token: str, audiences: Sequence[str], find: Find
    ) -> tuple[UserInfo, list[str]]:
        """The user of a token, and for which of `audiences` it is good.

        Raises:
            InvalidTokenError: it proves nothing now.
            LookupNeededError: by `find`.
        """
        claims = self._claims(token)
        now_ns = self._wall_ns()
        if claims["iss"] == LEGACY_ISSUER:
            good = [each for each in audiences if each in self.audiences]
            if not good:
                raise InvalidTokenError("the token is for the API server alone")
            return self._user_of_secret(token, claims, find, now_ns), good
        if _number(claims, "exp") * SECOND <= now_ns:
            raise InvalidTokenError("service account token has expired")
        if _number(claims, "nbf") * SECOND > now_ns:
            raise InvalidTokenError("service account token is not valid yet")
        given = claims.get("aud")
        good = [each for each in audiences if isinstance(given, list) and each in given]
        if not good:
            raise InvalidTokenError("token audiences is invalid for the target audiences")
        private = claims.get(_PRIVATE)
        if not isinstance(private, dict):
            raise InvalidTokenError("service account token has no claims of its own")
        return self._user(claims, private, find, now_ns), good

    def _claims(self, token: str) -> dict[str, Any]:
        claims = self._verified.get(token)
        if claims is None:
            claims = self._key.verify(token)
            if claims.get("iss") not in self._issuers:
                raise InvalidTokenError("the token was issued elsewhere")
            if len(self._verified) >= VERIFIED_MAX:
                del self._verified[next(iter(self._verified))]
            self._verified[token] = claims
        return claims

    def _user_of_secret(self, token: str, claims: Object, find: Find, now_ns: int) -> UserInfo:
        namespace, secret_name, name, uid = (
            str(claims.get(f"{_LEGACY}{claim}") or "")
            for claim in ("namespace", "secret.name", "service-account.name", "service-account.uid")
        )
        secret = find("secrets", namespace, secret_name)
        if secret is None or "deletionTimestamp" in secret["metadata"]:
            raise InvalidTokenError("service account token has been invalidated")
        if not hmac.compare_digest(
            text_of((secret.get("data") or {}).get("token")).encode(), token.encode()
        ):
            raise InvalidTokenError("service account token does not match the Secret's")
        _check_alive(find("serviceaccounts", namespace, name), uid, now_ns)
        return service_account_user(namespace, name, uid)

    def _user(self, claims: Object, private: Object, find: Find, now_ns: int) -> UserInfo:
        # Their form is known: this server has signed them.
        namespace: str = private["namespace"]
        name: str = private["serviceaccount"]["name"]
        uid: str = private["serviceaccount"]["uid"]
        _check_alive(find("serviceaccounts", namespace, name), uid, now_ns)
        extra = {f"{_EXTRA}/credential-id": [f"JTI={claims.get('jti')}"]}
        for what, resource in BOUND.items():
            bound = private.get(what)
            if bound is None:
                continue
            place = "" if what == "node" else namespace
            # A token of a pod outlives the pod's node: the node is then only told.
            if what != "node" or "pod" not in private:
                _check_alive(find(resource, place, bound["name"]), bound["uid"], now_ns)
            if what != "secret":
                extra[f"{_EXTRA}/{what}-name"] = [bound["name"]]
                extra[f"{_EXTRA}/{what}-uid"] = [bound["uid"]]
        return service_account_user(namespace, name, uid, extra)

    # What other programs need in order to verify tokens

    def configuration(self, address: str) -> Object:
        """The OpenID provider configuration; `address` is the server's, for the key set."""
        return {
            "issuer": self.issuer,
            "jwks_uri": f"{address}{JWKS_PATH}",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [self._key.algorithm],
        }

    def key_set(self) -> Object:
        """The public keys (RFC 7517)."""
        return {"keys": [self._key.public_jwk()]}


def _number(claims: Object, name: str) -> int:
    value = claims.get(name)
    if not isinstance(value, int):
        raise InvalidTokenError("service account token has no times")
    return value


def _check_alive(obj: Object | None, uid: Any, now_ns: int) -> None:
    if obj is None or obj["metadata"].get("uid") != uid:
        raise InvalidTokenError("service account token has been invalidated")
    deletion = obj["metadata"].get("deletionTimestamp")
    if deletion and meta.parse_time(deletion) + _DELETION_LEEWAY_NS < now_ns:
        raise InvalidTokenError("service account token has been invalidated")
