"""SPDY frames as bytes."""

from __future__ import annotations

import struct
import zlib

import pytest

from k8sactors.gateway.streams.spdy_frames import (
    DICTIONARY,
    MAX_FRAME_BYTES,
    SpdyError,
    SpdyFrames,
    StreamData,
    StreamOpened,
    StreamReset,
)

# The Adler-32 of the dictionary, by which zlib names it in each stream.
DICTIONARY_ID = 0xE3C6A7C2


def opened(compressor: zlib._Compress, stream_id: int, **headers: str) -> bytes:
    block = struct.pack(">I", len(headers))
    for name, value in headers.items():
        for text in (name, value):
            block += struct.pack(">I", len(text)) + text.encode()
    packed = compressor.compress(block) + compressor.flush(zlib.Z_SYNC_FLUSH)
    payload = struct.pack(">IIBB", stream_id, 0, 0, 0) + packed
    return struct.pack(">II", 0x80030001, len(payload)) + payload


def test_the_dictionary_is_the_one_that_clients_have() -> None:
    assert (len(DICTIONARY), zlib.adler32(DICTIONARY)) == (1423, DICTIONARY_ID)


def test_frames_are_read_in_any_pieces() -> None:
    compressor = zlib.compressobj(zdict=DICTIONARY)
    data = opened(compressor, 1, streamtype="error") + opened(compressor, 3, streamtype="data")
    data += struct.pack(">II", 3, 1 << 24 | 2) + b"hi"
    data += struct.pack(">IIII", 0x80030003, 8, 1, 5)
    frames = SpdyFrames()
    events = [event for byte in data for event in frames.receive(bytes([byte]))]
    assert events == [
        StreamOpened(1, {"streamtype": "error"}, ended=False),
        StreamOpened(3, {"streamtype": "data"}, ended=False),
        StreamData(3, b"hi", ended=True),
        StreamReset(1),
    ]


def test_a_ping_is_answered() -> None:
    frames = SpdyFrames()
    ping = struct.pack(">III", 0x80030006, 4, 7)
    assert frames.receive(ping) == []
    assert bytes(frames.output) == ping


BOMB = zlib.compressobj(zdict=DICTIONARY)


@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">II", 0x80020001, 0),
        struct.pack(">II", 1, MAX_FRAME_BYTES + 1),
        struct.pack(">II", 0x80030001, 2) + b"xx",
        struct.pack(">II", 0x80030001, 14) + bytes(10) + b"abcd",
        opened(BOMB, 1, a="x" * 1_000_000),
    ],
    ids=["version", "too large", "too short", "no headers", "bomb"],
)
def test_what_is_malformed_ends_the_connection(data: bytes) -> None:
    with pytest.raises(SpdyError):
        SpdyFrames().receive(data)
