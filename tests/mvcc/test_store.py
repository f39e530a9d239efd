"""etcd's semantics, case by case."""

from __future__ import annotations

from typing import Any

import pytest

from raftstore import errors, wire
from raftstore.mvcc import SnapshotFormatError, Store, check_request
from raftstore.wire import (
    COMPARE_CREATE,
    COMPARE_LEASE,
    COMPARE_MOD,
    COMPARE_VALUE,
    COMPARE_VERSION,
    EQUAL,
    GREATER,
    LESS,
    NOT_EQUAL,
    Compare,
    DeleteRangeRequest,
    PutRequest,
    RangeRequest,
    TxnRequest,
)


def apply(store: Store, request: Any) -> Any:
    code, fields = store.apply_wire(request.op, request.to_wire())
    if code != 0:
        return errors.Status(code, fields)
    return wire.RESPONSES[request.op].from_wire(fields)


def read(store: Store, request: Any) -> Any:
    code, fields = store.read_wire(request.op, request.to_wire())
    if code != 0:
        return errors.Status(code, fields)
    return wire.RESPONSES[request.op].from_wire(fields)


@pytest.fixture
def store() -> Store:
    return Store(cluster_id=14, member_id=3)


def fill(store: Store, **values: bytes) -> None:
    for key, value in values.items():
        apply(store, PutRequest(key.encode(), value))


def keys(response: Any) -> list[bytes]:
    return [kv.key for kv in response.kvs]


def test_an_empty_store_is_at_revision_one(store: Store) -> None:
    assert read(store, RangeRequest(b"a")).header == wire.ResponseHeader(14, 3, 1, 0)


@pytest.mark.covers("ST-09")
def test_values_are_appended_and_old_ones_stay_readable(store: Store) -> None:
    fill(store, k=b"a")
    fill(store, k=b"b")
    assert [wire.KeyValue(b"k", 2, 3, 2, b"b", 0)] == read(store, RangeRequest(b"k")).kvs
    old = read(store, RangeRequest(b"k", revision=2))
    assert [wire.KeyValue(b"k", 2, 2, 1, b"a", 0)] == old.kvs


@pytest.mark.covers("ST-10")
def test_a_delete_is_a_tombstone_and_a_new_put_begins_at_version_one(store: Store) -> None:
    fill(store, k=b"a")
    assert apply(store, DeleteRangeRequest(b"k", prev_kv=True)).prev_kvs[0].value == b"a"
    fill(store, k=b"b")
    assert read(store, RangeRequest(b"k", revision=2)).kvs[0].value == b"a"
    assert read(store, RangeRequest(b"k", revision=3)).kvs == []
    assert [wire.KeyValue(b"k", 4, 4, 1, b"b", 0)] == read(store, RangeRequest(b"k")).kvs


def test_a_delete_of_nothing_takes_no_revision(store: Store) -> None:
    fill(store, k=b"a")
    response = apply(store, DeleteRangeRequest(b"x", b"z"))
    assert (response.deleted, response.header.revision) == (0, 2)


def test_put_returns_the_previous_version_when_asked(store: Store) -> None:
    fill(store, k=b"a")
    assert apply(store, PutRequest(b"k", b"b")).prev_kv is None
    assert apply(store, PutRequest(b"k", b"c", prev_kv=True)).prev_kv.value == b"b"


def value_and_lease(store: Store) -> tuple[bytes, int]:
    newest = store.space.newest(b"k")
    assert newest is not None
    return newest[4], newest[5]


