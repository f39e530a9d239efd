"""Linearizable reads over a network on which answers take longer than a retry has patience."""

from __future__ import annotations

import random  # noqa: TID251  # seeded by each test
from collections.abc import Callable
from typing import Any

import pytest

from raftstore.raft import RaftMonitor
from raftstore.raft.messages import READ_INDEX
from raftstore.server import Member
from raftstore.server.bare import BareCluster, _take
from raftstore.server.reads import RETRY_TICKS

Answer = list[Any]
GET = ("range", [b"a", b"", 0, 0, 0, 0, False, False, False, 0, 0, 0, 0])
PUT = ("put", [b"a", b"1", 0, False, False, False])


class SlowCluster(BareCluster):
    """Each message between members takes whole ticks."""

    def __init__(self, latency_ticks: int) -> None:
        self.latency_ticks = latency_ticks
        self._under_way: list[tuple[int, int, int, list[Any]]] = []
        self.lose: Callable[[int, list[Any]], bool] = lambda _sender, _wire: False
        super().__init__(3, random.Random, monitor=RaftMonitor())

    def _deliver(self) -> bool:
        tick_ns = self.members_tick_ns
        for sender, outbox in self._outboxes.items():
            for receiver, frame in _take(outbox):
                due_ns = self.now_ns + self.latency_ticks * tick_ns
                self._under_way += [(due_ns, sender, receiver, wire) for wire in frame]
        due = [message for message in self._under_way if message[0] <= self.now_ns]
        self._under_way = [message for message in self._under_way if message[0] > self.now_ns]
        for _, sender, receiver, wire in due:
            if not self.lose(sender, wire):
                self.members[receiver].receive_peer(sender, wire)
        return bool(due)

    def wait_for(self, member: Member, request: tuple[str, list[Any]], ticks: int) -> list[Answer]:
        """What a member has answered within so many ticks."""
        answers: list[Answer] = []
        member.receive_client("client", *request, answers.append)
        self.settle()
        for _ in range(ticks):
            if answers:
                break
            self.advance()
        return answers

    def follower(self) -> Member:
        leader = self.leader()
        return next(m for m in self.members.values() if m is not leader)


@pytest.mark.parametrize("latency_ticks", [1, 2, 3])
def test_a_follower_reads_after_four_hops_however_long_they_take(latency_ticks: int) -> None:
    cluster = SlowCluster(latency_ticks)
    leader = cluster.leader()
    assert cluster.wait_for(leader, PUT, 20)[0][0] == 0
    hops_ticks = 4 * latency_ticks
    answers = cluster.wait_for(cluster.follower(), GET, hops_ticks)
    assert [answer[1][1][0][4] for answer in answers] == [b"1"]


def test_a_read_whose_request_is_lost_is_asked_again() -> None:
    cluster = SlowCluster(0)
    follower = cluster.follower()
    lost: list[int] = []

    def lose_first(sender: int, wire: list[Any]) -> bool:
        if wire[0] == READ_INDEX and not lost:
            lost.append(sender)
            return True
        return False

    cluster.lose = lose_first
    assert cluster.wait_for(follower, GET, RETRY_TICKS)
    assert lost == [follower.id]
    assert follower.statistics()["slow_reads"] == 1


def test_reads_that_came_later_do_not_share_the_answer_to_earlier_ones() -> None:
    """What is asked again together is confirmed together, but never by what was asked before."""
    cluster = SlowCluster(2)
    follower = cluster.follower()
    first: list[Answer] = []
    second: list[Answer] = []
    follower.receive_client("client", *GET, first.append)
    cluster.settle()
    cluster.advance(RETRY_TICKS - 1)
    follower.receive_client("client", *GET, second.append)
    cluster.settle()
    cluster.advance(8 - RETRY_TICKS + 1)
    assert (len(first), len(second)) == (1, 0)
    cluster.advance(RETRY_TICKS - 1)
    assert (len(first), len(second)) == (1, 1)


def test_a_round_that_was_asked_more_than_once_is_answered_once() -> None:
    cluster = SlowCluster(4)
    follower = cluster.follower()
    answers = cluster.wait_for(follower, GET, 16)
    assert len(answers) == 1
    assert follower.statistics()["slow_reads"] == 3
    cluster.advance(40)
    assert len(answers) == 1
    assert follower.statistics()["pending_reads"] == 0
