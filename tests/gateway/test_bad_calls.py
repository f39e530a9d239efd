"""Calls that no gRPC library would make, made by hand at a served member and at a real etcd.

Wrong heads, wrong frames around messages, calls that stop half way: the same end on both sides, and
the connection continues. What differs stands in `DIFFERENT`, with the reason.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import pytest

from raftstore.gateway.messages import message as message_class
from tests.gateway.raw_http2 import RawConnection, message
from tests.gateway.real import ETCD, WITHOUT_ETCD

pytestmark = pytest.mark.skipif(ETCD is None, reason=WITHOUT_ETCD)

RANGE: Final = "/etcdserverpb.KV/Range"
PUT: Final = "/etcdserverpb.KV/Put"
KEEP_ALIVE: Final = "/etcdserverpb.Lease/LeaseKeepAlive"
SNAPSHOT: Final = "/etcdserverpb.Maintenance/Snapshot"
HEALTH: Final = "/grpc.health.v1.Health/Check"
REQUEST: Final = message_class("RangeRequest")(key=b"a").SerializeToString()
BODY: Final = message(REQUEST)
CALL: Final = {"path": RANGE, "body": BODY}


def head(**headers: str) -> dict[str, Any]:
    """The good call with these headers; "_" stands for "-"."""
    return {**CALL, "headers": {name.replace("_", "-"): text for name, text in headers.items()}}


CALLS: Final[dict[str, dict[str, Any]]] = {
    "good": CALL,
    "no te": {**CALL, "without": ["te"]},
    "no authority": {**CALL, "without": [":authority"]},
    "no method": {**CALL, "without": [":method"]},
    "no scheme": {**CALL, "without": [":scheme"]},
    "no path": {**CALL, "without": [":path"]},
    "another HTTP method": {**CALL, "headers": {":method": "GET"}},
    "no content type": {**CALL, "without": ["content-type"]},
    "text": head(content_type="text/plain"),
    "JSON": head(content_type="application/json"),
    "nearly gRPC": head(content_type="application/grpcx"),
    "gRPC for browsers": head(content_type="application/grpc-web"),
    "gRPC of protobuf": head(content_type="application/grpc+proto"),
    "gRPC with a parameter": head(content_type="application/grpc;charset=x"),
    "an unknown method": {**CALL, "path": "/etcdserverpb.KV/Nothing"},
    "a method in small letters": {**CALL, "path": "/etcdserverpb.KV/range"},
    "a method in percents": {**CALL, "path": "/etcdserverpb.KV/R%61nge"},
    "an unknown service": {**CALL, "path": "/etcdserverpb.Nothing/Range"},
    "a downgrade": {**CALL, "path": "/etcdserverpb.Maintenance/Downgrade"},
    "reflection": {
        **CALL,
        "path": "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    },
    "the state of auth": {"path": "/etcdserverpb.Auth/AuthStatus", "body": message(b"")},
    "a path of one word": {**CALL, "path": "nothing"},
    "a path of nothing": {**CALL, "path": "/"},
    "a path of a service": {**CALL, "path": "/etcdserverpb.KV"},
    "a path with a query": {**CALL, "path": f"{RANGE}?x=1"},
    "a path with more": {**CALL, "path": f"{RANGE}/"},
    "health": {"path": HEALTH, "body": message(b"")},
    "health of a service": {"path": HEALTH, "body": message(b"\x0a\x03foo")},
    "no message": {"path": RANGE},
    "half a head": {"path": RANGE, "body": b"\0\0"},
    "half a message": {"path": RANGE, "body": message(REQUEST, length=50)},
    "a head that tells too little": {"path": RANGE, "body": message(REQUEST, length=2)},
    "two messages": {"path": RANGE, "body": BODY + BODY},
    "garbage after the message": {"path": RANGE, "body": BODY + b"xyz"},
    "the largest length": {"path": RANGE, "body": message(REQUEST, length=(1 << 32) - 1)},
    "a length too large": {"path": RANGE, "body": message(REQUEST, length=3 << 20)},
    "compressed": {"path": RANGE, "body": message(REQUEST, flag=1)},
    "compressed, with a name": {**head(grpc_encoding="gzip"), "body": message(REQUEST, flag=1)},
    "not compressed, with a name": head(grpc_encoding="gzip"),
    "compressed by nothing": head(grpc_encoding="identity"),
    "another flag": {"path": RANGE, "body": message(REQUEST, flag=2)},
    "all flags": {"path": RANGE, "body": message(REQUEST, flag=255)},
    "a timeout of no number": head(grpc_timeout="xS"),
    "a timeout of nothing": head(grpc_timeout=""),
    "a timeout without a unit": head(grpc_timeout="1"),
    "a timeout too long": head(grpc_timeout="123456789S"),
    "a negative timeout": head(grpc_timeout="-1S"),
    "an unknown unit": head(grpc_timeout="1Y"),
    "no time at all": head(grpc_timeout="0S"),
    "all the time": head(grpc_timeout="99999999H"),
    "invalid binary metadata": head(x_bin="%%%"),
    "a token without auth": head(token="nonsense"),
    "a leader is wanted": head(hasleader="true"),
    "a large head": head(x="y" * 60_000),
    "a huge head": head(x="y" * 100_000),
    "a header of HTTP/1": head(connection="keep-alive"),
    "a header in capitals": {**CALL, "headers": {"X-Upper": "1"}},
    "a stream of nothing": {"path": KEEP_ALIVE},
    "a stream of half a head": {"path": KEEP_ALIVE, "body": b"\0\0\0"},
    "a stream of half a message": {"path": KEEP_ALIVE, "body": message(b"\x08\x01", length=9)},
    "an answer in parts to nothing": {"path": SNAPSHOT},
}


class Difference(NamedTuple):
    """What becomes of the call with ours, with a real etcd of release 3.4, and why."""

    ours: str
    real: str
    why: str


CLOSED: Final = "connection closed"
RESET: Final = "stream reset, 1"
MALFORMED: Final = "RFC 9113 calls it malformed"
JSON: Final = "JSON is served over HTTP/2 as well, and does not know this path"
RENAMED: Final = "the code of later gRPC libraries"
BAD_TIMEOUT: Final = "13: malformed grpc-timeout: "

DIFFERENT: Final = {
    "no authority": Difference(CLOSED, "0", MALFORMED),
    "no method": Difference(CLOSED, "0", MALFORMED),
    "no scheme": Difference(CLOSED, "0", MALFORMED),
    "no path": Difference(CLOSED, '8: malformed method name: ""', MALFORMED),
    "a header of HTTP/1": Difference(CLOSED, "0", MALFORMED),
    "a header in capitals": Difference(CLOSED, RESET, MALFORMED),
    "a huge head": Difference(CLOSED, "0", "64 KiB are enough; etcd takes 16 MiB"),
    "no content type": Difference("HTTP 404", RESET, JSON),
    "text": Difference("HTTP 404", RESET, JSON),
    "JSON": Difference("HTTP 404", RESET, JSON),
    "nearly gRPC": Difference("HTTP 404", RESET, JSON),
    "gRPC for browsers": Difference("HTTP 404", RESET, JSON),
    "the state of auth": Difference(
        "0", "12: unknown method AuthStatus for service etcdserverpb.Auth", "a method of 3.5"
    ),
    "a path of one word": Difference(
        '12: malformed method name: "nothing"', '8: malformed method name: "nothing"', RENAMED
    ),
    "a path of nothing": Difference(
        '12: malformed method name: "/"', '8: malformed method name: "/"', RENAMED
    ),
    "a path of a service": Difference(
        '12: malformed method name: "/etcdserverpb.KV"',
        '8: malformed method name: "/etcdserverpb.KV"',
        RENAMED,
    ),
    "a head that tells too little": Difference(
        "13: grpc: error unmarshalling request",
        "13: grpc: error unmarshalling request: unexpected EOF",
        "what is wrong with the bytes, each library says in its own words",
    ),
    "a timeout of no number": Difference(
        f'{BAD_TIMEOUT}strconv.ParseInt: parsing "x": invalid syntax', RESET, RENAMED
    ),
    "a timeout of nothing": Difference(
        f'{BAD_TIMEOUT}transport: timeout string is too short: ""', RESET, RENAMED
    ),
    "a timeout without a unit": Difference(
        f'{BAD_TIMEOUT}transport: timeout string is too short: "1"', RESET, RENAMED
    ),
    "a timeout too long": Difference(
        f'{BAD_TIMEOUT}transport: timeout string is too long: "123456789S"', RESET, RENAMED
    ),
    "an unknown unit": Difference(
        f'{BAD_TIMEOUT}transport: timeout unit is not recognized: "1Y"', RESET, RENAMED
    ),
    "a negative timeout": Difference(
        f'{BAD_TIMEOUT}strconv.ParseInt: parsing "-1": invalid syntax',
        "4: context deadline exceeded",
        "gRPC has no sign in front of a timeout",
    ),
    "a token without auth": Difference(
        "0", "16: etcdserver: invalid auth token", "overlooked since 3.5"
    ),
}


def became_of(address: str, call: dict[str, Any]) -> str:
    """What became of a call; if the connection is still there, others can be made on it."""
    with RawConnection(address) as connection:
        try:
            outcome = connection.call(**call)
        except (BrokenPipeError, ConnectionResetError):
            return CLOSED
        if not outcome.closed:
            assert connection.call(**CALL).status == "0"
        # Which of the two codes a real etcd gives is chance.
        return outcome.status.replace("2: context deadline", "4: context deadline")


def test_a_bad_call_ends_as_with_a_real_etcd(addresses: tuple[str, str]) -> None:
    assert DIFFERENT.keys() <= CALLS.keys()
    for name, call in CALLS.items():
        ours, theirs = (became_of(address, call) for address in addresses)
        difference = DIFFERENT.get(name)
        if difference is None:
            assert theirs == ours, name
        else:
            assert (ours, theirs) == (difference.ours, difference.real), name


def test_a_call_that_is_given_up_half_way_does_nothing_and_hurts_no_other(
    addresses: tuple[str, str],
) -> None:
    put = message(message_class("PutRequest")(key=b"half", value=b"1").SerializeToString())
    get = message(message_class("RangeRequest")(key=b"half").SerializeToString())
    for address in addresses:
        with RawConnection(address) as connection:
            for length in (0, 3, len(put) - 1):
                stream = connection.begin(PUT)
                connection.send(stream, put[:length], end=False)
                connection.reset(stream)
            silent = connection.begin(PUT)
            outcome = connection.call(RANGE, get)
            assert outcome.status == "0"
            assert message_class("RangeResponse").FromString(outcome.body[5:]).count == 0
            # The silent stream may still speak.
            connection.send(silent, put, end=True)
            assert connection.outcome(silent).status == "0"


def test_tokens_are_judged_as_in_a_real_etcd(addresses: tuple[str, str]) -> None:
    accounts = [
        ("UserAdd", {"name": "root", "password": "r"}),
        ("UserAdd", {"name": "ann", "password": "a"}),
        ("RoleAdd", {"name": "root"}),
        ("UserGrantRole", {"user": "root", "role": "root"}),
        ("AuthEnable", {}),
        ("Authenticate", {"name": "root", "password": "wrong"}),
        ("Authenticate", {"name": "stranger", "password": "r"}),
        ("Authenticate", {"name": "root"}),
        ("AuthEnable", {}),
    ]
    said = []
    for address in addresses:
        with RawConnection(address) as connection:

            def ask(method: str, fields: dict[str, Any], **headers: str) -> Any:
                name = method if method == "Authenticate" else method.removeprefix("Auth")
                kind = f"Auth{name}" if name != "Authenticate" else name
                body = message(message_class(f"{kind}Request")(**fields).SerializeToString())
                path = f"/etcdserverpb.Auth/{method}"
                return connection.call(path, body, headers)

            statuses = [ask(method, fields).status for method, fields in accounts]
            root = _token(ask("Authenticate", {"name": "root", "password": "r"}))
            ann = _token(ask("Authenticate", {"name": "ann", "password": "a"}))
            for headers in ({}, {"token": ""}, {"token": "x"}, {"token": f"{ann[:-1]}"}):
                statuses.append(connection.call(RANGE, BODY, headers).status)
                statuses.append(ask("UserList", {}, **headers).status)
            for headers in ({"token": ann}, {"authorization": ann}, {"token": root}):
                statuses.append(connection.call(RANGE, BODY, headers).status)
                statuses.append(ask("UserList", {}, **headers).status)
            statuses.append(ask("AuthDisable", {}, token=root).status)
        said.append(statuses)
    assert said[1] == said[0]
    assert "16: etcdserver: invalid auth token" in said[0]
    assert "7: etcdserver: permission denied" in said[0]


def _token(outcome: Any) -> str:
    token: str = message_class("AuthenticateResponse").FromString(outcome.body[5:]).token
    return token
