"""gRPC calls of one request and one answer, without a task for each: the hot path.

A request that has arrived whole is handed to the member in the turn of its connection, and answered
when the member's answer comes. What is the same for all calls with equal heads is found out once
(`raftstore.http.Head.memo`). Whatever is out of the ordinary (a very short deadline, the wish for a
leader, a method that the gateway carries out itself, a range that may be large, anything wrong with
the request) is left to `grpc`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import attrs
from google.protobuf.message import DecodeError

from raftstore.errors import RaftStoreError, Status, StoreError
from raftstore.gateway.caller import fields_of
from raftstore.gateway.codes import DEADLINE_EXCEEDED, OK, status_of
from raftstore.gateway.deadlines import MIN_S
from raftstore.gateway.endpoint import Endpoint, is_wide
from raftstore.gateway.grpc import (
    HEAD,
    HEADERS,
    HTTP_VERSION,
    IDENTITY,
    OK_TRAILERS,
    TOO_LATE,
    is_grpc,
    timeout_s,
    trailers_of,
)
from raftstore.gateway.leadership import METADATA
from raftstore.gateway.method import UNARY, Method
from raftstore.gateway.methods import BY_GRPC_PATH
from raftstore.gateway.sizes import MAX_MESSAGE_BYTES
from raftstore.gateway.tokens import token_of
from raftstore.http import Exchange, Head


@attrs.frozen
class Call:
    """What the heads of calls say that may be begun here."""

    method: Method
    # The method's request of the member.
    op: str
    parse: Callable[[bytes], Any]
    # What its calls are counted by when they went well.
    handled: tuple[str, str, str, str]
    # How long the caller waits.
    timeout_s: float


# A head whose request is not begun here.
# Longer than any member takes to answer: no need to look after such a deadline.
LONG_S: Final = 3_600.0
OTHER: Final = object()


def _read(head: Head) -> Any:
    method = BY_GRPC_PATH.get(head.target)
    is_plain = (
        method is not None
        and method.kind == UNARY
        and method.handler is None
        and is_grpc(head)
        and head.version == HTTP_VERSION
        and head.get(METADATA) is None
        and head.get(b"grpc-encoding") in {None, IDENTITY}
    )
    if method is None or not is_plain:
        return OTHER
    try:
        wait_s = timeout_s(head)
    except StoreError:
        return OTHER
    if wait_s < MIN_S:
        return OTHER
    return Call(method, method.op, method.request.FromString, (*method.labels, OK), wait_s)


def begin(endpoint: Endpoint, exchange: Exchange) -> bool:
    """Begin a call; False: it is not one for here."""
    head = exchange.head
    call = head.memo
    if call is None:
        call = head.memo = _read(head)
    if call is OTHER:
        return False
    size_bytes = exchange.unread_bytes - HEAD.size
    if not 0 <= size_bytes <= MAX_MESSAGE_BYTES:
        return False
    if HEAD.unpack(exchange.peek(HEAD.size)) != (0, size_bytes):
        return False
    method: Method = call.method
    try:
        fields = method.to_fields(call.parse(exchange.peek(HEAD.size + size_bytes)[HEAD.size :]))
    except (DecodeError, StoreError):
        return False
    if is_wide(call.op, fields):
        return False
    exchange.take(exchange.unread_bytes)
    endpoint.counters.started[method.labels] += 1
    endpoint.counters.messages_received[method.labels] += 1
    if call.timeout_s < LONG_S:
        endpoint.deadlines.add(exchange, call.timeout_s, partial(_late, endpoint, method))
    try:
        token = token_of(exchange, endpoint.backend, is_grpc=True)
        endpoint.caller.begin(call.op, fields, token, partial(_answered, endpoint, exchange, call))
    except RaftStoreError as error:
        _refuse(endpoint, exchange, method, status_of(error))
    return True


def _answered(endpoint: Endpoint, exchange: Exchange, call: Call, answer: list[Any]) -> None:
    """The member has answered."""
    method, counters = call.method, endpoint.counters
    if exchange.over:
        return
    try:
        data = method.from_fields(fields_of(answer)).SerializeToString()
        held_bytes = endpoint.unread.hold(len(data))
    except StoreError as error:
        _refuse(endpoint, exchange, method, status_of(error))
        return
    if held_bytes:
        if exchange.on_over is not None:
            # Its deadline: a client that has its answer on the way is not told anything else.
            exchange.on_over()
        exchange.on_over = partial(endpoint.unread.release, held_bytes)
    counters.messages_sent[method.labels] += 1
    counters.handled[call.handled] += 1
    exchange.answer(200, HEADERS, HEAD.pack(0, len(data)) + data, OK_TRAILERS)


def _late(endpoint: Endpoint, method: Method, exchange: Exchange) -> None:
    """The caller's time is over; what the member still answers is dropped."""
    _refuse(endpoint, exchange, method, Status(DEADLINE_EXCEEDED, TOO_LATE))


def _refuse(endpoint: Endpoint, exchange: Exchange, method: Method, status: Status) -> None:
    endpoint.counters.handled[(*method.labels, status.code)] += 1
    exchange.answer(200, HEADERS, b"", trailers_of(status))
