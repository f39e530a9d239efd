"""HTTP without a socket: a transport for httpx and httpx2 that ends in the test's own cluster.

The client's bytes and the server's meet in memory, in the event loop of the test, on virtual time.
Everything else is as over a socket: the client's connection pool, HTTP/1.1, and the cluster's front
door. For clients that run under trio: lightkube (httpx2), kr8s (httpx), and httpx itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any, Final, Self

import trio
from trio.testing import memory_stream_pair

from k8sactors.gateway.endpoint import Endpoint
from k8sactors.testing.cluster import K8sCluster
from raftstore.http import Limits
from raftstore.http.connection import Connection
from raftstore.http.limits import Budget

# The host that clients ask for.
BASE_URL: Final = "http://k8s.test"
# What each rests on; httpx2 continues httpx, with the same interface.
_CORES: Final = {"httpx": "httpcore", "httpx2": "httpcore2"}


class K8sTransport:
    """What httpx calls an `AsyncBaseTransport`, for either of its packages."""

    base_url = BASE_URL

    def __init__(self, cluster: K8sCluster) -> None:
        self._cluster = cluster
        self._limits = Limits()
        self._budget = Budget(self._limits.all_unread_bytes)
        self._front: Any = None
        self._transports: dict[str, Any] = {}

    async def __aenter__(self) -> Self:
        """Nothing is opened before the first request."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close what is open."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close what is open; the next request opens it again."""
        transports, self._transports = self._transports, {}
        for transport in transports.values():
            await transport.aclose()

    async def handle_async_request(self, request: Any) -> Any:
        """Send a request of httpx; returns its response, whose body may still have to come."""
        package = type(request).__module__.partition(".")[0]
        transport = self._transports.get(package)
        if transport is None:
            transport = self._transports[package] = self._open(package)
        return await transport.handle_async_request(request)

    def kubeconfig(self) -> dict[str, Any]:
        """A configuration for clients that ask for one, as an object."""
        return Endpoint(BASE_URL).kubeconfig()

    async def kr8s_api(self) -> Any:
        """An API object of kr8s that asks here: kr8s itself takes no transport.

        Raises:
            ImportError: kr8s is not installed.
        """
        httpx, asynchronous = import_module("httpx"), import_module("kr8s.asyncio")
        api = asynchronous.Api(url=BASE_URL, bypass_factory=True)
        headers = {"content-type": "application/json"}
        api._session = httpx.AsyncClient(  # noqa: SLF001 - no other way is offered
            transport=self, base_url=BASE_URL, headers=headers, timeout=None
        )
        return await api

    def _open(self, package: str) -> Any:
        """The package's own transport, whose connections are made here."""
        core = import_module(_CORES[package])
        transport = import_module(package).AsyncHTTPTransport()
        # httpx offers no way to state the backend of its pool.
        transport._pool = core.AsyncConnectionPool(  # noqa: SLF001
            max_connections=None, network_backend=_Backend(core, self._connect)
        )
        return transport

    def _connect(self) -> Any:
        """The client's end of a connection to the cluster's front door."""
        if self._front is None:
            self._front = self._cluster.front()
        client, server = memory_stream_pair()
        self._cluster.nursery.start_soon(self._serve, server)
        return client

    async def _serve(self, stream: Any) -> None:
        async with stream:
            await Connection(stream, self._front, self._limits, self._budget).run()


class _Backend:
    """What httpcore calls an `AsyncNetworkBackend`."""

    def __init__(self, core: ModuleType, connect: Any) -> None:
        self._core = core
        self._connect = connect

    async def connect_tcp(self, *_args: Any, **_settings: Any) -> _NetworkStream:
        """Open a connection, whatever its address."""
        return _NetworkStream(self._core, self._connect())

    async def sleep(self, seconds: float) -> None:
        """Wait, on the cluster's clock."""
        await trio.sleep(seconds)


class _NetworkStream:
    """What httpcore calls an `AsyncNetworkStream`: the client's end of a connection."""

    def __init__(self, core: ModuleType, stream: Any) -> None:
        self._core = core
        self._stream = stream

    async def read(self, max_bytes: int, **limit: float | None) -> bytes:
        """What has arrived; nothing at the end."""
        with self._translated("Read"), _limited(limit):
            data: bytes = await self._stream.receive_some(max_bytes)
            return data

    async def write(self, buffer: bytes, **limit: float | None) -> None:
        """Send."""
        with self._translated("Write"), _limited(limit):
            await self._stream.send_all(buffer)

    async def aclose(self) -> None:
        """Hang up."""
        await self._stream.aclose()

    def get_extra_info(self, _info: str) -> Any:
        """Nothing is known of a connection in memory."""
        return None

    @contextmanager
    def _translated(self, verb: str) -> Iterator[None]:
        """Say it in httpcore's words.

        Raises:
            Exception: httpcore's `ReadTimeout`, `ReadError`, `WriteTimeout` or `WriteError`.
        """
        try:
            yield
        except trio.TooSlowError as error:
            raise getattr(self._core, f"{verb}Timeout")(error) from error
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise getattr(self._core, f"{verb}Error")(error) from error


@contextmanager
def _limited(limit: dict[str, float | None]) -> Iterator[None]:
    timeout_s = limit.get("timeout")
    with trio.fail_after(math.inf if timeout_s is None else timeout_s):
        yield
