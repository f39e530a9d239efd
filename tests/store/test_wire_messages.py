"""Messages keep their meaning across the wire."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

from raftstore import wire
from raftstore.client.operations import prefix_end

HEADER = wire.ResponseHeader(1, 2, 3, 4)
KV = wire.KeyValue(b"k", 1, 2, 3, b"v", 4)

MESSAGES: list[Any] = [
    wire.RangeRequest(b"a", b"b", 5, 6, wire.SORT_DESCEND, wire.SORT_MOD, serializable=True),
    wire.PutRequest(b"a", b"v", 7, prev_kv=True),
    wire.DeleteRangeRequest(b"a", b"b"),
    wire.TxnRequest(
        [wire.Compare(wire.EQUAL, wire.COMPARE_VALUE, b"a", b"v")],
        [wire.PutRequest(b"a"), wire.TxnRequest([], [wire.RangeRequest(b"b")])],
        [wire.DeleteRangeRequest(b"c")],
    ),
    wire.WatchCreateRequest(b"a", b"\0", 9, filters=[wire.NO_PUT]),
    wire.LeaseGrantRequest(10),
    wire.RangeResponse(HEADER, [KV], more=True, count=4),
    wire.PutResponse(HEADER, KV),
    wire.PutResponse(HEADER),
    wire.TxnResponse(
        HEADER,
        succeeded=True,
        responses=[
            wire.RangeResponse(HEADER, [KV]),
            wire.TxnResponse(HEADER, responses=[wire.PutResponse(HEADER, KV)]),
        ],
    ),
    wire.MemberListResponse(HEADER, [wire.Member(1, "m", ["p"], ["c"])]),
    wire.StatusResponse(HEADER, "3.6.0", leader=2),
    wire.Event(wire.PUT, KV, KV),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_survives_packing(message: Any) -> None:
    fields = msgpack.unpackb(msgpack.packb(message.to_wire()))
    assert message == type(message).from_wire(fields)


def test_fields_that_a_newer_peer_appends_are_ignored() -> None:
    assert wire.PutRequest.from_wire([*wire.PutRequest(b"a").to_wire(), "new"]) == (
        wire.PutRequest(b"a")
    )


def test_every_request_has_a_response() -> None:
    assert set(wire.REQUESTS) == set(wire.RESPONSES)


@pytest.mark.parametrize(
    ("prefix", "end"), [(b"a", b"b"), (b"a\xff", b"b"), (b"\xff\xff", b"\0"), (b"", b"\0")]
)
def test_the_end_of_a_prefix(prefix: bytes, end: bytes) -> None:
    assert end == prefix_end(prefix)
