"""HTTP/2 without a socket: bytes in, events out; answers in, bytes out."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from h2 import events as h2
from h2.errors import ErrorCodes

from raftstore.http.events import (
    ConnectionEnded,
    DataReceived,
    RequestReceived,
    StreamReset,
    WindowOpened,
)
from raftstore.http.http2 import STREAM_WINDOW_BYTES
from raftstore.http.limits import Limits
from tests.http.wire import REQUEST, Pair


def kinds(events: list[Any]) -> list[type]:
    return [type(event) for event in events]


def test_a_request_becomes_its_head_and_its_body() -> None:
    pair = Pair()
    stream_id = pair.request([("te", "trailers")], b"body")
    request, data = pair.to_server()
    assert isinstance(request, RequestReceived)
    assert isinstance(data, DataReceived)
    head = request.head
    assert (head.method, head.target, head.path, head.query) == ("POST", "/a?b=c", "/a", "b=c")
    assert (head.version, head.scheme, head.get(b"te")) == ("2", "http", b"trailers")
    assert (request.stream_id, request.ended) == (stream_id, False)
    assert (data.stream_id, data.data, data.ended) == (stream_id, b"body", True)


def test_a_request_without_a_body_has_ended_with_its_head() -> None:
    pair = Pair()
    pair.request()
    (request,) = pair.to_server()
    assert isinstance(request, RequestReceived)
    assert request.ended


def test_a_request_may_end_by_itself_or_with_trailers() -> None:
    pair = Pair()
    stream_id = pair.request(end=False)
    pair.to_server()
    pair.client.end_stream(stream_id)
    (ended,) = pair.to_server()
    assert (ended.data, ended.ended) == (b"", True)
    stream_id = pair.request(end=False)
    pair.to_server()
    pair.client.send_headers(stream_id, [("checksum", "1")], end_stream=True)
    (ended,) = pair.to_server()
    assert (ended.stream_id, ended.data, ended.ended) == (stream_id, b"", True)


def test_requests_with_equal_heads_share_one() -> None:
    pair = Pair()
    heads = []
    for _ in range(3):
        pair.request([("content-type", "application/grpc")])
        (request,) = pair.to_server()
        heads.append(request.head)
    assert heads[0] is heads[1] is heads[2]
    pair.request([("content-type", "text/plain")])
    (other,) = pair.to_server()
    assert other.head.get(b"content-type") == b"text/plain"
    pair.request([("content-type", "application/grpc")])
    (again,) = pair.to_server()
    assert again.head.get(b"content-type") == b"application/grpc"


def test_an_answer_has_a_head_a_body_and_trailers() -> None:
    pair = Pair()
    stream_id = pair.request()
    pair.to_server()
    pair.server.send_head(stream_id, 200, [(b"content-type", b"a"), (b"x", b"y" * 200)])
    pair.server.send_data(stream_id, b"body")
    pair.server.send_end(stream_id, [(b"grpc-status", b"0")])
    head, data, trailers, end = pair.to_client()
    assert head.headers == [(":status", "200"), ("content-type", "a"), ("x", "y" * 200)]
    assert data.data == b"body"
    assert trailers.headers == [("grpc-status", "0")]
    assert isinstance(end, h2.StreamEnded)


def test_the_last_frame_of_data_ends_an_answer() -> None:
    pair = Pair()
    stream_id = pair.request()
    pair.to_server()
    pair.server.send_head(stream_id, 200, [])
    pair.server.send_last(stream_id, b"body")
    _, data, end = pair.to_client()
    assert data.data == b"body"
    assert data.stream_ended is end
    assert isinstance(end, h2.StreamEnded)


def test_an_answer_before_the_end_of_its_request_stops_the_request() -> None:
    pair = Pair()
    stream_id = pair.request(end=False)
    pair.to_server()
    pair.server.send_head(stream_id, 413, [])
    pair.server.send_end(stream_id, ())
    *_, reset = pair.to_client()
    assert isinstance(reset, h2.StreamReset)
    assert reset.error_code == ErrorCodes.NO_ERROR
    # What was on its way meanwhile is overlooked.
    pair.request()
    (request,) = pair.to_server()
    assert isinstance(request, RequestReceived)


def test_a_window_opens_as_its_body_is_read_and_not_before() -> None:
    pair = Pair()
    stream_id = pair.request(end=False)
    part = bytes(1 << 14)
    for _ in range(STREAM_WINDOW_BYTES // len(part)):
        pair.client.send_data(stream_id, part)
    received = sum(len(event.data) for event in pair.to_server()[1:])
    assert received == STREAM_WINDOW_BYTES
    pair.to_client()
    assert pair.client.local_flow_control_window(stream_id) == 0
    pair.server.acknowledge(stream_id, received)
    pair.to_client()
    assert pair.client.local_flow_control_window(stream_id) == STREAM_WINDOW_BYTES
    # The other streams were never held up.
    other = pair.request(end=False)
    assert pair.client.local_flow_control_window(other) == STREAM_WINDOW_BYTES


def test_an_answer_waits_for_the_window_of_its_stream() -> None:
    pair = Pair()
    stream_id = pair.request()
    pair.to_server()
    pair.server.send_head(stream_id, 200, [])
    sent = 0
    while room := pair.server.room(stream_id):
        pair.server.send_data(stream_id, bytes(room))
        sent += room
    assert sent == 65_535
    pair.to_client()
    pair.client.acknowledge_received_data(sent, stream_id)
    events = pair.to_server()
    assert set(kinds(events)) == {WindowOpened}
    assert {event.stream_id for event in events} == {0, stream_id}
    assert pair.server.room(stream_id) > 0


def test_a_ping_is_answered_at_once() -> None:
    pair = Pair()
    pair.client.ping(b"12345678")
    assert not pair.server.answers_peer
    assert pair.to_server() == []
    assert pair.server.answers_peer
    (answer,) = pair.to_client()
    assert isinstance(answer, h2.PingAckReceived)


def test_a_stream_that_is_given_up_is_told() -> None:
    pair = Pair()
    stream_id = pair.request(end=False)
    pair.to_server()
    pair.client.reset_stream(stream_id)
    (reset,) = pair.to_server()
    assert isinstance(reset, StreamReset)
    assert reset.stream_id == stream_id


def test_a_stopping_server_finishes_what_it_has_begun_and_refuses_the_rest() -> None:
    pair = Pair()
    first = pair.request()
    pair.to_server()
    second = pair.request()
    pair.server.stop()
    assert pair.to_server() == []
    pair.server.send_head(first, 204, [])
    pair.server.send_end(first, ())
    # h2's client takes nothing behind a GOAWAY: it is looked at apart.
    output = pair.server.take_output()
    goaway, rest = output[:17], output[17:]
    assert (goaway[3], goaway[9:13]) == (7, first.to_bytes(4))
    events = pair.client.receive_data(rest)
    assert {(type(event), getattr(event, "stream_id", 0)) for event in events} >= {
        (h2.ResponseReceived, first),
        (h2.StreamEnded, first),
        (h2.StreamReset, second),
    }


MALFORMED = {
    "no method": [REQUEST[1], REQUEST[2], REQUEST[3]],
    "no scheme": [REQUEST[0], REQUEST[2], REQUEST[3]],
    "no path": [REQUEST[0], REQUEST[1], REQUEST[3]],
    "an empty path": [REQUEST[0], REQUEST[1], (":path", ""), REQUEST[3]],
    "neither authority nor host": REQUEST[:3],
    "authority and host differ": [*REQUEST, ("host", "y")],
    "a pseudo-header twice": [*REQUEST, (":path", "/")],
    "a pseudo-header behind a header": [*REQUEST[:3], ("a", "b"), REQUEST[3]],
    "a pseudo-header of answers": [*REQUEST, (":status", "200")],
    "an unknown pseudo-header": [*REQUEST, (":x", "y")],
    "a header of HTTP/1.1": [*REQUEST, ("connection", "close")],
    "te with more than trailers": [*REQUEST, ("te", "gzip")],
    "a name in capitals": [*REQUEST, ("X-Y", "z")],
    "an empty name": [*REQUEST, ("", "z")],
    "a name with a space": [*REQUEST, ("a b", "z")],
    "a value with a line break": [*REQUEST, ("a", "b\r\nc: d")],
    "a value that begins with a space": [*REQUEST, ("a", " b")],
    "a value that ends with a tab": [*REQUEST, ("a", "b\t")],
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_head_ends_the_connection(name: str) -> None:
    pair = Pair(validate=False)
    pair.client.send_headers(1, MALFORMED[name], end_stream=True)
    events = pair.to_server()
    assert kinds(events) == [ConnectionEnded]
    assert pair.server.closed
    (goodbye,) = [each for each in pair.to_client() if isinstance(each, h2.ConnectionTerminated)]
    assert goodbye.error_code == ErrorCodes.PROTOCOL_ERROR


def test_malformed_trailers_end_the_connection() -> None:
    pair = Pair(validate=False)
    stream_id = pair.request(end=False)
    pair.to_server()
    pair.client.send_headers(stream_id, [("Check", "1")], end_stream=True)
    assert ConnectionEnded in kinds(pair.to_server())


def test_a_head_beyond_the_limit_ends_the_connection() -> None:
    pair = Pair(attrs.evolve(Limits(), head_bytes=1_000))
    pair.request([("a", "b" * 900)])
    assert kinds(pair.to_server()) == [ConnectionEnded]


def test_more_streams_than_allowed_end_the_connection() -> None:
    pair = Pair(attrs.evolve(Limits(), streams=2))
    pair.client.remote_settings.max_concurrent_streams = 10
    pair.client.remote_settings.acknowledge()
    seen = []
    for _ in range(3):
        pair.request(end=False)
        seen += kinds(pair.to_server())
    assert seen == [RequestReceived, RequestReceived, ConnectionEnded]


def test_a_length_that_the_body_does_not_have_ends_the_connection() -> None:
    pair = Pair()
    pair.request([("content-length", "5")], b"four")
    assert kinds(pair.to_server())[-1] is ConnectionEnded


def test_the_end_of_the_peer_ends_the_connection() -> None:
    pair = Pair()
    pair.client.close_connection()
    assert kinds(pair.to_server()) == [ConnectionEnded]
