"""HPACK that remembers decodes and encodes as HPACK that does not."""

from __future__ import annotations

from hpack import Decoder, Encoder, HeaderTuple
from hypothesis import given
from hypothesis import strategies as st

from raftstore.http.header_blocks import PlainEncoder, RememberingDecoder

LIMIT = 1 << 16
NAMES = [b":path", b"content-type", b"te", b"x-a", b"authorization", b"grpc-timeout"]
VALUES = [b"", b"/", b"application/grpc", b"trailers", b"a" * 200, b"1S", b"2S"]
headers = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=6)


@given(st.lists(headers, max_size=12), st.lists(st.sampled_from([0, 64, 4096]), max_size=12))
def test_blocks_are_decoded_as_by_hpack_itself(
    requests: list[list[tuple[bytes, bytes]]], sizes: list[int]
) -> None:
    encoder = Encoder()
    plain, remembering = Decoder(LIMIT), RememberingDecoder(LIMIT)
    for number, request in enumerate(requests * 2):
        if number < len(sizes):
            encoder.header_table_size = sizes[number]
        # Some are to stay out of the table, as clients keep secrets.
        fields = [HeaderTuple(name, value) for name, value in request]
        block = encoder.encode(fields)
        expected = plain.decode(block, raw=True)
        assert list(expected) == list(remembering.decode(block, raw=True))


def test_a_block_that_was_seen_is_not_decoded_again() -> None:
    encoder, decoder = Encoder(), RememberingDecoder(LIMIT)
    request = [(b":method", b"POST"), (b":path", b"/x"), (b"te", b"trailers")]
    decoder.decode(encoder.encode(request), raw=True)
    block = encoder.encode(request)
    first = decoder.decode(block, raw=True)
    assert decoder.decode(encoder.encode(request), raw=True) is first
    # What changes the table may change what a block means.
    decoder.decode(encoder.encode([(b"x-new", b"1")]), raw=True)
    again = decoder.decode(encoder.encode(request), raw=True)
    assert again is not first
    assert list(again) == list(first)


@given(st.lists(headers, max_size=5), st.sampled_from([0, 100, 4096, 65_536]))
def test_blocks_are_encoded_so_that_hpack_reads_them(
    answers: list[list[tuple[bytes, bytes]]], size: int
) -> None:
    encoder, decoder = PlainEncoder(), Decoder(LIMIT)
    decoder.max_allowed_table_size = size
    encoder.header_table_size = size
    for answer in answers:
        fields = [(b":status", b"200"), *answer]
        assert fields == list(decoder.decode(encoder.encode(fields), raw=True))


def test_long_names_and_values_are_encoded() -> None:
    for size in (126, 127, 128, 254, 255, 256, 20_000):
        fields = [(b"n" * size, b"v" * size)]
        assert fields == list(Decoder(LIMIT).decode(PlainEncoder().encode(fields), raw=True))
