"""Errors of the client machinery.

    StatusError (k8sactors.api)
    └── UnreachableError             no answer: the outcome of a write is unknown
        └── FencedError              refused before it was sent: the caller may no longer write

Everything else that a call can end with is the server's own StatusError.
"""

from __future__ import annotations

from k8sactors.api import codec
from k8sactors.api.errors import StatusError


class UnreachableError(StatusError):
    """The connection broke, or no answer came in time; a write may or may not have happened."""

    def __init__(self, message: str) -> None:
        super().__init__(503, "ServiceUnavailable", message)


class FencedError(UnreachableError):
    """The caller lost the right to write, by its own host's clock, before the request left."""


def error_in(code: int, body: bytes | None) -> StatusError:
    """The error that an encoded v1 Status object describes."""
    if not body:
        return StatusError(code, "", f"the server answered {code} without saying why")
    return StatusError.from_status(codec.decode_value(body))


def is_expired(error: StatusError) -> bool:
    """Whether a resourceVersion is older than the server's history."""
    return error.code == 410  # noqa: PLR2004 - HTTP 410 Gone


def is_not_found(error: StatusError) -> bool:
    """Whether the object does not exist."""
    return error.reason == "NotFound"


def is_conflict(error: StatusError) -> bool:
    """Whether another client changed the object first."""
    return error.reason == "Conflict"


def is_already_exists(error: StatusError) -> bool:
    """Whether an object of that name exists."""
    return error.reason == "AlreadyExists"
