"""Quota and alarms: what is refused when room is short or data is corrupt, and how that ends."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from raftstore.errors import CORRUPT_CLUSTER, NO_LEADER, NO_SPACE, Status
from raftstore.mvcc import Store
from raftstore.server.alarms import Alarms, cost_bytes
from raftstore.wire import OP_DELETE_RANGE, OP_PUT, OP_RANGE, OP_TXN
from tests.store.test_member_cluster import Scene, get, put, value_in

ACTIVATE, DEACTIVATE = 1, 2
NOSPACE, CORRUPT = 1, 2
QUOTA_BYTES = 20_000
SMALL, LARGE = bytes(100), bytes(4_000)

Answer = list[Any]


def limited(size: int = 3, quota_bytes: int = QUOTA_BYTES, **settings: Any) -> Scene:
    scene = Scene(size, lambda c: attrs.evolve(c, quota_bytes=quota_bytes, **settings))
    scene.leader()
    scene.advance(20)
    return scene


def fill(scene: Scene, member_id: int = 1) -> int:
    """Write until there is no room; how many writes were taken."""
    for number in range(100):
        answer = scene.do(member_id, put(b"k%d" % number, LARGE))
        if answer[0] != 0:
            assert Status(*answer) == NO_SPACE
            return number
    raise AssertionError("the quota stops no client")


def alarms(scene: Scene, member_id: int = 1, kind: int = 0) -> list[list[int]]:
    answer = scene.do(member_id, ("alarm_list", [kind]))
    assert answer[0] == 0, answer
    found: list[list[int]] = answer[1][1]
    return found


def delete(key: bytes, range_end: bytes = b"") -> tuple[str, list[Any]]:
    return "delete_range", [key, range_end, False]


def txn(*success: list[Any], failure: list[Any] | None = None) -> tuple[str, list[Any]]:
    return "txn", [[], [*success], failure or []]


PUT_OP = [OP_PUT, [b"t", b"", 0, False, False, False]]
RANGE_OP = [OP_RANGE, get(b"t")[1]]
DELETE_OP = [OP_DELETE_RANGE, [b"t", b"", False]]
NESTED_PUT = [OP_TXN, [[], [PUT_OP], []]]


def test_the_member_that_finds_no_room_raises_the_alarm_before_it_answers() -> None:
    scene = limited()
    taken = fill(scene, 2)
    assert 0 < taken * len(LARGE) <= QUOTA_BYTES
    for member_id in (1, 2, 3):
        assert alarms(scene, member_id) == [[2, NOSPACE]]
        assert alarms(scene, member_id, CORRUPT) == []
        status = scene.do(member_id, ("status", []))[1]
        assert status[7] == ["memberID:2 alarm:NOSPACE "]
        assert status[11] == QUOTA_BYTES


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (put(b"a"), NO_SPACE),
        (("lease_grant", [10, 5]), NO_SPACE),
        (txn(PUT_OP), NO_SPACE),
        (txn(RANGE_OP, failure=[PUT_OP]), NO_SPACE),
        (txn(NESTED_PUT), NO_SPACE),
        (txn(RANGE_OP), None),
        (txn(DELETE_OP), None),
        (delete(b"k0"), None),
        (get(b"k0"), None),
        (("compact", [2, False]), None),
        (("lease_revoke", [7]), None),
    ],
)
def test_under_nospace_all_members_refuse_what_needs_room_and_nothing_else(
    request_: tuple[str, list[Any]], status: Status | None
) -> None:
    scene = limited(quota_bytes=0)
    for prepared in (put(b"k0"), put(b"k0"), ("lease_grant", [10, 7])):
        assert scene.do(1, prepared)[0] == 0
    assert scene.do(1, ("alarm", [ACTIVATE, 9, NOSPACE]))[0] == 0
    for member_id in (1, 2, 3):
        answer = scene.do(member_id, request_)
        if status is not None:
            assert Status(*answer) == status
        else:
            assert answer[0] == 0, answer
            break


def test_after_compaction_defragmentation_and_disarming_writes_continue() -> None:
    scene = limited(1)
    fill(scene)
    assert scene.do(1, delete(b"k", b"l"))[0] == 0
    revision = scene.do(1, get(b"k0"))[1][0][2]
    assert scene.do(1, ("compact", [revision, True]))[0] == 0
    status = scene.do(1, ("status", []))[1]
    size, in_use = status[2], status[8]
    assert in_use < QUOTA_BYTES // 10 < QUOTA_BYTES * 3 // 4 < size
    # Each step for itself is not enough, as with etcd.
    assert scene.do(1, ("alarm", [DEACTIVATE, 1, NOSPACE]))[1][1] == [[1, NOSPACE]]
    assert alarms(scene) == []
    assert Status(*scene.do(1, put(b"a", LARGE))) == NO_SPACE
    assert scene.do(1, ("defragment", []))[0] == 0
    status = scene.do(1, ("status", []))[1]
    assert status[2] == status[8] == in_use
    assert Status(*scene.do(1, put(b"a"))) == NO_SPACE
    assert scene.do(1, ("alarm", [DEACTIVATE, 1, NOSPACE]))[0] == 0
    assert scene.do(1, put(b"a"))[0] == 0
    assert scene.do(1, ("lease_grant", [10, 5]))[0] == 0


def test_writes_that_were_on_their_way_together_raise_the_alarm_when_applied() -> None:
    scene = limited()
    answers = [scene.ask(1, put(b"k%d" % number, LARGE)) for number in range(20)]
    scene.advance(20)
    assert [answer[0][0] for answer in answers] == [0] * 20
    assert [NOSPACE for _ in alarms(scene)] == [alarm for _, alarm in alarms(scene)] != []
    assert Status(*scene.do(2, put(b"small"))) == NO_SPACE


def test_deletions_beyond_the_quota_raise_no_alarm() -> None:
    scene = limited(1)
    taken = fill(scene)
    assert scene.do(1, ("alarm", [DEACTIVATE, 1, NOSPACE]))[0] == 0
    for number in range(taken):
        assert scene.do(1, delete(b"k%d" % number))[0] == 0
    assert scene.do(1, txn(RANGE_OP))[0] == 0
    assert alarms(scene) == []


def test_without_a_quorum_there_is_no_room_all_the_same() -> None:
    scene = limited()
    taken = fill(scene)
    assert scene.do(1, ("alarm", [DEACTIVATE, 1, NOSPACE]))[0] == 0
    for member_id in (2, 3):
        scene.kill(member_id)
    first, second = scene.ask(1, put(b"a", LARGE)), scene.ask(1, put(b"b", LARGE))
    scene.advance(200)
    assert [Status(*answer[0]) for answer in (first, second)] == [NO_SPACE] * 2
    assert taken


@pytest.mark.parametrize(
    ("request_", "refused"),
    [
        (put(b"a"), True),
        (delete(b"k0"), True),
        (("compact", [2, False]), True),
        (("lease_grant", [10, 5]), True),
        (("lease_revoke", [7]), True),
        (txn(DELETE_OP), True),
        (txn([OP_TXN, [[], [RANGE_OP], [DELETE_OP]]]), True),
        (txn([OP_TXN, [[], [RANGE_OP], []]]), False),
        (txn(RANGE_OP), False),
        (get(b"k0"), False),
        (("auth_role_add", ["reader"]), False),
    ],
)
def test_under_corrupt_nothing_changes_keys_or_leases(
    request_: tuple[str, list[Any]], refused: bool
) -> None:
    scene = limited(1)
    for prepared in (put(b"k0"), put(b"k0"), ("lease_grant", [10, 7])):
        assert scene.do(1, prepared)[0] == 0
    # The stricter of two alarms counts.
    assert scene.do(1, ("alarm", [ACTIVATE, 1, CORRUPT]))[0] == 0
    assert scene.do(1, ("alarm", [ACTIVATE, 1, NOSPACE]))[0] == 0
    assert scene.do(1, ("status", []))[1][7] == [
        "memberID:1 alarm:NOSPACE ",
        "memberID:1 alarm:CORRUPT ",
    ]
    answer = scene.do(1, request_)
    assert (answer == list(CORRUPT_CLUSTER)) is refused
    assert (answer[0] == 0) is not refused
    for alarm in (NOSPACE, CORRUPT):
        assert scene.do(1, ("alarm", [DEACTIVATE, 1, alarm]))[0] == 0
    assert scene.do(1, put(b"k0"))[0] == 0


def test_an_alarm_is_raised_once_and_cleared_once() -> None:
    scene = limited(1)
    for _ in range(2):
        assert scene.do(1, ("alarm", [ACTIVATE, 5, NOSPACE]))[1][1] == [[5, NOSPACE]]
    assert alarms(scene) == [[5, NOSPACE]]
    assert scene.do(1, ("alarm", [DEACTIVATE, 6, NOSPACE]))[1][1] == []
    assert scene.do(1, ("alarm", [DEACTIVATE, 5, 0]))[1][1] == []
    assert scene.do(1, ("alarm", [DEACTIVATE, 5, NOSPACE]))[1][1] == [[5, NOSPACE]]
    assert scene.do(1, ("alarm", [DEACTIVATE, 5, NOSPACE]))[1][1] == []
    assert alarms(scene) == []


@pytest.mark.parametrize(
    "fields",
    [[], [1], [1, 1, "x"], [7, 1, 1], [0, 1, 1], [1, 1, 0], [1, 1, 9], [1, -1, 1], [1, 1 << 64, 1]],
)
def test_an_invalid_alarm_is_refused_and_changes_nothing(fields: list[Any]) -> None:
    scene = limited(1)
    assert scene.do(1, ("alarm", fields))[0] == "InvalidArgument"
    assert scene.do(1, put(b"a"))[0] == 0


def test_alarms_outlive_restarts_and_travel_in_snapshots() -> None:
    scene = limited(3, snapshot_entries=20, catch_up_entries=5)
    scene.leader()
    follower = scene.followers()[0]
    scene.kill(follower)
    leader = scene.leader().id
    assert scene.do(leader, ("alarm", [ACTIVATE, leader, NOSPACE]))[0] == 0
    for _ in range(60):
        assert scene.do(leader, delete(b"none"))[0] == 0
    scene.restart(follower)
    scene.advance(60)
    assert alarms(scene, follower) == [[leader, NOSPACE]]
    assert Status(*scene.do(follower, put(b"a"))) == NO_SPACE


def test_a_state_without_alarms_takes_away_those_that_there_are() -> None:
    store = Store()
    alarms = Alarms(store)
    store.apply_wire("alarm_set", [ACTIVATE, 1, NOSPACE])
    assert store.apply_wire(*put(b"a")) == list(NO_SPACE)
    store.restore(Store().snapshot())
    assert alarms.to_wire() == []
    assert store.apply_wire(*put(b"a"))[0] == 0


def test_a_cap_holds_whether_requests_are_shielded_or_not() -> None:
    store = Store()
    Alarms(store)
    refusal = ["PermissionDenied", "not bare"]
    store.shield(frozenset(("put",)), lambda _fields, _now_ns: refusal)
    store.apply_wire("alarm_set", [ACTIVATE, 1, NOSPACE])
    assert store.apply_wire(*put(b"a")) == refusal
    assert store.apply_unshielded(*put(b"a")) == list(NO_SPACE)
    store.unshield()
    assert store.apply_wire(*put(b"a")) == list(NO_SPACE)
    store.apply_wire("alarm_set", [DEACTIVATE, 1, NOSPACE])
    assert store.apply_wire(*put(b"a"))[0] == 0


def test_the_quota_holds_while_authentication_is_on() -> None:
    scene = limited(1)
    root = ["root", "pw"]
    for request in (
        ("auth_user_add", [*root, False]),
        ("auth_role_add", ["root"]),
        ("auth_user_grant_role", ["root", "root"]),
        ("auth_enable", []),
    ):
        scene.do(1, request)
    token = scene.do(1, ("authenticate", root))[1][1]

    def as_root(request: tuple[str, list[Any]]) -> Answer:
        op, fields = request
        return scene.do(1, ("with_token", [token, op, fields]))

    assert as_root(put(b"a", SMALL))[0] == 0
    assert Status(*as_root(put(b"a", bytes(QUOTA_BYTES)))) == NO_SPACE
    assert Status(*as_root(put(b"a", SMALL))) == NO_SPACE
    assert value_in(as_root(get(b"a"))) == SMALL
    # Every user may look, root may clear.
    assert alarms(scene) == [[1, NOSPACE]]
    assert scene.do(1, ("alarm", [DEACTIVATE, 1, NOSPACE]))[0] == "InvalidArgument"
    assert as_root(("alarm", [DEACTIVATE, 1, NOSPACE]))[0] == 0
    assert as_root(put(b"a", SMALL))[0] == 0


def test_the_larger_branch_counts() -> None:
    put_bytes = cost_bytes("put", PUT_OP[1])  # type: ignore[arg-type]  # a mixed list
    assert put_bytes == 257
    assert cost_bytes(*txn(PUT_OP, PUT_OP, failure=[PUT_OP])) == 2 * put_bytes
    assert cost_bytes(*txn(failure=[PUT_OP, NESTED_PUT])) == 2 * put_bytes
    assert cost_bytes(*txn(DELETE_OP)) == cost_bytes(*delete(b"a")) == 0


def test_a_list_of_alarms_needs_a_leader() -> None:
    scene = limited()
    for member_id in (2, 3):
        scene.kill(member_id)
    scene.advance(50)
    answers = scene.ask(1, ("alarm_list", [0]))
    scene.advance(200)
    assert answers[0][0] == NO_LEADER.code
