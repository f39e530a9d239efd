"""Requests as API servers receive them, and how a test names those that it means."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import attrs

from k8sactors.actors import Message
from k8sactors.api import codec
from k8sactors.api.protocol import REQUEST_USER, WATCH, WATCH_USER

Object = dict[str, Any]

# The users of a cluster's own components: faults leave them alone unless a test names them.
_COMPONENTS: Final = (
    "system:apiserver",
    "system:kube-",
    "system:node:",
    "system:serviceaccount:kube-system:",
)


class ReceivedRequest(NamedTuple):
    """A request as an API server received it; `body` is decoded."""

    verb: str
    resource: str
    namespace: str
    name: str
    subresource: str
    body: Any
    options: Object
    # The name of who asks.
    user: str = ""


def received(message: Message, user: str = "") -> ReceivedRequest:
    """The request in a message, which is a `REQUEST` or a `WATCH`."""
    if message.kind == WATCH:
        resource, namespace, options = message.payload[:WATCH_USER]
        return ReceivedRequest(
            "watch", resource, namespace or "", "", "", None, options or {}, user
        )
    verb, resource, namespace, name, subresource, body, options = message.payload[:REQUEST_USER]
    content = codec.decode_value(body) if body else None
    if not name and verb == "create" and isinstance(content, dict):
        metadata = content.get("metadata")
        name = metadata.get("name") if isinstance(metadata, dict) else None
    return ReceivedRequest(
        verb,
        resource,
        namespace or "",
        name if isinstance(name, str) else "",
        subresource or "",
        content,
        options or {},
        user,
    )


def is_component(user: str) -> bool:
    """Whether a user is a component of the cluster: kubelet, scheduler, controller manager ..."""
    return user.startswith(_COMPONENTS)


def is_called(resource: str, name: str) -> bool:
    """Whether a resource, such as `deployments.apps`, is meant by `deployments`, too."""
    return resource == name or resource.partition(".")[0] == name


@attrs.frozen
class RequestPattern:
    """Which requests are meant; what is None may be anything."""

    verbs: tuple[str, ...] | None = None
    resource: str | None = None
    namespace: str | None = None
    name: str | None = None
    # The name of who asks; None: every user that is not a component of the cluster.
    user: str | None = None

    def matches(self, request: ReceivedRequest) -> bool:
        """Whether the request is meant."""
        if self.verbs is not None and request.verb not in self.verbs:
            return False
        if self.resource is not None and not is_called(request.resource, self.resource):
            return False
        if self.namespace is not None and request.namespace != self.namespace:
            return False
        if self.name is not None and request.name != self.name:
            return False
        return self.means(request.user)

    def means(self, user: str) -> bool:
        """Whether requests of that user are meant."""
        return not is_component(user) if self.user is None else user == self.user