def test_put_can_keep_value_or_lease(store: Store) -> None:
    apply(store, wire.LeaseGrantRequest(60, 7))
    apply(store, PutRequest(b"k", b"a", lease=7))
    apply(store, PutRequest(b"k", ignore_value=True))
    assert value_and_lease(store) == (b"a", 0)
    apply(store, PutRequest(b"k", b"b", lease=7))
    apply(store, PutRequest(b"k", b"c", ignore_lease=True))
    assert value_and_lease(store) == (b"c", 7)
    assert apply(store, PutRequest(b"new", ignore_value=True)) == errors.KEY_NOT_FOUND


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (RangeRequest(b"b"), [b"b"]),
        (RangeRequest(b"b", b"d"), [b"b", b"c"]),
        (RangeRequest(b"c", b"\0"), [b"c", b"d"]),
        (RangeRequest(b"\0", b"\0"), [b"a", b"b", b"c", b"d"]),
        (RangeRequest(b"c", b"b"), []),
        (RangeRequest(b"a", b"\0", limit=2), [b"a", b"b"]),
        (RangeRequest(b"a", b"\0", sort_order=wire.SORT_DESCEND), [b"d", b"c", b"b", b"a"]),
        (RangeRequest(b"a", b"\0", sort_target=wire.SORT_VALUE), [b"d", b"c", b"b", b"a"]),
        (
            RangeRequest(b"a", b"\0", 1, sort_target=wire.SORT_MOD, sort_order=wire.SORT_DESCEND),
            [b"a"],
        ),
        (RangeRequest(b"a", b"\0", sort_target=wire.SORT_VERSION), [b"b", b"c", b"d", b"a"]),
        (RangeRequest(b"a", b"\0", min_mod_revision=4, max_mod_revision=5), [b"c", b"d"]),
        (RangeRequest(b"a", b"\0", min_create_revision=3, max_create_revision=4), [b"b", b"c"]),
    ],
)
def test_ranges(store: Store, request_: RangeRequest, expected: list[bytes]) -> None:
    fill(store, a=b"4", b=b"3", c=b"2", d=b"1")
    fill(store, a=b"5")
    assert expected == keys(read(store, request_))


def test_count_and_more_tell_of_the_whole_range(store: Store) -> None:
    fill(store, a=b"1", b=b"2", c=b"3")
    response = read(store, RangeRequest(b"a", b"\0", limit=2))
    assert (response.more, response.count) == (True, 3)
    response = read(store, RangeRequest(b"a", b"\0", count_only=True))
    assert (response.kvs, response.more, response.count) == ([], False, 3)
    response = read(store, RangeRequest(b"a", b"\0", keys_only=True))
    assert [kv.value for kv in response.kvs] == [b"", b"", b""]


def test_a_page_at_an_old_revision_does_not_see_later_writes(store: Store) -> None:
    fill(store, a=b"1", b=b"1", c=b"1")
    revision = store.revision
    apply(store, DeleteRangeRequest(b"b"))
    fill(store, a=b"2", d=b"1")
    first = read(store, RangeRequest(b"a", b"\0", limit=2, revision=revision))
    assert (keys(first), first.more, first.count) == ([b"a", b"b"], True, 3)
    rest = read(store, RangeRequest(b"b\0", b"\0", revision=revision))
    assert keys(rest) == [b"c"]


def test_revisions_out_of_reach_are_refused(store: Store) -> None:
    fill(store, a=b"1", b=b"2", c=b"3")
    assert read(store, RangeRequest(b"a", revision=5)) == errors.FUTURE_REVISION
    apply(store, wire.CompactionRequest(3))
    assert read(store, RangeRequest(b"a", revision=2)) == errors.COMPACTED
    assert keys(read(store, RangeRequest(b"a", revision=3))) == [b"a"]
    assert apply(store, wire.CompactionRequest(3)) == errors.COMPACTED
    assert apply(store, wire.CompactionRequest(9)) == errors.FUTURE_REVISION
    assert str(errors.StoreError(*errors.COMPACTED)) == (
        "etcdserver: mvcc: required revision has been compacted (OutOfRange)"
    )


