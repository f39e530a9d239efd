"""Quorum arithmetic, apart from everything else so that it can be checked against brute force.

A configuration answers two questions: up to which index has a quorum acknowledged, and has a vote
been won. The caller does not know how many majorities stand behind the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Protocol

import attrs

# What an empty configuration has "acknowledged": it restrains nothing.
INFINITE_INDEX = 2**63


class VoteResult(Enum):
    """The state of a vote."""

    PENDING = "pending"
    LOST = "lost"
    WON = "won"


class Quorum(Protocol):
    """Who has to agree, however many majorities that takes."""

    @property
    def voters(self) -> tuple[int, ...]:
        """All that may vote, sorted."""

    def committed_index(self, acknowledged: Mapping[int, int]) -> int:
        """The highest index that a quorum holds; a voter without a number holds nothing."""

    def vote_result(self, votes: Mapping[int, bool]) -> VoteResult:
        """The state of a vote; a voter without a vote has not answered yet."""


def _ordered(voters: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(set(voters)))


@attrs.frozen
class MajorityConfig:
    """Voters of which more than half must agree (Raft section 5.2)."""

    voters: tuple[int, ...] = attrs.field(converter=_ordered)

    @property
    def size(self) -> int:
        """How many voters make a quorum."""
        return len(self.voters) // 2 + 1

    def committed_index(self, acknowledged: Mapping[int, int]) -> int:
        """The highest index that a majority holds; a voter without a number holds nothing."""
        if not self.voters:
            return INFINITE_INDEX
        ordered = sorted([acknowledged.get(voter, 0) for voter in self.voters])
        return ordered[(len(ordered) - 1) // 2]

    def vote_result(self, votes: Mapping[int, bool]) -> VoteResult:
        """Won by a majority of grants, lost as soon as such a majority is out of reach."""
        if not self.voters:
            return VoteResult.WON
        granted = sum(1 for voter in self.voters if votes.get(voter) is True)
        if granted >= self.size:
            return VoteResult.WON
        refused = sum(1 for voter in self.voters if votes.get(voter) is False)
        if len(self.voters) - refused < self.size:
            return VoteResult.LOST
        return VoteResult.PENDING


@attrs.frozen
class JointConfig:
    """Two sets of voters, each of which must agree by its own majority (Raft section 6)."""

    incoming: MajorityConfig
    outgoing: MajorityConfig

    @property
    def voters(self) -> tuple[int, ...]:
        """The voters of both sets, sorted."""
        return _ordered(self.incoming.voters + self.outgoing.voters)

    def committed_index(self, acknowledged: Mapping[int, int]) -> int:
        """The highest index that both majorities hold."""
        return min(
            self.incoming.committed_index(acknowledged),
            self.outgoing.committed_index(acknowledged),
        )

    def vote_result(self, votes: Mapping[int, bool]) -> VoteResult:
        """Won when both sets say so, lost as soon as one does."""
        results = (self.incoming.vote_result(votes), self.outgoing.vote_result(votes))
        if VoteResult.LOST in results:
            return VoteResult.LOST
        return VoteResult.PENDING if VoteResult.PENDING in results else VoteResult.WON
