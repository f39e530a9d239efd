"""HTTP/1.1 without a socket: bytes in, events out; answers in, bytes out."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from raftstore.http.events import ConnectionEnded, DataReceived, RequestReceived
from raftstore.http.http1 import PIPELINED_BYTES, Http1
from raftstore.http.limits import Limits

POST = b"POST / HTTP/1.1\r\nhost: x\r\n"
GET = b"GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n"


def received(server: Http1, data: bytes) -> list[Any]:
    """What the events say, without their types."""
    told: list[Any] = []
    for event in server.receive(data):
        match event:
            case RequestReceived(number, head, ended):
                told.append((number, head.method, head.target, ended))
            case DataReceived(number, part, ended):
                told.append((number, part, ended))
            case ConnectionEnded():
                told.append("ended")
    return told


def answer(
    server: Http1, number: int, *parts: bytes, headers: Any = (), status: int = 200
) -> bytes:
    server.send_head(number, status, headers)
    for part in parts:
        server.send_data(number, part)
    server.send_end(number, ())
    return server.take_output()


def test_a_request_becomes_its_head_and_its_body() -> None:
    server = Http1(Limits())
    (event,) = server.receive(GET)
    assert isinstance(event, RequestReceived)
    head = event.head
    assert (head.method, head.path, head.query, head.version) == ("GET", "/a", "b=c", "1.1")
    assert (head.get(b"host"), head.scheme, event.ended) == (b"x", "http", True)
    answer(server, 1, headers=[(b"content-length", b"0")])
    post = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbo"
    assert received(server, post) == [(2, "POST", "/", False), (2, b"bo", False)]
    assert received(server, b"dy") == [(2, b"dy", True)]


def test_a_head_may_come_byte_by_byte() -> None:
    server = Http1(Limits())
    told = [each for number in range(len(GET)) for each in received(server, GET[number:][:1])]
    assert told == [(1, "GET", "/a?b=c", True)]


def test_a_body_in_chunks_ends_with_its_last_one() -> None:
    server = Http1(Limits())
    head = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    assert received(server, head + b"3\r\nabc\r\n") == [(1, "POST", "/", False), (1, b"abc", False)]
    assert received(server, b"0\r\n\r\n") == [(1, b"", True)]


def test_the_next_request_waits_for_the_answer_to_the_one_before() -> None:
    server = Http1(Limits())
    assert received(server, GET * 3) == [(1, "GET", "/a?b=c", True)]
    for number in (1, 2):
        assert received(server, b"") == []
        answer(server, number, headers=[(b"content-length", b"0")])
        assert received(server, b"") == [(number + 1, "GET", "/a?b=c", True)]


def test_too_much_behind_a_request_is_not_received() -> None:
    server = Http1(Limits())
    server.receive(GET)
    assert server.may_receive
    server.receive(GET * (PIPELINED_BYTES // len(GET) + 1))
    assert not server.may_receive


def test_an_answer_of_known_length_is_sent_as_it_is() -> None:
    server = Http1(Limits())
    server.receive(GET)
    sent = answer(server, 1, b"bo", b"dy", headers=[(b"content-length", b"4")])
    assert sent == b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody"
    assert not server.closed


def test_an_answer_of_unknown_length_is_sent_in_chunks_with_trailers() -> None:
    server = Http1(Limits())
    server.receive(GET)
    server.send_head(1, 200, [])
    server.send_data(1, b"body")
    server.send_end(1, [(b"a", b"b")])
    sent = server.take_output()
    assert sent.endswith(b"transfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\na: b\r\n\r\n")


@pytest.mark.parametrize("status", [204, 304])
def test_some_answers_have_no_body(status: int) -> None:
    server = Http1(Limits())
    server.receive(GET)
    sent = answer(server, 1, b"body", status=status)
    assert sent.endswith(b"\r\n\r\n")
    assert b"chunked" not in sent
    assert not server.closed


def test_a_request_for_the_head_gets_no_body() -> None:
    server = Http1(Limits())
    server.receive(GET.replace(b"GET", b"HEAD"))
    sent = answer(server, 1, b"body", headers=[(b"content-length", b"4")])
    assert sent == b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"


@pytest.mark.parametrize(
    ("request_", "closes"),
    [
        (b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", True),
        (b"GET / HTTP/1.0\r\n\r\n", True),
        (b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n", False),
    ],
)
def test_the_client_says_whether_the_connection_stays(request_: bytes, closes: bool) -> None:
    server = Http1(Limits())
    server.receive(request_)
    sent = answer(server, 1, headers=[(b"content-length", b"0")])
    assert (server.closed, b"connection: close" in sent) == (closes, closes)


def test_an_old_client_gets_an_unknown_length_up_to_the_end_of_the_connection() -> None:
    server = Http1(Limits())
    server.receive(b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
    assert answer(server, 1, b"body").endswith(b"connection: close\r\n\r\nbody")
    assert server.closed


def test_an_answer_before_the_end_of_its_request_ends_the_connection() -> None:
    server = Http1(Limits())
    server.receive(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbo")
    answer(server, 1, headers=[(b"content-length", b"0")])
    assert server.closed


def test_a_client_that_waits_for_leave_to_send_gets_it() -> None:
    server = Http1(Limits())
    head = b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n"
    server.receive(head)
    assert server.answers_peer
    assert server.take_output() == b"HTTP/1.1 100 Continue\r\n\r\n"


def test_which_methods_there_are_is_for_the_application_to_say() -> None:
    server = Http1(Limits())
    request = b"BREW /pot HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nab"
    assert received(server, request) == [(1, "BREW", "/pot", False), (1, b"ab", True)]
    answer(server, 1, headers=[(b"content-length", b"0")])
    assert received(server, GET) == [(2, "GET", "/a?b=c", True)]


def test_a_target_with_scheme_and_authority_is_a_path() -> None:
    server = Http1(Limits())
    assert received(server, b"GET http://x/a?b=c HTTP/1.1\r\nhost: x\r\n\r\n") == [
        (1, "GET", "/a?b=c", True)
    ]


@pytest.mark.parametrize("upgrade", ["h2c", "x", "websocket, x"])
def test_an_upgrade_to_what_is_not_spoken_is_overlooked(upgrade: str) -> None:
    server = Http1(Limits())
    about = f"host: x\r\nconnection: upgrade\r\nupgrade: {upgrade}\r\n"
    assert received(server, f"GET / HTTP/1.1\r\n{about}\r\n".encode() + GET) == [
        (1, "GET", "/", True)
    ]
    answer(server, 1, headers=[(b"content-length", b"0")])
    assert received(server, b"") == [(2, "GET", "/a?b=c", True)]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"\0" * 100, 501),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n", 400),
        (b"GET / HTTP/3.0\r\nhost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost : x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: x\r\n y: z\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n", 400),
        (
            POST + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
            400,
        ),
        (b"GET /" + b"a" * 2_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nhost: x\r\na: " + b"b" * 2_000, 431),
    ],
)
def test_a_malformed_request_is_refused_and_ends_the_connection(
    request_: bytes, status: int
) -> None:
    server = Http1(attrs.evolve(Limits(), head_bytes=1_000))
    assert received(server, request_)[-1:] == ["ended"]
    assert server.closed
    assert server.take_output().startswith(b"HTTP/1.1 %d " % status)
    assert received(server, GET) == []


def test_a_malformed_chunk_ends_the_request_and_the_connection() -> None:
    server = Http1(Limits())
    server.receive(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
    assert received(server, b"zz\r\n") == ["ended"]
    assert server.closed


def test_a_stopping_server_ends_the_connection_with_the_answer() -> None:
    server = Http1(Limits())
    server.receive(GET)
    server.stop()
    assert not server.closed
    assert b"connection: close" in answer(server, 1, headers=[(b"content-length", b"0")])
    assert server.closed
    idle = Http1(Limits())
    idle.stop()
    assert idle.closed
