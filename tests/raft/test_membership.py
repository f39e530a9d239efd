"""Changes of the members: section 6 of the Raft paper, and what etcd's raft adds to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from raftstore.raft import (
    LEAVE_JOINT,
    ChangeKind,
    ConfChange,
    Configuration,
    ConfigurationError,
    Entry,
    InvariantViolationError,
    MemberChange,
    ProposalDroppedError,
    RaftMonitor,
    Role,
    Transition,
    simple_change,
)
from raftstore.raft import messages as kinds
from raftstore.raft.raft import Raft

Make = Callable[..., Any]
ADD, REMOVE, LEARN = ChangeKind.ADD_VOTER, ChangeKind.REMOVE, ChangeKind.ADD_LEARNER


def founded(make_network: Make, size: int = 3, **settings: Any) -> Any:
    network = make_network(size, founded=True, **settings)
    network.settle()
    network.elect(1)
    return network


def change(network: Any, node_id: int, kind: ChangeKind, member: int) -> None:
    if kind is not REMOVE and member not in network.nodes:
        network.join(member)
    network.nodes[node_id].propose_change(simple_change(kind, member))
    network.settle()


def jointly(*changes: tuple[ChangeKind, int], explicit: bool = False) -> ConfChange:
    transition = Transition.EXPLICIT if explicit else Transition.AUTO
    return ConfChange(transition, tuple(MemberChange(*one) for one in changes))


def cut_off(network: Any, *node_ids: int) -> None:
    network.side = lambda node: node in node_ids


# Joining


def test_6_a_new_member_learns_everything_from_the_log(make_network: Make) -> None:
    network = founded(make_network)
    network.propose(1)
    change(network, 1, ADD, 4)
    assert network.configuration(4) == network.configuration(1)
    assert network.configuration(4).voters == (1, 2, 3, 4)
    assert network.nodes[4].raft.log.entries == network.nodes[1].raft.log.entries


def test_6_a_new_member_learns_everything_from_a_snapshot_older_than_its_joining(
    make_network: Make,
) -> None:
    network = founded(make_network)
    network.propose(1)
    network.settle()
    network.snapshot(1)
    change(network, 1, ADD, 4)
    network.tick(3)
    assert network.durable[4].snapshot.index > 0
    assert network.configuration(4).voters == (1, 2, 3, 4)
    assert network.nodes[4].raft.log.applied == network.nodes[1].raft.log.applied


def test_6_a_member_that_has_not_learned_of_itself_does_not_campaign(make_network: Make) -> None:
    network = founded(make_network)
    network.join(4)
    network.cut[4] = None
    network.tick(50)
    assert (network.nodes[4].raft.role, network.nodes[4].raft.term) == (Role.FOLLOWER, 0)


def test_6_the_members_survive_a_restart(make_network: Make) -> None:
    network = founded(make_network)
    change(network, 1, LEARN, 4)
    change(network, 1, REMOVE, 3)
    for node_id in (1, 2, 4):
        network.snapshot(node_id) if node_id == 2 else None
        network.crash(node_id)
    network.settle()
    expected = Configuration((1, 2), learners=(4,))
    assert {network.configuration(node_id) for node_id in (1, 2, 4)} == {expected}


# Learners


def test_6_learners_receive_entries_but_do_not_count(make_network: Make) -> None:
    network = founded(make_network)
    change(network, 1, LEARN, 4)
    network.propose(1)
    network.settle()
    assert network.nodes[4].raft.log.last_index == network.nodes[1].raft.log.last_index
    cut_off(network, 1, 4)
    before = network.nodes[1].raft.log.committed
    network.propose(1)
    network.settle()
    assert network.nodes[1].raft.log.committed == before
    assert network.nodes[4].raft.log.last_index > before


def test_6_learners_neither_campaign_nor_take_over(make_network: Make) -> None:
    network = founded(make_network)
    change(network, 1, LEARN, 4)
    network.nodes[4].campaign()
    network.nodes[1].transfer_leader(4)
    assert network.nodes[1].raft.transferee == 0
    network.cut = {1: None, 2: None, 3: None}
    network.tick(60)
    assert (network.nodes[4].raft.role, network.nodes[4].raft.term) == (Role.FOLLOWER, 2)


def test_6_a_learner_is_promoted_once_it_has_caught_up(make_network: Make) -> None:
    network = founded(make_network)
    network.join(4)
    network.cut[4] = None
    for _ in range(20):
        network.propose(1)
    change(network, 1, LEARN, 4)
    assert not network.nodes[1].raft.is_caught_up(4)
    network.cut.clear()
    network.tick(2)
    assert network.nodes[1].raft.is_caught_up(4)
    change(network, 1, ADD, 4)
    assert network.configuration(4) == Configuration((1, 2, 3, 4))


def test_6_a_demoted_voter_becomes_a_learner_when_the_joint_configuration_ends(
    make_network: Make,
) -> None:
    network = founded(make_network)
    network.join(4)
    network.nodes[1].propose_change(jointly((ADD, 4), (LEARN, 3), explicit=True))
    network.settle()
    assert network.configuration(1) == Configuration((1, 2, 4), (1, 2, 3), (), (3,))
    network.nodes[1].propose_change(LEAVE_JOINT)
    network.settle()
    assert network.configuration(3) == Configuration((1, 2, 4), learners=(3,))


# Joint consensus


def test_6_a_joint_configuration_is_left_by_itself(make_network: Make) -> None:
    network = founded(make_network)
    network.join(4)
    network.join(5)
    network.nodes[1].propose_change(jointly((ADD, 4), (ADD, 5), (REMOVE, 3)))
    network.settle()
    assert network.configuration(1) == Configuration((1, 2, 4, 5))
    assert network.configuration(5) == network.configuration(1)


def test_6_a_new_leader_leaves_the_joint_configuration(
    make_network: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = founded(make_network)
    network.join(4)
    with monkeypatch.context() as patch:
        patch.setattr(Raft, "leave_joint_if_due", lambda _: None)
        network.nodes[1].propose_change(jointly((ADD, 4), (REMOVE, 3)))
        network.settle()
    assert network.configuration(2).is_joint
    network.nodes[1].transfer_leader(2)
    network.settle()
    assert network.leaders() == [2]
    assert network.configuration(1) == Configuration((1, 2, 4))


def test_6_a_joint_configuration_is_left_though_the_leadership_was_about_to_move(
    make_network: Make,
) -> None:
    network = founded(make_network)
    network.join(4)
    leader = network.nodes[1]
    leader.propose_change(jointly((ADD, 4), (REMOVE, 3)))
    # 2 is asked to take over, but the word is lost; nothing else is proposed meanwhile.
    step = network.step
    network.step = lambda message: None if message.kind == kinds.TIMEOUT_NOW else step(message)
    leader.transfer_leader(2)
    network.settle()
    assert network.configuration(1).is_joint
    network.tick(25)
    assert network.leaders() == [1]
    assert network.configuration(1) == Configuration((1, 2, 4))


@pytest.mark.parametrize("reachable", [(1, 2), (1, 4, 5), (1, 2, 4)])
def test_6_agreement_in_a_joint_configuration_takes_both_majorities(
    make_network: Make, reachable: tuple[int, ...]
) -> None:
    network = founded(make_network)
    for joiner in (4, 5):
        network.join(joiner)
    change_both = jointly((ADD, 4), (ADD, 5), (REMOVE, 2), (REMOVE, 3), explicit=True)
    network.nodes[1].propose_change(change_both)
    network.settle()
    assert network.configuration(1) == Configuration((1, 4, 5), (1, 2, 3))
    cut_off(network, *reachable)
    before = network.nodes[1].raft.log.committed
    network.propose(1)
    network.settle()
    both = reachable == (1, 2, 4)
    assert (network.nodes[1].raft.log.committed > before) is both


def test_6_election_in_a_joint_configuration_takes_both_majorities(make_network: Make) -> None:
    network = founded(make_network)
    for joiner in (4, 5):
        network.join(joiner)
    network.nodes[1].propose_change(
        jointly((ADD, 4), (ADD, 5), (REMOVE, 2), (REMOVE, 3), explicit=True)
    )
    network.settle()
    cut_off(network, 4, 5)
    network.tick(60)
    assert {network.nodes[node_id].raft.role for node_id in (4, 5)}.isdisjoint({Role.LEADER})
    cut_off(network, 2, 4, 5)
    network.tick(0)
    assert not {2, 4, 5} & {*network.leaders()}
    cut_off(network, 2, 3, 4, 5)
    network.tick(60)
    assert {2, 3, 4, 5} & {*network.leaders()}


# One change at a time


def test_6_a_second_change_waits_until_the_first_is_applied(make_network: Make) -> None:
    network = founded(make_network)
    leader = network.nodes[1]
    leader.propose_change(simple_change(LEARN, 4))
    with pytest.raises(ProposalDroppedError):
        leader.propose_change(simple_change(LEARN, 5))
    network.settle()
    leader.propose_change(simple_change(LEARN, 5))
    network.settle()
    assert network.configuration(2).learners == (4, 5)


def test_6_a_new_leader_changes_nothing_before_it_has_committed_in_its_term(
    make_network: Make,
) -> None:
    network = founded(make_network)
    network.nodes[1].transfer_leader(2)
    for _ in range(20):
        if 2 in network.leaders():
            break
        for node_id in network.ids:
            network.begin(node_id)
            network.sync(node_id)
        messages, network.in_flight = network.in_flight, []
        for message in messages:
            network.step(message)
    with pytest.raises(ProposalDroppedError):
        network.nodes[2].propose_change(simple_change(LEARN, 4))
    network.settle()
    assert network.propose_change(2, simple_change(LEARN, 4))


def lose_the_quorums_in_common(network: Any) -> None:
    """Two changes at once make {1, 4, 5} a quorum, while 2 and 3 still are one of the old members.

    Adding one member at a time is safe only if each addition is committed before the next begins.
    """
    leader = network.nodes[1]
    cut_off(network, 1, 2)
    for joiner in (4, 5):
        network.join(joiner)
        network.propose_change(1, simple_change(ADD, joiner))
    # 2 has the entries but is cut off before it hears that they are committed.
    step = network.step
    network.step = lambda message: None if message.kind == kinds.COMMIT else step(message)
    network.settle()
    network.step = step
    cut_off(network, 1, 4, 5)
    network.tick(5)
    network.propose(1)
    network.settle()
    assert leader.raft.role is Role.LEADER
    cut_off(network, 2, 3)
    network.tick(80)
    leaders = [node_id for node_id in (2, 3) if network.nodes[node_id].raft.role is Role.LEADER]
    for node_id in leaders:
        network.propose(node_id)
        network.settle()


def test_6_no_two_quorums_of_the_members_are_disjoint(make_network: Make) -> None:
    lose_the_quorums_in_common(founded(make_network, pre_vote=False))


def test_6_the_monitor_sees_disjoint_quorums_when_the_rule_is_broken(
    make_network: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = founded(make_network, pre_vote=False)
    monkeypatch.setattr(Raft, "may_change_configuration", lambda _: True)
    with pytest.raises(InvariantViolationError, match=r"leader-completeness|state-machine-safety"):
        lose_the_quorums_in_common(network)


def test_6_the_monitor_sees_a_change_before_the_first_commit_of_a_term() -> None:
    monitor = RaftMonitor()
    monitor.change_proposed(1, term=2, index=5, commit=4, commit_term=2)
    with pytest.raises(InvariantViolationError, match="change-own-term"):
        monitor.change_proposed(1, term=3, index=6, commit=5, commit_term=2)


def test_6_the_monitor_sees_a_change_while_another_is_on_its_way() -> None:
    monitor = RaftMonitor()
    change = simple_change(ADD, 4).encode()
    entries = [Entry(2, index, kinds.CONF_CHANGE, change) for index in (5, 6)]
    monitor.appended(1, entries)
    monitor.change_proposed(1, term=2, index=6, commit=5, commit_term=2)
    with pytest.raises(InvariantViolationError, match="one-change-at-a-time"):
        monitor.change_proposed(1, term=2, index=6, commit=4, commit_term=2)


@pytest.mark.parametrize(
    "refused",
    [
        LEAVE_JOINT,
        jointly((REMOVE, 1), (REMOVE, 2), (REMOVE, 3)),
        simple_change(ADD, 0),
        ConfChange(Transition.FOUNDING, (MemberChange(ADD, 7),)),
    ],
)
def test_an_impossible_change_is_refused_at_once(make_network: Make, refused: ConfChange) -> None:
    network = founded(make_network)
    with pytest.raises(ConfigurationError):
        network.nodes[1].propose_change(refused)
    network.settle()
    assert network.configuration(1) == Configuration((1, 2, 3))


def test_a_follower_passes_a_change_on(make_network: Make) -> None:
    network = founded(make_network)
    network.nodes[3].propose_change(simple_change(REMOVE, 2))
    network.settle()
    assert network.configuration(3).voters == (1, 3)


# Leaving


def test_6_a_removed_leader_steps_down_once_that_is_committed(make_network: Make) -> None:
    network = founded(make_network)
    change(network, 1, REMOVE, 1)
    assert network.nodes[1].raft.role is Role.FOLLOWER
    network.tick(40)
    (leader,) = network.leaders()
    assert leader in (2, 3)
    assert network.propose(leader)
    network.settle()
    assert network.configuration(leader).voters == (2, 3)
    assert network.nodes[1].raft.role is Role.FOLLOWER


def test_6_a_leader_replaces_itself(make_network: Make) -> None:
    network = founded(make_network)
    network.join(4)
    network.nodes[1].propose_change(jointly((REMOVE, 1), (ADD, 4)))
    network.settle()
    network.tick(40)
    assert network.configuration(4).voters == (2, 3, 4)
    (leader,) = network.leaders()
    assert leader in (2, 3, 4)


def test_6_a_removed_member_that_missed_it_does_not_disturb_the_others(make_network: Make) -> None:
    network = founded(make_network)
    network.cut[3] = None
    change(network, 1, REMOVE, 3)
    network.tick(30)
    network.cut.clear()
    term = network.nodes[1].raft.term
    for _ in range(100):
        network.tick()
        assert network.leaders() == [1]
    assert network.nodes[1].raft.term == term


def test_6_transfer_to_a_member_that_is_removed_ends(make_network: Make) -> None:
    network = founded(make_network)
    network.nodes[1].propose_change(simple_change(REMOVE, 3))
    network.nodes[1].transfer_leader(3)
    network.cut[3] = None
    network.settle()
    assert network.nodes[1].raft.transferee == 0
    assert network.propose(1)


def test_6_removing_the_lagging_half_commits_what_waited_for_it(make_network: Make) -> None:
    network = founded(make_network, 2)
    network.nodes[1].propose_change(simple_change(REMOVE, 2))
    network.propose(1)
    network.propose(1)
    network.settle()
    assert network.nodes[1].raft.log.committed == network.nodes[1].raft.log.last_index


# Snapshots on their way


@pytest.mark.parametrize("arrived", [True, False])
def test_7_the_transport_tells_what_became_of_a_snapshot(
    make_network: Make,
    arrived: bool,
) -> None:
    network = founded(make_network)
    network.cut[3] = None
    for _ in range(5):
        network.propose(1)
        network.settle()
    network.snapshot(1)
    network.cut.clear()
    step = network.step
    network.step = lambda m: None if m.kind == kinds.SNAPSHOT else step(m)
    network.tick(4)
    progress = network.nodes[1].raft.progress[3]
    assert progress.state.value == "snapshot"
    network.nodes[1].report_snapshot(3, ok=arrived)
    assert (progress.state.value, progress.paused) == ("probe", True)
    assert progress.next == (
        network.durable[1].snapshot.index + 1 if arrived else progress.match + 1
    )
    network.step = step
    network.tick(3)
    assert network.nodes[3].raft.log.applied == network.nodes[1].raft.log.applied
