"""gRPC over HTTP/2: a message is five bytes of head and its protobuf, the status comes last.

After the public description of gRPC over HTTP2: a flag (compressed) and a big-endian length before
each message; ``grpc-status`` and ``grpc-message`` (percent-encoded) as trailers; ``grpc-timeout``
of up to eight digits and a unit. Compression is refused, which every client can do without.
"""

from __future__ import annotations

import struct
from typing import Any, Final
from urllib.parse import quote

import trio
from google.protobuf.message import DecodeError

from raftstore.errors import RaftStoreError, Status, StoreError
from raftstore.gateway.codes import (
    DEADLINE_EXCEEDED,
    INTERNAL,
    NUMBERS,
    OK,
    UNIMPLEMENTED,
    status_of,
)
from raftstore.gateway.endpoint import Endpoint
from raftstore.gateway.exchange import MAX_MESSAGE_BYTES, Exchange, too_large
from raftstore.gateway.method import UNARY, Method
from raftstore.gateway.methods import find
from raftstore.gateway.streams import HANDLERS

CONTENT_TYPE: Final = b"application/grpc"
HEAD: Final = struct.Struct(">BI")
UNIT_SECONDS: Final = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
MAX_TIMEOUT_DIGITS: Final = 8
# Printable ASCII but the percent sign (space included) stands for itself in grpc-message.
UNQUOTED: Final = " !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~"
HTTP_VERSION: Final = "2"
UPGRADE_REQUIRED: Final = 426


def is_grpc(exchange: Exchange) -> bool:
    """Whether a request claims to be gRPC."""
    return exchange.headers.get(b"content-type", b"").startswith(CONTENT_TYPE)


async def handle(endpoint: Endpoint, exchange: Exchange) -> None:
    """Answer a gRPC request."""
    if exchange.http_version != HTTP_VERSION:
        await exchange.respond(UPGRADE_REQUIRED, b"text/plain", b"gRPC needs HTTP/2\n")
        return
    method: Method | None = None
    status = Status(OK, "")
    try:
        method = find(exchange.path)
        endpoint.counters.started[_labels(method)] += 1
        with trio.move_on_after(_timeout_s(exchange)) as scope:
            await _carry_out(endpoint, exchange, method)
        if scope.cancelled_caught:
            status = Status(DEADLINE_EXCEEDED, "context deadline exceeded")
    except RaftStoreError as error:
        status = status_of(error)
    if method is not None:
        endpoint.counters.handled[(*_labels(method), status.code)] += 1
    await _finish(exchange, status)


def _labels(method: Method) -> tuple[str, str, str]:
    return method.kind, method.full_service, method.name


def _timeout_s(exchange: Exchange) -> float:
    text = exchange.headers.get(b"grpc-timeout", b"")
    digits, unit = text[:-1], text[-1:]
    if not text:
        return float("inf")
    if unit not in UNIT_SECONDS or not digits.isdigit() or len(digits) > MAX_TIMEOUT_DIGITS:
        raise StoreError(INTERNAL, "malformed grpc-timeout")
    return int(digits) * UNIT_SECONDS[unit]


async def _carry_out(endpoint: Endpoint, exchange: Exchange, method: Method) -> None:
    counters, labels = endpoint.counters, _labels(method)

    async def receive() -> Any:
        request = await _read_message(exchange, method)
        if request is not None:
            counters.messages_received[labels] += 1
        return request

    async def send(response: Any) -> None:
        data = response.SerializeToString()
        if not exchange.started:
            await _start(exchange)
        counters.messages_sent[labels] += 1
        await exchange.write(HEAD.pack(0, len(data)) + data)

    if method.kind != UNARY:
        # A client may wait for the head before it says anything.
        await _start(exchange)
        await HANDLERS[method.path](endpoint, receive, send)
        return
    request = await receive()
    if request is None:
        raise StoreError(INTERNAL, "grpc: the request has no message")
    await send(await endpoint.call(method, request))


async def _read_message(exchange: Exchange, method: Method) -> Any:
    head = await exchange.read_exactly(HEAD.size)
    if head is None:
        return None
    compressed, length = HEAD.unpack(head)
    if length > MAX_MESSAGE_BYTES or compressed:
        if compressed:
            raise StoreError(UNIMPLEMENTED, "grpc: Decompressor is not installed")
        raise too_large(length)
    data = await exchange.read_exactly(length)
    if data is None:
        raise StoreError(INTERNAL, "grpc: the message ends before its length")
    try:
        return method.request.FromString(data)
    except DecodeError as error:
        raise StoreError(INTERNAL, "grpc: error unmarshalling request") from error


async def _start(exchange: Exchange) -> None:
    await exchange.start(200, [(b"content-type", CONTENT_TYPE)], trailers=True)


async def _finish(exchange: Exchange, status: Status) -> None:
    if not exchange.started:
        await exchange.discard()
        await _start(exchange)
    await exchange.write(b"", more=False)
    trailers = [(b"grpc-status", b"%d" % NUMBERS[status.code])]
    if status.message:
        trailers.append((b"grpc-message", quote(status.message, safe=UNQUOTED).encode()))
    await exchange.write_trailers(trailers)
