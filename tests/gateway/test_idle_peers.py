"""Connections that say nothing, or too little, or all at once and nothing more."""

from __future__ import annotations

import contextlib
import http.client
import resource
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import attrs
import pytest
import trio
from trio.testing import MockClock

from raftstore.gateway import descriptors
from raftstore.gateway.app import Gateway
from raftstore.gateway.serving import LocalBackend
from raftstore.gateway.sizes import LIMITS
from raftstore.http import Limits, Listener
from raftstore.server.local import LocalCluster
from tests.gateway.served import ASK_TIMEOUT_S, ROOT, ask, post, start, stopping
from tests.gateway.test_bad_peers import GRPC_HEAD, PREFACE, SETTINGS, frame
from tests.gateway.test_slow_readers import resident_bytes

# Bytes on a socket need real time, in which the clock must not jump.
AUTOJUMP_S = 0.01
PATIENCE_S = 1_000
OPENING_TIMEOUT_S = LIMITS.opening_timeout_s
FEW = attrs.evolve(LIMITS, connections=100)
IDLE = 1_000
BYTES_PER_IDLE = 64 << 10
# A frame of headers that ends the first stream: its kind, flags and stream.
TRAILERS = b"\1\5\0\0\0\1"
REQUEST = b"GET /version HTTP/1.1\r\nhost: x\r\n\r\n"
SLOW_BODY = b"POST /v3/kv/put HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{"


@attrs.frozen
class Port:
    """A served port."""

    gateway: Gateway
    number: int

    @asynccontextmanager
    async def connected(self, first: bytes = b"") -> AsyncIterator[trio.SocketStream]:
        async with await trio.open_tcp_stream("127.0.0.1", self.number) as stream:
            if first:
                await stream.send_all(first)
            yield stream

    async def empty(self) -> None:
        """Until no client is connected."""
        await self.has(0)

    async def has(self, connections: int) -> None:
        """Until so many are connected."""
        counters = self.gateway.counters
        while counters.connections != connections:  # noqa: ASYNC110 - a counter has no event
            await trio.sleep(0.01)


