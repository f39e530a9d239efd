"""The variables of a Raft member (figure 2 of the paper) and the changes of role.

The algorithm is split into layers, each a class on top of the one before, one concern per file:
state -> replication -> lease -> reads -> membership -> election -> raft (dispatch). Each rule of
the paper that safety rests on is a method of its own, so that a test can replace it by a defective
one and see whether the checks notice.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final, NamedTuple, Protocol

from raftstore.raft.config import RaftConfig, RecoveredState
from raftstore.raft.configuration import Configuration
from raftstore.raft.log import RaftLog
from raftstore.raft.messages import (
    APPEND_RESPONSE,
    NO_MEMBER,
    PRE_VOTE,
    PRE_VOTE_RESPONSE,
    PROPOSE,
    READ_INDEX,
    VOTE,
    VOTE_RESPONSE,
    HardState,
    Message,
    Snapshot,
)
from raftstore.raft.progress import Inflights, Progress
from raftstore.raft.quorum import Quorum


class Role(Enum):
    """What a member is in its current term."""

    FOLLOWER = "follower"
    PRE_CANDIDATE = "pre-candidate"
    CANDIDATE = "candidate"
    LEADER = "leader"


FOLLOWER = Role.FOLLOWER
PRE_CANDIDATE = Role.PRE_CANDIDATE
CANDIDATE = Role.CANDIDATE
LEADER = Role.LEADER


class Rng(Protocol):
    """The part of `random.Random` that elections need."""

    def randrange(self, start: int, stop: int, /) -> int:
        """An integer from the half-open range."""


class ReadState(NamedTuple):
    """A confirmed linearizable read: it may be served once `index` is applied."""

    index: int  # type: ignore[assignment]  # Raft's own word; the tuple is never searched
    context: bytes


# Requests passed on to the leader: they are no part of the algorithm and belong to no term.
TERMLESS = frozenset((PROPOSE, READ_INDEX))
_WITH_OWN_TERM = frozenset((VOTE, VOTE_RESPONSE, PRE_VOTE, PRE_VOTE_RESPONSE)) | TERMLESS
_new_tuple: Final = tuple.__new__
_AFTER_PERSIST = frozenset((APPEND_RESPONSE, VOTE_RESPONSE, PRE_VOTE_RESPONSE))


class RaftState:
    """Variables, message outbox and role changes."""

    def __init__(
        self,
        config: RaftConfig,
        recovered: RecoveredState,
        rng: Rng,
        snapshot_source: Callable[[], Snapshot],
    ) -> None:
        self.config = config
        self.id = config.id
        self.configuration = Configuration()
        self.quorum: Quorum
        self.use_configuration(
            recovered.snapshot.configuration
            if recovered.snapshot.index
            else Configuration.of_voters(config.voters)
        )
        # By which the commit index moved last, for those who check it.
        self.commit_quorum = self.quorum
        self.log = RaftLog(recovered.snapshot, recovered.entries)
        self.log.load_commit(recovered.hard_state)
        self.term = recovered.hard_state.term
        self.vote = recovered.hard_state.vote
        self.role = FOLLOWER
        self.leader = NO_MEMBER
        self.transferee = NO_MEMBER
        self.votes: dict[int, bool] = {}
        self.progress: dict[int, Progress] = {}
        self.election_elapsed = 0
        self.heartbeat_elapsed = 0
        self.election_timeout = 0
        self.uncommitted_bytes = 0
        # Whether followers are still to be told how far the log is committed.
        self.commit_unsent = False
        # Whether followers beyond the quorum are still to get entries.
        self.entries_withheld = False
        # The followers that a leader sends new entries first: a quorum with itself.
        self.first_served: tuple[int, ...] = ()
        self.messages: list[Message] = []
        self.messages_after_persist: list[Message] = []
        self.read_states: list[ReadState] = []
        self._rng = rng
        self._snapshot_source = snapshot_source
        self.become_follower(self.term, NO_MEMBER)

    # -- outbox -------------------------------------------------------------------------------

    @property
    def withholds(self) -> bool:
        """Whether something waits for company (`RaftConfig.lazy_replication`)."""
        return self.commit_unsent or self.entries_withheld

    def send(self, message: Message) -> None:
        """Queue a message.

        The ones that promise something leave only after the promise is on disk.
        """
        message.sender = self.id
        if message.kind not in _WITH_OWN_TERM:
            message.term = self.term
        if self.promises(message):
            self.messages_after_persist.append(message)
        else:
            self.messages.append(message)

    def promises(self, message: Message) -> bool:
        """Whether a message tells that something is durable.

        Source: Raft figure 2, "before responding to RPCs".
        """
        return message.kind in _AFTER_PERSIST

    # -- roles --------------------------------------------------------------------------------

    def become_follower(self, term: int, leader: int) -> None:
        """Follow `leader`, or no member yet."""
        self._reset(term)
        self.leader = leader
        self.role = FOLLOWER

    def become_pre_candidate(self) -> None:
        """Ask for votes without touching term and vote (Raft dissertation section 9.6)."""
        assert self.role is not LEADER, "a leader does not campaign"
        self.votes = {}
        self.leader = NO_MEMBER
        self.role = PRE_CANDIDATE

    def become_candidate(self) -> None:
        """Start an election in the next term (Raft section 5.2)."""
        assert self.role is not LEADER, "a leader does not campaign"
        self._reset(self.term + 1)
        self.vote = self.id
        self.role = CANDIDATE

    def _reset(self, term: int) -> None:
        if self.forgets_vote(term):
            self.vote = NO_MEMBER
        self.term = term
        self.leader = NO_MEMBER
        self.transferee = NO_MEMBER
        self.election_elapsed = 0
        self.heartbeat_elapsed = 0
        self._draw_election_timeout()
        self.votes = {}
        self.uncommitted_bytes = 0
        self.first_served = ()
        self.commit_unsent = self.entries_withheld = False
        learners = self.configuration.learners
        self.progress = {
            member: self.new_progress(self.log.last_index + 1, is_learner=member in learners)
            for member in self.configuration.members
        }
        if self.id in self.progress:
            self.progress[self.id].match = self.log.stable

    def new_progress(self, next_index: int, *, is_learner: bool) -> Progress:
        """Of a member of which nothing is known yet."""
        config = self.config
        window = Inflights(config.max_inflight_messages, config.max_inflight_bytes)
        return Progress(window, next=next_index, is_learner=is_learner)

    def forgets_vote(self, term: int) -> bool:
        """A vote holds for its whole term, whatever role the member takes in it.

        Source: Raft section 5.2.
        """
        return term != self.term

    def _draw_election_timeout(self) -> None:
        ticks = self.config.election_ticks
        self.election_timeout = self._rng.randrange(ticks, 2 * ticks)

    def use_configuration(self, configuration: Configuration) -> None:
        """Take the members as they are from now on."""
        self.configuration = configuration
        self.quorum = configuration.quorum()

    # -- what is asked about it ---------------------------------------------------------------

    def is_promotable(self) -> bool:
        """Whether this member may campaign.

        A voter of the newest configuration it knows, and not in the middle of installing a
        snapshot. Learners, members to come and removed ones stay quiet (Raft section 6).
        """
        return self.id in self.quorum.voters and self.log.pending_snapshot is None

    def is_alone(self) -> bool:
        """Whether this member is a quorum by itself."""
        return self.quorum.voters == (self.id,)

    def hard_state(self) -> HardState:
        """What the disk must know."""
        return _new_tuple(HardState, (self.term, self.vote, self.log.committed))

    def committed_in_own_term(self) -> bool:
        """Whether the leader knows what is committed (Raft section 8)."""
        return self.log.term(self.log.committed) == self.term
