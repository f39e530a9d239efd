"""The messages between a client and the API server: their kinds and their envelopes.

Credentials: kind `AUTHENTICATE`, payload `[name, uid, groups, extra]` (`UserInfo.to_wire`), once
and before the first request; there is no answer. It stands for the certificate of a TLS client. A
connection without credentials acts for `system:anonymous`.

Request: kind `REQUEST`, payload `[verb, resource, namespace, name, subresource, body, options]`; a
connection with the right of an authenticating proxy may add an eighth field, the user of this one
request or the credentials that its client has shown (`Credentials.to_wire`). The verb `ACCESS` asks
whether such a client may do what the proxy answers itself. Answer: kind `RESPONSE`, payload
`[code, revision, body]`; `body` is an object as `api.codec` gives it (resourceVersion left out: it
is `revision`), or an encoded Status when `code` >= 400; a write that succeeds with warnings has
their texts in a fourth field. The answer to `list` is
`[200, revision, [[mod_revision, bytes], ...], continue_token, remaining]`. An answer to a proxy
ends with a map `{FLOW: [uid, uid]}` of the FlowSchema and the priority level; None without them.

Watch: kind `WATCH`, payload `[resource, namespace, options]`, and the user as above; items of kind
`EVENTS`, payload `[[type, mod_revision, bytes], ...]`. It is a stream of `actors.stream`, which
either side may close; the server does with the trailer `[code, status]`. With code 0 the watch's
time is over, or the client did not keep up: it may resume at the last revision that it has seen.
With the option `acknowledge` the first item tells that the watch has begun: it is empty, or holds
`[FLOW, 0, [uid, uid]]`.

Health: kind `HEALTH`; answer `[ok, reason]`.

Sources: Kubernetes API concepts ("Efficient detection of changes", "Resource versions").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from k8sactors.api.credentials import Credentials
from k8sactors.api.user import UserInfo

AUTHENTICATE: Final = "api.authenticate"
REQUEST: Final = "api.request"
RESPONSE: Final = "api.response"
WATCH: Final = "api.watch"
EVENTS: Final = "api.events"
HEALTH: Final = "api.health"
HEALTH_RESPONSE: Final = "api.health_response"

ADDED: Final = "ADDED"
MODIFIED: Final = "MODIFIED"
DELETED: Final = "DELETED"
BOOKMARK: Final = "BOOKMARK"
ERROR: Final = "ERROR"
FLOW: Final = "FLOW"

# An API server asks an admission webhook `[path, review]`, an actor of this name on the host of its
# service; the reply is the review with its response.
ADMISSION_REVIEW: Final = "webhook.admission_review"
WEBHOOK_ACTOR: Final = "webhook"

READ_VERBS: Final = frozenset({"get", "list"})
# Its options are `verb`, `group`, `resource` and `path` of what is asked for. The answer's body is
# the page that the server has at the path, `[content_type, data]`, or None.
ACCESS: Final = "access"
FIRST_ERROR_CODE: Final = 400

# The place of the warnings in the answer to a write, when there are any.
RESPONSE_WARNINGS: Final = 3
# Places of the user in the payloads of a request and a watch, when one is stated.
REQUEST_USER: Final = 7
WATCH_USER: Final = 3


def request(
    verb: str,
    resource: str,
    namespace: str | None = None,
    name: str | None = None,
    subresource: str | None = None,
    body: bytes | None = None,
    options: Mapping[str, Any] | None = None,
    user: UserInfo | Credentials | None = None,
) -> list[Any]:
    """The payload of a `REQUEST`; `user` is for authenticating proxies alone."""
    payload: list[Any] = [verb, resource, namespace, name, subresource, body, options]
    if user is not None:
        payload.append(user.to_wire())
    return payload


def watch(
    resource: str,
    namespace: str | None = None,
    options: Mapping[str, Any] | None = None,
    user: UserInfo | Credentials | None = None,
) -> list[Any]:
    """The payload of a `WATCH`; `user` is for authenticating proxies alone."""
    payload: list[Any] = [resource, namespace, options]
    if user is not None:
        payload.append(user.to_wire())
    return payload


def flow_uids(reply: Sequence[Any]) -> list[str] | None:
    """The uids of FlowSchema and priority level in an answer to a proxy, if it has them."""
    last = reply[-1]
    return last.get(FLOW) if isinstance(last, dict) else None


def service_host(namespace: str, name: str) -> str:
    """The host of the actors that serve a service to the control plane."""
    return f"{name}.{namespace}.svc"
