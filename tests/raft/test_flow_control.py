"""How fast a leader sends: probe, replicate, snapshot; windows by count and by bytes; bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from raftstore.raft import (
    Entry,
    HardState,
    Message,
    ProposalDroppedError,
    RaftConfig,
    RawNode,
    RecoveredState,
    Role,
    Snapshot,
    UncommittedLimitError,
)
from raftstore.raft import messages as kinds
from raftstore.raft.progress import Inflights
from raftstore.raft.raft import Raft
from tests.raft.nodes import FixedRng

Make = Callable[..., Any]


def leader_of_three(**settings: Any) -> Raft:
    """A leader whose followers have acknowledged its first entry."""
    raft = Raft(RaftConfig(1, (1, 2, 3), **settings), RecoveredState(), FixedRng(), Snapshot)
    raft.become_candidate()
    raft.become_leader()
    raft.log.stable_to(1, 1)
    raft.acknowledge_own()
    for follower in (2, 3):
        acknowledge(raft, follower, 1)
    raft.messages.clear()
    return raft


def acknowledge(raft: Raft, follower: int, index: int) -> None:
    raft.step(Message(kinds.APPEND_RESPONSE, 1, follower, raft.term, index=index))


def heartbeat_answered(raft: Raft, follower: int) -> None:
    raft.step(Message(kinds.HEARTBEAT_RESPONSE, 1, follower, raft.term))


def taken(raft: Raft, follower: int) -> list[list[int]]:
    """The indexes in each append to a follower since the last call."""
    sent = [m for m in raft.messages if m.kind == kinds.APPEND and m.to == follower]
    raft.messages = [m for m in raft.messages if m not in sent]
    return [[entry.index for entry in message.entries] for message in sent]


# Replicate: a stream of appends, within the window


def test_appends_are_pipelined_without_waiting_for_answers() -> None:
    raft = leader_of_three()
    for _ in range(3):
        raft.propose([b"x"])
    assert taken(raft, 2) == [[2], [3], [4]]


def test_proposals_of_one_batch_travel_in_one_append() -> None:
    raft = leader_of_three()
    raft.propose([b"x", b"y", b"z"])
    assert taken(raft, 2) == [[2, 3, 4]]


def test_the_window_closes_after_so_many_appends_and_opens_with_each_answer() -> None:
    raft = leader_of_three(max_inflight_messages=2)
    for _ in range(5):
        raft.propose([b"x"])
    assert taken(raft, 2) == [[2], [3]]
    acknowledge(raft, 2, 2)
    assert taken(raft, 2) == [[4, 5, 6]]
    raft.propose([b"x"])
    assert taken(raft, 2) == []


def test_the_window_closes_after_so_many_bytes_and_opens_with_answers() -> None:
    raft = leader_of_three(max_inflight_bytes=250, max_entries_per_message=1)
    for _ in range(6):
        raft.propose([b"x" * 100])
    assert taken(raft, 2) == [[2], [3], [4]]
    assert raft.progress[2].inflight.bytes == 300
    acknowledge(raft, 2, 2)
    assert taken(raft, 2) == [[5]]
    acknowledge(raft, 2, 5)
    assert taken(raft, 2) == [[6], [7]]


def test_a_window_in_bytes_that_is_still_full_sends_not_even_an_empty_append() -> None:
    raft = leader_of_three(max_inflight_bytes=100, max_entries_per_message=1)
    raft.propose([b"x"])
    raft.propose([b"x" * 300])
    assert taken(raft, 2) == [[2], [3]]
    acknowledge(raft, 2, 2)
    raft.propose([b"x"])
    assert taken(raft, 2) == []


def test_an_entry_larger_than_the_window_is_sent_alone() -> None:
    raft = leader_of_three(max_inflight_bytes=10)
    raft.propose([b"x" * 1000])
    raft.propose([b"y"])
    assert taken(raft, 2) == [[2]]
    acknowledge(raft, 2, 2)
    assert taken(raft, 2) == [[3]]


def test_a_full_window_is_probed_once_per_heartbeat() -> None:
    raft = leader_of_three(max_inflight_messages=1)
    raft.propose([b"x"])
    assert taken(raft, 2) == [[2]]
    heartbeat_answered(raft, 2)
    for _ in range(10):
        raft.propose([b"x"])
    assert taken(raft, 2) == [[]]
    heartbeat_answered(raft, 2)
    assert taken(raft, 2) == [[]]


def test_one_slow_follower_does_not_hold_up_the_other() -> None:
    raft = leader_of_three(max_inflight_messages=1)
    for number in range(5):
        raft.propose([b"x"])
        acknowledge(raft, 2, 2 + number)
    assert [indexes for indexes in taken(raft, 2) if indexes] == [[2], [3], [4], [5], [6]]
    assert taken(raft, 3) == [[2]]


def test_lost_appends_are_found_out_and_sent_again(make_network: Make) -> None:
    network = make_network(3, max_inflight_messages=2)
    network.elect(1)
    network.cut[3] = None
    for _ in range(4):
        network.propose(1)
        network.settle()
    network.cut.clear()
    network.tick(2)
    assert network.nodes[3].raft.log.last_index == network.nodes[1].raft.log.last_index


# Probe: one append per answer


def test_a_follower_whose_log_is_unknown_gets_one_append_per_answer() -> None:
    raft = leader_of_three()
    raft.report_unreachable(2)
    assert raft.progress[2].state.value == "probe"
    for _ in range(3):
        raft.propose([b"x"])
    assert taken(raft, 2) == [[2]]
    acknowledge(raft, 2, 2)
    assert raft.progress[2].state.value == "replicate"
    assert taken(raft, 2) == [[3, 4]]


def test_a_rejection_in_the_stream_goes_back_to_probing() -> None:
    raft = leader_of_three()
    for _ in range(3):
        raft.propose([b"x"])
    taken(raft, 2)
    raft.step(
        Message(kinds.APPEND_RESPONSE, 1, 2, raft.term, 1, index=2, reject=True, reject_hint=1)
    )
    assert raft.progress[2].state.value == "probe"
    assert taken(raft, 2) == [[2, 3, 4]]


# Snapshot: nothing else is sent


def test_nothing_is_sent_while_a_snapshot_is_on_its_way() -> None:
    raft = leader_of_three()
    raft.propose([b"x"])
    raft.log.stable_to(2, 1)
    raft.acknowledge_own()
    acknowledge(raft, 2, 2)
    raft.log.applied_to(2)
    raft._snapshot_source = lambda: Snapshot(2, 1, raft.configuration)
    raft.compact(2)
    raft.report_unreachable(3)
    raft.messages.clear()
    heartbeat_answered(raft, 3)
    assert [m.kind for m in raft.messages if m.to == 3] == [kinds.SNAPSHOT]
    raft.propose([b"y"])
    heartbeat_answered(raft, 3)
    assert taken(raft, 3) == []
    acknowledge(raft, 3, 2)
    assert raft.progress[3].state.value == "replicate"
    assert taken(raft, 3) == [[3]]


# The window itself


def test_an_answer_frees_all_that_was_sent_before_it() -> None:
    window = Inflights(max_messages=3, max_bytes=100)
    for index in (5, 7, 9):
        window.add(index, 20)
    assert window.is_full()
    window.free_up_to(8)
    assert (len(window), window.bytes) == (1, 20)
    window.add(10, 90)
    assert window.is_full()
    window.clear()
    assert (len(window), window.bytes) == (0, 0)


# What waits for a quorum


def test_a_leader_cut_off_from_its_quorum_refuses_what_it_cannot_hold() -> None:
    raft = leader_of_three(max_uncommitted_bytes=100)
    raft.propose([b"x" * 90])
    with pytest.raises(UncommittedLimitError):
        raft.propose([b"x" * 20])
    assert raft.log.last_index == 2
    raft.propose([b""])
    assert raft.uncommitted_bytes == 90


def test_a_batch_larger_than_the_bound_is_taken_when_nothing_waits() -> None:
    raft = leader_of_three(max_uncommitted_bytes=100)
    raft.propose([b"x" * 500])
    with pytest.raises(ProposalDroppedError):
        raft.propose([b"x"])


def test_the_bound_is_free_again_once_entries_are_committed(make_network: Make) -> None:
    network = make_network(3, max_uncommitted_bytes=10)
    node = network.elect(1)
    network.cut[1] = None
    node.propose([b"x" * 10])
    network.settle()
    with pytest.raises(UncommittedLimitError):
        node.propose([b"y"])
    network.cut.clear()
    network.tick(2)
    assert node.raft.uncommitted_bytes == 0
    node.propose([b"y"])


def test_entries_of_former_leaders_do_not_count_for_the_bound() -> None:
    inherited = [Entry(1, index, 0, b"x" * 40) for index in (1, 2)]
    recovered = RecoveredState(HardState(1, 0, 0), Snapshot(), inherited)
    node = RawNode(RaftConfig(1, (1,), max_uncommitted_bytes=100), recovered, FixedRng(), Snapshot)
    node.campaign()
    while node.raft.role is not Role.LEADER:
        node.advance(node.ready())
    first = node.ready()
    node.propose([b"y" * 90])
    node.advance(first)
    second = node.ready()
    assert [entry.index for entry in second.committed_entries] == [1, 2, 3]
    node.advance(second)
    assert node.raft.uncommitted_bytes == 90
    with pytest.raises(UncommittedLimitError):
        node.propose([b"z" * 20])
