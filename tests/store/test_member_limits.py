"""What a member holds is bounded: more is refused in words, and nothing is done twice."""

from __future__ import annotations

import random  # noqa: TID251  # seeded by each test
from typing import Any

import attrs
import pytest

from raftstore.raft import RaftMonitor
from raftstore.raft.messages import PROPOSE
from raftstore.server import Member, MemberConfig
from raftstore.server.bare import BareCluster
from raftstore.server.forwarded_proposals import MAX_REMEMBERED

Answer = list[Any]
TOO_MANY = ["ResourceExhausted", "etcdserver: too many requests"]


def put(key: bytes, value: bytes = b"v") -> tuple[str, list[Any]]:
    return "put", [key, value, 0, False, False, False]


def get(key: bytes) -> tuple[str, list[Any]]:
    return "range", [key, b"", 0, 0, 0, 0, False, False, False, 0, 0, 0, 0]


def cluster_of(size: int = 3, **limits: Any) -> BareCluster:
    def configure(config: MemberConfig) -> MemberConfig:
        return attrs.evolve(config, **limits)

    return BareCluster(size, random.Random, monitor=RaftMonitor(), configure=configure)


def ask(member: Member, request: tuple[str, list[Any]]) -> list[Answer]:
    answers: list[Answer] = []
    member.receive_client("client", *request, answers.append)
    return answers


def follower_of(cluster: BareCluster, leader: Member) -> Member:
    return next(member for member in cluster.members.values() if member is not leader)


def leader_with_one_of_four_followers() -> tuple[Any, Any, Any]:
    """A cluster without a quorum, whose leader may hold 5,000 bytes; the leader; the follower."""
    cluster = cluster_of(5, max_uncommitted_bytes=5_000)
    leader = cluster.leader()
    follower = follower_of(cluster, leader)
    for member in cluster.members.values():
        if member not in (leader, follower):
            cluster.isolate(member.id)
    return cluster, leader, follower


def version(cluster: BareCluster, member: Member, key: bytes) -> int:
    kvs = cluster.call(member.id, *get(key))[1][1]
    return int(kvs[0][3])


# Writes that wait


def test_a_leader_cut_off_from_its_quorum_refuses_writes_beyond_the_bound() -> None:
    cluster = cluster_of(max_pending_bytes=10_000)
    leader = cluster.leader()
    cluster.isolate(leader.id)
    asked = []
    for number in range(30):
        asked.append(ask(leader, put(b"k%d" % number, b"x" * 1_000)))
        cluster.settle()
    waiting = [answers for answers in asked if not answers]
    assert len(waiting) == 9
    assert [answers for answers in asked if answers] == [[TOO_MANY]] * 21
    assert leader.node.raft.uncommitted_bytes <= 10_000
    assert leader.statistics()["pending_bytes"] <= 10_000
    # Healed and decided, there is room again.
    cluster.heal()
    cluster.advance(5)
    assert leader.statistics()["pending_bytes"] == 0
    assert cluster.call(cluster.leader().id, *put(b"after", b"x" * 5_000))[0] == 0


def test_a_follower_cut_off_from_its_leader_refuses_writes_beyond_the_bound() -> None:
    cluster = cluster_of(max_pending_bytes=10_000)
    follower = follower_of(cluster, cluster.leader())
    cluster.isolate(follower.id)
    asked = []
    for number in range(30):
        asked.append(ask(follower, put(b"k%d" % number, b"x" * 1_000)))
        cluster.settle()
    assert [answers for answers in asked if answers] == [[TOO_MANY]] * 21
    cluster.advance(200)
    assert all(answers for answers in asked)
    assert follower.statistics()["pending_bytes"] == 0


def test_what_the_quorum_holds_up_is_refused_when_followers_fill_the_bound() -> None:
    cluster, leader, follower = leader_with_one_of_four_followers()
    passed_on = ask(follower, put(b"a", b"x" * 4_900))
    cluster.settle()
    refused = ask(leader, put(b"b", b"x" * 1_000))
    cluster.settle()
    small = ask(leader, put(b"c"))
    cluster.settle()
    assert passed_on == []
    assert refused == [TOO_MANY]
    assert small == []
    cluster.heal()
    cluster.advance(3)
    assert passed_on[0][0] == 0
    assert small[0][0] == 0


