import itertools

from hypothesis import given
from hypothesis import strategies as st

from raftstore.raft.quorum import INFINITE_INDEX, MajorityConfig, VoteResult


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
def test_committed_index_is_the_best_of_all_majorities(
    indexes: dict[int, int], data: st.DataObject
) -> None:
    voters = tuple(indexes)
    silent = data.draw(st.sets(st.sampled_from(voters)))
    acknowledged = {voter: index for voter, index in indexes.items() if voter not in silent}
    expected = brute_force_committed(voters, acknowledged)
    assert expected == MajorityConfig(voters).committed_index(acknowledged)


@given(st.lists(st.sampled_from((True, False, None)), min_size=1, max_size=7))
def test_a_vote_is_decided_exactly_when_the_missing_votes_cannot_change_it(
    ballots: list[bool | None],
) -> None:
    voters = tuple(range(1, len(ballots) + 1))
    votes = {v: ballot for v, ballot in zip(voters, ballots, strict=True) if ballot is not None}
    assert brute_force_vote(voters, votes) == MajorityConfig(voters).vote_result(votes)


def test_an_empty_configuration_restrains_nothing() -> None:
    config = MajorityConfig(())
    assert config.committed_index({}) == INFINITE_INDEX
    assert config.vote_result({}) is VoteResult.WON


def test_strangers_count_for_nothing() -> None:
    config = MajorityConfig((1, 2, 3))
    assert config.committed_index({1: 5, 7: 5, 8: 5}) == 0
    assert config.vote_result({1: True, 7: True}) is VoteResult.PENDING
