"""The history in segments: revisions found again, compaction in steps, snapshots by reference."""

from __future__ import annotations

import random  # noqa: TID251  # seeded by each test
from collections.abc import Iterator

import pytest

from raftstore.errors import COMPACTED, StoreError
from raftstore.mvcc import Store
from raftstore.mvcc.base import KV
from raftstore.mvcc.history import SEGMENT_REVISIONS, History, flatten, version_of
from raftstore.mvcc.keyspace import SWEPT_AT_ONCE
from raftstore.mvcc.snapshot import CHUNK_BYTES, SnapshotFormatError, StateLoader, StateView
from raftstore.mvcc.sweep import STEP_VERSIONS

MANY = (SWEPT_AT_ONCE + 4) * STEP_VERSIONS


def put(store: Store, key: bytes, value: bytes = b"v", lease: int = 0) -> None:
    assert store.apply_wire("put", [key, value, lease, False, False, False])[0] == 0


def compact(store: Store, revision: int) -> None:
    assert store.apply_wire("compact", [revision, False])[0] == 0


def version(revision: int) -> KV:
    return (b"k", 2, revision, revision, b"", 0)


def test_revisions_are_found_across_segments_after_any_compaction() -> None:
    chance = random.Random(1)
    history = History()
    written = 1
    for _ in range(300):
        for _ in range(chance.randrange(400)):
            written += 1
            history.tail.append(version(written))
        if chance.random() < 0.5:
            history.seal()
        if chance.random() < 0.3:
            history.cut(chance.randrange(history.log_base, written + 1))
        assert len(history) == written + 1 - history.log_base
        first = chance.randrange(history.log_base, written + 2)
        last = chance.randrange(first - 1, written + 1)
        found = [kv for piece in history.between(first, last) for kv in flatten(piece)]
        assert [kv[2] for kv in found] == list(range(first, last + 1))


