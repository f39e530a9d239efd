"""Merged permission ranges against the plain meaning of a range."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from raftstore.auth.ranges import KeyRanges, is_valid

# All keys of up to two letters, and the key right behind each of them.
KEYS = sorted(
    {
        first + second + tail
        for first in (b"a", b"b", b"c")
        for second in (b"", b"a", b"b")
        for tail in (b"", b"\0")
    }
)
ENDS = [b"", b"\0", *KEYS]
RANGES = st.tuples(st.sampled_from(KEYS), st.sampled_from(ENDS)).filter(lambda r: is_valid(*r))


def holds(key: bytes, range_end: bytes, candidate: bytes) -> bool:
    if not range_end:
        return candidate == key
    return candidate >= key and (range_end == b"\0" or candidate < range_end)


@given(st.lists(RANGES, max_size=5), RANGES)
def test_a_range_is_covered_exactly_if_each_of_its_keys_is(
    granted: list[tuple[bytes, bytes]], asked: tuple[bytes, bytes]
) -> None:
    # Next to the keys, one for all that lie between two of them, and one for all behind the last.
    universe = [*KEYS, *(key + b"\0\0" for key in KEYS), b"d"]
    expected = all(
        any(holds(*one, key) for one in granted) for key in universe if holds(*asked, key)
    )
    assert KeyRanges(granted).covers(*asked) == expected


def test_ranges_that_touch_are_one() -> None:
    ranges = KeyRanges([(b"a", b"c"), (b"c", b"e"), (b"g", b"\0")])
    assert ranges.covers(b"a", b"e")
    assert not ranges.covers(b"a", b"f")
    assert not ranges.covers(b"e")
    assert ranges.covers(b"h", b"\0")
    assert not ranges.covers(b"a", b"\0")


def test_a_range_without_keys_is_no_way_around() -> None:
    ranges = KeyRanges([(b"b", b"c")])
    assert not ranges.covers(b"x", b"a")
    assert ranges.covers(b"b", b"a")


def test_a_permission_needs_a_key_and_an_end_behind_it() -> None:
    assert is_valid(b"a", b"")
    assert is_valid(b"a", b"\0")
    assert is_valid(b"a", b"b")
    assert not is_valid(b"", b"b")
    assert not is_valid(b"b", b"a")
    assert not is_valid(b"b", b"b")
