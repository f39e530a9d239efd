"""A port with the API behind it, for as long as a program wants it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import trio

from k8sactors.gateway.endpoint import Endpoint, ServerTls
from k8sactors.gateway.front import Front
from k8sactors.simulation import RealClock, current, unwrap_groups
from raftstore.http import Listener
from raftstore.http.ports import endpoint_url

# Requests under way get this long, in real time, when serving ends; streams have no other end.
STOP_S: Final = 1.0


@asynccontextmanager
async def serving(
    front: Front,
    listener: trio.SocketListener,
    host: str,
    tls: ServerTls | None = None,
    *,
    plain_from_loopback: bool = False,
) -> AsyncIterator[Endpoint]:
    """Serve on a bound port while the block runs; then watches end, and requests get a moment to.

    Where the block is left by an error or a cancellation, connections are closed at once.
    """
    context = None if tls is None else tls.context
    port = Listener(front, listener, tls=context, plain_from_loopback=plain_from_loopback)
    with unwrap_groups():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(port.run)
            files = None if tls is None else tls.administrator
            yield Endpoint(endpoint_url(host, listener, context), files)
            front.stop()
            clock = current().clock
            await port.stop(STOP_S * (clock.speed if isinstance(clock, RealClock) else 1.0))
            nursery.cancel_scope.cancel()
