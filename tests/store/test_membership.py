"""Members come and go: what clients and members may rely on meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import pytest

from raftstore import errors
from raftstore.errors import StoreError
from raftstore.raft import Role
from raftstore.server import MemberConfig
from raftstore.server.config import Peer
from raftstore.server.disk import SimulatedDisk
from raftstore.server.forwarding import INQUIRY, REMOVED
from raftstore.server.local import LocalCluster
from raftstore.server.membership import Membership
from tests.store.test_local_cluster import on_virtual_time
from tests.store.test_member_cluster import Scene, everything, get, put, value_in

Answer = list[Any]


def settled(size: int = 3, **settings: Any) -> Scene:
    scene = Scene(size, lambda config: attrs.evolve(config, **settings))
    scene.leader()
    scene.advance(20)
    return scene


def members(scene: Scene, member_id: int) -> list[list[Any]]:
    answer = scene.do(member_id, ("member_list", [False]))
    assert answer[0] == 0
    found: list[list[Any]] = answer[1][1]
    return found


def ids(scene: Scene, member_id: int) -> list[int]:
    return [fields[0] for fields in members(scene, member_id)]


def refusal(answer: Answer) -> errors.Status:
    return errors.Status(*answer)


def add(scene: Scene, *, is_learner: bool = False) -> int:
    answer = scene.add_member(is_learner=is_learner)
    assert answer[0] == 0, answer
    scene.advance(20)
    number: int = answer[1][1][0]
    return number


def remove(scene: Scene, member_id: int) -> None:
    answer = scene.remove_member(member_id)
    assert answer[0] == 0, answer
    scene.advance(30)


def fill(scene: Scene, count: int, prefix: bytes = b"key") -> None:
    leader = scene.leader().id
    for number in range(count):
        assert scene.do(leader, put(b"%s-%03d" % (prefix, number)))[0] == 0


# A cluster grows and shrinks


def test_three_members_become_five_and_three_again_and_keep_the_data() -> None:
    scene = settled()
    fill(scene, 20)
    assert (add(scene), add(scene)) == (4, 5)
    assert ids(scene, 5) == [1, 2, 3, 4, 5]
    fill(scene, 20, b"five")
    scene.same_state()
    leader = scene.leader().id
    for member_id in (leader, next(n for n in scene.members if n != leader)):
        remove(scene, member_id)
    fill(scene, 20, b"three")
    scene.same_state()
    left = sorted(scene.members)
    assert len(left) == 3
    assert ids(scene, left[0]) == left
    assert len(scene.do(left[0], everything())[1][1]) == 60


def test_a_cluster_of_one_grows_and_shrinks_to_another_one() -> None:
    scene = settled(1)
    fill(scene, 5)
    add(scene)
    remove(scene, 1)
    assert scene.leader().id == 2
    assert value_in(scene.do(2, get(b"key-004"))) == b"v"


def test_a_dead_member_is_replaced() -> None:
    scene = settled()
    leader = scene.leader().id
    dead = next(number for number in scene.members if number != leader)
    fill(scene, 10)
    scene.kill(dead)
    scene.advance(30)
    assert refusal(scene.add_member()) == errors.UNHEALTHY
    remove(scene, dead)
    new = add(scene)
    assert new == 4
    fill(scene, 10, b"more")
    scene.same_state()
    assert scene.members[4].node.raft.log.applied == scene.leader().node.raft.log.applied


def test_a_new_member_catches_up_by_a_snapshot_when_the_log_is_compacted() -> None:
    scene = settled(snapshot_entries=50, catch_up_entries=5)
    fill(scene, 120)
    assert scene.leader().node.raft.log.first_index > 2
    number = add(scene)
    scene.same_state()
    assert ids(scene, number) == [1, 2, 3, number]


def test_the_members_survive_a_restart_of_all() -> None:
    for settings in ({}, {"snapshot_entries": 20, "catch_up_entries": 5}):
        scene = settled(**settings)
        add(scene)
        remove(scene, scene.followers()[0])
        fill(scene, 60)
        before = members(scene, 4)
        for member_id in list(scene.members):
            scene.restart(member_id)
        scene.leader()
        scene.advance(5)
        for member_id in scene.members:
            assert members(scene, member_id) == before
            raft = scene.members[member_id].node.raft
            assert [*raft.configuration.voters] == ids(scene, member_id)


def test_ids_are_never_used_again() -> None:
    scene = settled()
    assert add(scene) == 4
    remove(scene, 4)
    scene.peers = (*scene.peers, Peer(4, "member-4"))  # the number that the next one would get
    assert add(scene) == 5


# Learners


def test_a_learner_catches_up_and_is_promoted() -> None:
    scene = settled()
    fill(scene, 20)
    number = add(scene, is_learner=True)
    assert members(scene, 1)[-1][4] is True
    assert scene.do(number, ("status", []))[1][9] is True
    assert scene.leader().node.raft.configuration.learners == (number,)
    answer = scene.do(1, ("member_promote", [number]))
    assert answer[0] == 0
    scene.advance(3)
    assert members(scene, number)[-1][4] is False
    assert scene.members[number].node.raft.configuration.voters == (1, 2, 3, 4)
    assert value_in(scene.do(number, get(b"key-019"))) == b"v"


def test_a_learner_that_lags_is_not_promoted() -> None:
    scene = settled()
    fill(scene, 50)
    number = add(scene, is_learner=True)
    scene.kill(number)
    fill(scene, 50, b"more")
    answer = scene.do(scene.leader().id, ("member_promote", [number]))
    assert refusal(answer) == errors.LEARNER_NOT_READY


def test_a_learner_answers_only_those_who_do_not_mind_its_age() -> None:
    scene = settled()
    fill(scene, 3)
    number = add(scene, is_learner=True)
    assert refusal(scene.do(number, get(b"key-001"))) == errors.NOT_FOR_LEARNERS
    assert refusal(scene.do(number, put(b"key-001"))) == errors.NOT_FOR_LEARNERS
    assert value_in(scene.do(number, get(b"key-001", serializable=True))) == b"v"
    with pytest.raises(StoreError, match="learner"):
        scene.members[number].watch("client", [b"a", b"", 0, False, [], False], print)


def test_a_learner_is_no_part_of_the_quorum() -> None:
    scene = settled(1)
    number = add(scene, is_learner=True)
    scene.kill(number)
    fill(scene, 3)
    assert scene.leader().id == 1


def test_no_member_is_added_while_a_voter_is_away() -> None:
    scene = settled()
    scene.kill(scene.followers()[0])
    scene.advance(30)
    for is_learner in (False, True):
        assert refusal(scene.add_member(is_learner=is_learner)) == errors.UNHEALTHY


# Refusals, with etcd's words


def refusals() -> Iterator[tuple[str, list[Any], errors.Status]]:
    yield "member_remove", [9], errors.MEMBER_NOT_FOUND
    yield "member_update", [9, ["http://a:1"]], errors.MEMBER_NOT_FOUND
    yield "member_promote", [9], errors.MEMBER_NOT_FOUND
    yield "member_promote", [1], errors.NOT_A_LEARNER
    yield "member_add", [["http://member-4:2380"], False], errors.PEER_URL_EXISTS
    yield "member_add", [["nowhere"], False], errors.BAD_MEMBER_URLS
    yield "member_add", [[], False], errors.BAD_MEMBER_URLS
    yield "member_update", [1, ["http://member-4:2380"]], errors.PEER_URL_EXISTS
    yield "member_add", [["http://b:1"], 7], errors.Status("InvalidArgument", "malformed")


@pytest.mark.parametrize(("op", "fields", "status"), list(refusals()))
@pytest.mark.parametrize("on_leader", [True, False])
def test_an_impossible_change_is_refused_in_etcds_words(
    op: str,
    fields: list[Any],
    status: errors.Status,
    on_leader: bool,
) -> None:
    scene = settled()
    add(scene)
    asked = scene.leader().id if on_leader else scene.followers()[0]
    before = members(scene, 1)
    code, message = scene.do(asked, (op, fields))
    assert code == status.code
    assert status.message in message
    assert members(scene, 1) == before


def test_one_learner_is_enough() -> None:
    scene = settled()
    add(scene, is_learner=True)
    assert refusal(scene.add_member(is_learner=True)) == errors.TOO_MANY_LEARNERS


def test_a_member_that_never_started_counts_against_further_changes() -> None:
    scene = settled()
    leader = scene.leader().id
    assert scene.do(leader, ("member_add", [["http://ghost:1"], False]))[0] == 0
    assert [fields[1] for fields in members(scene, 1)] == ["member-1", "member-2", "member-3", ""]
    assert refusal(scene.do(leader, ("member_add", [["http://x:1"], False]))) == errors.UNHEALTHY
    assert scene.do(leader, ("member_remove", [4]))[0] == 0


def test_removal_must_leave_a_quorum_that_is_there() -> None:
    scene = settled()
    leader = scene.leader().id
    first, second = scene.followers()
    scene.kill(first)
    scene.advance(30)
    assert refusal(scene.do(leader, ("member_remove", [second]))) == errors.UNHEALTHY
    alone = settled(1)
    assert refusal(alone.do(1, ("member_remove", [1]))) == errors.NOT_ENOUGH_STARTED


def test_two_changes_at_once_are_made_one_after_the_other() -> None:
    scene = settled()
    leader = scene.leader().id
    first = scene.ask(leader, ("member_add", [["http://a:1"], True]))
    second = scene.ask(leader, ("member_update", [1, ["http://b:1"]]))
    scene.settle()
    assert (first[0][0], second[0][0]) == (0, 0)
    assert second[0][1][1][0][2] == ["http://b:1"]
    assert len(second[0][1][1]) == 4


def test_a_doubled_request_of_a_follower_is_carried_out_once() -> None:
    scene = settled()
    leader = scene.leader()
    for _ in range(2):
        leader.receive_peer(2, [100, 77, "member_add", [["http://a:1"], True]])
    scene.settle()
    assert ids(scene, 1) == [1, 2, 3, 4]
    assert leader.changes.section.last_id == 4


# Leaving


def test_a_removed_member_serves_no_client() -> None:
    scene = settled()
    leader = scene.leader().id
    gone = scene.followers()[0]
    assert scene.do(leader, ("member_remove", [gone]))[0] == 0
    assert refusal(scene.do(gone, get(b"a", serializable=True))) == errors.STOPPED
    scene.advance(40)
    assert scene.members[gone].removed
    assert not scene.members[leader].removed


def test_a_removed_leader_hands_over_and_serves_no_client() -> None:
    scene = settled()
    leader = scene.leader().id
    assert scene.do(leader, ("member_remove", [leader]))[0] == 0
    assert refusal(scene.do(leader, get(b"a", serializable=True))) == errors.STOPPED
    scene.advance(40)
    assert scene.members[leader].removed
    successor = scene.leader()
    assert successor.id != leader
    assert scene.members[leader].node.raft.role is Role.FOLLOWER
    assert scene.do(successor.id, put(b"a"))[0] == 0


def test_a_member_that_missed_its_removal_is_told_and_disturbs_no_member() -> None:
    scene = settled()
    leader = scene.leader().id
    gone = scene.followers()[0]
    scene.isolate(gone)
    scene.advance(30)
    assert scene.do(leader, ("member_remove", [gone]))[0] == 0
    scene.heal()
    term = scene.leader().node.raft.term
    scene.advance(60)
    assert scene.members[gone].removed
    assert (scene.leader().id, scene.leader().node.raft.term) == (leader, term)


def test_the_name_and_the_addresses_of_clients_are_published() -> None:
    peers = tuple(Peer(n, f"name-{n}", (f"http://h{n}:1",), (f"http://c{n}:2",)) for n in (1, 2, 3))

    def configure(config: MemberConfig) -> MemberConfig:
        own = [attrs.evolve(peer, client_urls=()) for peer in peers]
        own[config.id - 1] = peers[config.id - 1]
        return attrs.evolve(config, peers=tuple(own))

    scene = Scene(3, configure)
    scene.leader()
    scene.advance(30)
    for member_id in (1, 2, 3):
        assert members(scene, member_id) == [
            [peer.id, peer.name, [*peer.peer_urls], [*peer.client_urls], False] for peer in peers
        ]


def test_the_section_is_what_was_dumped() -> None:
    section = Membership([Peer(1, "a"), Peer(2, "b")])
    section.apply("member_add", [3, ["http://c:1"], True])
    section.apply("member_remove", [2])
    other = Membership()
    other.load(section.dump())
    assert other.dump() == section.dump()
    assert other.removed == {2: None}
    other.load(None)
    assert (other.by_id, other.removed, other.last_id) == ({}, {}, 0)


# A cluster of tasks


@on_virtual_time
async def test_members_join_and_leave_a_running_cluster() -> None:
    async with LocalCluster() as cluster:
        await cluster.wait_leader()
        client = cluster.client()
        for number in range(50):
            await client.put(b"key-%d" % number, b"value")
        learner = await cluster.add_member(is_learner=True)
        await cluster.wait_applied(51)
        await cluster.promote_member(learner)
        second = await cluster.add_member()
        await client.put(b"five", b"members")
        await cluster.wait_applied(52)
        for member_id in (1, 2):
            await cluster.remove_member(member_id)
            await cluster.wait_leader()
        later = cluster.client()
        await later.put(b"three", b"members")
        await cluster.wait_applied(53)
        assert sorted(cluster.members) == [3, learner, second]
        listed = await later.member_list()
        assert [member.id for member in listed.members] == [3, learner, second]
        cluster.kill(second)
        cluster.start(second)
        await cluster.wait_applied(53)
        found = await cluster.client(second).get(b"five")
        assert found is not None


# A member that missed its own removal


def test_a_learner_that_missed_its_removal_asks_and_is_told() -> None:
    scene = settled()
    number = add(scene, is_learner=True)
    scene.isolate(number)
    assert scene.do(scene.leader().id, ("member_remove", [number]))[0] == 0
    scene.advance(60)
    assert not scene.members[number].removed
    scene.heal()
    scene.advance(60)
    assert scene.members[number].removed


def test_a_member_that_never_heard_of_its_cluster_asks_those_it_was_told_of() -> None:
    scene = settled()
    leader = scene.leader().id
    answer = scene.do(leader, ("member_add", [["http://late:2380"], True]))
    number = answer[1][1][0]
    assert scene.do(leader, ("member_remove", [number]))[0] == 0
    scene.disks[number] = SimulatedDisk()
    late = scene.start(number)
    scene.advance(60)
    assert late.removed
    assert not scene.leader().removed


class Recorder:
    def __init__(self) -> None:
        self.sent: list[tuple[int, list[Any]]] = []

    def send_peer(self, member_id: int, wire: list[Any]) -> None:
        self.sent.append((member_id, wire))


def test_a_message_to_a_former_address_tells_its_sender_if_that_was_removed_too() -> None:
    scene = settled()
    gone = scene.followers()[0]
    remove(scene, gone)
    member = scene.leader()
    member._removal._transport = recorder = Recorder()
    member.receive_stray(gone, [INQUIRY])
    member.receive_stray(scene.followers()[0], [INQUIRY])
    assert recorder.sent == [(gone, [REMOVED])]


def test_a_removed_leader_stays_until_the_last_member_knows_that_it_is_alone() -> None:
    scene = settled(2)
    leader = scene.leader().id
    (other,) = scene.followers()
    answers = scene.ask(leader, ("member_remove", [leader]))
    while not answers:
        for member in scene.members.values():
            member.finish_batch()
        if not answers:
            scene._deliver()
    # The entry is committed, and the only other member never hears of it.
    scene.isolate(other)
    scene.settle()
    assert answers[0][0] == 0
    assert sorted(scene.members[other].changes.section.by_id) == [1, 2]
    scene.advance(10)
    assert not scene.members[leader].removed
    scene.heal()
    scene.advance(60)
    assert scene.leader().id == other
    assert ids(scene, other) == [other]
    assert scene.members[leader].removed
    assert scene.do(other, put(b"k"))[0] == 0


def test_a_member_that_is_told_of_its_removal_keeps_no_other_removed_one_from_going() -> None:
    scene = settled(4)
    stays = scene.leader().id
    unaware, aware, _ = scene.followers()
    scene.isolate(unaware)
    scene.advance(30)
    assert scene.do(stays, ("member_remove", [aware]))[0] == 0
    scene.advance(5)
    assert scene.do(stays, ("member_remove", [unaware]))[0] == 0
    scene.heal()
    scene.advance(60)
    assert scene.members[unaware].removed
    scene.kill(unaware)
    scene.advance(40)
    assert scene.members[aware].removed
