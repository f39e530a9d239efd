"""Whatever a peer sends, a protocol gives events or ends the connection, and raises nothing."""

from __future__ import annotations

import struct
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from raftstore.http.events import ConnectionEnded, DataReceived, RequestReceived
from raftstore.http.http1 import Http1
from raftstore.http.http2 import PREFACE, Http2
from raftstore.http.limits import Limits
from tests.http.wire import Pair

SETTINGS = b"\0\0\0\4\0\0\0\0\0"
REQUESTS = (
    b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n",
    b"POST /b HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbody",
    b"PUT /c HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"BREW /d HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
)


def _headers() -> bytes:
    pair = Pair()
    pair.request([("te", "trailers")], b"body")
    return pair.client.data_to_send()


frames = st.builds(
    lambda kind, flags, stream, payload: (
        struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload
    ),
    st.integers(0, 10),
    st.integers(0, 255),
    st.sampled_from([0, 1, 2, 3, 5, 1 << 31]),
    st.binary(max_size=40),
)


@given(st.lists(st.one_of(frames, st.just(_headers()), st.binary(max_size=20)), max_size=10))
def test_http2_raises_nothing(parts: list[bytes]) -> None:
    server = Http2(Limits())
    open_streams: dict[int, bool] = {}
    for part in [PREFACE + SETTINGS, *parts]:
        for event in server.receive(part):
            match event:
                case RequestReceived(stream_id, _, ended):
                    assert stream_id not in open_streams
                    open_streams[stream_id] = ended
                case DataReceived(stream_id, _, ended):
                    assert not open_streams[stream_id], "nothing comes behind the end"
                    open_streams[stream_id] = ended
                case ConnectionEnded():
                    assert server.closed
    assert server.take_output()
    if server.closed:
        assert server.receive(_headers()) == []


def _answered(chunks: list[bytes]) -> list[Any]:
    """What a server that answers at once hears, request by request."""
    server = Http1(Limits())
    heard: list[Any] = []
    for chunk in chunks:
        events = server.receive(chunk)
        while events:
            for event in events:
                match event:
                    case RequestReceived(_, head, ended):
                        heard.append([head.method, head.target, b"", ended])
                    case DataReceived(_, data, ended):
                        heard[-1][2] += data
                        heard[-1][3] = ended
                    case ConnectionEnded():
                        heard.append("ended")
            if not heard or heard[-1] == "ended" or not heard[-1][3] or server.closed:
                break
            number = sum(1 for each in heard if each != "ended")
            server.send_head(number, 204, [])
            server.send_end(number, ())
            events = server.receive(b"")
    return heard


def _cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False) if start < end]


@given(
    st.lists(st.sampled_from(REQUESTS[:3]), min_size=1, max_size=5),
    st.lists(st.integers(0, 1_000), max_size=8),
)
def test_http1_hears_the_same_however_the_bytes_are_cut(
    requests: list[bytes], places: list[int]
) -> None:
    data = b"".join(requests)
    whole = _answered([data])
    assert len(whole) == len(requests)
    assert all(ended for *_, ended in whole)
    assert _answered(_cut(data, places)) == whole


@given(
    st.lists(st.one_of(st.sampled_from(REQUESTS), st.binary(max_size=60)), max_size=6),
    st.lists(st.integers(0, 1_000), max_size=5),
)
def test_http1_raises_nothing(parts: list[bytes], places: list[int]) -> None:
    _answered(_cut(b"".join(parts), places))
