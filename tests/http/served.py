"""An application on a port of this process, on a clock that jumps when nothing happens."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio
from trio.testing import MockClock

from raftstore.http import Limits, Listener
from raftstore.http.ports import listen

# Bytes on a socket need real time, in which the clock must not jump.
AUTOJUMP_S = 0.01
PATIENCE_S = 2_000
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


@attrs.frozen
class Port:
    listener: Listener
    number: int

    @asynccontextmanager
    async def connected(self, first: bytes = b"") -> AsyncIterator[trio.SocketStream]:
        async with await trio.open_tcp_stream("127.0.0.1", self.number) as stream:
            if first:
                await stream.send_all(first)
            yield stream

    async def until_empty(self) -> None:
        while self.listener.traffic.connections:  # noqa: ASYNC110 - a counter has no event
            await trio.sleep(0.01)


@asynccontextmanager
async def serving(
    application: Any,
    limits: Limits | None = None,
    tls: ssl.SSLContext | None = None,
    *,
    plain_from_loopback: bool = False,
) -> AsyncIterator[Port]:
    async with trio.open_nursery() as nursery:
        opened = await listen("127.0.0.1", 0)
        listener = Listener(
            application, opened, tls=tls, limits=limits, plain_from_loopback=plain_from_loopback
        )
        nursery.start_soon(listener.run)
        with trio.fail_after(PATIENCE_S):
            yield Port(listener, opened.socket.getsockname()[1])
        nursery.cancel_scope.cancel()


def run(test: Callable[[], Awaitable[None]]) -> None:
    trio.run(test, clock=MockClock(autojump_threshold=AUTOJUMP_S))


async def read_until(stream: Any, end: bytes) -> bytes:
    data = b""
    while end not in data:
        part = await stream.receive_some()
        assert part, f"ended behind {data!r}"
        data += bytes(part)
    return data


async def read_all(stream: Any) -> bytes:
    data = b""
    try:
        while part := await stream.receive_some():
            data += bytes(part)
    except trio.BrokenResourceError:
        pass  # A reset is an end, too.
    return data
