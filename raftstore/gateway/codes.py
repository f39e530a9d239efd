"""gRPC status codes: their numbers, and the HTTP status that grpc-gateway gives them."""

from __future__ import annotations

from typing import Final

from raftstore.errors import (
    ClientClosedError,
    RaftStoreError,
    Status,
    StoreError,
    UnavailableError,
)

OK: Final = "OK"
CANCELLED: Final = "Canceled"
UNKNOWN: Final = "Unknown"
DEADLINE_EXCEEDED: Final = "DeadlineExceeded"
UNIMPLEMENTED: Final = "Unimplemented"
INTERNAL: Final = "Internal"

NUMBERS: Final = {
    OK: 0,
    CANCELLED: 1,
    UNKNOWN: 2,
    "InvalidArgument": 3,
    DEADLINE_EXCEEDED: 4,
    "NotFound": 5,
    "AlreadyExists": 6,
    "PermissionDenied": 7,
    "ResourceExhausted": 8,
    "FailedPrecondition": 9,
    "Aborted": 10,
    "OutOfRange": 11,
    UNIMPLEMENTED: 12,
    INTERNAL: 13,
    "Unavailable": 14,
    "DataLoss": 15,
    "Unauthenticated": 16,
}

HTTP_STATUS: Final = {
    OK: 200,
    CANCELLED: 499,
    UNKNOWN: 500,
    "InvalidArgument": 400,
    DEADLINE_EXCEEDED: 504,
    "NotFound": 404,
    "AlreadyExists": 409,
    "PermissionDenied": 403,
    "ResourceExhausted": 429,
    "FailedPrecondition": 400,
    "Aborted": 409,
    "OutOfRange": 400,
    UNIMPLEMENTED: 501,
    INTERNAL: 500,
    "Unavailable": 503,
    "DataLoss": 500,
    "Unauthenticated": 401,
}


def status_of(error: RaftStoreError) -> Status:
    """What a caller is told about an error."""
    if isinstance(error, StoreError):
        return error.status if error.code in NUMBERS else Status(UNKNOWN, error.message)
    if isinstance(error, UnavailableError | ClientClosedError):
        return Status("Unavailable", str(error))
    return Status(UNKNOWN, str(error))
