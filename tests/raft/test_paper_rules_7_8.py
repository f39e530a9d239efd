"""The rules of the Raft paper, clause by clause: compaction (section 7), clients and reads (8).

And what the dissertation adds: transfer of the leadership, leases against candidates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgpack
import pytest

from raftstore.raft import (
    CompactedError,
    Configuration,
    Entry,
    EntryKind,
    HardState,
    Message,
    ProposalDroppedError,
    RaftConfig,
    RawNode,
    RecoveredState,
    Role,
    Snapshot,
    UnavailableError,
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
THREE = Configuration.of_voters((1, 2, 3))


def snapshot_message(index: int, term: int, *, leader_term: int = 0, **fields: Any) -> Message:
    state = Snapshot(index, term, fields.pop("configuration", THREE), b"state")
    return Message(kinds.SNAPSHOT, 1, 2, leader_term or term, snapshot=state)


def raft_behind(snapshot: Snapshot, entries: list[Entry]) -> Raft:
    recovered = RecoveredState(HardState(snapshot.term, 0, snapshot.index), snapshot, entries)
    return Raft(RaftConfig(1, (1, 2, 3)), recovered, FixedRng(), Snapshot)


# Section 7: compaction


def test_7_a_compacted_log_keeps_the_term_of_its_last_compacted_entry() -> None:
    raft = raft_behind(Snapshot(5, 3, THREE), [entry(3, 6)])
    assert (raft.log.term(5), raft.log.first_index, raft.log.applied) == (3, 6, 5)
    raft.step(append(3, 5, 3, [entry(3, 6), entry(3, 7)]))
    assert [m.index for m in taken(raft, kinds.APPEND_RESPONSE)] == [7]
    with pytest.raises(CompactedError):
        raft.log.term(4)
    with pytest.raises(UnavailableError):
        raft.log.term(8)


def test_7_votes_are_judged_by_the_snapshot_when_nothing_is_behind_it() -> None:
    raft = raft_behind(Snapshot(5, 3, THREE), [])
    raft.step(vote(9, 4, 3))
    raft.step(vote(9, 5, 3, sender=3))
    assert [m.reject for m in taken(raft, kinds.VOTE_RESPONSE)] == [True, False]


def test_7_only_applied_and_durable_entries_are_compacted() -> None:
    raft = node_with([entry(1, 1), entry(1, 2), entry(1, 3)], term=1, commit=2)
    raft.log.applied_to(2)
    with pytest.raises(AssertionError):
        raft.compact(3)
    raft.compact(2)
    assert raft.log.entries == [entry(1, 3)]
    with pytest.raises(CompactedError):
        raft.compact(2)


def test_7_a_snapshot_replaces_the_whole_log_and_the_members() -> None:
    raft = node_with([entry(1, 1), entry(1, 2)], term=1)
    members = Configuration.of_voters((1, 2, 4))
    raft.step(snapshot_message(9, 3, configuration=members))
    assert (raft.log.entries, raft.log.last_index, raft.log.last_term) == ([], 9, 3)
    assert (raft.log.committed, raft.configuration) == (9, members)
    assert raft.log.pending_snapshot is not None
    assert [m.index for m in taken(raft, kinds.APPEND_RESPONSE)] == [9]


def test_7_entries_behind_a_matching_snapshot_stay() -> None:
    """Its last entry is here already: only the news that it is committed is new."""
    raft = node_with([entry(1, 1), entry(1, 2), entry(1, 3)], term=1)
    raft.step(snapshot_message(2, 1))
    assert (raft.log.last_index, raft.log.committed) == (3, 2)
    assert raft.log.pending_snapshot is None
    assert [m.index for m in taken(raft, kinds.APPEND_RESPONSE)] == [2]


def test_7_entries_that_conflict_with_a_snapshot_go() -> None:
    raft = node_with([entry(1, 1), entry(1, 2), entry(1, 3)], term=1)
    raft.step(snapshot_message(2, 2))
    assert (raft.log.entries, raft.log.last_index) == ([], 2)


@pytest.mark.parametrize("index", [1, 2])
def test_7_a_snapshot_of_the_past_changes_nothing(index: int) -> None:
    raft = node_with([entry(1, 1), entry(1, 2), entry(1, 3)], term=1, commit=2)
    raft.step(snapshot_message(index, 1))
    assert (raft.log.last_index, raft.log.committed, raft.log.pending_snapshot) == (3, 2, None)
    assert [m.index for m in taken(raft, kinds.APPEND_RESPONSE)] == [2]


def test_7_a_snapshot_of_a_former_leader_is_refused() -> None:
    raft = node_with([], term=5)
    raft.step(snapshot_message(9, 3, leader_term=4))
    assert raft.log.last_index == 0
    assert [(m.term, m.index) for m in taken(raft, kinds.APPEND_RESPONSE)] == [(5, 0)]


def test_7_a_snapshot_is_on_disk_before_it_is_acknowledged_and_applied_before_what_follows() -> (
    None
):
    node = RawNode(RaftConfig(1, (1, 2, 3)), RecoveredState(), FixedRng(), Snapshot)
    node.step(snapshot_message(9, 3))
    node.step(append(3, 9, 3, [entry(3, 10)], commit=10))
    ready = node.ready()
    assert ready.snapshot is not None
    assert (ready.snapshot.index, ready.must_sync) == (9, True)
    assert [m.index for m in ready.messages_after_persist] == [9, 10]
    assert not ready.committed_entries
    node.advance(ready)
    assert [e.index for e in node.ready().committed_entries] == [10]


def test_7_a_member_that_installs_a_snapshot_does_not_stand_for_election() -> None:
    raft = node_with([], pre_vote=False)
    raft.step(snapshot_message(9, 3))
    raft.campaign()
    for _ in range(5 * raft.election_timeout):
        raft.tick()
    assert raft.role is Role.FOLLOWER


def test_7_a_leader_sends_a_snapshot_where_the_entries_are_gone() -> None:
    raft = leader_with([entry(1, 1), entry(1, 2)], term=1)
    persist(raft)
    answer(raft, 2, 3)
    raft.log.applied_to(3)
    raft._snapshot_source = lambda: Snapshot(3, 2, THREE, b"state")
    raft.compact(3)
    taken(raft, kinds.APPEND)
    raft.progress[3].paused = False
    answer(raft, 3, 2, reject=True, reject_hint=0)
    (sent,) = taken(raft, kinds.SNAPSHOT)
    assert sent.snapshot == Snapshot(3, 2, THREE, b"state")


def test_7_no_snapshot_goes_to_a_member_that_has_not_been_heard() -> None:
    raft = leader_with([entry(1, 1)], term=1)
    persist(raft)
    answer(raft, 2, 2)
    raft.log.applied_to(2)
    raft.compact(2)
    taken(raft, kinds.APPEND)
    raft.progress[3].next = 1
    raft.progress[3].paused = False
    raft.send_append(3)
    assert raft.messages == []


def test_7_the_log_continues_while_a_snapshot_is_under_way(make_network: Make) -> None:
    network = make_network(3)
    network.elect(1)
    network.cut[3] = None
    network.propose(1)
    network.settle()
    network.snapshot(1)
    network.cut.clear()
    step, held = network.step, []
    network.step = lambda m: held.append(m) if m.kind == kinds.SNAPSHOT else step(m)
    network.tick(2)
    for _ in range(5):
        assert network.propose(1)
        network.settle()
    assert network.nodes[1].raft.log.committed == 7
    network.step = step
    for message in held:
        step(message)
    network.tick(2)
    assert network.nodes[3].raft.log.applied == 7


def test_7_a_follower_behind_the_compaction_gets_the_snapshot(make_network: Make) -> None:
    network = make_network(3)
    network.elect(1)
    network.cut[3] = None
    for _ in range(5):
        network.propose(1)
        network.settle()
    network.snapshot(1)
    network.cut.clear()
    network.tick(3)
    assert network.durable[3].snapshot.index == 6
    network.propose(1)
    network.settle()
    assert network.nodes[3].raft.log.applied == 7


def test_7_a_lost_snapshot_is_sent_again(make_network: Make) -> None:
    network = make_network(3, snapshot_resend_heartbeats=3)
    network.elect(1)
    network.cut[3] = None
    for _ in range(5):
        network.propose(1)
        network.settle()
    network.snapshot(1)
    network.cut.clear()
    step = network.step
    network.step = lambda m: None if m.kind == kinds.SNAPSHOT else step(m)
    network.tick(4)
    assert network.durable[3].snapshot.index == 0
    network.step = step
    network.tick(8)
    assert network.durable[3].snapshot.index == 6


# Section 8 and dissertation 6.4: clients and reads


def test_8_a_new_leader_appends_one_empty_entry_and_commits_the_past_with_it() -> None:
    raft = node_with([entry(1, 1), entry(1, 2)], term=1)
    raft.become_candidate()
    raft.become_leader()
    assert raft.log.entries[2:] == [Entry(2, 3, EntryKind.EMPTY, b"")]
    raft.log.stable_to(3, 2)
    raft.acknowledge_own()
    raft.step(Message(kinds.APPEND_RESPONSE, 1, 3, term=2, index=3))
    assert raft.log.committed == 3


def test_8_followers_hand_proposals_to_the_leader_they_know() -> None:
    raft = node_with([])
    with pytest.raises(ProposalDroppedError):
        raft.propose([b"x"])
    raft.step(append(3, 0, 0, []))
    raft.propose([b"x"])
    (passed_on,) = raft.messages
    assert (passed_on.kind, passed_on.to, passed_on.log_term) == (kinds.PROPOSE, 2, 3)
    assert raft.log.last_index == 0


@pytest.mark.parametrize("term", [2, 4])
def test_8_a_proposal_made_to_the_leader_of_another_term_is_not_appended(term: int) -> None:
    """It may stand in the log already: a command must not be carried out twice."""
    raft = node_with([], term=2)
    raft.become_candidate()
    raft.become_leader()
    proposal = Message(kinds.PROPOSE, 1, 2, log_term=term, entries=[entry(0, 0, b"x")])
    raft.step(proposal)
    assert raft.log.last_index == 1
    proposal.log_term = 3
    raft.step(proposal)
    assert raft.log.last_index == 2


def test_8_a_former_leader_passes_no_proposal_on() -> None:
    raft = node_with([])
    raft.step(append(3, 0, 0, []))
    raft.step(Message(kinds.PROPOSE, 1, 3, log_term=3, entries=[entry(0, 0, b"x")]))
    assert not raft.messages


def test_8_reads_wait_until_the_leader_has_committed_in_its_own_term(make_network: Make) -> None:
    network = make_network(3)
    node = network.nodes[1]
    node.raft.become_candidate()
    node.raft.become_leader()
    context = network.read(1)
    assert not node.raft.read_states
    assert not node.raft.pending_reads
    network.settle()
    assert network.confirmed[context] == 1


def test_8_a_leader_that_is_its_own_quorum_waits_for_its_first_commit_as_well() -> None:
    """Its disk may hold entries that were acknowledged, but not that they are committed."""
    recovered = RecoveredState(HardState(1, 1, 0), Snapshot(), [entry(1, 1, b"acknowledged")])
    node = RawNode(RaftConfig(1, (1,)), recovered, FixedRng(), Snapshot)
    node.campaign()
    while node.raft.role is not Role.LEADER:
        node.advance(node.ready())
    node.read_index(b"read")
    confirmed = []
    while node.has_ready():
        ready = node.ready()
        confirmed += ready.read_states
        node.advance(ready)
    assert [(state.index, state.context) for state in confirmed] == [(2, b"read")]


def test_6_4_a_deposed_leader_confirms_no_read(make_network: Make) -> None:
    network = make_network(3)
    network.elect(1)
    network.cut[1] = None
    network.tick(30)
    context = network.read(1)
    network.tick(3)
    assert context not in network.confirmed


def test_6_4_a_read_sees_what_was_committed_before_it_was_asked(make_network: Make) -> None:
    network = make_network(3)
    network.elect(1)
    network.propose(1)
    network.settle()
    context = network.read(1)
    network.propose(1)
    network.settle()
    assert network.confirmed[context] == 2, "and need not wait for what came later"


def test_6_4_one_round_confirms_all_reads_before_it() -> None:
    raft = leader_with([])
    persist(raft)
    answer(raft, 2, 1)
    for context in (b"a", b"b", b"c"):
        raft.read_index(context)
    raft.step(Message(kinds.HEARTBEAT_RESPONSE, 1, 2, term=1, context=b"b"))
    assert [state.context for state in raft.read_states] == [b"a", b"b"]
    assert list(raft.pending_reads) == [b"c"]


def test_6_4_an_answer_to_an_earlier_round_confirms_no_later_read() -> None:
    raft = leader_with([])
    persist(raft)
    answer(raft, 2, 1)
    raft.read_index(b"a")
    raft.step(Message(kinds.HEARTBEAT_RESPONSE, 1, 2, term=1))
    raft.step(Message(kinds.HEARTBEAT_RESPONSE, 1, 2, term=1, context=b"of another time"))
    assert raft.read_states == []


def test_6_4_learners_and_strangers_confirm_nothing() -> None:
    raft = leader_with([])
    raft.use_configuration(Configuration((1, 2, 3), learners=(4,)))
    raft._update_progress()
    persist(raft)
    answer(raft, 2, 1)
    raft.read_index(b"a")
    for member in (4, 9):
        raft.step(Message(kinds.HEARTBEAT_RESPONSE, 1, member, term=1, context=b"a"))
    assert raft.read_states == []


def test_6_4_a_lost_round_is_repeated_with_the_next_heartbeat(make_network: Make) -> None:
    network = make_network(3)
    network.elect(1)
    network.cut[1] = None
    context = network.read(1)
    network.settle()
    network.cut.clear()
    assert context not in network.confirmed
    network.tick()
    assert context in network.confirmed


def test_6_4_reads_that_wait_are_forgotten_with_the_leadership() -> None:
    raft = leader_with([])
    persist(raft)
    answer(raft, 2, 1)
    raft.read_index(b"a")
    raft.step(append(9, 0, 0, []))
    assert (raft.pending_reads, raft.early_reads) == ({}, [])


def test_6_4_without_a_leader_no_member_is_asked() -> None:
    assert not node_with([]).read_index(b"a")


def test_6_4_a_follower_reads_through_the_leader(make_network: Make) -> None:
    network = make_network(3)
    network.elect(1)
    context = network.read(2)
    network.settle()
    assert network.confirmed[context] == 1


# Dissertation 4.2.3 and 3.10


def test_4_2_3_a_member_that_hears_its_leader_ignores_candidates(make_network: Make) -> None:
    network = make_network(3)
    network.elect(1)
    network.nodes[2].step(vote(9, 9, 9, sender=3))
    assert network.nodes[2].raft.term == 1


def test_3_10_leadership_moves_and_proposals_wait_meanwhile(make_network: Make) -> None:
    network = make_network(3)
    leader = network.elect(1)
    leader.transfer_leader(2)
    with pytest.raises(ProposalDroppedError):
        leader.propose([b"x"])
    network.settle()
    assert network.leaders() == [2]


# Limits


def test_an_append_is_cut_at_the_message_limits_but_never_empty() -> None:
    raft = node_with([entry(1, i, b"x" * 100) for i in range(1, 6)], max_bytes_per_message=250)
    assert len(raft.log.slice(1, 100, 250)) == 2
    assert len(raft.log.slice(1, 100, 10)) == 1
    assert len(raft.log.slice(1, 3, 10_000)) == 3


# Messages


def test_a_message_survives_the_wire() -> None:
    message = Message(
        kinds.SNAPSHOT,
        1,
        2,
        3,
        4,
        5,
        6,
        [entry(1, 1, b"a")],
        True,
        7,
        b"c",
        Snapshot(1, 2, Configuration.of_voters((1, 2)), b"d"),
    )
    wire = msgpack.unpackb(msgpack.packb(message.to_wire()))
    assert Message.from_wire(wire) == message
