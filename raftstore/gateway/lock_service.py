"""The Lock service (v3lockpb): a lock is held as long as its key exists."""

from __future__ import annotations

from typing import Any, Final

from raftstore.errors import StoreError
from raftstore.gateway.codes import UNKNOWN
from raftstore.gateway.endpoint import Endpoint
from raftstore.gateway.messages import message
from raftstore.gateway.method import handled
from raftstore.gateway.ownership import claim, plain_errors, range_fields, wait_first
from raftstore.gateway.translation import header

PACKAGE: Final = "v3lockpb"
SERVICE: Final = "Lock"
SESSION_EXPIRED: Final = "mutex: session is expired"
LockResponse: Final = message("LockResponse", PACKAGE)
UnlockResponse: Final = message("UnlockResponse", PACKAGE)


@plain_errors
async def lock(endpoint: Endpoint, request: Any) -> Any:
    """Wait until the lock is one's own; its key names the holder, and unlocks."""
    made = await claim(endpoint, request.name, request.lease, b"")
    head = made.header
    if not made.is_first:
        await wait_first(endpoint, made)
        head, kvs, *_ = await endpoint.caller.ask("range", range_fields(made.key))
        if not kvs:
            # The lease has ended while its owner waited.
            raise StoreError(UNKNOWN, SESSION_EXPIRED)
    return LockResponse(header=header(head), key=made.key)


@plain_errors
async def unlock(endpoint: Endpoint, request: Any) -> Any:
    """Delete the key; it is no mistake if it is gone."""
    head, *_ = await endpoint.caller.ask("delete_range", [request.key, b"", False])
    return UnlockResponse(header=header(head))


LOCK: Final = (
    handled(PACKAGE, SERVICE, "Lock", ("LockRequest", "LockResponse"), lock, "/v3/lock/lock"),
    handled(
        PACKAGE, SERVICE, "Unlock", ("UnlockRequest", "UnlockResponse"), unlock, "/v3/lock/unlock"
    ),
)
