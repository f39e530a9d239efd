"""Many watches over HTTPS, and one whose client does not read."""

from __future__ import annotations

import json
import ssl
import time
from typing import Any, Final

import attrs
import trio

from benches.served_api import ServedApi

TIMEOUT_S: Final = 300.0
HANDSHAKES_AT_ONCE: Final = 20
RECEIVE_BYTES: Final = 1 << 16
BATCH: Final = 10
# Of an object that a slow watcher is sent; what its connection holds is soon full.
LARGE_BYTES: Final = 200_000
_OK: Final = b"200"

Object = dict[str, Any]


class WatchError(Exception):
    """A watch was refused, or did not see what it must."""


@attrs.define
class Watcher:
    """One watch on a connection of its own; counts the objects that it is told were added."""

    served: ServedApi
    path: str
    seen: int = 0
    last_revision: int = 0
    _stream: trio.SSLStream[trio.SocketStream] | None = None
    # What has arrived and is not taken out of its chunks; and lines that are not complete.
    _raw: bytes = b""
    _text: bytes = b""

    async def open(self, receive_buffer_bytes: int | None = None) -> None:
        """Send the request."""
        tcp = await trio.open_tcp_stream("127.0.0.1", self.served.port)
        if receive_buffer_bytes is not None:
            tcp.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, receive_buffer_bytes)
        context: ssl.SSLContext = self.served.context
        self._stream = trio.SSLStream(
            tcp, context, server_hostname="127.0.0.1", https_compatible=True
        )
        lines = [f"GET {self.path} HTTP/1.1", "host: bench"]
        lines += [f"{name}: {value}" for name, value in self.served.headers.items()]
        await self._stream.send_all("\r\n".join([*lines, "", ""]).encode())

    async def begin(self) -> None:
        """Wait for the head of the answer.

        Raises:
            WatchError: the watch is refused.
        """
        while b"\r\n\r\n" not in self._raw:
            await self._receive()
        head, _, self._raw = self._raw.partition(b"\r\n\r\n")
        if head.split(b" ", 2)[1] != _OK:
            raise WatchError(head.decode())

    async def follow(self, count: int) -> None:
        """Read until so many objects were added.

        Raises:
            WatchError: the watch ends before, or tells them out of order.
        """
        while self.seen < count:
            await self._receive()
            self._take_chunks()
            lines = self._text.split(b"\n")
            self._text = lines.pop()
            for line in lines:
                if line.startswith(b'{"type":"ADDED"'):
                    self._added(json.loads(line))

    def _added(self, event: Object) -> None:
        revision = int(event["object"]["metadata"]["resourceVersion"])
        if revision <= self.last_revision:
            raise WatchError(f"revision {revision} came after {self.last_revision}")
        self.last_revision = revision
        self.seen += 1

    async def _receive(self) -> None:
        assert self._stream is not None
        data = await self._stream.receive_some(RECEIVE_BYTES)
        if not data:
            raise WatchError(f"the watch ended after {self.seen} objects")
        self._raw += data

    def _take_chunks(self) -> None:
        """Take the chunks that are complete (RFC 9112, section 7.1)."""
        while True:
            size_text, found, rest = self._raw.partition(b"\r\n")
            if not found:
                return
            size = int(size_text, 16)
            if len(rest) < size + 2:
                return
            self._text += rest[:size]
            self._raw = rest[size + 2 :]

    async def until_cut(self) -> int:
        """Read what is left; how many bytes came until the server's end."""
        assert self._stream is not None
        size_bytes = 0
        try:
            while data := await self._stream.receive_some(RECEIVE_BYTES):
                size_bytes += len(data)
        except trio.BrokenResourceError:
            pass  # A connection that is broken is cut as well.
        return size_bytes

    async def close(self) -> None:
        """End it."""
        if self._stream is not None:
            await trio.aclose_forcefully(self._stream)


