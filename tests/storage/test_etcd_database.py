"""The store's state in etcd's database: nothing of it is lost on the way there and back."""

from __future__ import annotations

import io
import random  # noqa: TID251  # seeded by each test
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftstore.mvcc import Store
from raftstore.mvcc.history import version_of
from raftstore.storage import CorruptFileError, etcd_database, protobuf
from raftstore.storage.bbolt import Database
from raftstore.storage.bbolt_writer import write_database
from raftstore.storage.etcd_database import About
from raftstore.storage.etcd_sections import CODECS

FILE = Path("file.db")
ABOUT = About(41, 3, "3.6.0", ((7, "m7", ("http://p:1",), ("http://c:2",), False),))


def put(store: Store, key: bytes, value: bytes = b"v", lease: int = 0) -> None:
    assert store.apply_wire("put", [key, value, lease, False, False, False])[0] == 0


def exported(store: Store, about: About = ABOUT) -> bytes:
    file = io.BytesIO()
    etcd_database.write(file, store.snapshot(), about)
    return file.getvalue()


def imported(data: bytes) -> Store:
    store = Store()
    store.restore(etcd_database.read(FILE, data))
    return store


def state(store: Store) -> Any:
    space = store.space
    leases = {lease.id: (lease.ttl_s, sorted(lease.keys)) for lease in store.leases.by_id.values()}
    return (
        space.revision,
        space.compact_revision,
        space.log_base,
        list(space.select_live(b"", None)),
        {key: [version_of(key, kept) for kept in space.before(key)] for key in space.older},
        [entry if isinstance(entry, list) else [entry] for entry in space.log],
        space.size_bytes,
        leases,
    )