def test_a_single_large_write_is_taken_however_small_the_bound() -> None:
    cluster = cluster_of(max_pending_bytes=100, max_uncommitted_bytes=100)
    leader = cluster.leader()
    assert cluster.call(leader.id, *put(b"a", b"x" * 100_000))[0] == 0


@pytest.mark.parametrize("role", ["leader", "follower"])
def test_answered_and_refused_writes_are_counted_out(role: str) -> None:
    cluster = cluster_of()
    leader = cluster.leader()
    member = leader if role == "leader" else follower_of(cluster, leader)
    asked = [ask(member, put(b"k%d" % number)) for number in range(20)]
    assert member.statistics()["pending_bytes"] > 0
    cluster.settle()
    assert all(answers[0][0] == 0 for answers in asked)
    assert member.statistics()["pending_bytes"] == 0


def test_a_member_that_cannot_publish_now_does_it_later() -> None:
    cluster = cluster_of(max_pending_requests=1)
    cluster.leader()
    cluster.add_member()
    cluster.advance(3)
    joined = cluster.members[4]
    joined.changes._own_client_urls = ("http://member-4:2379",)
    joined._dispatcher.update_guard()
    cluster.isolate(4)
    waits = ask(joined, put(b"a"))
    cluster.settle()
    assert not waits
    joined._publish_tick = 0
    for _ in range(5):
        joined.tick()
    cluster.heal()
    cluster.advance(200)
    assert joined.changes.is_published


# Reads that wait


def test_reads_beyond_the_bound_are_refused() -> None:
    cluster = cluster_of(max_pending_requests=5)
    leader = cluster.leader()
    cluster.isolate(leader.id)
    asked = [ask(leader, get(b"a")) for _ in range(8)]
    assert [answers for answers in asked if answers] == [[TOO_MANY]] * 3
    cluster.settle()
    cluster.advance(200)
    assert all(answers for answers in asked)
    assert leader.statistics()["pending_reads"] == 0
    cluster.heal()
    cluster.advance(30)
    assert cluster.call(cluster.leader().id, *get(b"a"))[0] == 0


def test_requests_for_the_leader_beyond_the_bound_are_refused() -> None:
    cluster = cluster_of(max_pending_requests=5)
    follower = follower_of(cluster, cluster.leader())
    cluster.isolate(follower.id)
    asked = [ask(follower, ("lease_keep_alive", [7])) for _ in range(8)]
    assert [answers for answers in asked if answers] == [[TOO_MANY]] * 3


# The log


@pytest.mark.covers("DC-10")
def test_the_log_is_bounded_in_entries_and_a_late_follower_catches_up_by_snapshot() -> None:
    limits = {
        "snapshot_entries": 1_000,
        "catch_up_entries": 100,
        "max_lag_bytes": 0,
        "max_lag_percent": 0,
    }
    cluster = cluster_of(**limits)
    leader = cluster.leader()
    late = follower_of(cluster, leader)
    cluster.kill(late.id)
    longest = 0
    for batch in range(100):
        asked = [ask(leader, put(b"k%d" % (number % 50))) for number in range(100)]
        cluster.settle()
        assert all(answers[0][0] == 0 for answers in asked)
        longest = max(longest, len(leader.node.raft.log.entries))
        if batch == 50:
            revision = leader.store.revision
            assert cluster.call(leader.id, "compact", [revision, False])[0] == 0
    assert leader.store.revision == 10_001
    assert longest <= 1_000 + 100 + 100
    old = get(b"k1")
    old[1][3] = revision - 1
    refused = cluster.call(leader.id, *old)
    assert refused == ["OutOfRange", "etcdserver: mvcc: required revision has been compacted"]
    late = cluster.start(late.id)
    cluster.advance(10)
    assert late.store.revision == leader.store.revision
    assert late.statistics()["snapshot_parts_received"] > 0
    assert cluster.call(late.id, *old) == refused


