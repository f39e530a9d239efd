"""Watches: filtered, ordered, unique, atomic, complete, resumable."""

from __future__ import annotations

import random  # noqa: TID251 - seeded here, so that a failure comes again
from typing import Any

import pytest

from raftstore import errors
from raftstore.mvcc import Store, WatchHub
from raftstore.mvcc.intervals import IntervalMap, covers
from raftstore.mvcc.watch import MAX_REVISIONS_PER_ITEM
from raftstore.wire import (
    DELETE,
    NO_DELETE,
    NO_PUT,
    OP_PUT,
    PUT,
    WatchCreateRequest,
    WatchResponse,
)


class Bench:
    def __init__(self) -> None:
        self.store = Store()
        self.hub = WatchHub(self.store)

    def put(self, key: bytes, value: bytes = b"") -> None:
        self.store.apply_wire("put", [key, value, 0, False, False, False])

    def delete(self, key: bytes) -> None:
        self.store.apply_wire("delete_range", [key, b"", False])

    def watch(self, key: bytes, range_end: bytes = b"", start: int = 0, **options: Any) -> int:
        request = WatchCreateRequest(key, range_end, start, **options)
        return self.hub.create(request.to_wire(), "sink")

    def items(self) -> list[WatchResponse]:
        return [WatchResponse.from_wire(item) for _, item in self.hub.collect()]

    def events(self) -> list[tuple[int, int, bytes]]:
        """(watch id, event type, key) of all events due."""
        return [
            (item.watch_id, event.type, event.kv.key)
            for item in self.items()
            for event in item.decode_events()
        ]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_new_watch_is_confirmed_and_sees_only_what_comes_after(bench: Bench) -> None:
    bench.put(b"a")
    watch_id = bench.watch(b"a")
    bench.put(b"a")
    created, item = bench.items()
    assert (watch_id, 2, b"") == (created.watch_id, created.revision, created.events)
    assert [event.kv.mod_revision for event in item.decode_events()] == [3]


def test_single_keys_prefixes_and_open_ranges_are_told_apart(bench: Bench) -> None:
    one, prefix, rest = bench.watch(b"b"), bench.watch(b"a", b"b"), bench.watch(b"b", b"\0")
    bench.items()
    for key in (b"a", b"ab", b"b", b"ba"):
        bench.put(key)
    assert {
        (prefix, PUT, b"a"),
        (prefix, PUT, b"ab"),
        (one, PUT, b"b"),
        (rest, PUT, b"b"),
        (rest, PUT, b"ba"),
    } == set(bench.events())


def test_filters_leave_out_puts_or_deletes(bench: Bench) -> None:
    puts, deletes = bench.watch(b"a", filters=[NO_DELETE]), bench.watch(b"a", filters=[NO_PUT])
    bench.put(b"a")
    bench.delete(b"a")
    assert [(puts, PUT, b"a"), (deletes, DELETE, b"a")] == sorted(bench.events())


def test_prev_kv_is_the_version_before_live_and_in_history(bench: Bench) -> None:
    live = bench.watch(b"a", prev_kv=True)
    bench.items()
    bench.put(b"a", b"1")
    bench.put(b"a", b"2")
    bench.delete(b"a")
    bench.put(b"a", b"3")
    replayed = bench.watch(b"a", start=2, prev_kv=True)
    previous: dict[int, list[bytes | None]] = {live: [], replayed: []}
    for item in bench.items():
        for event in item.decode_events():
            previous[item.watch_id].append(event.prev_kv and event.prev_kv.value)
    assert [None, b"1", b"2", None] == previous[live] == previous[replayed]


def test_events_of_one_transaction_come_in_one_item_in_order(bench: Bench) -> None:
    bench.watch(b"a", b"\0")
    bench.items()
    operations = [[OP_PUT, [key, b"", 0, False, False, False]] for key in (b"c", b"a", b"b")]
    bench.store.apply_wire("txn", [[], operations, []])
    (item,) = bench.items()
    assert [event.kv.key for event in item.decode_events()] == [b"c", b"a", b"b"]
    assert [event.kv.mod_revision for event in item.decode_events()] == [2, 2, 2]


def test_a_watch_from_the_past_replays_and_then_continues(bench: Bench) -> None:
    for number in range(5):
        bench.put(b"%d" % number)
    bench.watch(b"0", b"\0", start=4)
    bench.put(b"5")
    seen = [e.kv.mod_revision for item in bench.items() for e in item.decode_events()]
    bench.put(b"6")
    seen += [e.kv.mod_revision for item in bench.items() for e in item.decode_events()]
    assert seen == [4, 5, 6, 7, 8]


def test_the_revision_of_an_item_never_promises_what_was_not_delivered(bench: Bench) -> None:
    for number in range(5):
        bench.put(b"%d" % number)
    bench.watch(b"0", b"\0", start=3)
    created, item = bench.items()
    assert (created.revision, item.revision) == (2, 6)


def test_a_watch_of_the_future_waits_for_its_revision(bench: Bench) -> None:
    bench.watch(b"a", start=5)
    for _ in range(5):
        bench.put(b"a")
        revisions = [e.kv.mod_revision for i in bench.items() for e in i.decode_events()]
        assert revisions == ([bench.store.revision] if bench.store.revision >= 5 else [])