def busy(seed: int, steps: int, compact: int = 0) -> Store:
    """A store that has lived: puts, deletions, transactions of several keys, leases."""
    rng = random.Random(seed)
    store = Store()
    store.apply_wire("lease_grant", [600, 77])
    store.apply_wire("lease_grant", [60, -5 % (1 << 63)])
    for step in range(steps):
        key = b"key/%d" % rng.randrange(steps // 2 + 1)
        if rng.randrange(4) == 0:
            store.apply_wire("delete_range", [key, b"", False])
        elif rng.randrange(5) == 0:
            puts = [[2, [b"many/%d" % n, b"%d" % step, 0, False, False, False]] for n in (2, 0, 1)]
            store.apply_wire("txn", [[], puts, []])
        else:
            put(store, key, rng.randbytes(rng.randrange(200)), rng.choice([0, 0, 77]))
    if compact:
        store.apply_wire("compact", [store.revision * compact // 100])
    return store


@pytest.mark.parametrize("compact", [0, 30, 77, 100])
@pytest.mark.parametrize("seed", range(4))
def test_a_state_survives_the_way_to_a_database_and_back(seed: int, compact: int) -> None:
    store = busy(seed, 300, compact)
    assert state(imported(exported(store))) == state(store)


def test_an_empty_store_survives_it_too() -> None:
    assert state(imported(exported(Store()))) == state(Store())


def test_a_compaction_at_a_deletion_survives() -> None:
    store = Store()
    put(store, b"a")
    store.apply_wire("delete_range", [b"a", b"", False])
    store.apply_wire("compact", [3])
    again = imported(exported(store))
    assert (again.revision, again.compact_revision, again.space.live) == (3, 3, {})
    put(again, b"b")
    assert again.revision == 4


def test_history_can_still_be_watched_and_read_after_a_restore() -> None:
    again = imported(exported(busy(1, 300, 50)))
    assert again.space.log_base == again.compact_revision
    assert list(again.space.written_since(again.space.log_base, again.revision))


def test_the_content_hash_ignores_what_differs_between_equal_members() -> None:
    store = busy(2, 200)
    hashes = {
        etcd_database.content_hash(store.snapshot(), About(applied, applied, "3.6.0", ()))
        for applied in (1, 99)
    }
    assert len(hashes) == 1
    put(store, b"more")
    assert etcd_database.content_hash(store.snapshot(), About(1, 1, "3.6.0", ())) not in hashes


def test_the_summary_counts_every_item_as_etcdctl_does() -> None:
    store = Store()
    put(store, b"a")
    put(store, b"b")
    data = exported(store)
    items = sum(len(list(found)) for _, found in Database(FILE, data).buckets())
    summary = etcd_database.summarize(FILE, data)
    assert (summary.revision, summary.total_keys, summary.total_size) == (3, items, len(data))
    assert summary.version == "3.6.0"


# -- accounts --------------------------------------------------------------------------------------

ACCOUNTS = [
    True,
    10,
    [["root", "scrypt$4$00$11", False, ["root"]], ["u", "", True, ["r", "s"]]],
    [["r", [[2, b"foo", b"fop"], [0, b"x", b""]]], ["root", []]],
]


def test_accounts_survive_the_way_to_a_database_and_back() -> None:
    (codec,) = (codec for codec in CODECS if codec.name == "auth")
    assert codec.from_items(codec.to_items(ACCOUNTS)) == ACCOUNTS
    assert codec.from_items(codec.to_items(None)) == [False, 1, [], []]


def test_the_buckets_of_accounts_are_those_of_a_real_etcd() -> None:
    (codec,) = (codec for codec in CODECS if codec.name == "auth")
    items = {name: dict(pairs) for name, pairs in codec.to_items(ACCOUNTS).items()}
    assert items[b"auth"] == {b"authEnabled": b"\1", b"authRevision": b"\0\0\0\0\0\0\0\n"}
    assert (
        items[b"authRoles"][b"r"]
        == b"\n\x01r\x12\x0c\x08\x02\x12\x03foo\x1a\x03fop\x12\x03\x12\x01x"
    )
    assert items[b"authUsers"][b"u"] == b'\n\x01u\x1a\x01r\x1a\x01s"\x02\x08\x01'


@pytest.mark.parametrize(
    ("bucket", "value"),
    [(b"authUsers", b"\x08\x01"), (b"authUsers", b"\n\x01\xff"), (b"authRoles", b"\x10\x01")],
)
def test_damaged_accounts_are_refused(bucket: bytes, value: bytes) -> None:
    file = io.BytesIO()
    write_database(file, [(b"key", []), (bucket, [(b"x", value)])])
    with pytest.raises(CorruptFileError, match="the buckets of 'auth'"):
        imported(file.getvalue())


# -- databases that only etcd writes ---------------------------------------------------------------


def version(key: bytes, revision: int, *, created: int = 0, lease: int = 0) -> bytes:
    return protobuf.encode(key, created or revision, revision, 1, b"v", lease)


def at(main: int, sub: int = 0, mark: bytes = b"") -> bytes:
    return struct.pack(">QcQ", main, b"_", sub) + mark


def database(key: dict[bytes, bytes], meta: dict[bytes, bytes] | None = None) -> bytes:
    file = io.BytesIO()
    buckets = [(b"key", sorted(key.items())), (b"meta", sorted((meta or {}).items()))]
    write_database(file, buckets)
    return file.getvalue()


def test_a_compaction_that_etcd_had_only_scheduled_counts() -> None:
    key = {at(2): version(b"a", 2), at(3): version(b"a", 3, created=2), at(4): version(b"b", 4)}
    store = imported(database(key, {b"scheduledCompactRev": at(3)}))
    assert (store.compact_revision, store.revision) == (3, 4)
    assert [kv[2] for kv in store.space.select_live(b"", None)] == [3, 4]
    assert store.space.older == {}


def test_a_revision_that_was_raised_at_a_restore_is_kept() -> None:
    key = {at(2): version(b"a", 2), at(1_000_002): b""}
    store = imported(database(key, {b"finishedCompactRev": at(1_000_002)}))
    assert (store.revision, store.compact_revision) == (1_000_002, 1_000_002)
    put(store, b"b")
    assert store.revision == 1_000_003
    assert b"a" in store.space.live


def test_a_gap_in_history_is_a_compaction() -> None:
    key = {at(2): version(b"a", 2), at(5): version(b"b", 5), at(6): version(b"c", 6)}
    store = imported(database(key))
    assert (store.revision, store.compact_revision, len(store.space.live)) == (6, 4, 3)


def test_a_version_may_outlive_its_lease() -> None:
    store = imported(database({at(2): version(b"a", 2, lease=9)}))
    newest = store.space.newest(b"a")
    assert newest is not None
    assert newest[5] == 9
    put(store, b"a")
    assert store.revision == 3


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ({b"short": b""}, "b'short', which is no revision"),
        ({b"x" * 17: b""}, "which is no revision"),
        ({at(2): b"\xff"}, "the value of revision 2.0: a number does not end"),
        ({at(2): version(b"a", 3)}, "the value of revision 2.0 says 3, 3, 1"),
        ({at(2): b"\x0a\x7fabc"}, "field 1 ends behind the message"),
    ],
)
def test_what_etcd_would_not_write_is_refused(key: dict[bytes, bytes], text: str) -> None:
    with pytest.raises(CorruptFileError, match=text):
        imported(database(key))


def test_a_database_of_something_else_is_refused() -> None:
    file = io.BytesIO()
    write_database(file, [(b"other", [(b"a", b"b")])])
    with pytest.raises(CorruptFileError, match="no bucket 'key': not a database of etcd"):
        imported(file.getvalue())


# -- protobuf --------------------------------------------------------------------------------------


@given(st.lists(st.one_of(st.integers(-(2**63), 2**63 - 1), st.binary(max_size=300)), max_size=8))
def test_a_message_is_read_as_it_was_written(fields: list[int | bytes]) -> None:
    expected = {place: value for place, value in enumerate(fields, start=1) if value}
    assert protobuf.decode(protobuf.encode(*fields)) == expected


@given(
    st.binary(min_size=1, max_size=300),
    st.integers(1, 2**62),
    st.integers(1, 2**62),
    st.integers(1, 2**40),
    st.binary(max_size=20_000),
    st.integers(-(2**63), 2**63 - 1),
)
def test_a_version_is_encoded_as_any_message_is(
    key: bytes, created: int, modified: int, version: int, value: bytes, lease: int
) -> None:
    fields = (key, created, modified, version, value, lease)
    assert protobuf.key_value(*fields) == protobuf.encode(*fields)


def test_the_bytes_are_those_of_protobuf() -> None:
    assert protobuf.encode(b"k1", 2, 2, 1, b"v1") == b"\n\x02k1\x10\x02\x18\x02 \x01*\x02v1"
    assert protobuf.encode(-1) == b"\x08" + b"\xff" * 9 + b"\x01"


@given(st.binary(max_size=60))
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    try:
        protobuf.decode(data)
    except ValueError:
        return