def watches(
    served: ServedApi, path: str, template: Object, watchers: int, events: int
) -> dict[str, float]:
    """Open so many watches, create so many objects, and wait until all have seen all."""
    return trio.run(_watches, served, path, template, watchers, events)


async def _watches(
    served: ServedApi, path: str, template: Object, count: int, events: int
) -> dict[str, float]:
    watchers = [Watcher(served, watch_path(served, path)) for _ in range(count)]
    with trio.fail_after(TIMEOUT_S):
        started_s = time.perf_counter()
        await _open_all(watchers)
        opened_s = time.perf_counter() - started_s
        cpu_s, started_s = served.cpu_seconds(), time.perf_counter()
        async with trio.open_nursery() as nursery:
            for watcher in watchers:
                nursery.start_soon(watcher.follow, events)
            await _create(served, path, template, events)
        seconds = time.perf_counter() - started_s
        cpu_s = served.cpu_seconds() - cpu_s
        for watcher in watchers:
            await watcher.close()
    told = count * events
    return {
        "watches": count,
        "events": events,
        "opened_per_second": round(count / opened_s, 1),
        "told_per_second": round(told / seconds),
        "server_cpu_us_per_told": round(1e6 * cpu_s / told, 1),
    }


def watch_path(served: ServedApi, path: str) -> str:
    """A watch from now on."""
    revision = json.loads(served.ask(f"{path}?limit=1"))["metadata"]["resourceVersion"]
    return f"{path}?watch=1&resourceVersion={revision}"


async def _open_all(watchers: list[Watcher]) -> None:
    limiter = trio.CapacityLimiter(HANDSHAKES_AT_ONCE)

    async def open_one(watcher: Watcher) -> None:
        async with limiter:
            await watcher.open()
            await watcher.begin()

    async with trio.open_nursery() as nursery:
        for watcher in watchers:
            nursery.start_soon(open_one, watcher)


async def _create(served: ServedApi, path: str, template: Object, count: int) -> None:
    for begin in range(0, count, BATCH):
        async with trio.open_nursery() as nursery:
            for _ in range(min(BATCH, count - begin)):
                nursery.start_soon(_create_one, served, path, template)


async def _create_one(served: ServedApi, path: str, template: Object) -> None:
    await trio.to_thread.run_sync(served.ask, path, template)


def slow_watcher(
    served: ServedApi, path: str, template: Object, others: int, objects: int
) -> dict[str, float]:
    """Create large objects while one of the watchers does not read; it must be cut.

    Raises:
        WatchError: it was not, or another watcher did not see all objects.
    """
    return trio.run(_slow_watcher, served, path, template, others, objects)


async def _slow_watcher(
    served: ServedApi, path: str, template: Object, others: int, objects: int
) -> dict[str, float]:
    large = {**template, "data": {"value": "x" * LARGE_BYTES}}
    where = watch_path(served, path)
    slow = Watcher(served, where)
    watchers = [Watcher(served, where) for _ in range(others)]
    with trio.fail_after(TIMEOUT_S):
        await slow.open(receive_buffer_bytes=RECEIVE_BYTES)
        await slow.begin()
        await _open_all(watchers)
        served.forget_peak()
        before_mb = served.memory_mb()[0]
        async with trio.open_nursery() as nursery:
            for watcher in watchers:
                nursery.start_soon(watcher.follow, objects)
            await _create(served, path, large, objects)
        sent_bytes = await slow.until_cut()
        for watcher in (slow, *watchers):
            await watcher.close()
    if sent_bytes >= objects * LARGE_BYTES:
        raise WatchError(f"a watcher that did not read was sent all of {objects} objects")
    return {
        "others": others,
        "objects": objects,
        "sent_to_slow_mb": round(sent_bytes / 1e6, 1),
        "memory_growth_mb": round(served.memory_mb()[1] - before_mb, 1),
        "others_saw": min(watcher.seen for watcher in watchers),
    }
