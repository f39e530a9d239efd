"""The packed base: what survives a compaction leaves nothing of itself among Python's objects."""

from __future__ import annotations

import random  # noqa: TID251  # seeded by each test
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftstore.mvcc import Store
from raftstore.mvcc.base import (
    KV,
    SEGMENT_BYTES,
    SEGMENT_VERSIONS,
    Base,
    Part,
    Segment,
    pack,
    pack_version,
    part_of,
    read,
)
from raftstore.mvcc.keyspace import SWEPT_AT_ONCE
from raftstore.mvcc.sweep import MIN_RENEWED, STEP_VERSIONS
from raftstore.wire import RangeRequest

SLACK = 1.5
"""What segments take beyond what lives in them: a quarter that is dead, tables, the last one."""


def version(number: int, value: bytes = b"v") -> KV:
    return (b"key/%06d" % number, 2, 2 + number, 1, value, 0)


def packed(base: Base, versions: list[KV]) -> dict[bytes, Segment]:
    where = {}
    for segment, in_it in pack(versions):
        base.append(segment)
        where |= {kv[0]: segment for kv in in_it}
    return where


def held(base: Base) -> list[KV]:
    return [kv for piece in base.pieces for kv in part_of(piece).versions()]


def tidy(base: Base, where: dict[bytes, Segment]) -> int:
    def moved(key: bytes, before: Segment, after: Segment) -> None:
        assert where[key] is before
        where[key] = after

    return sum(1 for _ in base.tidy(moved))


def put(store: Store, key: bytes, value: bytes) -> None:
    assert store.apply_wire("put", [key, value, 0, False, False, False])[0] == 0


def compact(store: Store, revision: int | None = None) -> None:
    revision = store.revision if revision is None else revision
    assert store.apply_wire("compact", [revision, True])[0] == 0
    while store.space.unswept:
        store.space.sweep(1)


# -- segments --------------------------------------------------------------------------------------


def test_every_version_is_found_by_its_key() -> None:
    base = Base()
    versions = [version(number, b"x" * (number % 700)) for number in range(5000)]
    where = packed(base, versions)
    assert [read(where[kv[0]], kv[0]) for kv in versions] == versions
    assert held(base) == versions
    assert len(base) == len(versions)


def test_keys_of_equal_fingerprints_are_told_apart() -> None:
    base = Base()
    # Pairs whose CRC-32 is equal.
    keys = [b"plumless", b"buckeroo", b"codding", b"gnu", b"exhibiters", b"schlager"]
    versions: list[KV] = [(key, 2, 2 + place, 1, key, 0) for place, key in enumerate(keys)]
    where = packed(base, versions)
    assert [read(where[kv[0]], kv[0]) for kv in versions] == versions


def test_a_key_that_begins_like_another_is_not_taken_for_it() -> None:
    base = Base()
    versions: list[KV] = [(b"k" * length, 2, length + 2, 1, b"k", 0) for length in range(1, 400)]
    where = packed(base, versions)
    assert [read(where[kv[0]], kv[0]) for kv in versions] == versions


