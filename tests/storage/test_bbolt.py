"""bbolt files: what is written is read again, by us and by etcd's tools; damage is refused."""

from __future__ import annotations

import io
import json
import os
import random  # noqa: TID251  # seeded by each test
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftstore.storage import CorruptFileError
from raftstore.storage.bbolt import Database, fnv1a
from raftstore.storage.bbolt_writer import PAGE_SIZE, write_database
from raftstore.storage.crc32c import crc32c

ETCDCTL = shutil.which("etcdctl")
FILE = Path("file.db")

Buckets = dict[bytes, dict[bytes, bytes]]


def written(buckets: Buckets) -> bytes:
    file = io.BytesIO()
    size = write_database(file, ((name, sorted(items.items())) for name, items in buckets.items()))
    data = file.getvalue()
    assert size == len(data)
    assert size % PAGE_SIZE == 0
    return data


def read(data: bytes) -> Buckets:
    return {
        name: {item.key: item.value for item in items}
        for name, items in Database(FILE, data).buckets()
    }


names = st.binary(min_size=1, max_size=20)


@given(st.dictionaries(names, st.dictionaries(names, st.binary(max_size=3000), max_size=20)))
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_again(buckets: Buckets) -> None:
    assert read(written(buckets)) == buckets


def deep(seed: int = 0) -> Buckets:
    """Three levels of pages, values larger than a page, empty and inline buckets."""
    rng = random.Random(seed)
    large = {b"%08d" % n: rng.randbytes(rng.choice([0, 10, 100, 9000])) for n in range(2000)}
    long_keys = {(b"%d" % n) * 300: b"x" for n in range(1000, 1200)}
    return {b"large": large, b"long": long_keys, b"empty": {}, b"small": {b"a": b"b"}}


def test_trees_of_several_levels_are_read_again() -> None:
    assert read(written(deep())) == deep()


@pytest.mark.skipif(ETCDCTL is None, reason="etcdctl is not installed")
def test_etcds_own_check_finds_nothing_wrong(tmp_path: Path) -> None:
    path = tmp_path / "deep.db"
    path.write_bytes(written(deep()))
    assert ETCDCTL is not None
    done = subprocess.run(
        [ETCDCTL, "snapshot", "status", str(path), "-w", "json"],
        capture_output=True,
        env={**os.environ, "ETCDCTL_API": "3"},
        check=True,
    )
    value = 0
    for name, items in sorted(deep().items()):
        value = crc32c(name, value)
        for pair in sorted(items.items()):
            value = crc32c(b"".join(pair), value)
    assert json.loads(done.stdout) == {
        "hash": value,
        "revision": 0,
        "totalKey": sum(map(len, deep().values())),
        "totalSize": path.stat().st_size,
    }


def test_the_newer_meta_counts_and_the_older_one_stands_in_for_it() -> None:
    data = bytearray(written(deep()))
    assert Database(FILE, bytes(data)).meta.transaction == 2
    data[30] ^= 1
    assert Database(FILE, bytes(data)).meta.transaction == 1
    assert read(bytes(data)) == deep()
    data[PAGE_SIZE + 30] ^= 1
    with pytest.raises(CorruptFileError, match="offset 0: no sound meta page: not a bbolt"):
        Database(FILE, bytes(data))


@given(st.binary(max_size=10_000))
@settings(max_examples=50, deadline=None)
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(CorruptFileError):
        read(data)


def test_a_file_cut_short_is_refused() -> None:
    data = written(deep())
    with pytest.raises(CorruptFileError, match=f"{len(data)} bytes, {len(data) - 1} are there"):
        Database(FILE, data[:-1])


@given(place=st.integers(0, 10**9), byte=st.integers(1, 255))
@settings(max_examples=150, deadline=None)
def test_damage_is_refused_or_reads_as_other_data_but_never_breaks_the_reader(
    place: int, byte: int
) -> None:
    data = bytearray(_DEEP)
    data[place % len(data)] ^= byte
    # Whatever else it raised would fail the test.
    with suppress(CorruptFileError):
        read(bytes(data))


_DEEP = written(deep())


@pytest.mark.parametrize(
    ("offset", "change", "text"),
    [
        (0, 9, "says that it is page"),
        (8, 16, "has flags"),
        (10, 0x7F, "room for|out of order|behind"),
        (13, 0x7F, "continues over"),
    ],
)
def test_a_damaged_page_head_is_refused_with_its_offset(
    offset: int, change: int, text: str
) -> None:
    data = bytearray(_DEEP)
    page = Database(FILE, _DEEP).meta.root * PAGE_SIZE
    data[page + offset] ^= change
    if offset == 10:
        data[page + offset + 1] ^= change
    with pytest.raises(CorruptFileError, match=f"damaged at offset {page}: .*({text})"):
        read(bytes(data))


def test_a_loop_of_branch_pages_is_refused() -> None:
    data = bytearray(_DEEP)
    database = Database(FILE, _DEEP)
    (root,) = [
        number
        for number in range(3, database.meta.high_water)
        if _DEEP[number * PAGE_SIZE + 8] == 1
        and int.from_bytes(_DEEP[number * PAGE_SIZE : number * PAGE_SIZE + 8], "little") == number
    ][:1]
    # Its first child is itself.
    data[root * PAGE_SIZE + 24 : root * PAGE_SIZE + 32] = root.to_bytes(8, "little")
    with pytest.raises(CorruptFileError, match="deeper than a tree can be"):
        read(bytes(data))


def test_the_checksums_are_the_published_ones() -> None:
    assert fnv1a(b"") == 0xCBF29CE484222325
    assert fnv1a(b"foobar") == 0x85944171F73967E8
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA


@given(st.integers(0, 5000), st.integers(0, 5000))
@settings(max_examples=40, deadline=None)
def test_a_checksum_continues_where_the_one_before_ended(first: int, second: int) -> None:
    data = random.Random(first).randbytes(first + second)
    bits = 0xFFFFFFFF
    for byte in data:
        bits ^= byte
        for _ in range(8):
            bits = bits >> 1 ^ (0x82F63B78 if bits & 1 else 0)
    assert crc32c(data[first:], crc32c(data[:first])) == bits ^ 0xFFFFFFFF == crc32c(data)
