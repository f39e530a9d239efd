"""HTTP to what is behind a proxy: the request goes over the stream, its answer comes back.

The connection is used once. Hop-by-hop headers stay on their hop (RFC 9110, section 7.6.1), the
rest of the path and the query stay as they are.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, unquote

import httptools
import trio

from k8sactors.api import errors, streaming
from k8sactors.api.errors import StatusError
from k8sactors.client.remote_stream import RemoteStream
from k8sactors.gateway.paths import PROXY, Target
from k8sactors.simulation import unwrap_groups
from raftstore.http import Exchange
from raftstore.http.errors import HttpError

MAX_BODY_BYTES: Final = 3 << 20
MAX_HEAD_BYTES: Final = 64 << 10
_HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"content-length",
        b"expect",
        b"host",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        # Credentials are for the API server.
        b"authorization",
    }
)


def path_behind(exchange: Exchange, target: Target) -> str | None:
    """The path behind the subresource; None if its slash is missing, which is redirected."""
    _, _, rest = exchange.head.path.partition(f"/{quote(target.name, safe=':')}/{PROXY}")
    if not rest and "%" in exchange.head.path:
        _, _, rest = unquote(exchange.head.path).partition(f"/{target.name}/{PROXY}")
    if not rest and exchange.head.method in {"GET", "HEAD"}:
        return None
    query = f"?{exchange.head.query}" if exchange.head.query else ""
    return (rest or "/") + query


async def redirect(exchange: Exchange) -> None:
    """Send the client to the path with a slash, as the real server does."""
    query = f"?{exchange.head.query}" if exchange.head.query else ""
    place = f"{exchange.head.path}/{query}"
    await exchange.respond(301, b"text/plain", b"", [(b"location", place.encode())])


async def serve_page(exchange: Exchange, remote: RemoteStream) -> None:
    """A page of a kubelet."""
    await exchange.start(200, [(b"content-type", remote.content_type.encode())])
    while (item := await remote.receive()) is not None:
        await exchange.write(item[1])
    await exchange.end()


async def serve(exchange: Exchange, remote: RemoteStream, path: str) -> None:
    """A request to a pod's port.

    Raises:
        StatusError: 503, the answer is no HTTP, or 413.
    """
    try:
        body = await exchange.body(MAX_BODY_BYTES)
    except HttpError as error:
        raise errors.request_entity_too_large(str(error)) from error
    head = exchange.head
    lines = [f"{head.method} {path} HTTP/1.1".encode("latin-1")]
    lines.append(b"host: " + (head.get(b"host") or b""))
    lines += [name + b": " + value for name, value in head.headers if name not in _HOP_BY_HOP]
    lines.append(b"x-forwarded-uri: " + head.path.encode("latin-1"))
    lines.append(b"connection: close")
    if body or head.method in {"POST", "PUT", "PATCH"}:
        lines.append(b"content-length: %d" % len(body))
    request = b"\r\n".join(lines) + b"\r\n\r\n" + body
    with unwrap_groups():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(remote.send_bytes, streaming.STDIN, request)
            await _answer(exchange, remote)
            nursery.cancel_scope.cancel()


class _Answer:
    """What httptools makes of the answer."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.headers: list[tuple[bytes, bytes]] = []
        self.head_complete = False
        self.complete = False
        self.parts: list[bytes] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is complete."""
        self.head_complete = True

    def on_body(self, data: bytes) -> None:
        """A part of the body."""
        self.parts.append(data)

    def on_message_complete(self) -> None:
        """The answer is complete."""
        self.complete = True


async def _answer(exchange: Exchange, remote: RemoteStream) -> None:
    answer = _Answer()
    size = 0
    while not answer.complete:
        item = await remote.receive()
        if item is None:
            break
        size += len(item[1])
        try:
            answer.parser.feed_data(item[1])
        except httptools.HttpParserError as error:
            raise _bad_gateway(f"malformed HTTP response: {error}") from error
        if not answer.head_complete:
            if size > MAX_HEAD_BYTES:
                raise _bad_gateway("malformed HTTP response: headers are too large")
            continue
        if not exchange.started:
            headers = [each for each in answer.headers if each[0] not in _HOP_BY_HOP]
            await exchange.start(answer.parser.get_status_code(), headers)
        for part in answer.parts:
            await exchange.write(part)
        answer.parts.clear()
        if exchange.head.method == "HEAD":
            break
    if not exchange.started:
        raise _bad_gateway("EOF")
    await exchange.end()


def _bad_gateway(problem: str) -> StatusError:
    return errors.service_unavailable(f"error trying to reach service: {problem}")