@pytest.mark.parametrize("cut", [False, True])
def test_the_log_is_bounded_in_bytes_however_large_the_writes(cut: bool) -> None:
    cluster = cluster_of(
        snapshot_bytes=50_000, catch_up_bytes=20_000, max_lag_bytes=20_000, max_lag_percent=0
    )
    leader = cluster.leader()
    late = follower_of(cluster, leader)
    if cut:
        cluster.isolate(late.id)
    longest = 0
    for number in range(300):
        assert cluster.call(leader.id, *put(b"k%d" % (number % 5), b"x" * 1_000))[0] == 0
        log = leader.node.raft.log
        longest = max(longest, sum(len(entry.data) for entry in log.entries))
    assert longest < 50_000 + 20_000 + 20_000 + 5_000
    assert leader.statistics()["snapshots"] >= 5
    cluster.heal()
    cluster.advance(10)
    assert late.store.revision == leader.store.revision


# Once is enough


def test_a_proposal_that_arrives_twice_is_done_once() -> None:
    cluster = cluster_of()
    leader = cluster.leader()
    follower = follower_of(cluster, leader)
    receive = leader.receive_peer

    def receive_twice(sender: int, wire: list[Any]) -> None:
        receive(sender, wire)
        receive(sender, wire)

    leader.receive_peer = receive_twice  # type: ignore[method-assign]
    assert cluster.call(follower.id, *put(b"a"))[0] == 0
    assert version(cluster, leader, b"a") == 1


def test_a_late_copy_of_a_proposal_is_done_by_no_later_leader() -> None:
    cluster = cluster_of()
    leader = cluster.leader()
    follower = follower_of(cluster, leader)
    copies: list[tuple[int, list[Any]]] = []
    receive = leader.receive_peer

    def keep(sender: int, wire: list[Any]) -> None:
        receive(sender, wire)
        if wire[0] == PROPOSE:
            copies.append((sender, wire))

    leader.receive_peer = keep  # type: ignore[method-assign]
    assert cluster.call(follower.id, *put(b"a"))[0] == 0
    assert copies
    # The leader of that time restarts, follows another one, then leads again.
    again = cluster.restart(leader.id)
    for _ in range(2):
        cluster.leader()
        for copy in copies:
            again.receive_peer(*copy)
        cluster.settle()
        cluster.leader().node.transfer_leader(again.id)
        cluster.settle()
    assert cluster.leader() is again
    assert version(cluster, again, b"a") == 1


def test_memory_of_what_was_passed_on_is_bounded_and_forgets_towards_refusal() -> None:
    passed_on = cluster_of(1).leader()._forwarded_proposals

    def key(number: int) -> bytes:
        return b"\0\2\0\0\0\1" + number.to_bytes(8, "big")

    count = MAX_REMEMBERED + 10
    assert all(passed_on.is_new(2, key(number)) for number in range(1, count + 1))
    assert not any(passed_on.is_new(2, key(number)) for number in range(1, count + 1))
    assert len(passed_on._seen[2]) == MAX_REMEMBERED
    assert passed_on.is_new(3, key(1))


# What the leader does not take is told to the client at once


def test_a_write_passed_on_to_a_leader_that_holds_too_much_is_refused_at_once() -> None:
    cluster, leader, follower = leader_with_one_of_four_followers()
    held = ask(leader, put(b"a", b"x" * 4_900))
    cluster.settle()
    refused = ask(follower, put(b"b", b"x" * 1_000))
    cluster.settle()
    assert held == []
    assert refused == [TOO_MANY]
    assert follower.statistics()["pending_bytes"] == 0
    cluster.heal()
    cluster.advance(3)
    assert held[0][0] == 0
    assert cluster.call(leader.id, *get(b"b"))[1][1] == []


def test_a_write_passed_on_while_the_leadership_moves_is_refused_and_not_done_later() -> None:
    cluster = cluster_of()
    leader = cluster.leader()
    first, second = (m for m in cluster.members.values() if m is not leader)
    cluster.isolate(first.id)
    leader.node.transfer_leader(first.id)
    refused = ask(second, put(b"a"))
    cluster.settle()
    assert refused == [["Unavailable", "etcdserver: leader changed"]]
    cluster.heal()
    cluster.advance(30)
    assert cluster.call(cluster.leader().id, *get(b"a"))[1][1] == []
