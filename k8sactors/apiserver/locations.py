"""Where the streams of subresources lead: to which actor, and what its failures mean to a client.

Texts and codes: `pkg/registry/core/pod/strategy.go` (LogLocation, ExecLocation ...),
`apiserver/pkg/registry/generic/rest/{proxy,response_checker}.go`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlencode

import attrs

from k8sactors.actors.forwarding import TIMED_OUT, Destination
from k8sactors.api import codec, errors
from k8sactors.api.errors import Cause, StatusError

KUBELET_PORT: Final = 10250
_BAD_REQUEST, _NOT_FOUND, _ERROR = 400, 404, 500
_TIMEOUTS: Final = frozenset({TIMED_OUT, "connection timed out", "i/o timeout"})

Failure = Callable[[str], StatusError]


@attrs.frozen
class Location:
    """Where a stream leads.

    `on_dial` tells what it means that nothing answers there, `on_refusal` (code, text) what an
    answer other than success means, as a trailer.
    """

    destination: Destination
    endpoint: str
    on_dial: Failure
    on_refusal: Callable[[int, str], list[Any]]

    def trailer(self, reason: str, trailer: Any) -> list[Any]:
        """What the client's stream is closed with."""
        if trailer is None:
            return status_trailer(self.on_dial(f"dial tcp {self.endpoint}: {dial_text(reason)}"))
        return self.on_refusal(trailer[0], trailer[1])


def dial_text(reason: str) -> str:
    """A broken connection in the words of Go's net package."""
    if reason in _TIMEOUTS:
        return "i/o timeout"
    if reason == "no such host":
        return f"lookup failed: {reason}"
    return f"connect: {reason}"


def status_trailer(error: StatusError) -> list[Any]:
    """A Status as a trailer."""
    return [error.code, codec.encode_value(error.status())]


def kubelet_url(endpoint: str, path: str, query: dict[str, Any]) -> str:
    """The address of a kubelet's page, for messages."""
    text = urlencode(query, doseq=True)
    return f"https://{endpoint}/{path}" + (f"?{text}" if text else "")


def of_logs(destination: Destination, endpoint: str, url: str, pod: str) -> Location:
    """A container's log."""

    def dial(problem: str) -> StatusError:
        return StatusError(_ERROR, "", f'Get "{url}": {problem}')

    def refusal(code: int, text: str) -> list[Any]:
        if code == _BAD_REQUEST:
            return status_trailer(errors.bad_request(text))
        if code == _NOT_FOUND:
            message = f"the server could not find the requested resource ( pods/log {pod})"
            cause = Cause("", "UnexpectedServerResponse", text)
            return status_trailer(StatusError(code, "NotFound", message, causes=[cause]))
        return status_trailer(errors.internal_error(text))

    return Location(destination, endpoint, dial, refusal)


def of_command(destination: Destination, endpoint: str) -> Location:
    """Exec, attach, forwarded ports: an upgraded connection to the kubelet."""

    def dial(problem: str) -> StatusError:
        return errors.internal_error(f"error dialing backend: {problem}")

    def refusal(_code: int, text: str) -> list[Any]:
        return status_trailer(errors.internal_error(f"unable to upgrade connection: {text}"))

    return Location(destination, endpoint, dial, refusal)


def of_forwarded_port(destination: Destination, endpoint: str) -> Location:
    """One connection through a forwarded port: the kubelet's text goes to the client as it is."""

    def refusal(_code: int, text: str) -> list[Any]:
        return status_trailer(StatusError(_ERROR, "", text))

    def dial(problem: str) -> StatusError:
        return errors.internal_error(f"error dialing backend: {problem}")

    return Location(destination, endpoint, dial, refusal)


def of_connection(destination: Destination, endpoint: str) -> Location:
    """A connection to a pod."""

    def dial(problem: str) -> StatusError:
        return errors.service_unavailable(f"error trying to reach service: {problem}")

    def refusal(_code: int, text: str) -> list[Any]:
        return status_trailer(dial(f"dial tcp {endpoint}: {dial_text(text)}"))

    return Location(destination, endpoint, dial, refusal)


def of_node_page(destination: Destination, endpoint: str) -> Location:
    """A page of a kubelet, whose answer is the client's."""

    def dial(problem: str) -> StatusError:
        return errors.service_unavailable(f"error trying to reach service: {problem}")

    def refusal(code: int, text: str) -> list[Any]:
        return [code, text.encode(), "text/plain"]

    return Location(destination, endpoint, dial, refusal)