def test_a_watch_behind_the_compaction_is_cancelled_with_its_revision(bench: Bench) -> None:
    for _ in range(5):
        bench.put(b"a")
    bench.store.apply_wire("compact", [4, False])
    late, just = bench.watch(b"a", start=3), bench.watch(b"a", start=4)
    items = [item for item in bench.items() if item.cancelled or item.events]
    assert [(late, True, 4), (just, False, 0)] == [
        (item.watch_id, item.cancelled, item.compact_revision) for item in items
    ]
    assert errors.COMPACTED.message == items[0].reason
    assert len(bench.hub) == 1


def test_compaction_in_the_same_batch_loses_no_event(bench: Bench) -> None:
    watch_id = bench.watch(b"a")
    bench.items()
    bench.put(b"a", b"1")
    bench.delete(b"a")
    bench.store.apply_wire("compact", [bench.store.revision, False])
    assert [(watch_id, PUT, b"a"), (watch_id, DELETE, b"a")] == bench.events()


def test_a_delete_at_the_compacted_revision_is_still_replayed(bench: Bench) -> None:
    bench.put(b"a")
    bench.delete(b"a")
    bench.store.apply_wire("compact", [3, False])
    watch_id = bench.watch(b"a", start=3)
    assert [(watch_id, DELETE, b"a")] == bench.events()


def test_a_restored_snapshot_replays_nothing_twice(bench: Bench) -> None:
    ahead = Bench()
    for number in range(6):
        ahead.put(b"a", b"%d" % number)
    bench.watch(b"a")
    for number in range(3):
        bench.put(b"a", b"%d" % number)
    seen = [e.kv.mod_revision for i in bench.items() for e in i.decode_events()]
    bench.store.restore(ahead.store.snapshot())
    seen += [e.kv.mod_revision for i in bench.items() for e in i.decode_events()]
    bench.put(b"a")
    seen += [e.kv.mod_revision for i in bench.items() for e in i.decode_events()]
    assert seen == [2, 3, 4, 5, 6, 7, 8]


def test_a_snapshot_compacted_beyond_a_watch_cancels_it(bench: Bench) -> None:
    ahead = Bench()
    for _ in range(6):
        ahead.put(b"a")
    ahead.store.apply_wire("compact", [6, False])
    bench.watch(b"a")
    bench.items()
    bench.store.restore(ahead.store.snapshot())
    (item,) = bench.items()
    assert (item.cancelled, item.compact_revision) == (True, 6)


def test_long_histories_come_in_several_items_cut_between_revisions(bench: Bench) -> None:
    live = bench.watch(b"a")
    bench.items()
    for _ in range(MAX_REVISIONS_PER_ITEM + 5):
        bench.put(b"a")
    late = bench.watch(b"a", start=2)
    sizes: dict[int, list[int]] = {live: [], late: []}
    for item in bench.items():
        if item.events:
            sizes[item.watch_id].append(len(item.decode_events()))
    assert [MAX_REVISIONS_PER_ITEM, 5] == sizes[live] == sizes[late]


def test_watchers_of_one_range_share_the_same_bytes(bench: Bench) -> None:
    for _ in range(3):
        bench.watch(b"a", b"b")
    bench.items()
    bench.put(b"a")
    assert len({id(fields[5]) for _, fields in bench.hub.collect()}) == 1


def test_cancel_says_so_and_drop_does_not(bench: Bench) -> None:
    first, second = bench.watch(b"a"), bench.watch(b"a", b"b")
    bench.items()
    bench.hub.cancel(first, "done")
    bench.hub.drop(second)
    bench.hub.cancel(99)
    bench.put(b"a")
    (item,) = bench.items()
    assert (first, True, "done") == (item.watch_id, item.cancelled, item.reason)
    statistics = bench.hub.statistics()
    assert [statistics[key] for key in ("watchers", "waiting", "groups")] == [0, 0, 0]


def test_events_are_counted_for_each_watcher_that_gets_them(bench: Bench) -> None:
    for key in (b"a", b"a", b"b"):
        bench.watch(key)
    bench.items()
    bench.put(b"a")
    bench.put(b"a")
    bench.items()
    assert bench.hub.statistics()["sent_events"] == 4


def test_progress_goes_to_quiet_watchers_that_asked(bench: Bench) -> None:
    quiet, busy = bench.watch(b"a", progress_notify=True), bench.watch(b"b", progress_notify=True)
    bench.watch(b"a")
    bench.items()
    bench.put(b"b")
    bench.items()
    bench.hub.notify_progress()
    assert [(quiet, 2)] == [(item.watch_id, item.revision) for item in bench.items()]
    bench.hub.request_progress(busy)
    assert [(busy, 2)] == [(item.watch_id, item.revision) for item in bench.items()]


def test_an_empty_key_cannot_be_watched(bench: Bench) -> None:
    with pytest.raises(errors.StoreError) as refusal:
        bench.watch(b"")
    assert refusal.value.status == errors.EMPTY_KEY


def test_ranges_holding_a_key_are_found_whatever_was_added_and_removed() -> None:
    chance = random.Random(5)
    ranges: IntervalMap[int] = IntervalMap()
    model: dict[int, tuple[bytes, bytes | None]] = {}
    for number in range(1500):
        if model and chance.random() < 0.4:
            gone = chance.choice(list(model))
            del model[gone]
            ranges.remove(gone)
        else:
            start = b"%03d" % chance.randrange(300)
            end = chance.choice([None, b"%03d" % chance.randrange(300)])
            model[number] = (start, end)
            ranges.add(number, start, end)
        key = b"%03d" % chance.randrange(300)
        expected = [item for item, gap in model.items() if covers(*gap, key)]
        assert expected == sorted(ranges.holding(key))
        assert len(model) == len(ranges)
