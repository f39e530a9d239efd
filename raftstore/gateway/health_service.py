"""The standard health service of gRPC, which load balancers and Kubernetes' probes ask.

After ``grpc/health/v1/health.proto``. As in etcd, the server as a whole (service "") is serving as
long as it runs, and it knows of no single services.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import trio

from raftstore.errors import NOT_FOUND, StoreError
from raftstore.gateway.messages import message
from raftstore.gateway.method import handled

PACKAGE: Final = "grpc.health.v1"
TYPES: Final = ("HealthCheckRequest", "HealthCheckResponse")
SERVING: Final = 1
SERVICE_UNKNOWN: Final = 3

_Response: Final = message("HealthCheckResponse", PACKAGE)


async def check(_endpoint: Any, request: Any) -> Any:
    """Whether the server serves.

    Raises:
        StoreError: the request asks for a service of its own.
    """
    if request.service:
        raise StoreError(NOT_FOUND, "unknown service")
    return _Response(status=SERVING)


async def watch(
    endpoint: Any,
    receive: Callable[[], Awaitable[Any]],
    send: Callable[[Any], Awaitable[None]],
) -> None:
    """The same, and then each change: there is none before the connection ends.

    Raises:
        StoreError: too many watch already.
    """
    request = await receive()
    with endpoint.waiters:
        await send(_Response(status=SERVICE_UNKNOWN if request.service else SERVING))
        await trio.sleep_forever()


CHECK: Final = handled(PACKAGE, "Health", "Check", TYPES, check)
WATCH_HEALTH: Final = handled(PACKAGE, "Health", "Watch", TYPES, None)
