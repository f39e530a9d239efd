"""Members that are cut off, half cut off or removed disturb no other: PreVote, CheckQuorum, leases.

Every test runs twice, with the protection and without: it has to make the difference.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from raftstore.raft import ChangeKind, Message, Role, simple_change
from raftstore.raft import messages as kinds
from raftstore.raft.raft import Raft

Make = Callable[..., Any]
UNPROTECTED = {"pre_vote": False, "check_quorum": False}
ELECTION_TICKS = 10


def led_by_1(make_network: Make, size: int = 3, **settings: Any) -> Any:
    network = make_network(size, founded=True, **settings)
    network.settle()
    network.elect(1)
    return network


def terms_in(network: Any, ticks: int) -> int:
    """How many terms pass meanwhile."""
    before = max(node.raft.term for node in network.nodes.values())
    network.tick(ticks)
    return int(max(node.raft.term for node in network.nodes.values()) - before)


def cut_link(network: Any, one: int, other: int) -> None:
    """Nothing passes between two members; both reach all others."""
    step = network.step

    def unless_cut(message: Message) -> None:
        if {message.sender, message.to} != {one, other}:
            step(message)

    network.step = unless_cut


# A member that was cut off comes back


def test_9_6_a_member_that_comes_back_deposes_no_member(make_network: Make) -> None:
    network = led_by_1(make_network)
    network.cut[3] = None
    network.propose(1)
    network.tick(10 * ELECTION_TICKS)
    network.cut.clear()
    assert terms_in(network, 50) == 0
    assert network.leaders() == [1]


def test_9_6_without_prevote_it_brings_a_high_term_and_deposes_the_leader(
    make_network: Make,
) -> None:
    network = led_by_1(make_network, **UNPROTECTED)
    network.cut[3] = None
    network.propose(1)
    network.tick(10 * ELECTION_TICKS)
    assert network.nodes[3].raft.term > network.nodes[1].raft.term + 4
    network.cut.clear()
    seen = set()
    for _ in range(50):
        network.tick()
        seen |= {network.nodes[leader].raft.term for leader in network.leaders()}
    assert max(seen) > 6


def test_9_6_a_pre_vote_is_refused_to_a_log_that_is_behind_even_without_leases(
    make_network: Make,
) -> None:
    network = led_by_1(make_network, check_quorum=False)
    network.cut[3] = None
    network.propose(1)
    network.tick(5 * ELECTION_TICKS)
    network.cut.clear()
    assert terms_in(network, 50) == 0


@pytest.mark.parametrize("protected", [True, False])
def test_4_2_3_a_candidate_with_a_higher_term_is_freed_and_not_left_stuck(
    make_network: Make, monkeypatch: pytest.MonkeyPatch, *, protected: bool
) -> None:
    """The others do not hear it, and it does not hear the leader: the leader has to learn of it."""
    network = led_by_1(make_network, pre_vote=False)
    network.cut[3] = None
    network.tick(5 * ELECTION_TICKS)
    network.cut.clear()
    if not protected:
        monkeypatch.setattr(Raft, "admit_older_term", lambda _raft, _message: False)
    network.nodes[3].raft._draw_election_timeout = lambda: None  # type: ignore[method-assign]
    network.nodes[3].raft.election_timeout = 1_000_000
    network.tick(5 * ELECTION_TICKS)
    (leader,) = network.leaders()
    network.propose(leader)
    network.settle()
    follows = network.nodes[3].raft.log.last_index == network.nodes[leader].raft.log.last_index
    assert follows is protected


# A leader that is cut off


@pytest.mark.parametrize("protected", [True, False])
def test_4_2_3_a_leader_that_hears_no_quorum_ends_its_own_rule(
    make_network: Make, *, protected: bool
) -> None:
    network = led_by_1(make_network, check_quorum=protected)
    network.side = lambda node: node == 1
    network.tick(3 * ELECTION_TICKS)
    assert (network.nodes[1].raft.role is Role.LEADER) is not protected
    assert len(network.leaders()) == (1 if protected else 2)


def test_4_2_3_a_leader_that_hears_a_quorum_stays(make_network: Make) -> None:
    network = led_by_1(make_network, 5)
    network.side = lambda node: node in {1, 2, 3}
    network.tick(5 * ELECTION_TICKS)
    assert network.nodes[1].raft.role is Role.LEADER


# Links that work for some only (Cloudflare, 2 November 2020)


@pytest.mark.parametrize("protected", [True, False])
def test_a_partial_partition_settles_on_one_leader(make_network: Make, *, protected: bool) -> None:
    network = led_by_1(make_network, **({} if protected else UNPROTECTED))
    cut_link(network, 1, 3)
    terms = terms_in(network, 40 * ELECTION_TICKS)
    if protected:
        assert terms == 0
        assert network.leaders() == [1]
    else:
        # Deposed by the one that does not hear it, and it does not even know.
        assert terms > 0
        assert len(network.leaders()) == 2


@pytest.mark.parametrize("protected", [True, False])
def test_a_member_that_hears_no_other_but_is_heard_disturbs_none(
    make_network: Make, *, protected: bool
) -> None:
    network = led_by_1(make_network, **({} if protected else UNPROTECTED))
    step = network.step
    network.step = lambda message: None if message.to == 3 else step(message)
    terms = terms_in(network, 20 * ELECTION_TICKS)
    assert (terms == 0) is protected


# Members that were removed and never heard of it


@pytest.mark.parametrize("protected", [True, False])
def test_6_a_removed_member_that_never_learned_it_deposes_no_member(
    make_network: Make, *, protected: bool
) -> None:
    network = led_by_1(make_network, **({} if protected else UNPROTECTED))
    network.cut[3] = None
    network.nodes[1].propose_change(simple_change(ChangeKind.REMOVE, 3))
    network.settle()
    network.cut.clear()
    terms = terms_in(network, 20 * ELECTION_TICKS)
    assert network.configuration(3).voters == (1, 2, 3)
    if protected:
        assert terms == 0
        assert network.leaders() == [1]
    else:
        assert terms > 5


@pytest.mark.parametrize("protected", [True, False])
def test_6_a_removed_member_with_the_whole_log_deposes_no_member_either(
    make_network: Make, monkeypatch: pytest.MonkeyPatch, *, protected: bool
) -> None:
    """It has the entry that removes it, but not the news that this is committed.

    PreVote alone does not help against it: its log is as good as any.
    """
    network = led_by_1(make_network)
    if not protected:
        monkeypatch.setattr(Raft, "in_leader_lease", lambda _raft, _message: False)
    network.nodes[1].propose_change(simple_change(ChangeKind.REMOVE, 3))
    step = network.step
    network.step = lambda m: None if (m.to, m.kind) == (3, kinds.COMMIT) else step(m)
    network.settle()
    network.step = step
    log = network.nodes[3].raft.log
    assert (log.last_index, log.committed) == (network.nodes[1].raft.log.last_index, 2)
    terms = terms_in(network, 20 * ELECTION_TICKS)
    assert (terms == 0) is protected


def test_6_a_removed_leader_that_never_learned_of_its_successor_steps_down(
    make_network: Make,
) -> None:
    network = led_by_1(make_network)
    network.side = lambda node: node == 1
    network.tick(2 * ELECTION_TICKS)
    (leader,) = [node for node in network.leaders() if node != 1]
    network.nodes[leader].propose_change(simple_change(ChangeKind.REMOVE, 1))
    network.settle()
    network.side = lambda _: True
    assert terms_in(network, 20 * ELECTION_TICKS) == 0
    assert network.leaders() == [leader]


@pytest.mark.parametrize("promoted", [False, True])
def test_6_a_member_to_come_disturbs_no_member_before_it_votes(
    make_network: Make, *, promoted: bool
) -> None:
    network = led_by_1(make_network)
    network.join(4)
    network.nodes[1].propose_change(simple_change(ChangeKind.ADD_LEARNER, 4))
    network.settle()
    if promoted:
        network.cut[4] = None
        network.nodes[1].propose_change(simple_change(ChangeKind.ADD_VOTER, 4))
        network.settle()
    else:
        network.cut[4] = None
    network.tick(10 * ELECTION_TICKS)
    assert network.nodes[4].raft.term == network.nodes[1].raft.term
    network.cut.clear()
    assert terms_in(network, 50) == 0


# Late answers


@pytest.mark.parametrize(("term", "role"), [(2, Role.PRE_CANDIDATE), (3, Role.CANDIDATE)])
def test_9_6_a_pre_vote_of_an_earlier_campaign_does_not_count(
    make_network: Make, term: int, role: Role
) -> None:
    network = make_network(3)
    raft = network.nodes[1].raft
    raft.become_follower(2, 0)
    raft.campaign()
    raft.step(Message(kinds.PRE_VOTE_RESPONSE, 1, 1, term=3))
    raft.step(Message(kinds.PRE_VOTE_RESPONSE, 1, 2, term=term))
    assert raft.role is role


@pytest.mark.parametrize("member", [3, 9])
def test_answers_of_strangers_change_nothing(make_network: Make, member: int) -> None:
    network = led_by_1(make_network)
    network.cut[3] = None
    network.nodes[1].propose_change(simple_change(ChangeKind.REMOVE, 3))
    network.settle()
    raft = network.nodes[1].raft
    for kind in (kinds.APPEND_RESPONSE, kinds.HEARTBEAT_RESPONSE, kinds.VOTE_RESPONSE):
        raft.step(Message(kind, 1, member, raft.term, index=99, reject_hint=99))
    assert member not in raft.progress
    assert raft.role is Role.LEADER