@pytest.mark.covers("ST-11")
def test_compaction_frees_what_no_client_can_read(store: Store) -> None:
    for value in (b"1", b"2", b"3"):
        fill(store, a=value)
    apply(store, DeleteRangeRequest(b"a"))
    fill(store, b=b"1")
    size = store.space.size_bytes
    apply(store, wire.CompactionRequest(5))
    assert store.space.size_bytes < size
    assert (store.space.older, len(store.space.dead_keys)) == ({}, 0)
    assert keys(read(store, RangeRequest(b"a", b"\0"))) == [b"b"]


@pytest.mark.parametrize(
    ("compare", "expected"),
    [
        (Compare(EQUAL, COMPARE_VERSION, b"a", 2), True),
        (Compare(GREATER, COMPARE_CREATE, b"a", 1), True),
        (Compare(LESS, COMPARE_MOD, b"a", 3), False),
        (Compare(EQUAL, COMPARE_MOD, b"a", 3), True),
        (Compare(NOT_EQUAL, COMPARE_VALUE, b"a", b"x"), True),
        (Compare(EQUAL, COMPARE_LEASE, b"a", 0), True),
        (Compare(EQUAL, COMPARE_MOD, b"absent", 0), True),
        (Compare(EQUAL, COMPARE_VALUE, b"absent", b""), False),
        (Compare(NOT_EQUAL, COMPARE_VALUE, b"absent", b"x"), False),
        (Compare(GREATER, COMPARE_MOD, b"a", 2, b"\0"), True),
        (Compare(GREATER, COMPARE_MOD, b"a", 3, b"\0"), False),
        (Compare(EQUAL, COMPARE_CREATE, b"x", 0, b"\0"), True),
    ],
)
@pytest.mark.covers("ST-28")
def test_compares(store: Store, compare: Compare, expected: bool) -> None:
    fill(store, a=b"1")
    fill(store, a=b"2")
    fill(store, b=b"1")
    response = apply(store, TxnRequest([compare], [RangeRequest(b"a")], []))
    assert (expected, 4) == (response.succeeded, response.header.revision)


def test_a_transaction_takes_one_revision_and_sees_its_own_writes(store: Store) -> None:
    fill(store, a=b"1")
    response = apply(
        store,
        TxnRequest(
            [],
            [
                RangeRequest(b"a", b"\0"),
                PutRequest(b"b", b"2"),
                DeleteRangeRequest(b"a"),
                RangeRequest(b"a", b"\0"),
                RangeRequest(b"a", b"\0", revision=2),
            ],
        ),
    )
    before, put, delete, after, past = response.responses
    assert (keys(before), keys(after), keys(past)) == ([b"a"], [b"b"], [b"a"])
    assert (
        before.header.revision,
        put.header.revision,
        delete.header.revision,
        response.header.revision,
    ) == (2, 3, 3, 3)
    assert (delete.deleted, store.revision) == (1, 3)


def test_nested_transactions_compare_the_state_before_and_take_one_revision(store: Store) -> None:
    inner = TxnRequest(
        [Compare(EQUAL, COMPARE_MOD, b"a", 0)], [PutRequest(b"in")], [PutRequest(b"out")]
    )
    response = apply(store, TxnRequest([], [PutRequest(b"a"), inner, PutRequest(b"z")]))
    assert response.responses[1].succeeded
    assert [kv.mod_revision for kv in read(store, RangeRequest(b"a", b"\0")).kvs] == [2, 2, 2]


def test_a_refused_transaction_changes_nothing(store: Store) -> None:
    request = TxnRequest([], [PutRequest(b"a"), PutRequest(b"b", lease=99)])
    assert apply(store, request) == errors.LEASE_NOT_FOUND
    request = TxnRequest([], [PutRequest(b"a"), RangeRequest(b"a", revision=50)])
    assert apply(store, request) == errors.FUTURE_REVISION
    request = TxnRequest([], [TxnRequest([], [PutRequest(b"a", ignore_lease=True)])])
    assert apply(store, request) == errors.KEY_NOT_FOUND
    assert (store.revision, store.space.live) == (1, {})


