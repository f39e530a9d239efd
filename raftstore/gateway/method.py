"""What a method of etcd's services is to the gateway, and how its tables are written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import attrs

from raftstore.gateway.messages import message
from raftstore.gateway.translation import Fields, FromFields, ToFields

UNARY: Final = "unary"
SERVER_STREAM: Final = "server_stream"
BIDI_STREAM: Final = "bidi_stream"
PACKAGE: Final = "etcdserverpb"

Ask = Callable[[str, Fields], Awaitable[Fields]]
"""Asks the member: the name of a request and its fields, for those of the answer."""
Handler = Callable[[Any, Any], Awaitable[Any]]
"""Takes the endpoint and the request's message, and gives the answer's."""


@attrs.frozen
class Method:
    """One method. With a `handler` that carries it out; else it is the member's request `op`.

    `op`, `to_fields` and `from_fields` mean nothing for a stream, or next to a handler.
    """

    service: str
    name: str
    op: str
    request: Any
    response: Any
    to_fields: ToFields
    from_fields: FromFields
    http_paths: tuple[str, ...] = ()
    kind: str = UNARY
    package: str = PACKAGE
    handler: Handler | None = None

    @property
    def full_service(self) -> str:
        """The service with its package."""
        return f"{self.package}.{self.service}"

    # What its calls are counted by: kind, service, name.
    labels: tuple[str, str, str] = attrs.field(init=False)

    @labels.default
    def _labels(self) -> tuple[str, str, str]:
        return self.kind, self.full_service, self.name

    @property
    def path(self) -> str:
        """Where gRPC finds it."""
        return f"/{self.full_service}/{self.name}"


def no_fields(_request: Any) -> Fields:
    """Of a request that says nothing."""
    return []


def unary(
    service: str,
    name: str,
    op: str,
    to_fields: ToFields,
    from_fields: FromFields,
    *http_paths: str,
    types: str = "",
) -> Method:
    """A method that is a request of the member; `types`: its messages' name, if another."""
    types = types or name
    request, response = message(f"{types}Request"), message(f"{types}Response")
    return Method(service, name, op, request, response, to_fields, from_fields, http_paths)


def stream(service: str, name: str, types: str, *http_paths: str) -> Method:
    """A stream in both directions."""
    request, response = message(f"{types}Request"), message(f"{types}Response")
    return Method(
        service, name, "", request, response, no_fields, no_fields, http_paths, BIDI_STREAM
    )


def handled(
    package: str,
    service: str,
    name: str,
    types: tuple[str, str],
    handler: Handler | None,
    *http_paths: str,
) -> Method:
    """A method of another package that the gateway carries out; no handler: a server's stream."""
    request, response = message(types[0], package), message(types[1], package)
    kind = SERVER_STREAM if handler is None else UNARY
    return Method(
        service,
        name,
        "",
        request,
        response,
        no_fields,
        no_fields,
        http_paths,
        kind,
        package,
        handler,
    )
