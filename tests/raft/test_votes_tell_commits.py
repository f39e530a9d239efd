"""Votes tell how far the log is committed: who must not vote any more, and who may, depends on it.

A change of the members holds for a node once it has applied it. One that was not told of the commit
asks the old members again, and may be refused forever by one that knows better.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from raftstore.raft import ChangeKind, Entry, Message, Role, simple_change
from raftstore.raft import messages as kinds
from tests.raft.nodes import entry, node_with

Make = Callable[..., Any]
BOTH = pytest.mark.parametrize("pre_vote", [True, False])


def founded(make_network: Make, size: int, **settings: Any) -> Any:
    network = make_network(size, founded=True, **settings)
    network.settle()
    network.elect(1)
    return network


def without(network: Any, is_lost: Callable[[Message], bool]) -> Callable[[], None]:
    """Lose some messages until the result is called."""
    step = network.step
    network.step = lambda message: None if is_lost(message) else step(message)

    def end() -> None:
        network.step = step

    return end


def leader_after(network: Any, ticks: int) -> int | None:
    network.tick(ticks)
    leaders = [node_id for node_id in network.leaders() if network.propose(node_id)]
    network.settle()
    return leaders[0] if leaders else None


@BOTH
def test_the_other_one_of_two_continues_alone_though_the_removed_leader_has_the_longer_log(
    make_network: Make, *, pre_vote: bool
) -> None:
    network = founded(make_network, 2, pre_vote=pre_vote)
    removal = network.nodes[1].raft.log.last_index + 1
    network.propose_change(1, simple_change(ChangeKind.REMOVE, 1))
    network.propose(1)
    end = without(
        network,
        lambda m: m.to == 2 and (m.commit >= removal or any(e.index > removal for e in m.entries)),
    )
    network.settle()
    end()
    assert network.nodes[1].raft.role is Role.FOLLOWER
    assert network.nodes[1].raft.log.last_index > network.nodes[2].raft.log.last_index
    assert network.configuration(2).voters == (1, 2)
    assert leader_after(network, 60) == 2
    assert network.configuration(2).voters == (2,)


@BOTH
def test_a_member_learns_of_the_new_one_from_whom_it_refuses_its_vote(
    make_network: Make, *, pre_vote: bool
) -> None:
    """1 is gone, 2 has the longest log but counts to two with 1, and 3 knows that it may vote."""
    network = founded(make_network, 2, pre_vote=pre_vote)
    network.join(3)
    addition = network.nodes[1].raft.log.last_index + 1
    network.propose_change(1, simple_change(ChangeKind.ADD_VOTER, 3))
    step = network.step

    def withhold_commit(message: Message) -> None:
        if message.to == 2:
            message.commit = min(message.commit, addition - 1)
        step(message)

    network.step = withhold_commit
    network.settle()
    end = without(network, lambda m: m.to == 3)
    network.propose(1)
    network.settle()
    end()
    network.step = step
    assert network.configuration(3).voters == (1, 2, 3)
    assert network.configuration(2).voters == (1, 2)
    assert network.nodes[2].raft.log.last_index > network.nodes[3].raft.log.last_index
    network.cut[1] = None
    assert leader_after(network, 60) == 2
    assert network.configuration(2).voters == (1, 2, 3)


@pytest.mark.parametrize(
    ("commit", "term", "learned"),
    [(1, 1, 0), (2, 1, 2), (2, 2, 0), (3, 2, 3), (4, 2, 0), (9, 2, 0)],
)
@pytest.mark.parametrize("kind", [kinds.VOTE, kinds.PRE_VOTE, kinds.VOTE_RESPONSE])
def test_a_change_is_learned_only_if_it_stands_in_the_own_log(
    kind: int, commit: int, term: int, learned: int
) -> None:
    change = Entry(1, 2, kinds.CONF_CHANGE, simple_change(ChangeKind.REMOVE, 2).encode())
    raft = node_with([entry(1, 1), change, entry(2, 3)], term=2)
    raft.step(Message(kind, 1, 2, term=2, reject=True, commit=commit, reject_hint=term))
    assert raft.log.committed == learned


def test_a_leader_still_commits_by_counting_in_its_own_term_only() -> None:
    change = Entry(1, 2, kinds.CONF_CHANGE, simple_change(ChangeKind.REMOVE, 2).encode())
    raft = node_with([entry(1, 1), change], term=2)
    raft.become_candidate()
    raft.become_leader()
    raft.step(Message(kinds.VOTE_RESPONSE, 1, 2, term=3, reject=True, commit=2, reject_hint=1))
    assert raft.log.committed == 0
