"""What an HTTP request asks for, and the credentials that it shows.

A path says what is asked for whether anything is served there or not: a client without rights is
refused before it is told that nothing is there. Source: Kubernetes API concepts ("Resource URIs"),
documentation of authentication ("Putting a bearer token in a request", "User impersonation",
"X509 client certificates").
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qs, unquote

import attrs

from k8sactors.api import errors
from k8sactors.api.credentials import Credentials, Impersonation
from k8sactors.api.user import UserInfo
from k8sactors.gateway.paths import IN_NAMESPACE
from raftstore.http import Exchange

_VERBS: Final = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_READS: Final = frozenset({"GET", "HEAD"})
_TRUE: Final = frozenset({"", "1", "t", "T", "true", "TRUE", "True"})
_BEARER: Final = "bearer"
_USER: Final = b"impersonate-user"
_UID: Final = b"impersonate-uid"
_GROUP: Final = b"impersonate-group"
_EXTRA: Final = b"impersonate-extra-"


@attrs.frozen
class Access:
    """What is asked for: something of a resource, or a path when `path` is not empty."""

    verb: str
    path: str = ""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""


def access_of(method: str, path: str, query: str) -> Access:
    """What a request line asks for."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    if parts[0] == "api" and len(parts) > 2:  # noqa: PLR2004 - /api/VERSION/RESOURCE
        return _of_resource(method, "", parts[2:], query)
    if parts[0] == "apis" and len(parts) > 3:  # noqa: PLR2004 - /apis/GROUP/VERSION/RESOURCE
        return _of_resource(method, parts[1], parts[3:], query)
    return Access(method.lower(), path or "/")


def _of_resource(method: str, group: str, parts: list[str], query: str) -> Access:
    namespace = ""
    if parts[0] == IN_NAMESPACE and len(parts) > 1:
        namespace = parts[1]
        # What lies in a namespace, unless it is a part of the namespace itself.
        if len(parts) > 2 and parts[2] not in {"status", "finalize"}:  # noqa: PLR2004 - see above
            parts = parts[2:]
    resource, name, subresource = (*parts, "", "")[:3]
    options = parse_qs(query, keep_blank_values=True)
    if method in _READS:
        verb = "get" if name else "list"
        if not name and options.get("watch", ["0"])[0] in _TRUE:
            verb = "watch"
    else:
        verb = _VERBS.get(method, "")
        if verb == "delete" and not name:
            verb = "deletecollection"
    return Access(verb, "", group, resource, subresource, namespace, name)


def credentials_of(exchange: Exchange) -> Credentials:
    """The credentials of a request.

    Raises:
        StatusError: 400, impersonation without a user.
    """
    token = ""
    subject = None
    if exchange.certificate:
        subject = _subject(exchange.certificate)
    header = exchange.head.get(b"authorization")
    if header is not None and subject is None:
        scheme, _, rest = header.decode("latin-1").strip().partition(" ")
        if scheme.lower() == _BEARER:
            token = rest.strip()
    return Credentials(token, subject, _impersonation(exchange))


def _impersonation(exchange: Exchange) -> Impersonation | None:
    found = [(name, value) for name, value in exchange.head.headers if name.startswith(b"impers")]
    if not found:
        return None
    user, uid, groups = "", "", []
    extra: dict[str, list[str]] = {}
    for name, value in found:
        text = value.decode("utf-8", "replace")
        if name == _USER:
            user = text
        elif name == _UID:
            uid = text
        elif name == _GROUP:
            groups.append(text)
        elif name.startswith(_EXTRA):
            key = unquote(name.removeprefix(_EXTRA).decode("latin-1")).lower()
            extra.setdefault(key, []).append(text)
    if not user:
        if uid or groups or extra:
            raise errors.bad_request("requested groups, uid or extra without impersonating a user")
        return None
    return Impersonation(user, uid, tuple(groups), extra)


def _subject(certificate: dict[str, Any]) -> UserInfo | None:
    """The user that a verified certificate names: CN is the name, each O a group."""
    fields = [pair for part in certificate.get("subject", ()) for pair in part]
    names = [value for key, value in fields if key == "commonName"]
    if not names or not names[-1]:
        return None
    groups = tuple(value for key, value in fields if key == "organizationName")
    return UserInfo(names[-1], groups=groups)
