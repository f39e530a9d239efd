"""A member is replaced in one step, by joint consensus: both sets of voters agree to everything."""

from __future__ import annotations

import random  # noqa: TID251  # seeded by each test
from typing import Any

import pytest

from raftstore import errors
from raftstore.server.bare import BareCluster
from raftstore.server.config import Peer
from raftstore.server.disk import SimulatedDisk
from raftstore.server.local import LocalCluster
from tests.store.test_local_cluster import on_virtual_time
from tests.store.test_member_cluster import put
from tests.store.test_membership import Scene, add, fill, ids, refusal, settled

Answer = list[Any]


def ask(scene: BareCluster, old: int) -> Answer:
    """Ask for a replacement and start the new member, if there is one."""
    number = max(peer.id for peer in scene.peers) + 1
    urls = [f"http://member-{number}:2380"]
    answer = scene.call(scene.leader().id, "member_replace", [urls, old])
    if answer and answer[0] == 0:
        start_new(scene, answer[1][1][0])
    return answer


def start_new(scene: BareCluster, number: int) -> None:
    scene.peers = (*scene.peers, Peer(number, f"member-{number}"))
    scene.disks[number] = SimulatedDisk()
    scene.start(number)
    scene.settle()


def replaced(scene: Scene, old: int) -> int:
    answer = ask(scene, old)
    assert answer[0] == 0, answer
    scene.peers = tuple(peer for peer in scene.peers if peer.id != old)
    scene.advance(30)
    number: int = answer[1][1][0]
    return number


@pytest.mark.parametrize("leads", [False, True])
def test_a_new_member_takes_the_place_of_another_in_one_step(leads: bool) -> None:
    scene = settled()
    leader = scene.leader().id
    old = leader if leads else scene.followers()[0]
    fill(scene, 20)
    new = replaced(scene, old)
    expected = sorted({1, 2, 3, new} - {old})
    configuration = scene.leader().node.raft.configuration
    assert (list(configuration.voters), configuration.is_joint) == (expected, False)
    assert ids(scene, new) == expected
    assert scene.members.pop(old).removed
    fill(scene, 5, b"more")
    scene.advance(2)
    scene.same_state()
    assert not scene.monitor.violations


def test_the_cluster_goes_through_a_joint_configuration() -> None:
    scene = settled()
    joint: list[bool] = []
    configured = scene.monitor.configured

    def note(member_id: int, index: int, configuration: Any) -> None:
        joint.append(configuration.is_joint)
        configured(member_id, index, configuration)

    scene.monitor.configured = note  # type: ignore[method-assign]
    replaced(scene, scene.followers()[0])
    assert True in joint
    assert joint[-1] is False


def test_a_dead_member_is_replaced() -> None:
    scene = settled()
    dead = scene.followers()[0]
    scene.kill(dead)
    scene.advance(30)
    new = replaced(scene, dead)
    fill(scene, 10)
    scene.same_state()
    assert dead not in ids(scene, new)


def test_a_replacement_that_would_stop_the_others_is_refused() -> None:
    """The new member has nothing at first: a quorum must be there without it and the old one."""
    scene = settled()
    dead, alive = scene.followers()
    scene.kill(dead)
    scene.advance(30)
    assert refusal(ask(scene, alive)) == errors.UNHEALTHY
    assert refusal(ask(scene, 9)) == errors.MEMBER_NOT_FOUND
    learner_scene = settled()
    learner = add(learner_scene, is_learner=True)
    assert refusal(ask(learner_scene, learner)) == errors.MEMBER_NOT_FOUND


def test_all_members_are_replaced_one_after_the_other_and_keep_the_data() -> None:
    scene = settled(snapshot_entries=20, catch_up_entries=5)
    fill(scene, 60)
    for old in (1, 2, 3):
        replaced(scene, old)
        scene.members.pop(old)
        fill(scene, 5, b"after-%d" % old)
    assert ids(scene, 4) == [4, 5, 6]
    for member_id in (4, 5, 6):
        scene.restart(member_id)
    scene.leader()
    scene.advance(5)
    assert ids(scene, 5) == [4, 5, 6]
    scene.same_state()


@pytest.mark.parametrize("seed", range(12))
def test_replacements_amid_kills_and_cuts_lose_nothing(seed: int) -> None:
    chance = random.Random(seed)
    scene = settled()
    acknowledged: list[bytes] = []
    for step in range(250):
        action, number = chance.random(), chance.choice(list(scene.members))
        if action < 0.05 and len(scene.members) > 2:
            scene.kill(number)
        elif action < 0.12:
            scene.isolate(number)
        elif action < 0.25:
            scene.heal()
        elif action < 0.4:
            for peer in scene.peers:
                if peer.id not in scene.members:
                    scene.start(peer.id)
        elif action < 0.6:
            scene.advance(chance.randrange(1, 8))
        elif action < 0.7:
            new = max(peer.id for peer in scene.peers) + 1
            old = chance.choice([peer.id for peer in scene.peers])
            fields = [[f"http://member-{new}:2380"], old]
            scene.call(number, "member_replace", fields)
        else:
            key = b"k%d" % step
            answer = scene.call(number, *put(key, key))
            if answer and answer[0] == 0:
                acknowledged.append(key)
        start_accepted(scene)
    finish(scene)
    leader = scene.leader()
    held = leader.store.space.live
    assert acknowledged
    assert leader.changes.section.removed, "no member was replaced"
    assert all(key in held for key in acknowledged)
    assert not scene.monitor.violations
    assert not leader.node.raft.configuration.is_joint


def start_accepted(scene: Scene) -> None:
    """A member that was let in must start, whether or not the operator was told of it."""
    known = {peer.id for peer in scene.peers}
    for member in list(scene.members.values()):
        for number in member.changes.section.by_id:
            if number not in known:
                known.add(number)
                start_new(scene, number)


def finish(scene: Scene) -> None:
    scene.heal()
    for _ in range(4):
        for peer in scene.peers:
            if peer.id not in scene.members:
                scene.start(peer.id)
        scene.advance(60)
        start_accepted(scene)


@on_virtual_time
async def test_a_member_of_a_running_cluster_is_replaced() -> None:
    async with LocalCluster() as cluster:
        await cluster.wait_leader()
        client = cluster.client()
        for number in range(20):
            await client.put(b"key-%d" % number, b"value")
        for old in (1, 2, 3):
            await cluster.replace_member(old)
            await cluster.wait_leader()
        later = cluster.client()
        await later.put(b"all", b"new")
        await cluster.wait_applied(22)
        listed = await later.member_list()
        assert [member.id for member in listed.members] == [4, 5, 6]
