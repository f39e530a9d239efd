"""Leases across changes of the leader: with checkpoints, what was used up stays used up."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from raftstore.server import Member
from tests.store.test_member_cluster import Scene, get, put, value_in

TICKS_PER_S = 10
TTL_S, INTERVAL_S = 60, 10
ELECTION_S = 1


def leased(interval_s: int = INTERVAL_S, **settings: Any) -> Scene:
    scene = Scene(3, lambda c: attrs.evolve(c, lease_checkpoint_interval_s=interval_s, **settings))
    leader = scene.leader().id
    scene.advance(20)
    assert scene.do(leader, ("lease_grant", [TTL_S, 7]))[0] == 0
    assert scene.do(leader, put(b"a", lease=7))[0] == 0
    return scene


def pass_s(scene: Scene, seconds: int) -> None:
    scene.advance(seconds * TICKS_PER_S)


def left_s(scene: Scene, member_id: int) -> int:
    answer = scene.do(member_id, ("lease_time_to_live", [7, False]))
    assert answer[0] == 0, answer
    seconds: int = answer[1][2]
    return seconds


def renew(scene: Scene, member_id: int) -> None:
    answers = scene.ask(member_id, ("lease_keep_alive", [7]))
    scene.settle()
    scene.advance(2)
    assert answers[0][1][2] == TTL_S


def change_leader(scene: Scene) -> Member:
    old = scene.leader()
    scene.kill(old.id)
    new = scene.leader()
    scene.restart(old.id)
    assert new.id != old.id
    return new


def test_a_new_leader_continues_with_what_the_last_checkpoint_left() -> None:
    scene = leased()
    pass_s(scene, 35)
    new = change_leader(scene)
    # The last one was made after 30 s.
    assert TTL_S - 30 - 2 <= left_s(scene, new.id) <= TTL_S - 30 + ELECTION_S
    pass_s(scene, TTL_S - 30 + ELECTION_S + 2)
    assert left_s(scene, new.id) == -1
    assert value_in(scene.do(new.id, get(b"a"))) is None


def test_without_checkpoints_a_new_leader_starts_leases_again_with_an_elections_time() -> None:
    scene = leased(0)
    pass_s(scene, 35)
    new = change_leader(scene)
    assert TTL_S <= left_s(scene, new.id) + ELECTION_S <= TTL_S + 2 * ELECTION_S


def test_leaders_that_come_and_go_do_not_keep_a_lease_alive_forever() -> None:
    scene = leased()
    for _ in range(10):
        pass_s(scene, INTERVAL_S + 2)
        change_leader(scene)
    assert left_s(scene, scene.leader().id) == -1


@pytest.mark.parametrize("through_a_follower", [False, True])
def test_a_lease_that_was_renewed_lasts_in_full_under_the_next_leader(
    through_a_follower: bool,
) -> None:
    scene = leased()
    pass_s(scene, 35)
    renew(scene, scene.followers()[0] if through_a_follower else scene.leader().id)
    new = change_leader(scene)
    assert left_s(scene, new.id) >= TTL_S - 2


def test_a_lease_that_is_renewed_all_the_time_writes_nothing() -> None:
    scene = leased()
    before = scene.leader().node.raft.log.committed
    for _ in range(20):
        pass_s(scene, 4)
        renew(scene, scene.leader().id)
    assert scene.leader().node.raft.log.committed == before


def test_a_renewal_is_not_promised_before_its_checkpoint_is_taken_back() -> None:
    scene = leased()
    pass_s(scene, 35)
    leader = scene.leader()
    scene.isolate(leader.id)
    answers = scene.ask(leader.id, ("lease_keep_alive", [7]))
    pass_s(scene, 10)
    assert [answer for answer in answers if answer[0] == 0] == []
    new = scene.leader()
    assert left_s(scene, new.id) <= TTL_S - 30 + ELECTION_S


def test_checkpoints_outlive_a_restart_of_all_and_travel_in_snapshots() -> None:
    scene = leased(snapshot_entries=20, catch_up_entries=5)
    late = scene.followers()[0]
    scene.kill(late)
    pass_s(scene, 35)
    for _ in range(60):
        assert scene.do(scene.leader().id, put(b"b"))[0] == 0
    scene.restart(late)
    scene.advance(50)
    states = {repr(m.store.view().__dict__["_head"][5:]) for m in scene.members.values()}
    assert len(states) == 1
    for member_id in list(scene.members):
        scene.kill(member_id)
    for peer in scene.peers:
        scene.restart(peer.id)
    assert left_s(scene, scene.leader().id) <= TTL_S - 30 + ELECTION_S
