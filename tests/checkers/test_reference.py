"""The reference store says what etcd's rules say, and the members' store says the same."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from k8sactors.checkers.reference import ReferenceStore, RefusedError, Reply
from raftstore.errors import COMPACTED, FUTURE_REVISION, LEASE_NOT_FOUND, NO_SPACE, StoreError
from raftstore.mvcc import Store, check_request
from raftstore.server.alarms import Alarms
from raftstore.wire import (
    COMPARE_CREATE,
    COMPARE_LEASE,
    COMPARE_VALUE,
    EQUAL,
    NOT_EQUAL,
    OP_DELETE_RANGE,
    OP_PUT,
    OP_RANGE,
    OP_TXN,
    RangeRequest,
)

KEYS = st.sampled_from([b"a", b"b", b"ba", b"c"])
ENDS = st.sampled_from([b"", b"", b"b", b"c", b"z", b"\0"])
LEASES = st.integers(1, 3)
SMALL = st.integers(0, 6)
MAYBE = st.sampled_from([0, 0, 0, 1, 3, 5])

puts = st.tuples(
    KEYS,
    st.binary(max_size=2),
    st.just(0) | LEASES,
    st.booleans(),
    st.just(value=False) | st.booleans(),
    st.just(value=False) | st.booleans(),
).map(list)
deletes = st.tuples(KEYS, ENDS, st.booleans()).map(list)
ranges = st.tuples(
    KEYS,
    ENDS,
    MAYBE,
    st.just(0) | SMALL,
    st.integers(0, 2),
    st.integers(0, 4),
    st.just(value=False),
    st.booleans(),
    st.sampled_from([False, False, True]),
    MAYBE,
    MAYBE,
    MAYBE,
    MAYBE,
).map(list)
compares = st.one_of(
    st.tuples(st.integers(0, 3), st.integers(0, 2), KEYS, SMALL, ENDS),
    st.tuples(st.integers(0, 3), st.just(COMPARE_VALUE), KEYS, st.binary(max_size=2), ENDS),
    st.tuples(st.integers(0, 3), st.just(COMPARE_LEASE), KEYS, LEASES, ENDS),
).map(list)
plain = st.one_of(
    st.tuples(st.just(OP_PUT), puts),
    st.tuples(st.just(OP_DELETE_RANGE), deletes),
    st.tuples(st.just(OP_RANGE), ranges),
).map(list)


def txns(operations: Any) -> Any:
    branch = st.lists(operations, max_size=3)
    return st.tuples(st.lists(compares, max_size=2), branch, branch).map(list)


operations = st.one_of(plain, plain, st.tuples(st.just(OP_TXN), txns(plain)).map(list))
requests = st.one_of(
    st.tuples(st.just("put"), puts),
    st.tuples(st.just("delete_range"), deletes),
    st.tuples(st.just("txn"), txns(operations)),
    st.tuples(st.just("txn"), txns(operations)),
    st.tuples(st.just("compact"), st.tuples(SMALL, st.just(value=False)).map(list)),
    st.tuples(st.just("lease_grant"), st.tuples(st.integers(1, 5), LEASES).map(list)),
    st.tuples(st.just("lease_revoke"), st.tuples(LEASES).map(list)),
    st.tuples(st.just("range"), ranges),
)


def plainly(value: Any) -> Any:
    """Lists and tuples of all kinds as lists."""
    return [plainly(item) for item in value] if isinstance(value, list | tuple) else value


def read(reference: ReferenceStore, fields: list[Any]) -> Any:
    try:
        return plainly(reference.read(fields, reference.revision))
    except RefusedError as refused:
        return refused.status


def is_sound(op: str, fields: list[Any]) -> bool:
    try:
        check_request(op, fields)
    except StoreError:
        return False
    return True


@settings(max_examples=300, deadline=None)
@given(st.lists(requests, max_size=25))
def test_the_members_store_answers_as_the_reference_store_does(
    asked: list[tuple[str, list[Any]]],
) -> None:
    store, reference = Store(), ReferenceStore()
    for op, fields in asked:
        if not is_sound(op, fields):
            continue
        if op == "range":
            code, *answer = store.read_wire(op, fields)
            if fields[3] and fields[3] < reference.compacted:
                assert (code, *answer) == COMPACTED
                continue
            due = read(reference, fields)
            told = (code, *answer) if code else plainly(answer[0][1:])
            assert told == due
            continue
        code, answer = store.apply_wire(op, fields)
        reply = reference.apply(op, fields)
        assert reply is not None
        if reply.refusal is not None:
            assert (code, answer) == reply.refusal
            continue
        assert code == 0
        assert answer[0][2] == reply.revision
        assert plainly(answer[1:]) == plainly(reply.fields)
    held = {kv[0]: kv for kv in store.space.select_live(b"", None)}
    assert plainly([held[key] for key in sorted(held)]) == plainly(
        [reference.now[key] for key in sorted(reference.now)]
    )
    assert store.compact_revision == reference.compacted
    assert {lease.id: lease.ttl_s for lease in store.leases.by_id.values()} == reference.leases
    made = [(c.revision, c.key.encode()) for c in reference.changes]
    if not store.compact_revision:
        assert [(kv[2], kv[0]) for kv in store.space.written_since(2, store.revision)] == made


def _put(key: bytes, value: bytes, lease: int = 0) -> list[Any]:
    return [key, value, lease, False, False, False]


def _get(key: bytes, revision: int = 0) -> list[Any]:
    return [key, b"", 0, revision, 0, 0, False, False, False, 0, 0, 0, 0]


def test_a_transaction_takes_one_revision_and_sees_its_own_writes() -> None:
    store = ReferenceStore()
    branch = [[OP_PUT, _put(b"a", b"1")], [OP_PUT, _put(b"b", b"2")], [OP_RANGE, _get(b"a")]]
    reply = store.apply("txn", [[], branch, []])
    assert reply is not None
    assert reply.revision == 2
    assert reply.fields[1][2] == [OP_RANGE, [[0, 0, 2, 0], [(b"a", 2, 2, 1, b"1", 0)], False, 1]]


def test_what_changes_nothing_takes_no_revision() -> None:
    store = ReferenceStore()
    assert store.apply("delete_range", [b"a", b"", False]) == Reply(1, [0, []])
    compare = [NOT_EQUAL, COMPARE_CREATE, b"a", 0, b""]
    failed = store.apply("txn", [[compare], [[OP_PUT, _put(b"a", b"")]], []])
    assert failed == Reply(1, [False, []])


def test_an_absent_value_equals_nothing_not_even_the_empty_one() -> None:
    store = ReferenceStore()
    for relation in (EQUAL, NOT_EQUAL):
        compare = [relation, COMPARE_VALUE, b"a", b"", b""]
        assert store.apply("txn", [[compare], [], []]) == Reply(1, [False, []])


def test_the_keys_of_a_lease_go_together_in_one_revision() -> None:
    store = ReferenceStore()
    store.apply("lease_grant", [1, 5])
    assert store.leases == {5: 2}
    for key in (b"a", b"b"):
        store.apply("put", _put(key, b"v", 5))
    store.apply("put", _put(b"b", b"kept"))
    store.apply("put", _put(b"c", b"v", 5))
    reply = store.apply("lease_revoke", [5])
    assert reply == Reply(6, [])
    assert list(store.now) == [b"b"]
    assert [(c.revision, c.key) for c in store.changes[-2:]] == [(6, "a"), (6, "c")]
    assert store.apply("lease_revoke", [5]) == Reply(None, [], LEASE_NOT_FOUND)


def test_the_past_stays_as_it_was_and_the_future_is_refused() -> None:
    store = ReferenceStore()
    for value in (b"1", b"2"):
        store.apply("put", _put(b"a", value))
    assert store.read(_get(b"a", 2), 3)[0][0].value == b"1"
    assert store.read(_get(b"a"), 1) == [[], False, 0]
    assert store.apply("compact", [9]) == Reply(None, [], FUTURE_REVISION)
    assert store.apply("compact", [3]) == Reply(3, [])
    assert store.apply("compact", [3]) == Reply(None, [], COMPACTED)
    assert store.apply("member_publish", [1]) is None


def test_while_there_is_no_room_both_refuse_the_same() -> None:
    store, reference = Store(), ReferenceStore()
    Alarms(store)
    put = [b"a", b"1", 0, False, False, False]
    nested = [[], [[OP_TXN, [[], [], [[OP_PUT, put]]]]], []]
    reading = [[], [[OP_RANGE, RangeRequest(b"a").to_wire()]], []]
    requests = [
        ("put", put),
        ("alarm_set", [1, 7, 1]),
        ("put", put),
        ("lease_grant", [5, 9]),
        ("txn", nested),
        ("txn", reading),
        ("delete_range", [b"a", b"", False]),
        ("alarm_set", [2, 7, 1]),
        ("put", put),
    ]
    refused = []
    for op, fields in requests:
        answer = store.apply_wire(op, fields)
        reply = reference.apply(op, fields)
        if reply is not None:
            assert (answer[0] != 0) == (reply.refusal is not None), op
            refused.append(reply.refusal == NO_SPACE)
    assert refused == [False, True, True, True, False, False, False]
    assert reference.revision == store.revision