@pytest.fixture(name="busy")
def _busy() -> Store:
    """Keys with a long history, some deleted, most of it compacted but not swept yet."""
    store = Store()
    chance = random.Random(2)
    for _ in range(MANY):
        key = b"%d" % chance.randrange(MANY // 10)
        if chance.random() < 0.2:
            store.apply_wire("delete_range", [key, b"", False])
        else:
            put(store, key)
    compact(store, store.revision - 10)
    assert store.space.unswept
    return store


def finished(store: Store) -> Store:
    while store.space.unswept:
        store.space.sweep(1)
    return store


def kept(store: Store) -> list[KV]:
    space = store.space
    older = [version_of(key, kept) for key in space.older for kept in space.before(key)]
    return sorted([*older, *space.select_live(b"", None)])


def test_what_is_compacted_is_unreadable_before_it_is_swept(busy: Store) -> None:
    revision = busy.revision - 11
    with pytest.raises(StoreError) as refusal:
        busy.space.check_revision(revision)
    assert refusal.value.status == COMPACTED
    with pytest.raises(StoreError):
        next(busy.space.hash_in_steps(revision))


def test_writes_between_the_steps_of_a_sweep_change_nothing_of_its_outcome(busy: Store) -> None:
    chance = random.Random(3)
    other = Store()
    other.restore(busy.snapshot())
    finished(other)
    target = busy.space.compact_revision
    while busy.space.unswept:
        for store in (busy, other):
            state = chance.getstate()
            for _ in range(50):
                key = b"%d" % chance.randrange(MANY // 10)
                if chance.random() < 0.5:
                    store.apply_wire("delete_range", [key, b"", False])
                else:
                    put(store, key)
            if store is busy:
                chance.setstate(state)
        busy.space.sweep(1)
    assert busy.space.log_base == target
    assert kept(busy) == kept(other)
    assert busy.space.hash(busy.revision) == other.space.hash(other.revision)
    assert busy.space.size_bytes == other.space.size_bytes
    assert list(busy.snapshot()) == list(other.snapshot())


def test_a_compaction_during_a_sweep_is_swept_as_well(busy: Store) -> None:
    busy.space.sweep(3)
    put(busy, b"last")
    compact(busy, busy.revision)
    finished(busy)
    assert busy.space.log_base == busy.revision
    assert (busy.space.older, len(busy.space.dead_keys)) == ({}, 0)
    assert len(kept(busy)) == len(busy.space.live) == len(busy.space.live_keys)


def test_who_takes_over_a_state_in_the_midst_of_a_sweep_finishes_it_alike(busy: Store) -> None:
    busy.space.sweep(SWEPT_AT_ONCE)
    other = Store()
    other.restore(busy.snapshot())
    assert other.space.unswept
    assert other.space.hash(other.revision) == busy.space.hash(busy.revision)
    assert kept(other) == kept(busy)


def test_a_snapshot_holds_its_state_though_history_is_dropped_meanwhile() -> None:
    store = Store()
    for number in range(3 * SEGMENT_REVISIONS):
        put(store, b"%d" % (number % 100), b"%d" % number)
    before = store.space.hash(store.revision)
    chunks = store.snapshot()
    first = next(chunks)
    for number in range(100):
        put(store, b"%d" % number, b"later")
    compact(store, store.revision)
    other = Store()
    other.restore([first, *chunks])
    assert (other.space.hash(other.revision), other.compact_revision) == (before, 0)


def test_chunks_are_bounded_even_within_one_revision() -> None:
    store = Store()
    for number in range(200):
        put(store, b"%03d" % number, b"x" * 2000)
    store.apply_wire("delete_range", [b"\0", b"\0", False])
    for number in range(3000):
        put(store, b"%03d/" % number + b"k" * 60)
    store.apply_wire("delete_range", [b"\0", b"\0", False])
    sizes = [len(chunk) for chunk in store.snapshot()]
    assert max(sizes) < CHUNK_BYTES + 4096
    assert len(sizes) > 8
    other = Store()
    other.restore(store.snapshot())
    assert other.space.hash(other.revision) == store.space.hash(store.revision)
    assert list(map(flatten, other.space.history.view().log)) == list(
        map(flatten, store.space.history.view().log)
    )


def _without(chunks: Iterator[bytes], place: int) -> list[bytes]:
    found = list(chunks)
    del found[place]
    return found


@pytest.mark.parametrize("place", [0, 1, 2, -1])
def test_a_missing_chunk_is_noticed(place: int) -> None:
    store = Store()
    for number in range(1000):
        put(store, b"%d" % number, b"x" * 300)
    with pytest.raises(SnapshotFormatError):
        Store().restore(_without(store.snapshot(), place))


def test_a_loaded_state_is_handed_out_once_and_may_then_rest_on_another_copy() -> None:
    store = Store()
    put(store, b"a")
    loader = StateLoader()
    for chunk in store.snapshot():
        loader.feed(chunk)
    view = StateView.of_loaded(loader.finish())
    other = Store()
    state = view.take_loaded()
    assert state is not None
    other.install(state)
    assert view.take_loaded() is None
    put(other, b"b")
    assert list(view.chunks()) == list(store.snapshot())
    view.rest_on(store.view())
    assert list(view.chunks()) == list(store.snapshot())


def test_a_restored_lease_has_the_keys_that_it_has_now() -> None:
    store = Store()
    for lease in (1, 2, 3):
        store.apply_wire("lease_grant", [60, lease])
    for key in (b"a", b"b", b"c", b"d"):
        put(store, key, lease=1)
    put(store, b"b", lease=2)
    put(store, b"c")
    store.apply_wire("delete_range", [b"d", b"", False])
    put(store, b"e", lease=3)
    store.apply_wire("lease_revoke", [3])
    put(store, b"f", lease=2)
    compact(store, store.revision)
    put(store, b"g", lease=1)
    other = Store()
    other.restore(store.snapshot())
    found = {lease.id: sorted(lease.keys) for lease in other.leases.by_id.values()}
    assert found == {1: [b"a", b"g"], 2: [b"b", b"f"]}