@asynccontextmanager
async def serving(cluster: LocalCluster, limits: Limits = FEW) -> AsyncIterator[Port]:
    """Serve the first member of a cluster."""
    async with trio.open_nursery() as nursery:
        (opened,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        gateway = Gateway(LocalBackend(cluster, 1))
        listener = Listener(gateway, opened, limits=limits, traffic=gateway.counters)
        nursery.start_soon(listener.run)
        with trio.fail_after(PATIENCE_S):
            yield Port(gateway, opened.socket.getsockname()[1])
        nursery.cancel_scope.cancel()


def served_port(
    test: Callable[[Port], Awaitable[None]], limits: Limits = FEW
) -> Callable[[], None]:
    """Run a test on a clock that jumps when nothing comes over the sockets.

    No member runs behind the port: none is asked, and its timers would hold up the clock.
    """

    async def run() -> None:
        async with serving(LocalCluster(1), limits) as port:
            await test(port)

    return lambda: trio.run(run, clock=MockClock(autojump_threshold=AUTOJUMP_S))


async def end_of(stream: trio.SocketStream) -> float:
    """When the other side has closed."""
    with contextlib.suppress(trio.BrokenResourceError):
        while await stream.receive_some():
            pass
    return trio.current_time()


@served_port
async def test_a_client_that_does_not_say_what_it_speaks_is_given_up(port: Port) -> None:
    for first in (b"", b"GET /", b"GET /version HTTP/1.1\r\nhost: ", PREFACE[:10]):
        begun = trio.current_time()
        async with port.connected(first) as stream:
            assert await end_of(stream) - begun <= OPENING_TIMEOUT_S + 1
    await port.empty()


@served_port
async def test_a_byte_now_and_then_buys_no_time(port: Port) -> None:
    begun = trio.current_time()
    async with port.connected(b"GET /version HTTP/1.1\r\nhost: ") as stream:
        with contextlib.suppress(trio.BrokenResourceError):
            while trio.current_time() - begun < 3 * OPENING_TIMEOUT_S:
                await stream.send_all(b"a")
                await trio.sleep(1)
        assert trio.current_time() - begun < 2 * OPENING_TIMEOUT_S
    await port.empty()


def test_a_client_that_has_spoken_may_be_silent_for_long() -> None:
    assert LIMITS.keep_alive_s == 600
    # Less of it to wait for, but longer than a connection may take to open.
    shorter_s = 2 * OPENING_TIMEOUT_S

    async def test(port: Port) -> None:
        for first in (REQUEST, PREFACE + SETTINGS):
            begun = trio.current_time()
            async with port.connected(first) as stream:
                assert 0 <= await end_of(stream) - begun - shorter_s <= 1
        await port.empty()

    served_port(test, attrs.evolve(FEW, keep_alive_s=shorter_s))()


def test_a_connection_is_over_when_its_client_has_closed_it() -> None:
    """Whether it has said anything or not, and whatever is under way."""

    async def run() -> None:
        async with LocalCluster(1) as cluster:
            await cluster.wait_leader()
            async with serving(cluster) as port:
                await _open_and_close(port)

    trio.run(run)


async def _open_and_close(port: Port) -> None:
    watch = b'{"create_request": {"key": "YQ=="}}'
    watching = b"POST /v3/watch HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s"
    call = PREFACE + SETTINGS + frame(1, 4, 1, GRPC_HEAD)
    firsts = (b"", b"GET /", REQUEST, PREFACE, call, SLOW_BODY, watching % (len(watch), watch))
    begun = trio.current_time()
    for first in firsts:
        async with port.connected(first):
            await port.has(1)
        await port.empty()
    assert trio.current_time() - begun < OPENING_TIMEOUT_S


def test_a_request_has_a_minute_to_arrive() -> None:
    assert LIMITS.arrival_timeout_s == 60
    shorter_s = 2 * OPENING_TIMEOUT_S

    async def test(port: Port) -> None:
        begun = trio.current_time()
        async with port.connected(SLOW_BODY) as stream:
            answer = await stream.receive_some()
            assert answer.startswith(b"HTTP/1.1 504")
            assert 0 <= trio.current_time() - begun - shorter_s < 1
        async with port.connected(PREFACE + SETTINGS + frame(1, 4, 1, GRPC_HEAD)) as stream:
            begun, heard = trio.current_time(), b""
            while TRAILERS not in heard:
                heard += await stream.receive_some()
            assert trio.current_time() - begun < shorter_s + 5
        await port.empty()

    served_port(test, attrs.evolve(FEW, arrival_timeout_s=shorter_s))()


def test_a_full_port_takes_the_next_when_one_has_gone() -> None:
    async def test(port: Port) -> None:
        async with port.connected(REQUEST) as first, port.connected(REQUEST) as second:
            for stream in (first, second):
                assert (await stream.receive_some()).startswith(b"HTTP/1.1 200")
            async with port.connected(REQUEST) as third:
                await end_of(third)
            assert port.gateway.counters.refused_connections == 1
        await port.empty()
        async with port.connected(REQUEST) as fourth:
            assert (await fourth.receive_some()).startswith(b"HTTP/1.1 200")

    served_port(test, attrs.evolve(FEW, connections=2))()


@pytest.mark.parametrize(
    ("soft", "ports", "allowed"),
    [(1_024, 3, 256), (1_024, 1, 768), (20_000, 3, 2_000), (100, 3, 12), (64, 1, 1)],
)
def test_connections_leave_descriptors_for_the_data(
    monkeypatch: pytest.MonkeyPatch, soft: int, ports: int, allowed: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, soft))
    assert descriptors.max_connections(ports) == allowed


def test_connections_leave_a_member_its_files() -> None:
    """Two hundred descriptors, and more connections than that: files can still be opened."""
    arguments = [sys.executable, "-m", "raftstore.cli", "serve", "--port", "0", "--members", "1"]
    limited = ["bash", "-c", 'ulimit -n 200; exec "$@"', "-", *arguments]
    process = subprocess.Popen(limited, cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    sockets: list[socket.socket] = []
    with process.stdout:
        try:
            address = process.stdout.readline().decode().split()[1].removeprefix("http://")
            assert process.stdout.readline() == b"ready\n"
            known = http.client.HTTPConnection(address, timeout=ASK_TIMEOUT_S)
            known.connect()
            host, _, port = address.partition(":")
            sockets.extend(socket.create_connection((host, int(port))) for _ in range(300))
            # What is taken goes through a file.
            known.request("POST", "/v3/maintenance/snapshot", "{}")
            answer = known.getresponse().read()
            known.close()
            assert b'"blob"' in answer
        finally:
            process.kill()
            process.wait()
            for opened in sockets:
                opened.close()


def test_a_thousand_idle_connections_cost_little_and_hold_up_no_client() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * IDLE
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"needs {wanted} file descriptors, the system allows {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    sockets: list[socket.socket] = []
    try:
        with stopping(start("--port", "0", "--members", "1")) as served:
            assert post(served, "/v3/kv/put", {"key": "YQ=="})[0] == 200
            before = resident_bytes(served)
            for _ in range(IDLE):
                opened = socket.create_connection(("127.0.0.1", served.port))
                sockets.append(opened)
                opened.sendall(PREFACE + SETTINGS)
            for opened in sockets:
                assert opened.recv(1), "the server's settings"
            assert resident_bytes(served) - before < IDLE * BYTES_PER_IDLE
            assert post(served, "/v3/kv/put", {"key": "YQ=="})[0] == 200
            assert ask(served, "GET", "/readyz") == (200, b"ok\n")
    finally:
        for opened in sockets:
            opened.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
