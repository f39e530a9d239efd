"""The leader's lease: for how long no other member can have been elected (dissertation 6.4.1).

A member that hears its leader votes for no other member for an election timeout. So a leader whose
heartbeat was answered by a quorum is the only one for about so long, counted from when it *sent*
that heartbeat, and may answer reads without asking any member. That it rests on clocks is its
price: no follower's clock may gain more on the leader's than `RaftConfig.max_clock_drift_percent`.
Steps and pauses do no harm to a clock that runs meanwhile.

Three more rules keep the promise, none of which etcd's lease-based reads have (they trust a leader
until it notices the loss of its quorum, up to two election timeouts later):

- a member keeps its promise over a restart: it votes for no member before an election timeout is
  over;
- it keeps it when a higher term makes it forget its leader;
- a leader that has asked another member to take over has no lease for the rest of its term: the
  followers do not keep the promise against that member, and the message may arrive at any time.
"""

from __future__ import annotations

from collections.abc import Callable

from raftstore.raft.config import RaftConfig, RecoveredState
from raftstore.raft.messages import CAMPAIGN_TRANSFER, NO_MEMBER, Message, Snapshot
from raftstore.raft.replication import Replication
from raftstore.raft.state import LEADER, Rng


class Lease(Replication):
    """The leader's end: when the quorum last answered. The follower's end: whom it may vote for."""

    # Since the member started.
    ticks: int

    def __init__(
        self,
        config: RaftConfig,
        recovered: RecoveredState,
        rng: Rng,
        snapshot_source: Callable[[], Snapshot],
        clock: Callable[[], int] | None = None,
    ) -> None:
        self.ticks = 0
        # Before the restart it may have heard a leader that counts on it.
        has_lived = recovered.hard_state.term > 0
        self.heard_leader_tick = 0 if has_lived else -config.election_ticks
        self._clock = clock or self._count_ticks
        super().__init__(config, recovered, rng, snapshot_source)

    def _count_ticks(self) -> int:
        return self.ticks

    def _reset(self, term: int) -> None:
        super()._reset(term)
        # The newest heartbeat that each member has answered, by when it was sent.
        self.lease_answers: dict[int, int] = {}
        self.lease_is_given_up = False

    # -- leader -------------------------------------------------------------------------------

    def heartbeat_stamp(self) -> int:
        """When a heartbeat is sent, so that its answer tells; 0: no answer is wanted."""
        return 1 + self._clock() if self.config.lease_reads else 0

    def note_lease_answer(self, message: Message) -> None:
        """A member has answered a heartbeat."""
        if message.index > self.lease_answers.get(message.sender, 0):
            self.lease_answers[message.sender] = message.index

    def has_lease(self) -> bool:
        """Whether no other leader can have been elected by now."""
        if not self.config.lease_reads or self.role is not LEADER:
            return False
        if self.lease_is_given_up:
            return False
        now = self.heartbeat_stamp()
        self.lease_answers[self.id] = now
        began = self.quorum.committed_index(self.lease_answers)
        return began > 0 and now - began < self.config.lease_units

    def hand_over(self, member: int) -> None:
        """Tell a member to take the leadership."""
        self.lease_is_given_up = True
        super().hand_over(member)

    # -- follower -----------------------------------------------------------------------------

    def note_leader(self) -> None:
        """A leader was heard: it may count on this member's vote from now on."""
        self.election_elapsed = 0
        self.heard_leader_tick = self.ticks

    def in_leader_lease(self, message: Message) -> bool:
        """A member that hears its leader does not help to depose it (dissertation 4.2.3)."""
        if not self.config.check_quorum or message.context == CAMPAIGN_TRANSFER:
            return False
        return (
            self.leader != NO_MEMBER and self.election_elapsed < self.config.election_ticks
        ) or self.is_bound_by_lease()

    def is_bound_by_lease(self) -> bool:
        """Whether some leader may count on this member, even one that it has forgotten."""
        silent_ticks = self.ticks - self.heard_leader_tick
        return self.config.lease_reads and silent_ticks < self.config.election_ticks
