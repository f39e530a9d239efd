"""The store against a model that keeps every state of the key space as a plain dict."""

from __future__ import annotations

import random  # noqa: TID251 - seeded here, so that a failure comes again
from bisect import bisect_left
from typing import Any

import msgpack
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from raftstore.errors import COMPACTED
from raftstore.mvcc import Store, WatchHub
from raftstore.mvcc.history import VERSION_BYTES, version_of
from raftstore.wire import (
    COMPARE_MOD,
    DELETE,
    EQUAL,
    OP_DELETE_RANGE,
    OP_PUT,
    OP_RANGE,
    PUT,
    RangeRequest,
    WatchCreateRequest,
    unpack_events,
)

KEYS = st.sampled_from([b"a", b"aa", b"ab", b"b", b"c", b"ca", b"d"])
ENDS = st.sampled_from([b"", b"\0", b"b", b"c", b"cb", b"e"])
VALUES = st.binary(max_size=3)

State = dict[bytes, list[Any]]


def in_range(key: bytes, start: bytes, end: bytes) -> bool:
    if not end:
        return key == start
    return start <= key and (end == b"\0" or key < end)


class Model:
    def __init__(self) -> None:
        self.states: dict[int, State] = {1: {}}
        self.events: list[tuple[int, int, list[Any], list[Any] | None]] = []
        self.revision = 1
        self.compacted = 0

    @property
    def now(self) -> State:
        return self.states[self.revision]

    def write(self, puts: dict[bytes, bytes], deletes: list[bytes]) -> None:
        if not puts and not deletes:
            return
        revision = self.revision + 1
        state = dict(self.now)
        for key in deletes:
            old = state.pop(key)
            self.events.append((revision, DELETE, [key, 0, revision, 0, b"", 0], old))
        for key, value in puts.items():
            old = state.get(key)
            create, version = (revision, 1) if old is None else (old[1], old[3] + 1)
            state[key] = [key, create, revision, version, value, 0]
            self.events.append((revision, PUT, state[key], old))
        self.states[revision] = state
        self.revision = revision

    def select(self, start: bytes, end: bytes, revision: int) -> list[list[Any]]:
        state = self.states[revision]
        return [state[key] for key in sorted(state) if in_range(key, start, end)]