NESTED = TxnRequest([], [PutRequest(b"a")], [PutRequest(b"a")])


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (RangeRequest(b""), errors.EMPTY_KEY),
        (RangeRequest(b"a", sort_order=5), errors.INVALID_SORT_OPTION),
        (PutRequest(b""), errors.EMPTY_KEY),
        (PutRequest(b"a", b"x", ignore_value=True), errors.VALUE_PROVIDED),
        (PutRequest(b"a", lease=1, ignore_lease=True), errors.LEASE_PROVIDED),
        (DeleteRangeRequest(b""), errors.EMPTY_KEY),
        (TxnRequest([Compare(0, 0, b"")]), errors.EMPTY_KEY),
        (TxnRequest([], [PutRequest(b"")]), errors.EMPTY_KEY),
        (TxnRequest([], [RangeRequest(b"a")] * 129), errors.TOO_MANY_OPERATIONS),
        (TxnRequest([], [PutRequest(b"a"), PutRequest(b"a")]), errors.DUPLICATE_KEY),
        (TxnRequest([], [PutRequest(b"a"), DeleteRangeRequest(b"a")]), errors.DUPLICATE_KEY),
        (TxnRequest([], [DeleteRangeRequest(b"a", b"c"), PutRequest(b"b")]), errors.DUPLICATE_KEY),
        (TxnRequest([], [PutRequest(b"a"), NESTED]), errors.DUPLICATE_KEY),
        (TxnRequest([], [NESTED, PutRequest(b"a")]), errors.DUPLICATE_KEY),
        (TxnRequest([], [NESTED, DeleteRangeRequest(b"\0", b"\0")]), errors.DUPLICATE_KEY),
        (TxnRequest([], [NESTED, NESTED]), errors.DUPLICATE_KEY),
        (TxnRequest([], [TxnRequest([], [PutRequest(b"")])]), errors.EMPTY_KEY),
    ],
)
def test_requests_that_no_state_could_carry_out(request_: Any, expected: errors.Status) -> None:
    with pytest.raises(errors.StoreError) as refusal:
        check_request(request_.op, request_.to_wire())
    assert refusal.value.status == expected


@pytest.mark.parametrize(
    "request_",
    [
        TxnRequest([], [PutRequest(b"a"), PutRequest(b"b"), DeleteRangeRequest(b"c", b"d")]),
        TxnRequest([], [PutRequest(b"a")], [PutRequest(b"a")]),
        TxnRequest([], [NESTED, PutRequest(b"b")]),
        TxnRequest([], [DeleteRangeRequest(b"a"), DeleteRangeRequest(b"a", b"c")]),
        TxnRequest([], [RangeRequest(b"a")] * 128),
        wire.CompactionRequest(1),
    ],
)
def test_requests_that_pass(store: Store, request_: Any) -> None:
    check_request(request_.op, request_.to_wire())
    store.apply_wire("put", [b"z", b"", 0, False, False, False])
    assert store.apply_wire(request_.op, request_.to_wire())[0] == 0


def test_unknown_requests_are_refused(store: Store) -> None:
    assert store.apply_wire("defragment", []) == list(errors.UNKNOWN_METHOD)
    assert store.read_wire("put", []) == list(errors.UNKNOWN_METHOD)


def test_a_snapshot_cannot_be_read_from_other_bytes(store: Store) -> None:
    for chunks in ([], [b"\x01"], [b"\x95\x63\x01\x01\x01\x90"]):
        with pytest.raises(SnapshotFormatError):
            store.restore(chunks)


def test_a_snapshot_is_of_the_moment_it_was_taken(store: Store) -> None:
    fill(store, a=b"1", b=b"2")
    chunks = store.snapshot()
    fill(store, a=b"3")
    other = Store()
    other.restore(chunks)
    assert (other.revision, [kv[4] for kv in other.space.select_live(b"a", b"b")]) == (3, [b"1"])
