"""The messages between a client and the API server.

Request: kind `REQUEST`, payload `[verb, resource, namespace, name, subresource, body, options]`.
Answer: kind `RESPONSE`, payload `[code, revision, body]`; `body` is an object as `api.codec` gives
it (resourceVersion left out: it is `revision`), or an encoded Status when `code` >= 400. The answer
to `list` is `[200, revision, [[mod_revision, bytes], ...], continue_token, remaining]`.

Watch: kind `WATCH`, payload `[resource, namespace, options]`; items of kind `EVENTS`, payload
`[[type, mod_revision, bytes], ...]` with the types of `EventType`. An item `[ERROR, code, status]`
ends the stream; with code 0 its time is over, and the client may resume at the last revision that
it has seen. With the option `acknowledge` the first item tells that the watch has begun, and may be
empty. `WATCH_CANCEL` with `[id of the WATCH message]` ends it from the client's side.

Health: kind `HEALTH`; answer `[ok, reason]`.

Sources: Kubernetes API concepts ("Efficient detection of changes", "Resource versions").
"""

from __future__ import annotations

from typing import Any, Final

REQUEST: Final = "api.request"
RESPONSE: Final = "api.response"
WATCH: Final = "api.watch"
EVENTS: Final = "api.events"
WATCH_CANCEL: Final = "api.watch_cancel"
HEALTH: Final = "api.health"
HEALTH_RESPONSE: Final = "api.health_response"

ADDED: Final = "ADDED"
MODIFIED: Final = "MODIFIED"
DELETED: Final = "DELETED"
BOOKMARK: Final = "BOOKMARK"
ERROR: Final = "ERROR"

READ_VERBS: Final = ("get", "list")
WRITE_VERBS: Final = ("create", "update", "patch", "delete", "deletecollection")

Options = dict[str, Any]
# One item of a watch: [type, revision, bytes].
EventItem = list[Any]