class StoreMachine(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.store = Store()
        self.hub = WatchHub(self.store)
        self.model = Model()
        self.watches: dict[int, tuple[bytes, bytes, int]] = {}
        self.delivered: dict[int, list[list[Any]]] = {}
        self.cancelled: set[int] = set()

    @rule(key=KEYS, value=VALUES)
    def put(self, key: bytes, value: bytes) -> None:
        old = self.model.now.get(key)
        self.model.write({key: value}, [])
        code, fields = self.store.apply_wire("put", [key, value, 0, True, False, False])
        assert code == 0
        assert fields[0][2] == self.model.revision
        assert old == (None if fields[1] is None else list(fields[1]))

    @rule(key=KEYS, end=ENDS)
    def delete(self, key: bytes, end: bytes) -> None:
        doomed = [kv[0] for kv in self.model.select(key, end, self.model.revision)]
        self.model.write({}, doomed)
        _, fields = self.store.apply_wire("delete_range", [key, end, False])
        assert fields[1] == len(doomed)

    @rule(put_key=KEYS, value=VALUES, delete_key=KEYS, expected=st.integers(0, 6))
    def transact(self, put_key: bytes, value: bytes, delete_key: bytes, expected: int) -> None:
        if put_key == delete_key:
            return
        mod_revision = self.model.now.get(put_key, [b"", 0, 0])[2]
        success = mod_revision == expected
        if success:
            self.model.write({put_key: value}, [delete_key] if delete_key in self.model.now else [])
        read = [OP_RANGE, RangeRequest(put_key).to_wire()]
        _, fields = self.store.apply_wire(
            "txn",
            [
                [[EQUAL, COMPARE_MOD, put_key, expected, b""]],
                [
                    [OP_DELETE_RANGE, [delete_key, b"", False]],
                    [OP_PUT, [put_key, value, 0, False, False, False]],
                    read,
                ],
                [read],
            ],
        )
        assert fields[1] is success
        found = [list(kv) for kv in fields[2][-1][1][1]]
        assert found == self.model.select(put_key, b"", self.model.revision)

    @rule(back=st.integers(0, 4))
    def compact(self, back: int) -> None:
        revision = self.model.revision - back
        reply = self.store.apply_wire("compact", [revision, False])
        if revision == self.model.compacted == 0:
            assert reply[0] == 0
        elif revision <= self.model.compacted:
            assert reply == list(COMPACTED)
        else:
            assert reply[0] == 0
            self.model.compacted = revision

    @rule(key=KEYS, end=ENDS, back=st.integers(0, 8))
    def watch(self, key: bytes, end: bytes, back: int) -> None:
        start = max(1, self.model.revision + 1 - back)
        watch_id = self.hub.create(WatchCreateRequest(key, end, start).to_wire(), None)
        self.watches[watch_id] = (key, end, start)
        self.delivered[watch_id] = []
        if start < self.model.compacted:
            self.cancelled.add(watch_id)

    @rule()
    def reload(self) -> None:
        before = self.store.read_wire("hash_kv", [0])
        size = self.store.space.size_bytes
        self.store.restore(list(self.store.snapshot()))
        assert self.store.read_wire("hash_kv", [0]) == before
        assert self.store.space.size_bytes == size

    @rule()
    def collect(self) -> None:
        for _, item in self.hub.collect():
            watch_id, revision, compacted, cancelled, _, packed = item
            if cancelled:
                assert watch_id in self.cancelled
                assert compacted == self.model.compacted or compacted <= self.model.compacted
                del self.watches[watch_id]
                continue
            events = unpack_events(packed)
            assert all(event[1][2] <= revision for event in events)
            self.delivered[watch_id] += events
        for watch_id, (key, end, start) in self.watches.items():
            expected = [
                [kind, kv, None]
                for revision, kind, kv, _ in self.model.events
                if revision >= start and in_range(kv[0], key, end)
            ]
            assert self.delivered[watch_id] == expected

    @invariant()
    def every_kept_revision_reads_as_it_was(self) -> None:
        if not hasattr(self, "model"):
            return
        for revision in range(max(1, self.model.compacted), self.model.revision + 1):
            for start, end in ((b"a", b"\0"), (b"aa", b"c"), (b"b", b"")):
                request = RangeRequest(start, end, revision=revision)
                _, fields = self.store.read_wire("range", request.to_wire())
                found = [list(kv) for kv in fields[1]]
                assert found == self.model.select(start, end, revision)
                assert fields[3] == len(found)
        if self.model.compacted > 1:
            request = RangeRequest(b"a", revision=self.model.compacted - 1)
            assert self.store.read_wire("range", request.to_wire()) == list(COMPACTED)

    @invariant()
    def memory_holds_no_more_than_what_can_be_read(self) -> None:
        if not hasattr(self, "model"):
            return
        space = self.store.space
        assert len(space.live_keys) == len(space.live)
        assert len(space.dead_keys) == sum(key not in space.live for key in space.older)
        assert len(space.history) == space.revision + 1 - space.log_base
        kept = [version_of(key, before) for key in space.older for before in space.before(key)]
        kept += space.select_live(b"", None)
        assert space.size_bytes == sum(len(kv[0]) + len(kv[4]) + VERSION_BYTES for kv in kept)


StoreMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, derandomize=True
)
TestStore = StoreMachine.TestCase


@pytest.mark.covers("ST-12")
def test_ten_thousand_random_range_queries_agree_with_a_sorted_list() -> None:
    chance = random.Random(7)
    store = Store()
    model: dict[bytes, bytes] = {}
    for step in range(10_000):
        key = b"/registry/%03d" % chance.randrange(700)
        if chance.random() < 0.3:
            store.apply_wire("delete_range", [key, b"", False])
            model.pop(key, None)
        else:
            store.apply_wire("put", [key, b"%d" % step, 0, False, False, False])
            model[key] = b"%d" % step
        start, end = sorted(b"/registry/%03d" % chance.randrange(700) for _ in range(2))
        limit = chance.choice([0, 1, 5])
        fields = store.read_wire("range", RangeRequest(start, end + b"\0", limit).to_wire())[1]
        keys = sorted(model)
        expected = keys[bisect_left(keys, start) : bisect_left(keys, end + b"\0")]
        assert fields[3] == len(expected)
        assert fields[2] is (0 < limit < len(expected))
        assert [kv[0] for kv in fields[1]] == (expected[:limit] if limit else expected)
        assert all(model[kv[0]] == kv[4] for kv in fields[1])


def test_members_that_apply_the_same_entries_have_the_same_hash_and_snapshot() -> None:
    def build() -> Store:
        chance = random.Random(3)
        store = Store()
        store.apply_wire("lease_grant", [60, 9])
        for step in range(500):
            key = b"%d" % chance.randrange(50)
            if chance.random() < 0.2:
                store.apply_wire("delete_range", [key, b"", False])
            else:
                store.apply_wire("put", [key, b"v", chance.choice([0, 9]), False, False, False])
            if step % 100 == 99:
                store.apply_wire("compact", [store.revision - 20, False])
        return store

    one, other = build(), build()
    assert one.read_wire("hash_kv", [0]) == other.read_wire("hash_kv", [0])
    assert list(one.snapshot()) == list(other.snapshot())
    assert msgpack.unpackb(next(one.snapshot()))[1] == one.revision
