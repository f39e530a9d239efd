"""Reviews of who asks, and of whose a token is (`authentication.k8s.io`)."""

from __future__ import annotations

from typing import ClassVar, Final

from k8sactors.api import errors
from k8sactors.api.user import UserInfo
from k8sactors.apiserver.authn.authenticator import INVALID, Authenticator
from k8sactors.apiserver.authn.lookup import Caches, finder
from k8sactors.apiserver.call import Call
from k8sactors.apiserver.errors import InvalidTokenError
from k8sactors.apiserver.reviews.review import Object, Review

_GROUP: Final = "authentication.k8s.io"


class TokenReview(Review):
    """Whose token this is; the answer repeats it to who has shown it."""

    resource: ClassVar[str] = f"tokenreviews.{_GROUP}"

    def __init__(self, authenticator: Authenticator, caches: Caches) -> None:
        self._authenticator = authenticator
        self._caches = caches

    def decide(self, call: Call, spec: Object, obj: Object) -> Object:
        """The user, if the token is good."""
        del obj
        token = spec.get("token")
        if not token:
            raise errors.bad_request("token is required for TokenReview in authentication")
        find = finder(self._caches, call.lookup)
        try:
            proven = self._authenticator.prove(token, spec.get("audiences") or (), find)
        except InvalidTokenError as error:
            text = str(error)
            shown = text if text == INVALID else f"[{INVALID}, {text}]"
            return {"user": {}, "error": shown}
        user = proven.user.authenticated()
        return {"authenticated": True, "user": described(user), "audiences": proven.audiences}


class SelfSubjectReview(Review):
    """Who the requester is."""

    resource: ClassVar[str] = f"selfsubjectreviews.{_GROUP}"

    def decide(self, call: Call, spec: Object, obj: Object) -> Object:
        """The user of the request."""
        del spec, obj
        return {"userInfo": described(call.user)}


def described(user: UserInfo) -> Object:
    """A user as the API shows it."""
    fields: Object = {
        "username": user.name,
        "uid": user.uid,
        "groups": list(user.groups),
        "extra": user.extra,
    }
    return {name: value for name, value in fields.items() if value}
