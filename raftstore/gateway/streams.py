"""The methods that are streams, whatever carries them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import trio

from raftstore.errors import StoreError
from raftstore.gateway import election_service, health_service, maintenance
from raftstore.gateway.election_service import OBSERVE
from raftstore.gateway.endpoint import Endpoint
from raftstore.gateway.health_service import WATCH_HEALTH
from raftstore.gateway.maintenance import SNAPSHOT
from raftstore.gateway.methods import KEEP_ALIVE, WATCH
from raftstore.gateway.translation import builder
from raftstore.gateway.watching import WatchSession

ReceiveMessage = Callable[[], Awaitable[Any]]
"""The next message of the client; None when it has said everything."""
SendMessage = Callable[[Any], Awaitable[None]]

_keep_alive_response: Final = builder("LeaseKeepAliveResponse", "ID", "TTL")


async def watch(endpoint: Endpoint, receive: ReceiveMessage, send: SendMessage) -> None:
    """Serve a watch stream. It continues when the client has said everything, as etcd's does."""
    session = WatchSession(endpoint.backend)
    endpoint.counters.watch_streams += 1
    refusal: StoreError | None = None
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_feed, session, receive)
            try:
                while True:
                    await send(await session.next())
            except StoreError as error:
                refusal = error
            nursery.cancel_scope.cancel()
    finally:
        endpoint.counters.watch_streams -= 1
        session.close()
    if refusal is not None:
        raise refusal


async def _feed(session: WatchSession, receive: ReceiveMessage) -> None:
    try:
        while (request := await receive()) is not None:
            session.request(request)
    except StoreError as error:
        session.fail(error)


async def keep_alive(endpoint: Endpoint, receive: ReceiveMessage, send: SendMessage) -> None:
    """Renew leases, one answer for each request, in order."""
    while (request := await receive()) is not None:
        await send(
            _keep_alive_response(await endpoint.caller.ask("lease_keep_alive", [request.ID]))
        )


HANDLERS: Final = {
    WATCH.path: watch,
    KEEP_ALIVE.path: keep_alive,
    SNAPSHOT.path: maintenance.snapshot,
    OBSERVE.path: election_service.observe,
    WATCH_HEALTH.path: health_service.watch,
}