def test_segments_are_bounded_in_bytes_and_in_versions() -> None:
    base = Base()
    packed(base, [version(number) for number in range(3 * SEGMENT_VERSIONS)])
    assert [len(part_of(piece).versions()) for piece in base.pieces] == [SEGMENT_VERSIONS] * 3
    base = Base()
    packed(base, [version(number, b"x" * (SEGMENT_BYTES // 4)) for number in range(9)])
    assert [len(part_of(piece).versions()) for piece in base.pieces] == [3, 3, 3]
    base = Base()
    large = [version(number, b"x" * (2 * SEGMENT_BYTES)) for number in range(2)]
    where = packed(base, large)
    assert [read(where[kv[0]], kv[0]) for kv in large] == large


def test_no_small_object_is_made_for_a_segment_or_a_version() -> None:
    store = Store()
    for number in range(4 * SEGMENT_VERSIONS):
        put(store, b"%d" % number, b"v" * 50)
    compact(store)
    kept = {id(kept) for kept in store.space.live.values() if isinstance(kept, bytes)}
    assert all(isinstance(piece, bytes) for piece in store.space.base.pieces)
    assert kept == {id(piece) for piece in store.space.base.pieces}
    assert len(kept) <= 5
    assert sum(isinstance(kept, tuple) for kept in store.space.live.values()) == 1


# -- what is dead ----------------------------------------------------------------------------------


def test_a_segment_goes_when_all_its_versions_have_died() -> None:
    base = Base()
    where = packed(base, [version(number) for number in range(2 * SEGMENT_VERSIONS)])
    for number in range(SEGMENT_VERSIONS):
        key = b"key/%06d" % number
        base.kill(where[key], key)
    tidy(base, where)
    assert len(base.pieces) == 1
    assert held(base) == [version(n) for n in range(SEGMENT_VERSIONS, 2 * SEGMENT_VERSIONS)]


def test_few_dead_ones_are_only_noted_and_many_are_dropped() -> None:
    base = Base()
    where = packed(base, [version(number) for number in range(SEGMENT_VERSIONS)])
    size_bytes = base.size_bytes
    for number in range(10):
        base.kill(where[b"key/%06d" % number], b"key/%06d" % number)
    tidy(base, where)
    assert isinstance(base.pieces[0], Part)
    assert (base.size_bytes, len(base)) == (size_bytes, SEGMENT_VERSIONS - 10)
    for number in range(10, SEGMENT_VERSIONS // 2):
        base.kill(where[b"key/%06d" % number], b"key/%06d" % number)
    tidy(base, where)
    assert base.size_bytes < 0.6 * size_bytes
    expected = [version(number) for number in range(SEGMENT_VERSIONS // 2, SEGMENT_VERSIONS)]
    assert held(base) == expected == [read(where[kv[0]], kv[0]) for kv in expected]


def test_small_neighbours_become_one_segment_in_the_same_order() -> None:
    base = Base()
    where: dict[bytes, Segment] = {}
    for number in range(300):
        where |= packed(base, [version(number)])
    tidy(base, where)
    assert len(base.pieces) == 1
    assert held(base) == [version(number) for number in range(300)]


def test_a_view_holds_what_it_held_whatever_dies_and_moves() -> None:
    base = Base()
    versions = [version(number) for number in range(2 * SEGMENT_VERSIONS)]
    where = packed(base, versions)
    chance = random.Random(4)
    living = dict.fromkeys(where)
    views = []
    for _ in range(6):
        views.append((base.pieces.copy(), [kv for kv in versions if kv[0] in living]))
        for key in chance.sample(list(living), SEGMENT_VERSIONS // 5):
            del living[key]
            base.kill(where[key], key)
        tidy(base, where)
    for pieces, expected in views:
        assert [kv for piece in pieces for kv in part_of(piece).versions()] == expected
        records = [bytes(records) for piece in pieces for records in part_of(piece).records()]
        assert b"".join(records) == b"".join(map(pack_version, expected))


def test_tidying_takes_bounded_steps_and_leaves_alone_what_is_whole() -> None:
    base = Base()
    where = packed(base, [version(number) for number in range(20 * SEGMENT_VERSIONS)])
    before = base.pieces.copy()
    assert tidy(base, where) == 0
    for number in range(0, 20 * SEGMENT_VERSIONS, 3):
        base.kill(where[b"key/%06d" % number], b"key/%06d" % number)
    assert tidy(base, where) >= 10
    assert all(piece not in before for piece in base.pieces)


# -- the store -------------------------------------------------------------------------------------


def test_memory_in_segments_follows_what_is_live() -> None:
    store = Store()
    space = store.space
    chance = random.Random(5)
    keys = [b"%d" % number for number in range(6000)]
    for _ in range(6):
        for key in chance.choices(keys, k=6000):
            put(store, key, b"v" * 100)
        for key in chance.sample(keys, 2000):
            store.apply_wire("delete_range", [key, b"", False])
        compact(store)
        live_bytes = sum(len(pack_version(kv)) for kv in space.select_live(b"\0", None))
        assert (len(space.base), space.older) == (len(space.live), {})
        assert space.base.size_bytes < SLACK * live_bytes
    store.apply_wire("delete_range", [b"\0", b"\0", False])
    put(store, b"last", b"v")
    compact(store)
    assert (space.base.pieces, space.older) == ([], {})


def test_a_sweep_lets_the_log_go_bit_by_bit() -> None:
    store = Store()
    for number in range(8 * SEGMENT_VERSIONS):
        put(store, b"%d" % (number // 2), b"v")
    store.apply_wire("compact", [store.revision, False])
    log_bases = []
    while store.space.unswept:
        store.space.sweep(1)
        log_bases.append(store.space.log_base)
        # Whatever has been moved so far, the state is whole.
        assert len(store.space.base) + len(store.space.history) <= 2 * 8 * SEGMENT_VERSIONS
    assert len(set(log_bases)) > 3
    assert log_bases[-1] == store.revision


def test_a_state_taken_at_any_step_of_a_sweep_is_the_same_state() -> None:
    store = Store()
    chance = random.Random(6)
    for round_number in range(3):
        for _ in range((SWEPT_AT_ONCE + 4) * STEP_VERSIONS // 2):
            key = b"%d" % chance.randrange(2000)
            if chance.random() < 0.3:
                store.apply_wire("delete_range", [key, b"", False])
            else:
                put(store, key, b"%d" % round_number)
        store.apply_wire("compact", [store.revision - 20, False])
        taken = []
        while store.space.unswept:
            taken.append(list(store.snapshot()))
            store.space.sweep(1)
        assert len(taken) > 1
        expected = store.space.hash(store.revision)
        for chunks in taken:
            other = Store()
            other.restore(chunks)
            assert other.space.hash(other.revision) == expected
            assert other.space.size_bytes == store.space.size_bytes


def test_keys_that_stay_are_copied_away_from_what_has_died() -> None:
    store = Store()
    count = MIN_RENEWED + 2000
    for number in range(count):
        put(store, b"key/%d" % number, b"v")
    before = {id(key) for key in store.space.live}
    held_alive = list(store.space.live)
    compact(store)
    put(store, b"last", b"")
    assert len(store.space.live_keys) == len(store.space.live) == count + 1
    assert not before & {id(key) for key in store.space.live}
    indexed = {id(key) for key in store.space.live_keys.between(b"", None)}
    assert indexed == {id(key) for key in store.space.live}
    assert sorted([*held_alive, b"last"]) == list(store.space.live_keys.between(b"", None))
    # Nothing has come or gone since: they stay where they are.
    for number in range(count):
        put(store, b"key/%d" % number, b"w")
    compact(store)
    assert {id(key) for key in store.space.live} <= indexed | {id(b"last")}


def test_keys_that_are_gone_are_let_go_of() -> None:
    store = Store()
    for number in range(3000):
        put(store, b"key/%d" % number, b"v")
    doomed = [key for key in store.space.live if key.endswith(b"7")]
    for number in range(len(doomed)):
        store.apply_wire("delete_range", [doomed[number], b"", False])
    put(store, b"last", b"v")
    list(store.space.live_keys.between(b"", None))
    compact(store)
    # Here, by the list and by the argument of the call.
    assert {sys.getrefcount(key) for key in doomed} == {3}


def test_writes_while_keys_are_renewed_are_not_lost() -> None:
    store = Store()
    count = MIN_RENEWED + 2000
    for number in range(count):
        put(store, b"key/%06d" % number, b"v")
    expected = {b"key/%06d" % number: b"v" for number in range(count)}
    store.apply_wire("compact", [store.revision, False])
    chance = random.Random(7)
    while store.space.unswept:
        store.space.sweep(1)
        for _ in range(100):
            key = b"key/%06d" % chance.randrange(count * 2)
            if chance.random() < 0.5:
                put(store, key, b"w")
                expected[key] = b"w"
            elif expected.pop(key, None) is not None:
                store.apply_wire("delete_range", [key, b"", False])
    found = [(kv[0], kv[4]) for kv in store.space.select_live(b"", None)]
    assert found == sorted(expected.items())
    assert store.space.live_keys.count(b"", None) == len(expected)


# -- against a model -------------------------------------------------------------------------------

KEYS = st.integers(0, 12).map(lambda number: b"k%02d" % number)
STEP = st.one_of(
    st.tuples(st.just("put"), KEYS, st.binary(max_size=4)),
    st.tuples(st.just("delete"), KEYS, KEYS),
    st.tuples(st.just("compact"), st.integers(0, 6), st.booleans()),
    st.tuples(st.just("sweep"), st.integers(1, 4), st.none()),
    st.tuples(st.just("reload"), st.none(), st.none()),
)


class Model:
    """All versions of all keys, forever: ``(revision, value)``, None as value: deleted."""

    def __init__(self) -> None:
        self.versions: dict[bytes, list[tuple[int, bytes | None]]] = {}
        self.revision = 1
        self.compacted = 0

    def write(self, key: bytes, value: bytes | None) -> None:
        self.versions.setdefault(key, []).append((self.revision, value))

    def at(self, revision: int) -> list[tuple[bytes, bytes, int]]:
        found = []
        for key in sorted(self.versions):
            before = [v for v in self.versions[key] if v[0] <= revision]
            if before and before[-1][1] is not None:
                found.append((key, before[-1][1], before[-1][0]))
        return found


def carry_out(store: Store, model: Model, step: tuple[str, Any, Any]) -> None:
    op, first, second = step
    if op == "put":
        model.revision += 1
        model.write(first, second)
        put(store, first, second)
    elif op == "delete":
        doomed = [key for key, _, _ in model.at(model.revision) if first <= key < second]
        model.revision += bool(doomed)
        for key in doomed:
            model.write(key, None)
        store.apply_wire("delete_range", [first, second, False])
    elif op == "compact" and model.revision - first > model.compacted:
        model.compacted = model.revision - first
        store.apply_wire("compact", [model.compacted, second])
    elif op == "sweep":
        store.space.sweep(first)
    elif op == "reload":
        store.restore(list(store.snapshot()))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(steps=st.lists(STEP, max_size=60))
@pytest.mark.usefixtures("_slow_sweeps")
def test_every_kept_revision_reads_as_in_a_model_that_forgets_nothing(
    steps: list[tuple[str, Any, Any]],
) -> None:
    store, model = Store(), Model()
    for step in steps:
        carry_out(store, model, step)
        assert store.revision == model.revision
        for revision in range(max(1, model.compacted), model.revision + 1):
            request = RangeRequest(b"\0", b"\0", revision=revision)
            _, fields = store.read_wire("range", request.to_wire())
            assert [(kv[0], kv[4], kv[2]) for kv in fields[1]] == model.at(revision)
            found = store.space.find(b"k05", revision)
            expected = [version for version in model.at(revision) if version[0] == b"k05"]
            assert ([] if found is None else [(found[0], found[4], found[2])]) == expected
    while store.space.unswept:
        store.space.sweep(1)
    alive = {key for key, _, _ in model.at(model.compacted)}
    assert len(store.space.base) <= len(alive)


@pytest.fixture(name="_slow_sweeps")
def _few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let sweeps of few keys take many steps, and their segments be many."""
    monkeypatch.setattr("raftstore.mvcc.keyspace.SWEPT_AT_ONCE", 0)
    monkeypatch.setattr("raftstore.mvcc.sweep.STEP_VERSIONS", 2)
    monkeypatch.setattr("raftstore.mvcc.sweep.SEGMENT_VERSIONS", 3)
    monkeypatch.setattr("raftstore.mvcc.sweep.MIN_RENEWED", 3)
    monkeypatch.setattr("raftstore.mvcc.base.SEGMENT_VERSIONS", 3)
