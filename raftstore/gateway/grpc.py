"""gRPC over HTTP/2: a message is five bytes of head and its protobuf, the status comes last.

After the public description of gRPC over HTTP2: a flag (compressed) and a big-endian length before
each message; ``grpc-status`` and ``grpc-message`` (percent-encoded) as trailers; ``grpc-timeout``
of up to eight digits and a unit. Compression is refused, which every client can do without.
"""

from __future__ import annotations

import json
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
    UNKNOWN,
    status_of,
)
from raftstore.gateway.endpoint import Endpoint
from raftstore.gateway.leadership import METADATA, WANTED
from raftstore.gateway.method import BIDI_STREAM, UNARY, Method
from raftstore.gateway.methods import find
from raftstore.gateway.sizes import MAX_MESSAGE_BYTES, store_error, too_large
from raftstore.gateway.streams import HANDLERS
from raftstore.http import Exchange, Head, Headers, HttpError

CONTENT_TYPE: Final = b"application/grpc"
HEADERS: Final[Headers] = ((b"content-type", CONTENT_TYPE),)
OK_TRAILERS: Final[Headers] = ((b"grpc-status", b"0"),)
HEAD: Final = struct.Struct(">BI")
UNIT_SECONDS: Final = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
MAX_TIMEOUT_DIGITS: Final = 8
# Printable ASCII but the percent sign (space included) stands for itself in grpc-message.
UNQUOTED: Final = " !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~"
IDENTITY: Final = b"identity"
TOO_LATE: Final = "context deadline exceeded"
COMPRESSED: Final = 1
UNREADABLE: Final = "grpc: error unmarshalling request"
UNREADABLE_IN_STREAM: Final = "grpc: failed to unmarshal the received message"
HTTP_VERSION: Final = "2"
UPGRADE_REQUIRED: Final = 426


def is_grpc(head: Head) -> bool:
    """Whether a request claims to be gRPC."""
    kind = head.get(b"content-type") or b""
    return kind == CONTENT_TYPE or kind.startswith((CONTENT_TYPE + b"+", CONTENT_TYPE + b";"))


async def handle(endpoint: Endpoint, exchange: Exchange) -> None:
    """Answer a gRPC request."""
    if exchange.head.version != HTTP_VERSION:
        await exchange.respond(UPGRADE_REQUIRED, b"text/plain", b"gRPC needs HTTP/2\n")
        return
    method: Method | None = None
    status = Status(OK, "")
    try:
        method = find(exchange.head.target)
        endpoint.counters.started[method.labels] += 1
        with trio.move_on_after(timeout_s(exchange.head)) as scope:
            if exchange.head.get(METADATA) == WANTED:
                with endpoint.leadership.held():
                    await _carry_out(endpoint, exchange, method)
            else:
                await _carry_out(endpoint, exchange, method)
        if scope.cancelled_caught:
            status = Status(DEADLINE_EXCEEDED, TOO_LATE)
    except RaftStoreError as error:
        status = status_of(error)
    if method is not None:
        endpoint.counters.handled[(*method.labels, status.code)] += 1
    await _finish(exchange, status)


def timeout_s(head: Head) -> float:
    """How long a caller waits; infinite: it does not say.

    Raises:
        StoreError: what it says is malformed.
    """
    value = head.get(b"grpc-timeout")
    if value is None:
        return float("inf")
    digits, unit = value[:-1], value[-1:]
    text = value.decode("latin-1")
    if not digits:
        raise _malformed_timeout(f"transport: timeout string is too short: {_quoted(text)}")
    if len(digits) > MAX_TIMEOUT_DIGITS:
        raise _malformed_timeout(f"transport: timeout string is too long: {_quoted(text)}")
    if unit not in UNIT_SECONDS:
        raise _malformed_timeout(f"transport: timeout unit is not recognized: {_quoted(text)}")
    if not digits.isdigit():
        number = _quoted(digits.decode("latin-1"))
        raise _malformed_timeout(f"strconv.ParseInt: parsing {number}: invalid syntax")
    return int(digits) * UNIT_SECONDS[unit]


def _malformed_timeout(why: str) -> StoreError:
    return StoreError(INTERNAL, f"malformed grpc-timeout: {why}")


def _quoted(text: str) -> str:
    return json.dumps(text)


async def _carry_out(endpoint: Endpoint, exchange: Exchange, method: Method) -> None:
    counters, labels = endpoint.counters, method.labels
    encoding = exchange.head.get(b"grpc-encoding")
    if encoding not in {None, IDENTITY}:
        assert encoding is not None
        name = _quoted(encoding.decode("latin-1"))
        text = f"grpc: Decompressor is not installed for grpc-encoding {name}"
        raise StoreError(UNIMPLEMENTED, text)

    async def receive() -> Any:
        try:
            request = await _read_message(exchange, method)
        except HttpError as error:
            raise store_error(error) from error
        if request is not None:
            counters.messages_received[labels] += 1
        return request

    async def send(response: Any) -> None:
        data = response.SerializeToString()
        if not exchange.started:
            await _start(exchange)
        counters.messages_sent[labels] += 1
        await exchange.write(HEAD.pack(0, len(data)) + data)

    async def send_one(response: Any) -> None:
        # What watches hold back is bounded by their sessions.
        with endpoint.unread.held(response.ByteSize()):
            await send(response)

    async def receive_one() -> Any:
        try:
            with exchange.arriving():
                request = await receive()
        except HttpError as error:
            raise store_error(error) from error
        if request is None:
            raise StoreError(UNKNOWN, "EOF")
        return request

    if method.kind == UNARY:
        await send_one(await endpoint.call(method, await receive_one()))
        return
    # A client may wait for the head before it says anything.
    await _start(exchange)
    heard = receive if method.kind == BIDI_STREAM else receive_one
    await HANDLERS[method.path](endpoint, heard, send)


async def _read_message(exchange: Exchange, method: Method) -> Any:
    head = await exchange.read_exactly(HEAD.size)
    if head is None:
        if exchange.unread_bytes:
            raise _cut_short(method)
        return None
    flag, length = HEAD.unpack(head)
    if length > MAX_MESSAGE_BYTES:
        raise too_large(length)
    data = await exchange.read_exactly(length)
    if data is None:
        raise _cut_short(method)
    if flag == COMPRESSED:
        text = "grpc: compressed flag set with identity or empty encoding"
        raise StoreError(INTERNAL, text)
    if flag:
        raise StoreError(INTERNAL, f"grpc: received unexpected payload format {flag}")
    try:
        return method.request.FromString(data)
    except DecodeError as error:
        raise unreadable(method) from error


def unreadable(method: Method) -> StoreError:
    """The refusal of bytes that are not a message of the method."""
    text = UNREADABLE if method.kind == UNARY else UNREADABLE_IN_STREAM
    return StoreError(INTERNAL, text)


def _cut_short(method: Method) -> StoreError:
    # The codes of etcd's gRPC library.
    return StoreError(INTERNAL if method.kind == BIDI_STREAM else UNKNOWN, "unexpected EOF")


async def _start(exchange: Exchange) -> None:
    await exchange.start(200, HEADERS)


async def _finish(exchange: Exchange, status: Status) -> None:
    if not exchange.started:
        await exchange.discard()
        await _start(exchange)
    await exchange.end(trailers_of(status))


def trailers_of(status: Status) -> Headers:
    """What tells a status behind the answer."""
    if status.code == OK:
        return OK_TRAILERS
    number = (b"grpc-status", b"%d" % NUMBERS[status.code])
    if not status.message:
        return (number,)
    return number, (b"grpc-message", quote(status.message, safe=UNQUOTED).encode())
