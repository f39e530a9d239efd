"""How large requests may be, and what is said about those that are not taken."""

from __future__ import annotations

from typing import Final

from raftstore.errors import RESOURCE_EXHAUSTED, TOO_MANY_REQUESTS, StoreError
from raftstore.gateway.codes import DEADLINE_EXCEEDED
from raftstore.http import (
    ArrivalTimeoutError,
    BodyTooLargeError,
    HttpError,
    Limits,
    OverloadedError,
)

# etcd: --max-request-bytes, and what its gRPC server allows beyond.
MAX_REQUEST_BYTES: Final = 3 << 19
OVERHEAD_BYTES: Final = 512 << 10
MAX_MESSAGE_BYTES: Final = MAX_REQUEST_BYTES + OVERHEAD_BYTES
LIMITS: Final = Limits(unread_bytes=2 * MAX_MESSAGE_BYTES)


def too_large(size_bytes: int, limit_bytes: int = MAX_MESSAGE_BYTES) -> StoreError:
    """The refusal of a message, in the words of etcd's gRPC server."""
    text = f"grpc: received message larger than max ({size_bytes} vs. {limit_bytes})"
    return StoreError(RESOURCE_EXHAUSTED, text)


def store_error(error: HttpError) -> StoreError:
    """What a caller is told whose request has not been read."""
    match error:
        case BodyTooLargeError():
            return too_large(error.size_bytes, error.limit_bytes)
        case OverloadedError():
            return StoreError(*TOO_MANY_REQUESTS)
        case ArrivalTimeoutError():
            return StoreError(DEADLINE_EXCEEDED, str(error))
    raise error
