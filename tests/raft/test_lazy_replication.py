"""What no commit waits for may wait itself: who gets entries at once, who later, and when."""

from __future__ import annotations

from typing import Any

import pytest

from raftstore.raft import (
    ChangeKind,
    ConfChange,
    MemberChange,
    RaftConfig,
    RecoveredState,
    Snapshot,
    Transition,
)
from raftstore.raft import messages as kinds
from raftstore.raft.raft import Raft
from tests.raft.nodes import FixedRng, answer, persist, taken


def leader_of(size: int = 3, **settings: Any) -> Raft:
    """Member 1 leads; all have its first entry, and it has chosen whom it serves first."""
    voters = tuple(range(1, size + 1))
    config = RaftConfig(1, voters, lazy_replication=True, **settings)
    raft = Raft(config, RecoveredState(), FixedRng(), Snapshot)
    raft.become_candidate()
    raft.become_leader()
    persist(raft)
    for follower in voters[1:]:
        answer(raft, follower, 1)
    raft.tick()
    raft.send_withheld()
    taken(raft, kinds.APPEND)
    return raft


def appends(raft: Raft) -> dict[int, list[int]]:
    """The indexes that each member was sent since the last call."""
    sent: dict[int, list[int]] = {}
    for message in taken(raft, kinds.APPEND):
        sent.setdefault(message.to, []).extend(entry.index for entry in message.entries)
    return sent


@pytest.mark.parametrize(("size", "first"), [(3, [2]), (4, [2, 3]), (5, [2, 3])])
def test_a_quorum_gets_new_entries_at_once(size: int, first: list[int]) -> None:
    raft = leader_of(size)
    raft.propose([b"x"])
    assert appends(raft) == {member: [2] for member in first}
    raft.send_withheld()
    assert appends(raft) == {member: [2] for member in range(2, size + 1) if member not in first}


def test_the_others_get_theirs_when_enough_have_gathered() -> None:
    raft = leader_of(max_withheld_entries=3)
    sent = []
    for index in range(2, 8):
        raft.propose([b"x"])
        sent.append(appends(raft).get(3))
        persist(raft)
        answer(raft, 2, index)
    assert sent == [None, None, None, [2, 3, 4, 5], None, None]


def test_the_answer_of_one_that_lags_brings_no_trickle() -> None:
    raft = leader_of(max_withheld_entries=3)
    for _ in range(4):
        raft.propose([b"x"])
    raft.propose([b"x"])
    appends(raft)
    answer(raft, 3, 5)
    assert appends(raft) == {}
    raft.send_withheld()
    assert appends(raft) == {3: [6]}


def test_if_one_of_the_first_is_stuck_all_get_everything() -> None:
    raft = leader_of(max_inflight_messages=1)
    raft.propose([b"x"])
    assert appends(raft) == {2: [2]}
    raft.propose([b"x"])
    assert appends(raft) == {3: [2, 3]}


def test_the_one_that_is_ahead_is_served_first_from_the_next_heartbeat_on() -> None:
    raft = leader_of()
    raft.propose([b"x"])
    raft.send_withheld()
    persist(raft)
    answer(raft, 3, 2)
    raft.tick()
    taken(raft, kinds.APPEND)
    raft.propose([b"x"])
    assert appends(raft) == {3: [3]}


def test_news_of_a_commit_wait_for_the_next_append_or_for_the_word() -> None:
    raft = leader_of()
    raft.propose([b"x"])
    persist(raft)
    answer(raft, 2, 2)
    assert raft.log.committed == 2
    assert taken(raft, kinds.COMMIT) == []
    raft.propose([b"x"])
    assert [message.commit for message in taken(raft, kinds.APPEND)] == [2]
    persist(raft)
    answer(raft, 2, 3)
    raft.send_withheld()
    told = {message.to: (message.kind, message.commit) for message in raft.messages}
    assert told == {2: (kinds.COMMIT, 3), 3: (kinds.APPEND, 3)}
    raft.messages.clear()
    raft.send_withheld()
    assert raft.messages == []


def test_a_commit_needs_no_word_if_the_first_do_not_answer() -> None:
    """The environment gives the word when nothing else is to be done."""
    raft = leader_of()
    raft.propose([b"x"])
    persist(raft)
    raft.send_withheld()
    answer(raft, 3, 2)
    assert raft.log.committed == 2


def test_a_change_of_members_reaches_all_at_once() -> None:
    raft = leader_of()
    raft.propose([b"x"])
    appends(raft)
    raft.propose_change(ConfChange(changes=(MemberChange(ChangeKind.REMOVE, 3),)))
    assert appends(raft) == {2: [3], 3: [2, 3]}


def test_a_joint_configuration_lets_no_member_wait() -> None:
    raft = leader_of()
    raft.propose_change(
        ConfChange(
            Transition.EXPLICIT,
            (MemberChange(ChangeKind.ADD_VOTER, 4), MemberChange(ChangeKind.REMOVE, 3)),
        )
    )
    persist(raft)
    answer(raft, 2, 2)
    raft.apply_change(ConfChange.decode(raft.log.entries[-1].data))
    raft.tick()
    for follower in (2, 3, 4):
        answer(raft, follower, 2)
    appends(raft)
    raft.propose([b"x"])
    assert appends(raft) == {2: [3], 3: [3], 4: [3]}


def test_a_leader_of_one_waits_for_no_member() -> None:
    raft = leader_of(1)
    raft.propose([b"x"])
    persist(raft)
    assert raft.log.committed == 2
    assert not raft.entries_withheld
