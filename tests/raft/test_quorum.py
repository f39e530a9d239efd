from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftstore.raft import (
    LEAVE_JOINT,
    ChangeKind,
    ConfChange,
    Configuration,
    ConfigurationError,
    MemberChange,
    Transition,
)
from raftstore.raft.invariants import _may_follow
from raftstore.raft.quorum import (
    INFINITE_INDEX,
    JointConfig,
    MajorityConfig,
    Quorum,
    VoteResult,
)


def brute_force_committed(voters: tuple[int, ...], acknowledged: dict[int, int]) -> int:
    needed = len(voters) // 2 + 1
    return max(
        min(acknowledged.get(voter, 0) for voter in majority)
        for majority in itertools.combinations(voters, needed)
    )


def brute_force_vote(voters: tuple[int, ...], votes: dict[int, bool]) -> VoteResult:
    needed = len(voters) // 2 + 1
    undecided = [voter for voter in voters if voter not in votes]
    outcomes = {
        sum({**votes, **dict(zip(undecided, future, strict=True))}[voter] for voter in voters)
        >= needed
        for future in itertools.product((True, False), repeat=len(undecided))
    }
    if outcomes == {True}:
        return VoteResult.WON
    return VoteResult.LOST if outcomes == {False} else VoteResult.PENDING


@given(st.dictionaries(st.integers(1, 7), st.integers(0, 9), min_size=1, max_size=7), st.data())
@settings(deadline=None)
def test_committed_index_is_the_best_of_all_majorities(
    indexes: dict[int, int], data: st.DataObject
) -> None:
    voters = tuple(indexes)
    silent = data.draw(st.sets(st.sampled_from(voters)))
    acknowledged = {voter: index for voter, index in indexes.items() if voter not in silent}
    expected = brute_force_committed(voters, acknowledged)
    assert expected == MajorityConfig(voters).committed_index(acknowledged)


@given(st.lists(st.sampled_from((True, False, None)), min_size=1, max_size=7))
@settings(deadline=None)
def test_a_vote_is_decided_exactly_when_the_missing_votes_cannot_change_it(
    ballots: list[bool | None],
) -> None:
    voters = tuple(range(1, len(ballots) + 1))
    votes = {v: ballot for v, ballot in zip(voters, ballots, strict=True) if ballot is not None}
    assert brute_force_vote(voters, votes) == MajorityConfig(voters).vote_result(votes)


# Joint quorums. Here a quorum is, by definition, a set of members that holds a majority of the
# incoming voters and a majority of the outgoing ones; all of them are listed.


def quorums(incoming: tuple[int, ...], outgoing: tuple[int, ...] = ()) -> list[frozenset[int]]:
    members = sorted({*incoming, *outgoing})
    subsets = (
        frozenset(subset)
        for size in range(len(members) + 1)
        for subset in itertools.combinations(members, size)
    )
    return [
        subset
        for subset in subsets
        if all(
            2 * len(subset & frozenset(half)) > len(half) for half in (incoming, outgoing) if half
        )
    ]


def joint_of(incoming: tuple[int, ...], outgoing: tuple[int, ...]) -> JointConfig:
    return JointConfig(MajorityConfig(incoming), MajorityConfig(outgoing))


voters = st.lists(st.integers(1, 7), min_size=1, max_size=5, unique=True).map(tuple)


@given(voters, voters, st.dictionaries(st.integers(1, 7), st.integers(0, 9)))
@settings(deadline=None)
def test_a_joint_committed_index_is_the_best_of_all_joint_quorums(
    incoming: tuple[int, ...], outgoing: tuple[int, ...], acknowledged: dict[int, int]
) -> None:
    expected = max(
        min(acknowledged.get(voter, 0) for voter in quorum)
        for quorum in quorums(incoming, outgoing)
    )
    assert expected == joint_of(incoming, outgoing).committed_index(acknowledged)


@given(voters, voters, st.dictionaries(st.integers(1, 7), st.booleans()))
@settings(deadline=None)
def test_a_joint_vote_is_won_or_lost_by_a_joint_quorum(
    incoming: tuple[int, ...], outgoing: tuple[int, ...], votes: dict[int, bool]
) -> None:
    voters = frozenset((*incoming, *outgoing))
    granted = {voter for voter in voters if votes.get(voter) is True}
    possible = {voter for voter in voters if votes.get(voter) is not False}
    lists = quorums(incoming, outgoing)
    if any(quorum <= granted for quorum in lists):
        expected = VoteResult.WON
    elif any(quorum <= possible for quorum in lists):
        expected = VoteResult.PENDING
    else:
        expected = VoteResult.LOST
    assert expected is joint_of(incoming, outgoing).vote_result(votes)


