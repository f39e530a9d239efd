"""Reads within the leader's lease, as an option of a store: who is asked, and what is never old."""

from __future__ import annotations

import random  # noqa: TID251  # seeded by each test
from typing import Any

import attrs
import pytest
import trio
from click.testing import CliRunner
from trio.testing import MockClock

from raftstore.cli import main
from raftstore.gateway.serving import ServeOptions
from raftstore.raft import RaftMonitor
from raftstore.server import MemberConfig
from raftstore.server.bare import BareCluster
from raftstore.server.local import LocalCluster

Answer = list[Any]


def with_leases(config: MemberConfig) -> MemberConfig:
    return attrs.evolve(config, lease_reads=True)


def put(key: bytes, value: bytes) -> tuple[str, list[Any]]:
    return "put", [key, value, 0, False, False, False]


def get(key: bytes) -> tuple[str, list[Any]]:
    return "range", [key, b"", 0, 0, 0, 0, False, False, False, 0, 0, 0, 0]


def value_in(answer: Answer) -> bytes | None:
    assert answer[0] == 0, answer
    kvs = answer[1][1]
    return kvs[0][4] if kvs else None


def cluster_with_leases() -> BareCluster:
    return BareCluster(3, random.Random, monitor=RaftMonitor(), configure=with_leases)


def read_alone(cluster: BareCluster, member_id: int) -> list[Answer]:
    """Ask a member to read without carrying any message between the members."""
    answers: list[Answer] = []
    member = cluster.members[member_id]
    member.receive_client("client", *get(b"a"), answers.append)
    member.finish_batch()
    return answers


@pytest.mark.parametrize("leases", [True, False])
def test_a_leader_answers_within_its_lease_without_asking_a_member(leases: bool) -> None:
    cluster = cluster_with_leases() if leases else BareCluster(3, random.Random)
    leader = cluster.leader()
    assert cluster.call(leader.id, *put(b"a", b"1"))[0] == 0
    cluster.advance(2)
    answers = read_alone(cluster, leader.id)
    assert [value_in(answer) for answer in answers] == ([b"1"] if leases else [])
    cluster.settle()


def test_followers_read_through_the_lease_of_their_leader() -> None:
    cluster = cluster_with_leases()
    leader = cluster.leader()
    cluster.call(leader.id, *put(b"a", b"1"))
    cluster.advance(2)
    for member_id in cluster.members:
        assert value_in(cluster.call(member_id, *get(b"a"))) == b"1"


def test_a_leader_that_was_cut_off_answers_nothing_old() -> None:
    cluster = cluster_with_leases()
    old = cluster.leader()
    cluster.call(old.id, *put(b"a", b"old"))
    cluster.advance(2)
    cluster.isolate(old.id)
    assert [value_in(answer) for answer in read_alone(cluster, old.id)] == [b"old"]
    late: list[list[Answer]] = []
    successor = None
    while successor is None:
        cluster.advance()
        others = [m for m in cluster.members.values() if m is not old and m.is_leader]
        successor = others[0] if others else None
    cluster.call(successor.id, *put(b"a", b"new"))
    for _ in range(30):
        late.append(read_alone(cluster, old.id))
        cluster.advance()
    cluster.heal()
    cluster.advance(100)
    for answers in late:
        assert answers[0][0] != 0 or value_in(answers[0]) == b"new"


def test_a_leader_that_stood_still_asks_before_it_answers() -> None:
    """Its ticks have not come yet, but its clock tells that its lease is over."""
    cluster = cluster_with_leases()
    leader = cluster.leader()
    cluster.call(leader.id, *put(b"a", b"1"))
    cluster.advance(2)
    cluster.now_ns += cluster.members_tick_ns * leader.config.election_ticks
    assert read_alone(cluster, leader.id) == []
    cluster.settle()


@pytest.mark.parametrize("seed", range(6))
def test_reads_see_all_acknowledged_writes_amid_kills_and_cuts(seed: int) -> None:
    cluster = cluster_with_leases()
    chance = random.Random(seed)
    written = 0
    acknowledged: list[int] = []
    expected: list[tuple[int, list[Answer]]] = []
    for _ in range(400):
        number, action = chance.choice((1, 2, 3)), chance.random()
        if action < 0.03 and len(cluster.members) == 3:
            cluster.kill(number)
        elif action < 0.08:
            cluster.isolate(number)
        elif action < 0.16:
            cluster.heal()
        elif action < 0.25:
            for peer in cluster.peers:
                if peer.id not in cluster.members:
                    cluster.start(peer.id)
        elif action < 0.5:
            cluster.advance(chance.randrange(1, 6))
        elif number in cluster.members and action < 0.7:
            written += 1
            answer = cluster.call(number, *put(b"a", b"%d" % written))
            if answer and answer[0] == 0:
                acknowledged.append(written)
        elif number in cluster.members:
            answers: list[Answer] = []
            cluster.members[number].receive_client("client", *get(b"a"), answers.append)
            cluster.settle()
            expected.append((acknowledged[-1] if acknowledged else 0, answers))
    cluster.heal()
    seen = [
        (at_least, int(value_in(answers[0]) or b"0"))
        for at_least, answers in expected
        if answers and answers[0][0] == 0
    ]
    assert len(seen) > 20
    for at_least, value in seen:
        assert value >= at_least


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], (False, 10)),
        (["--lease-reads"], (True, 10)),
        (["--lease-reads", "--max-clock-drift-percent", "25"], (True, 25)),
    ],
)
def test_a_served_cluster_is_told_by_an_option(
    monkeypatch: pytest.MonkeyPatch, options: list[str], told: tuple[bool, int]
) -> None:
    served: list[ServeOptions] = []
    monkeypatch.setattr("raftstore.gateway.command.run", served.append)
    result = CliRunner().invoke(main, ["serve", *options])
    assert result.exit_code == 0, result.output
    config = served[0].policy.told_to(MemberConfig(1, ()))
    assert (config.lease_reads, config.max_clock_drift_percent) == told
    raft = config.raft()
    assert (raft.lease_reads, raft.max_clock_drift_percent) == told


def test_a_cluster_reads_by_leases_if_it_is_told_to() -> None:
    trio.run(read_by_leases, clock=MockClock(autojump_threshold=0))


async def read_by_leases() -> None:
    async with LocalCluster(members=3, configure=with_leases) as cluster:
        leader = cluster.members[await cluster.wait_leader()]
        client = cluster.client()
        await client.put(b"a", b"1")
        await trio.sleep(0.5)
        assert leader.statistics()["has_lease"]
        found = await client.get(b"a")
        assert found is not None
        assert found.value == b"1"
        cluster.isolate(leader.id)
        await trio.sleep(5)
        other = cluster.client(first=cluster.leader())
        await other.put(b"a", b"2")
        assert not leader.statistics()["has_lease"]
        found = await other.get(b"a")
        assert found is not None
        assert found.value == b"2"
