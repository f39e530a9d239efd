"""The rules of the Raft paper, clause by clause: section 5, figure 2, and the dissertation's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from raftstore.raft import (
    Entry,
    HardState,
    InvariantViolationError,
    Message,
    RaftConfig,
    RaftMonitor,
    RawNode,
    RecoveredState,
    Role,
    Snapshot,
)
from raftstore.raft import messages as kinds
from raftstore.raft.raft import Raft
from tests.raft.nodes import (
    FixedRng,
    answer,
    append,
    entry,
    leader_with,
    node_with,
    persist,
    taken,
    vote,
)

Make = Callable[..., Any]

# Section 5.1: terms


def test_5_1_a_higher_term_makes_a_follower_of_any_member() -> None:
    raft = node_with([])
    raft.become_candidate()
    raft.step(Message(kinds.APPEND_RESPONSE, 1, 3, term=9))
    assert (raft.role, raft.term, raft.vote) == (Role.FOLLOWER, 9, 0)


def test_5_1_a_vote_response_of_an_older_term_counts_for_nothing() -> None:
    raft = node_with([], term=4)
    raft.become_candidate()
    raft.step(Message(kinds.VOTE_RESPONSE, 1, 2, term=4))
    raft.step(Message(kinds.VOTE_RESPONSE, 1, 3, term=4))
    assert raft.role is Role.CANDIDATE


def test_5_1_a_deposed_leader_learns_the_term_when_it_speaks() -> None:
    raft = node_with([], term=7)
    raft.step(Message(kinds.HEARTBEAT, 1, 2, term=3))
    (answer,) = raft.messages_after_persist
    assert (answer.kind, answer.to, answer.term) == (kinds.APPEND_RESPONSE, 2, 7)


def test_5_1_requests_of_an_older_term_are_refused() -> None:
    raft = node_with([entry(1, 1)], term=5)
    raft.step(append(4, 1, 1, [entry(4, 2)], commit=2))
    raft.step(vote(4, 9, 9))
    assert (raft.log.last_index, raft.log.committed, raft.vote, raft.term) == (1, 0, 0, 5)


@pytest.mark.parametrize("kind", [kinds.APPEND, kinds.HEARTBEAT, kinds.COMMIT])
def test_5_1_the_leader_of_a_newer_term_is_followed(kind: int) -> None:
    raft = leader_with([], term=1)
    raft.step(Message(kind, 1, 3, term=7))
    assert (raft.role, raft.leader, raft.term) == (Role.FOLLOWER, 3, 7)


def test_5_1_the_term_and_the_vote_are_on_disk_before_any_member_hears_of_them() -> None:
    node = RawNode(RaftConfig(1, (1, 2, 3)), RecoveredState(), FixedRng(), Snapshot)
    node.step(vote(7, 0, 0))
    ready = node.ready()
    assert ready.hard_state == HardState(7, 2, 0)
    assert ready.must_sync
    assert not ready.messages
    assert [m.kind for m in ready.messages_after_persist] == [kinds.VOTE_RESPONSE]


# Section 5.2: elections


def test_5_2_members_begin_as_followers_and_say_nothing_by_themselves() -> None:
    raft = node_with([])
    for _ in range(raft.election_timeout - 1):
        raft.tick()
    assert (raft.role, raft.messages) == (Role.FOLLOWER, [])


def test_5_2_a_follower_that_hears_nothing_for_a_timeout_stands_for_election() -> None:
    raft = node_with([entry(3, 1)], term=3, pre_vote=False)
    for _ in range(raft.election_timeout):
        raft.tick()
    assert (raft.role, raft.term, raft.vote) == (Role.CANDIDATE, 4, 1)
    asked = [(m.to, m.term, m.index, m.log_term) for m in taken(raft, kinds.VOTE)]
    assert asked == [(2, 4, 1, 3), (3, 4, 1, 3)]


@pytest.mark.parametrize("kind", [kinds.APPEND, kinds.HEARTBEAT, kinds.COMMIT])
def test_5_2_hearing_the_leader_starts_the_timeout_again(kind: int) -> None:
    raft = node_with([], term=1)
    for _ in range(5):
        for _ in range(raft.election_timeout - 1):
            raft.tick()
        raft.step(Message(kind, 1, 2, term=1))
    assert raft.role is Role.FOLLOWER


def test_5_2_giving_a_vote_starts_the_timeout_again_and_refusing_one_does_not() -> None:
    raft = node_with([entry(1, 1)], term=1)
    raft.election_elapsed = 5
    raft.step(vote(2, 0, 0))
    assert raft.election_elapsed == 0  # by the new term
    raft.election_elapsed = 5
    raft.step(vote(2, 0, 0, sender=3))
    assert raft.election_elapsed == 5
    raft.step(vote(2, 1, 1, sender=3))
    assert (raft.vote, raft.election_elapsed) == (3, 0)


@pytest.mark.parametrize(
    ("votes", "role"),
    [
        ({}, Role.CANDIDATE),
        ({2: True}, Role.CANDIDATE),
        ({2: True, 3: True}, Role.LEADER),
        ({2: True, 3: False, 4: True}, Role.LEADER),
        ({2: False, 3: False}, Role.CANDIDATE),
        ({2: False, 3: False, 4: False}, Role.FOLLOWER),
    ],
)
def test_5_2_a_majority_of_all_members_elects(votes: dict[int, bool], role: Role) -> None:
    recovered = RecoveredState()
    raft = Raft(RaftConfig(1, (1, 2, 3, 4, 5)), recovered, FixedRng(), Snapshot)
    raft.become_candidate()
    for voter, granted in {1: True, **votes}.items():
        raft.step(Message(kinds.VOTE_RESPONSE, 1, voter, term=1, reject=not granted))
    assert raft.role is role


def test_5_2_a_member_has_one_vote_however_often_it_is_heard() -> None:
    raft = Raft(RaftConfig(1, (1, 2, 3, 4, 5)), RecoveredState(), FixedRng(), Snapshot)
    raft.become_candidate()
    for _ in range(3):
        raft.step(Message(kinds.VOTE_RESPONSE, 1, 2, term=1))
    assert raft.role is Role.CANDIDATE


def test_5_2_a_candidate_that_hears_a_leader_of_its_term_follows_it() -> None:
    raft = node_with([])
    raft.become_candidate()
    raft.step(append(1, 0, 0, []))
    assert (raft.role, raft.leader) == (Role.FOLLOWER, 2)


def test_5_2_a_candidate_without_a_majority_begins_a_new_election() -> None:
    raft = node_with([], pre_vote=False)
    for _ in range(2 * raft.election_timeout):
        raft.tick()
    assert (raft.role, raft.term) == (Role.CANDIDATE, 2)


def test_5_2_split_votes_are_resolved_by_random_timeouts(make_network: Make) -> None:
    network = make_network(4, pre_vote=False)
    for node in network.nodes.values():
        node.campaign()
    network.settle()
    assert network.leaders() == []
    network.tick(100)
    assert len(network.leaders()) == 1


def test_5_2_a_leader_sends_heartbeats_to_all_by_itself() -> None:
    raft = leader_with([], heartbeat_ticks=2)
    raft.messages.clear()
    raft.tick()
    assert taken(raft, kinds.HEARTBEAT) == []
    raft.tick()
    assert [m.to for m in taken(raft, kinds.HEARTBEAT)] == [2, 3]


def test_5_2_one_vote_per_term_first_come_first_served() -> None:
    raft = node_with([])
    raft.step(vote(1, 0, 0, sender=2))
    raft.step(vote(1, 0, 0, sender=3))
    raft.step(vote(1, 0, 0, sender=2))
    assert [m.reject for m in raft.messages_after_persist] == [False, True, False]
    assert raft.vote == 2


def test_5_2_the_vote_survives_a_step_down_within_its_term() -> None:
    raft = node_with([])
    raft.become_candidate()
    raft.step(append(1, 0, 0, []))
    assert (raft.role, raft.vote) == (Role.FOLLOWER, 1)


def test_5_2_the_vote_survives_a_restart() -> None:
    raft = node_with([], term=3, vote=2)
    raft.step(vote(3, 5, 3, sender=3))
    assert raft.messages_after_persist[0].reject


def test_5_2_a_candidate_counts_its_own_vote_only_once_it_is_on_disk() -> None:
    node = RawNode(RaftConfig(1, (1,)), RecoveredState(), FixedRng(), Snapshot)
    node.campaign()
    assert node.raft.role is Role.PRE_CANDIDATE
    roles = []
    while node.has_ready():
        node.advance(node.ready())
        roles.append(node.raft.role)
    assert roles[:2] == [Role.CANDIDATE, Role.LEADER]


def test_5_2_timeouts_are_drawn_between_one_and_two_election_times(make_network: Make) -> None:
    network = make_network(5)
    drawn = {node.raft.election_timeout for node in network.nodes.values()}
    assert all(10 <= ticks < 20 for ticks in drawn)
    assert len(drawn) > 1


# Section 5.3: replication


def test_5_3_a_new_leader_begins_behind_its_last_entry() -> None:
    raft = leader_with([entry(1, 1), entry(1, 2)], term=1)
    assert [(progress.match, progress.next) for progress in raft.progress.values()][1:] == [
        (0, 3),
        (0, 3),
    ]
    assert [(m.index, m.log_term) for m in taken(raft, kinds.APPEND)] == [(2, 1), (2, 1)]


def test_5_3_proposals_are_appended_in_the_leaders_term_and_sent_to_all() -> None:
    raft = leader_with([])
    raft.messages.clear()
    for follower in (2, 3):
        answer(raft, follower, 1)
    taken(raft, kinds.APPEND)
    raft.propose([b"x", b"y"])
    expected = [Entry(1, 2, 0, b"x"), Entry(1, 3, 0, b"y")]
    assert raft.log.entries[1:] == expected
    assert [(m.to, m.entries) for m in taken(raft, kinds.APPEND)] == [(2, expected), (3, expected)]


def test_5_3_an_entry_is_committed_once_a_majority_has_it_on_disk() -> None:
    raft = leader_with([])
    answer(raft, 2, 1)
    assert raft.log.committed == 0, "the leader's own disk counts as any other"
    persist(raft)
    assert raft.log.committed == 1


def test_5_3_followers_may_have_it_on_disk_before_the_leader() -> None:
    raft = leader_with([])
    answer(raft, 2, 1)
    answer(raft, 3, 1)
    assert raft.log.committed == 1
    assert raft.log.stable == 0


def test_5_3_all_earlier_entries_are_committed_with_it() -> None:
    raft = leader_with([entry(1, 1), entry(2, 2)], term=2)
    persist(raft)
    answer(raft, 3, 3)
    assert raft.log.committed == 3


def test_5_3_followers_learn_the_commit_index_and_apply() -> None:
    raft = node_with([entry(1, 1), entry(1, 2)], term=1)
    raft.step(append(1, 2, 1, [], commit=1))
    assert [e.index for e in raft.log.next_committed(1 << 20)] == [1]
    raft.step(Message(kinds.HEARTBEAT, 1, 2, term=1, commit=2))
    assert [e.index for e in raft.log.next_committed(1 << 20)] == [1, 2]


def test_5_3_a_heartbeat_commits_nothing_that_the_follower_may_lack() -> None:
    raft = leader_with([])
    answer(raft, 2, 1)
    answer(raft, 3, 1)
    raft.propose([b"x"])
    persist(raft)
    answer(raft, 2, 2)
    raft.messages.clear()
    raft.broadcast_heartbeat(b"")
    assert [(m.to, m.commit) for m in taken(raft, kinds.HEARTBEAT)] == [(2, 2), (3, 1)]


def test_5_3_the_leader_goes_back_until_the_logs_meet_and_sends_the_rest() -> None:
    raft = leader_with([entry(1, 1), entry(2, 2), entry(2, 3)], term=2)
    answer(raft, 2, 1)
    taken(raft, kinds.APPEND)
    raft.progress[3].next = 4
    raft.progress[3].paused = False
    answer(raft, 3, 3, reject=True, reject_hint=2, log_term=1)
    (again,) = taken(raft, kinds.APPEND)
    assert (again.to, again.index, again.log_term) == (3, 1, 1)
    assert [e.index for e in again.entries] == [2, 3, 4]


def test_5_3_a_stale_rejection_moves_nothing() -> None:
    raft = leader_with([entry(1, 1)], term=1)
    answer(raft, 2, 2)
    taken(raft, kinds.APPEND)
    answer(raft, 2, 1, reject=True)
    assert (raft.progress[2].match, raft.progress[2].next) == (2, 3)
    assert taken(raft, kinds.APPEND) == []


def test_5_3_a_leader_never_overwrites_or_removes_its_own_entries(make_network: Make) -> None:
    network = make_network(3)
    raft = network.elect(1).raft
    for _ in range(5):
        before = list(raft.log.entries)
        network.propose(1)
        network.tick()
        assert raft.log.entries[: len(before)] == before


def test_5_3_acknowledgements_wait_for_the_disk() -> None:
    node = RawNode(RaftConfig(1, (1, 2, 3)), RecoveredState(), FixedRng(), Snapshot)
    node.step(append(1, 0, 0, [entry(1, 1)]))
    ready = node.ready()
    assert ready.entries == [entry(1, 1)]
    assert ready.must_sync
    assert [m.kind for m in ready.messages] == []
    assert [m.kind for m in ready.messages_after_persist] == [kinds.APPEND_RESPONSE]
    assert not ready.committed_entries


def test_5_3_an_append_that_does_not_fit_is_rejected_with_a_hint() -> None:
    raft = node_with([entry(1, 1), entry(1, 2)], term=1)
    raft.step(append(3, 5, 3, [entry(3, 6)]))
    (answer,) = raft.messages_after_persist
    assert (answer.reject, answer.index, answer.reject_hint, answer.log_term) == (True, 5, 2, 1)


def test_5_3_a_conflict_removes_the_entry_and_all_that_follow() -> None:
    raft = node_with([entry(1, 1), entry(1, 2), entry(1, 3)], term=1)
    raft.step(append(2, 1, 1, [entry(2, 2)]))
    assert raft.log.entries == [entry(1, 1), entry(2, 2)]
    assert raft.log.stable == 1


def test_5_3_a_delayed_shorter_append_removes_nothing() -> None:
    raft = node_with([entry(1, 1), entry(1, 2), entry(1, 3)], term=1)
    raft.step(append(1, 0, 0, [entry(1, 1)]))
    assert raft.log.last_index == 3


def test_5_3_commit_moves_to_the_least_of_the_leaders_commit_and_the_last_new_entry() -> None:
    raft = node_with([entry(1, 1), entry(1, 2)], term=1)
    raft.step(append(1, 1, 1, [], commit=9))
    assert raft.log.committed == 1


def test_5_3_a_whole_conflicting_term_is_skipped_per_exchange(make_network: Make) -> None:
    network = make_network(3)
    network.durable[1].entries = [entry(1, i) for i in range(1, 4)] + [
        entry(5, i) for i in range(4, 40)
    ]
    network.durable[2].entries = [entry(1, i) for i in range(1, 4)] + [
        entry(3, i) for i in range(4, 30)
    ]
    for node_id in (1, 2):
        network.durable[node_id].hard_state = HardState(5, 0, 3)
        network.start(node_id)
    network.monitor = RaftMonitor()
    rejections = []
    step = network.step
    network.step = lambda m: (rejections.append(m) if m.reject else None, step(m))
    network.elect(1)
    network.propose(1)
    network.settle()
    assert network.nodes[2].raft.log.last_index == network.nodes[1].raft.log.last_index
    assert len([m for m in rejections if m.sender == 2]) <= 2


# Section 5.4: safety


@pytest.mark.parametrize(
    ("index", "log_term", "granted"),
    [(2, 2, True), (3, 2, True), (1, 2, False), (1, 3, True), (9, 1, False)],
)
def test_5_4_1_only_a_candidate_with_an_up_to_date_log_gets_the_vote(
    index: int, log_term: int, *, granted: bool
) -> None:
    raft = node_with([entry(1, 1), entry(2, 2)], term=2)
    raft.step(vote(5, index, log_term))
    assert raft.messages_after_persist[0].reject is not granted


def test_5_4_2_an_entry_of_an_older_term_is_not_committed_by_counting() -> None:
    raft = node_with([entry(1, 1), entry(2, 2)], term=2)
    raft.become_candidate()
    raft.become_leader()
    raft.step(Message(kinds.APPEND_RESPONSE, 1, 2, term=3, index=2))
    assert raft.log.committed == 0
    raft.log.stable_to(3, 3)
    raft.acknowledge_own()
    raft.step(Message(kinds.APPEND_RESPONSE, 1, 2, term=3, index=3))
    assert raft.log.committed == 3


def figure_8(network: Any) -> None:
    """Entry 2 of term 2 reaches a majority in term 4, but term 3 wrote another one elsewhere."""
    # (a) 1 leads term 2 and writes entry 2 for itself alone; (b) 3 leads term 3, and does the same.
    for node_id, term in ((1, 2), (3, 3)):
        network.durable[node_id].entries = [entry(1, 1), entry(term, 2, b"%d" % term)]
        network.durable[node_id].hard_state = HardState(3, 3, 1)
    network.durable[2].entries = [entry(1, 1)]
    network.durable[2].hard_state = HardState(3, 0, 1)
    for node_id in network.ids:
        network.start(node_id)
    # (c) 1 leads term 4 and gets entry 2 to a majority, but nothing of term 4.
    network.cut[3] = None
    step = network.step

    def strip(message: Message) -> None:
        message.entries = [e for e in message.entries if e.index <= 2]
        step(message)

    network.step = strip
    network.elect(1)
    network.tick(3)
    network.step = step
    assert network.durable[2].entries[1] == entry(2, 2, b"2")
    # (d) 1 fails; 3 leads term 5 with 2's vote and overwrites entry 2.
    network.cut = {1: None}
    network.nodes[3].campaign()
    network.settle()
    network.nodes[3].campaign()
    network.settle()
    assert network.nodes[3].raft.role is Role.LEADER
    assert network.durable[2].entries[1] == entry(3, 2, b"3")


FIGURE_8 = {"max_entries_per_message": 1, "pre_vote": False, "check_quorum": False}


def test_5_4_2_figure_8_ends_well(make_network: Make) -> None:
    network = make_network(3, **FIGURE_8)
    figure_8(network)
    assert network.durable[2].entries[1] == entry(3, 2, b"3")


def test_5_4_2_the_monitor_sees_figure_8_when_the_rule_is_broken(
    make_network: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Raft, "may_commit", lambda _raft, _index: True)
    with pytest.raises(InvariantViolationError, match="commit-own-term"):
        figure_8(make_network(3, **FIGURE_8))
    # The harm that it does is seen as well, should no check look at the commit index.
    monkeypatch.setattr(RaftMonitor, "leader_committed", lambda *_: None)
    with pytest.raises(InvariantViolationError, match=r"leader-completeness|state-machine-safety"):
        figure_8(make_network(3, **FIGURE_8))


# Section 5.5: crashes


def test_5_5_requests_may_be_repeated() -> None:
    raft = node_with([])
    request = append(1, 0, 0, [entry(1, 1), entry(1, 2)])
    for _ in range(3):
        raft.step(request)
    assert raft.log.entries == [entry(1, 1), entry(1, 2)]
    assert [(m.index, m.reject) for m in taken(raft, kinds.APPEND_RESPONSE)] == [(2, False)] * 3
    raft.step(append(1, 1, 1, [entry(1, 2)], commit=2))
    assert (raft.log.last_index, raft.log.committed) == (2, 2)


def test_5_5_a_leader_tries_forever_to_reach_a_member_that_crashed(make_network: Make) -> None:
    network = make_network(3)
    network.elect(1)
    network.cut[3] = None
    for _ in range(3):
        network.propose(1)
        network.tick(30)
    network.crash(3)
    network.cut.clear()
    network.tick(3)
    assert network.nodes[3].raft.log.committed == network.nodes[1].raft.log.committed == 4


def test_5_5_a_restart_continues_from_the_disk_and_nothing_else(make_network: Make) -> None:
    network = make_network(3)
    network.elect(1)
    network.propose(1)
    network.settle()
    network.propose(1)
    network.begin(1)
    network.crash(1)
    raft = network.nodes[1].raft
    assert (raft.role, raft.leader, raft.term, raft.vote) == (Role.FOLLOWER, 0, 1, 1)
    assert (raft.log.last_index, raft.log.applied) == (2, 0), "the third entry was not synced"
