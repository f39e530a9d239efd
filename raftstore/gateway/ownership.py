"""The first of several callers: what locks and elections share (etcd: client/v3/concurrency).

Each caller that wants the same thing puts a key of its own under its name, bound to its lease; the
one whose key was created first has it, the others wait until those before them are gone. So all
this needs is a member's leases, transactions and watches, and it asks for them as the caller.

A caller that leaves while it waits leaves no key behind: the transaction that writes it runs to its
end, and what it wrote is taken back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, Self

import attrs
import trio

from raftstore.client.operations import prefix_end
from raftstore.errors import StoreError
from raftstore.gateway.caller import Backend
from raftstore.gateway.codes import UNKNOWN
from raftstore.gateway.endpoint import Endpoint
from raftstore.gateway.messages import message
from raftstore.gateway.translation import Fields
from raftstore.gateway.watching import WatchSession
from raftstore.wire import (
    COMPARE_CREATE,
    DELETE,
    EQUAL,
    OP_DELETE_RANGE,
    OP_PUT,
    OP_RANGE,
    SORT_ASCEND,
    SORT_CREATE,
    SORT_DESCEND,
    SORT_KEY,
    SORT_NONE,
)

# Of the lease that a caller gets that brings none.
LEASE_TTL_S: Final = 60
CLEAN_UP_TIMEOUT_S: Final = 10.0
KEY, CREATE_REVISION, MOD_REVISION, VERSION, VALUE, LEASE = range(6)
# Place of the revision in a header.
REVISION: Final = 2
WatchRequest: Final = message("WatchRequest")


@attrs.frozen
class Claim:
    """A key among those that want the same: whose is oldest has it."""

    name: bytes
    key: bytes
    create_revision: int
    lease: int
    # What the key holds; another than was asked for if it was there already.
    value: bytes
    is_new: bool
    # Of the transaction that wrote or found the key.
    header: list[int]
    # Creation of the oldest key at that time.
    owner_revision: int

    @property
    def is_first(self) -> bool:
        """Whether no other was before it."""
        return self.owner_revision == self.create_revision


def range_fields(
    key: bytes,
    range_end: bytes = b"",
    *,
    order: int = SORT_NONE,
    limit: int = 0,
    max_create_revision: int = 0,
) -> Fields:
    """A RangeRequest; in an order, by creation."""
    target = SORT_KEY if order == SORT_NONE else SORT_CREATE
    flags = [False, False, False]
    return [key, range_end, limit, 0, order, target, *flags, 0, 0, 0, max_create_revision]


def oldest(name: bytes) -> Fields:
    """Reads the key that comes first."""
    prefix = name + b"/"
    return range_fields(prefix, prefix_end(prefix), order=SORT_ASCEND, limit=1)


def if_created(key: bytes, revision: int, then: list[Any], otherwise: list[Any]) -> Fields:
    """A transaction on the creation of a key; 0: it does not exist."""
    return [[[EQUAL, COMPARE_CREATE, key, revision, b""]], then, otherwise]


async def claim(endpoint: Endpoint, name: bytes, lease: int, value: bytes) -> Claim:
    """Put one's key, unless the lease has it already.

    Runs to its end whatever becomes of the caller, so that what was written is known.
    """
    with trio.CancelScope(shield=True):
        if not lease:
            lease = (await endpoint.caller.ask("lease_grant", [LEASE_TTL_S, 0]))[1]
        key = b"%s/%x" % (name, lease)
        put = [OP_PUT, [key, value, lease, False, False, False]]
        first = [OP_RANGE, oldest(name)]
        found = [OP_RANGE, range_fields(key)]
        fields = if_created(key, 0, [put, first], [found, first])
        head, is_new, responses = await endpoint.caller.ask("txn", fields)
    owners = responses[1][1][1]
    revision = head[REVISION]
    if not is_new:
        kv = responses[0][1][1][0]
        revision, value = kv[CREATE_REVISION], kv[VALUE]
    # Within the transaction the key itself is there, so the list is not empty.
    owner = owners[0][CREATE_REVISION]
    return Claim(name, key, revision, lease, value, is_new, head, owner)


async def withdraw(endpoint: Endpoint, made: Claim) -> None:
    """Take one's key back, whatever becomes of the caller; one that others found stays."""
    if not made.is_new:
        return
    delete = [OP_DELETE_RANGE, [made.key, b"", False]]
    # Where even that is refused, the key goes with its lease.
    with trio.move_on_after(CLEAN_UP_TIMEOUT_S, shield=True), suppress(StoreError):
        await endpoint.caller.ask("txn", if_created(made.key, made.create_revision, [delete], []))


async def wait_first(endpoint: Endpoint, made: Claim) -> None:
    """Wait until all keys that are older are gone; take the own one back if that fails.

    Raises:
        StoreError: too many wait, or the member does not answer.
    """
    if made.is_first:
        return
    try:
        with endpoint.waiters:
            await _until_older_are_gone(endpoint, made)
    except BaseException:
        await withdraw(endpoint, made)
        raise


async def _until_older_are_gone(endpoint: Endpoint, made: Claim) -> None:
    prefix = made.name + b"/"
    # The youngest of those before: when it goes, the next one is looked for.
    older = range_fields(
        prefix,
        prefix_end(prefix),
        order=SORT_DESCEND,
        limit=1,
        max_create_revision=made.create_revision - 1,
    )
    while True:
        head, kvs, *_ = await endpoint.caller.ask("range", older)
        if not kvs:
            return
        with Changes(endpoint.backend, kvs[0][KEY], b"", head[REVISION] + 1) as changes:
            while (events := await changes.next()) is not None:
                if any(event.type == DELETE for event in events):
                    break


class Changes:
    """The events of a range from a revision on; a context manager."""

    def __init__(self, backend: Backend, key: bytes, range_end: bytes, start_revision: int) -> None:
        self._session = WatchSession(backend)
        create = {"key": key, "range_end": range_end, "start_revision": start_revision}
        self._session.request(WatchRequest(create_request=create))
        # Of the events that were taken last.
        self.header: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    async def next(self) -> list[Any] | None:
        """The next events that belong together; None: some that come next were compacted.

        Raises:
            StoreError: the range may not be watched, or the member is gone.
        """
        while True:
            response = await self._session.next()
            if response.canceled:
                if response.compact_revision:
                    return None
                raise StoreError(UNKNOWN, response.cancel_reason)
            if response.events:
                self.header = response.header
                return list(response.events)


def plain_errors(
    handler: Callable[[Endpoint, Any], Awaitable[Any]],
) -> Callable[[Endpoint, Any], Awaitable[Any]]:
    """Give refusals the code Unknown: etcd's servers pass on what their own client was told."""

    async def handle(endpoint: Endpoint, request: Any) -> Any:
        try:
            return await handler(endpoint, request)
        except StoreError as refusal:
            raise StoreError(UNKNOWN, refusal.message) from refusal

    return handle
