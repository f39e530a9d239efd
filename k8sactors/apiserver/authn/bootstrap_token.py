"""Bootstrap tokens, by which a node that joins asks for its certificate.

Source: documentation of TLS bootstrap tokens. A token is `ID.SECRET`; the Secret
`kube-system/bootstrap-token-ID` says what it is good for and until when.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from typing import Any, Final

from k8sactors.api import meta
from k8sactors.api.user import UserInfo
from k8sactors.apiserver.errors import InvalidTokenError

Object = dict[str, Any]

NAMESPACE: Final = "kube-system"
GROUP: Final = "system:bootstrappers"
TYPE: Final = "bootstrap.kubernetes.io/token"
_FORM: Final = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")


def split(token: str) -> tuple[str, str] | None:
    """Id and secret of a bootstrap token; None: it has another form."""
    found = _FORM.fullmatch(token)
    return None if found is None else (found[1], found[2])


def secret_name(token_id: str) -> str:
    """The name of the Secret about a token."""
    return f"bootstrap-token-{token_id}"


def user_of(token_id: str, secret: str, stored: Object, wall_ns: int) -> UserInfo:
    """The user of a token, by the Secret about it.

    Raises:
        InvalidTokenError: the token is not good.
    """
    data = {name: text_of(value) for name, value in (stored.get("data") or {}).items()}
    if stored.get("type") != TYPE or "deletionTimestamp" in stored["metadata"]:
        raise InvalidTokenError("the Secret is no bootstrap token")
    if data.get("token-id") != token_id or not hmac.compare_digest(
        data.get("token-secret", "").encode(), secret.encode()
    ):
        raise InvalidTokenError("the token is another one")
    if data.get("usage-bootstrap-authentication") != "true":
        raise InvalidTokenError("the token is not for authentication")
    expiration = data.get("expiration")
    if expiration and _end_ns(expiration) <= wall_ns:
        raise InvalidTokenError("the token has expired")
    extra = (each.strip() for each in data.get("auth-extra-groups", "").split(","))
    groups = sorted({GROUP, *filter(None, extra)})
    return UserInfo(f"system:bootstrap:{token_id}", groups=tuple(groups))


def _end_ns(text: str) -> int:
    try:
        return meta.parse_time(text)
    except ValueError as error:
        raise InvalidTokenError("the token's expiration is malformed") from error


def text_of(value: Any) -> str:
    """A text in the data of a Secret; "" when there is none."""
    try:
        return base64.b64decode(value or "").decode()
    except (ValueError, binascii.Error):
        return ""
