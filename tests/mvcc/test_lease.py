"""Leases: keys go together, and only the leader keeps time."""

from __future__ import annotations

import pytest

from raftstore import errors
from raftstore.mvcc import Store
from raftstore.mvcc.lease import MAX_TTL_S
from raftstore.units import SECOND


@pytest.fixture
def store() -> Store:
    return Store()


def put(store: Store, key: bytes, lease: int = 0) -> None:
    assert store.apply_wire("put", [key, b"v", lease, False, False, False])[0] == 0


def test_revoking_deletes_all_keys_in_one_revision(store: Store) -> None:
    store.apply_wire("lease_grant", [60, 7])
    put(store, b"b", 7)
    put(store, b"a", 7)
    put(store, b"c")
    assert store.apply_wire("lease_revoke", [7]) == [0, [[0, 0, 5, 0]]]
    assert list(store.space.live) == [b"c"]
    assert [kv[0] for kv in store.space.written_since(5, 5)] == [b"a", b"b"]
    assert store.apply_wire("lease_revoke", [7]) == list(errors.LEASE_NOT_FOUND)


def test_revoking_a_lease_without_keys_takes_no_revision(store: Store) -> None:
    store.apply_wire("lease_grant", [60, 7])
    store.apply_wire("lease_revoke", [7])
    assert store.revision == 1


def test_a_key_leaves_its_lease_when_it_is_put_without_or_deleted(store: Store) -> None:
    store.apply_wire("lease_grant", [60, 7])
    store.apply_wire("lease_grant", [60, 8])
    for key in (b"a", b"b", b"c"):
        put(store, key, 7)
    put(store, b"a")
    put(store, b"b", 8)
    store.apply_wire("delete_range", [b"c", b"", False])
    assert store.read_wire("lease_time_to_live", [7, True])[1][4] == []
    assert store.read_wire("lease_time_to_live", [8, True])[1][4] == [b"b"]


def test_grants_that_are_refused(store: Store) -> None:
    store.apply_wire("lease_grant", [60, 7])
    assert store.apply_wire("lease_grant", [60, 7]) == list(errors.LEASE_EXISTS)
    assert store.apply_wire("lease_grant", [MAX_TTL_S + 1, 8]) == list(errors.LEASE_TTL_TOO_LARGE)
    assert store.apply_wire("lease_grant", [60, 0])[0] == errors.INVALID_ARGUMENT
    assert store.apply_wire("put", [b"a", b"", 99, False, False, False]) == list(
        errors.LEASE_NOT_FOUND
    )


def test_short_leases_are_raised_to_what_an_election_takes(store: Store) -> None:
    assert store.apply_wire("lease_grant", [1, 7]) == [0, [[0, 0, 1, 0], 7, 2, ""]]


def test_a_lease_expires_on_the_leader_only(store: Store) -> None:
    store.apply_wire("lease_grant", [10, 7], 0)
    assert store.leases.expired(1000 * SECOND) == []
    store.leases.promote(5 * SECOND)
    assert store.leases.expired(14 * SECOND) == []
    assert store.leases.expired(15 * SECOND) == [7]
    assert store.leases.expired(16 * SECOND) == [7], "until it is revoked it comes again"
    store.leases.demote()
    assert store.leases.expired(20 * SECOND) == []


def test_keeping_alive_starts_the_time_again(store: Store) -> None:
    store.leases.promote(0)
    store.apply_wire("lease_grant", [10, 7], 0)
    assert store.keep_alive_wire([7], 9 * SECOND) == [0, [[0, 0, 1, 0], 7, 10]]
    assert store.leases.expired(18 * SECOND) == []
    assert store.read_wire("lease_time_to_live", [7, False], 18 * SECOND)[1][1:] == [
        7,
        1,
        10,
        [],
    ]
    assert store.leases.expired(19 * SECOND) == [7]


def test_a_lease_that_is_over_cannot_be_kept_alive(store: Store) -> None:
    store.leases.promote(0)
    store.apply_wire("lease_grant", [10, 7], 0)
    assert store.keep_alive_wire([7], 10 * SECOND)[1][2] == 0
    assert store.keep_alive_wire([99], 0)[1][2] == 0
    store.leases.demote()
    assert store.keep_alive_wire([7], 0) == list(errors.NOT_LEADER)


def test_a_snapshot_carries_leases_and_their_keys(store: Store) -> None:
    store.apply_wire("lease_grant", [10, 7])
    put(store, b"a", 7)
    other = Store()
    other.restore(store.snapshot())
    assert other.read_wire("lease_leases", [])[1][1:] == [[7]]
    assert other.read_wire("lease_time_to_live", [7, True])[1][1:] == [7, 10, 10, [b"a"]]
    assert other.read_wire("lease_time_to_live", [8, True])[1][2:] == [-1, 0, []]


def test_what_is_left_is_written_down_once_per_interval_unless_it_is_renewed(
    store: Store,
) -> None:
    leases = store.leases
    leases.checkpoint_interval_ns = 10 * SECOND
    leases.promote(0)
    for lease_id, ttl_s in ((1, 60), (2, 60), (3, 10), (4, 60)):
        store.apply_wire("lease_grant", [ttl_s, lease_id], 0)
    assert leases.checkpoints_due(9 * SECOND) == []
    leases.renew(2, 5 * SECOND)
    store.apply_wire("lease_revoke", [4])
    # One that ends within the interval needs none, nor does one that is gone.
    assert leases.checkpoints_due(10 * SECOND) == [[1, 50]]
    assert leases.checkpoints_due(10 * SECOND) == []
    assert leases.checkpoints_due(15 * SECOND + 1) == [[2, 50]]
    assert leases.checkpoints_due(59 * SECOND) == [[1, 1], [2, 6]]
    assert leases.checkpoints_due(200 * SECOND) == []


def test_many_checkpoints_come_in_several_goes(store: Store) -> None:
    store.leases.checkpoint_interval_ns = SECOND
    store.leases.promote(0)
    for lease_id in range(1, 6):
        store.apply_wire("lease_grant", [60, lease_id], 0)
    found = [store.leases.checkpoints_due(2 * SECOND, limit=2) for _ in range(4)]
    assert [len(part) for part in found] == [2, 2, 1, 0]


def test_a_new_leader_starts_with_what_is_left_and_the_time_of_an_election(store: Store) -> None:
    leases = store.leases
    for lease_id in (1, 2):
        store.apply_wire("lease_grant", [60, lease_id])
    leases.checkpoint(1, 20)
    leases.checkpoint(99, 20)
    leases.promote(0, SECOND)
    assert [leases.remaining_s(number, 0) for number in (1, 2)] == [21, 61]
    leases.demote()
    leases.checkpoint(1, 0)
    leases.promote(0)
    assert leases.remaining_s(1, 0) == 60
