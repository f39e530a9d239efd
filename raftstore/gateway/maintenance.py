"""The parts of the Maintenance service that look at a member's whole state: Snapshot and Hash.

A snapshot is etcd's database file, in messages of 32 KiB, and then its SHA-256 (which etcd's tools
store behind it and check). The state is taken by reference in an instant; a worker thread turns it
into a file, so that the member works on meanwhile. Only root may ask while authentication is on.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, BinaryIO, Final

import trio

from raftstore.errors import StoreError
from raftstore.gateway.codes import INTERNAL
from raftstore.gateway.messages import message
from raftstore.gateway.method import PACKAGE, SERVER_STREAM, Method, handled, no_fields
from raftstore.gateway.translation import header
from raftstore.mvcc.snapshot import StateView
from raftstore.storage import etcd_database
from raftstore.storage.etcd_database import About

MESSAGE_BYTES: Final = 32 << 10
READ_BYTES: Final = 1 << 20

SnapshotResponse: Final = message("SnapshotResponse")
HashResponse: Final = message("HashResponse")


async def snapshot(
    endpoint: Any,
    receive: Callable[[], Awaitable[Any]],
    send: Callable[[Any], Awaitable[None]],
) -> None:
    """Send the database, then its SHA-256.

    Raises:
        StoreError: the member refuses, or there is no room for the file.
    """
    await receive()
    view, about, _ = await _take(endpoint)
    # Each takes room for a whole database: one after the other.
    async with endpoint.snapshots:
        try:
            with tempfile.TemporaryFile() as file:
                size = await trio.to_thread.run_sync(_write, file, view, about)
                await _send_file(file, size, about.version, send)
        except OSError as error:
            text = f"etcdserver: cannot write the snapshot to {tempfile.gettempdir()}: {error}"
            raise StoreError(INTERNAL, text) from error


async def _send_file(
    file: BinaryIO, size: int, version: str, send: Callable[[Any], Awaitable[None]]
) -> None:
    digest = hashlib.sha256()
    file.seek(0)
    left = size
    while left:
        block = await trio.to_thread.run_sync(file.read, READ_BYTES)
        digest.update(block)
        for start in range(0, len(block), MESSAGE_BYTES):
            part = block[start : start + MESSAGE_BYTES]
            left -= len(part)
            await send(SnapshotResponse(remaining_bytes=left, blob=part, version=version))
    await send(SnapshotResponse(blob=digest.digest(), version=version))


async def hash_of_state(endpoint: Any, _request: Any) -> Any:
    """CRC-32C of the content of the database: equal on members that are equal in state."""
    view, about, head = await _take(endpoint)
    async with endpoint.snapshots:
        value = await trio.to_thread.run_sync(_hash, view, about)
    return HashResponse(header=header(head), hash=value)


async def _take(endpoint: Any) -> tuple[StateView, About, list[int]]:
    """The state now, what the member says about itself, and a response header."""
    head, applied, term, version, members = await endpoint.caller.ask("snapshot", [])
    listed = tuple(
        (number, name, tuple(peer_urls), tuple(client_urls), learner)
        for number, name, peer_urls, client_urls, learner in members
    )
    return endpoint.backend.view(), About(applied, term, version, listed), head


# -- in a worker thread ----------------------------------------------------------------------------


def _write(file: BinaryIO, view: StateView, about: About) -> int:
    return etcd_database.write(file, _until_cancelled(view), about)


def _hash(view: StateView, about: About) -> int:
    return etcd_database.content_hash(_until_cancelled(view), about)


def _until_cancelled(view: StateView) -> Iterator[bytes]:
    """The chunks, as long as the client wants them."""
    for chunk in view.chunks():
        trio.from_thread.check_cancelled()
        yield chunk


def _snapshot_method() -> Method:
    request = message("SnapshotRequest")
    path = "/v3/maintenance/snapshot"
    return Method(
        "Maintenance",
        "Snapshot",
        "",
        request,
        SnapshotResponse,
        no_fields,
        no_fields,
        (path,),
        SERVER_STREAM,
    )


SNAPSHOT: Final = _snapshot_method()
WHOLE_STATE: Final = (
    SNAPSHOT,
    handled(
        PACKAGE,
        "Maintenance",
        "Hash",
        ("HashRequest", "HashResponse"),
        hash_of_state,
        "/v3/maintenance/hash",
    ),
)