@given(voters, voters)
@settings(deadline=None)
def test_a_joint_quorum_shares_a_member_with_every_quorum_of_either_half(
    incoming: tuple[int, ...], outgoing: tuple[int, ...]
) -> None:
    for joint in quorums(incoming, outgoing):
        assert all(joint & other for other in quorums(incoming))
        assert all(joint & other for other in quorums(outgoing))
        assert all(joint & other for other in quorums(incoming, outgoing))


# Changes of the members: whatever is allowed leaves no two disjoint quorums behind each other


def quorums_of(configuration: Configuration) -> list[frozenset[int]]:
    return quorums(configuration.voters, configuration.outgoing)


def is_quorum(quorum: Quorum, members: frozenset[int]) -> bool:
    return quorum.vote_result(dict.fromkeys(members, True)) is VoteResult.WON


single_changes = st.builds(
    MemberChange,
    st.sampled_from(
        (ChangeKind.ADD_VOTER, ChangeKind.REMOVE, ChangeKind.ADD_LEARNER, ChangeKind.UPDATE)
    ),
    st.integers(0, 6),
)
changes = st.one_of(
    st.just(LEAVE_JOINT),
    st.builds(
        ConfChange,
        st.sampled_from((Transition.AUTO, Transition.IMPLICIT, Transition.EXPLICIT)),
        st.lists(single_changes, min_size=1, max_size=3).map(tuple),
    ),
)


@given(voters.filter(lambda ids: len(ids) <= 4), st.lists(changes, max_size=8))
@settings(max_examples=150, deadline=None)
def test_quorums_before_and_after_any_allowed_change_share_a_member(
    founders: tuple[int, ...], steps: list[ConfChange]
) -> None:
    before = Configuration.of_voters(founders)
    for step in steps:
        try:
            after = step.apply_to(before)
        except ConfigurationError:
            continue
        after.check()
        assert ConfChange.decode(step.encode()) == step
        assert _may_follow(before, after)
        for quorum in quorums_of(after):
            assert is_quorum(after.quorum(), quorum)
            assert all(quorum & other for other in quorums_of(before))
        before = after


@given(voters, voters)
@settings(deadline=None)
def test_the_monitor_lets_pass_only_configurations_whose_quorums_meet(
    one: tuple[int, ...], other: tuple[int, ...]
) -> None:
    before, after = Configuration.of_voters(one), Configuration.of_voters(other)
    meet = all(a & b for a in quorums_of(before) for b in quorums_of(after))
    assert meet or not _may_follow(before, after)


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        # The examples of etcd's raft: one change is simple, more are joint.
        ("1,2,3", "+4", "1,2,3,4"),
        ("1,2,3", "~4", "1,2,3 learners=4"),
        ("1,2,3", "-3", "1,2"),
        ("1,2,3", "~3", "1,2 learners=3"),
        ("1,2,3", "-9", "1,2,3"),
        ("1,2,3", "+4 -3", "1,2,4 outgoing=1,2,3 auto"),
        ("1,2,3", "+4 ~3", "1,2,4 outgoing=1,2,3 next=3 auto"),
        ("1,2,3", "+4 +5 -4", "1,2,3,5 outgoing=1,2,3 auto"),
        ("1,2 learners=3", "+3 -2", "1,3 outgoing=1,2 auto"),
        ("1", "-1", None),
        ("1", "~1", None),
        ("1,2,3", "-1 -2 -3", None),
        ("1,2 outgoing=1,3", "+4", None),
    ],
)
def test_changes_lead_where_they_should(before: str, change: str, after: str | None) -> None:
    kinds = {"+": ChangeKind.ADD_VOTER, "-": ChangeKind.REMOVE, "~": ChangeKind.ADD_LEARNER}
    steps = tuple(MemberChange(kinds[word[0]], int(word[1:])) for word in change.split())
    asked = ConfChange(Transition.AUTO, steps)
    if after is None:
        with pytest.raises(ConfigurationError):
            asked.apply_to(configuration(before))
    else:
        assert asked.apply_to(configuration(before)) == configuration(after)


def configuration(text: str) -> Configuration:
    first, *words = text.split()
    parts = dict(word.split("=") for word in words if "=" in word)

    def ids(numbers: str) -> tuple[int, ...]:
        return tuple(int(number) for number in numbers.split(",") if number)

    return Configuration(
        ids(first),
        ids(parts.get("outgoing", "")),
        ids(parts.get("learners", "")),
        ids(parts.get("next", "")),
        "auto" in words,
    )


def test_an_empty_configuration_restrains_nothing() -> None:
    config = MajorityConfig(())
    assert config.committed_index({}) == INFINITE_INDEX
    assert config.vote_result({}) is VoteResult.WON


def test_strangers_count_for_nothing() -> None:
    config = MajorityConfig((1, 2, 3))
    assert config.committed_index({1: 5, 7: 5, 8: 5}) == 0
    assert config.vote_result({1: True, 7: True}) is VoteResult.PENDING
