"""Leader election: PreVote, CheckQuorum and leadership transfer.

Sources: Raft section 5.2; dissertation 9.6 (PreVote) and 3.10 (transfer).
"""

from __future__ import annotations

from raftstore.raft.membership import Membership
from raftstore.raft.messages import (
    CAMPAIGN_TRANSFER,
    CONF_CHANGE,
    NO_MEMBER,
    PRE_VOTE,
    PRE_VOTE_RESPONSE,
    TRANSFER_LEADER,
    VOTE,
    VOTE_RESPONSE,
    EntryKind,
    Message,
)
from raftstore.raft.quorum import VoteResult
from raftstore.raft.state import FOLLOWER, LEADER, PRE_CANDIDATE


class Election(Membership):
    """Timeouts, campaigns and votes."""

    # -- time ---------------------------------------------------------------------------------

    def tick(self) -> None:
        """One unit of time has passed."""
        self.ticks += 1
        if self.role is LEADER:
            self._tick_leader()
            return
        self.election_elapsed += 1
        if self.is_promotable() and self.election_elapsed >= self.election_timeout:
            self.election_elapsed = 0
            self.campaign()

    def _tick_leader(self) -> None:
        self.heartbeat_elapsed += 1
        self.election_elapsed += 1
        if self.election_elapsed >= self.config.election_ticks:
            self.election_elapsed = 0
            self.transferee = NO_MEMBER
            if not self.hears_quorum() and self.config.check_quorum:
                self.become_follower(self.term, NO_MEMBER)
                return
            # It may have become due while the leadership was about to move.
            self.leave_joint_if_due()
        if self.heartbeat_elapsed >= self.config.heartbeat_ticks:
            self.heartbeat_elapsed = 0
            self.age_snapshots()
            self.broadcast_heartbeat(self.last_read_context())
            self.choose_first_served()

    def hears_quorum(self) -> bool:
        """Whether a quorum spoke within the last election timeout; starts the next period."""
        heard = {member: progress.recent_active for member, progress in self.progress.items()}
        heard[self.id] = True
        for progress in self.progress.values():
            progress.was_active = progress.recent_active
            progress.recent_active = False
        return self.quorum.vote_result(heard) is VoteResult.WON

    # -- campaigns ----------------------------------------------------------------------------

    def campaign(self) -> None:
        """Stand for election, asking first whether it could be won."""
        if self.role is LEADER or not self.may_campaign():
            return
        if self.config.pre_vote:
            self.become_pre_candidate()
            self._request_votes(PRE_VOTE, self.term + 1, b"")
        else:
            self._start_election(b"")

    def _start_election(self, context: bytes) -> None:
        self.become_candidate()
        self._request_votes(VOTE, self.term, context)

    def _request_votes(self, kind: int, term: int, context: bytes) -> None:
        """Ask every voter; the own vote counts once it is on disk, as every other vote."""
        response = VOTE_RESPONSE if kind == VOTE else PRE_VOTE_RESPONSE
        index, log_term = self.log.last_index, self.log.last_term
        for voter in self.quorum.voters:
            if voter == self.id:
                self.send(Message(response, voter, term=term))
            else:
                request = Message(kind, voter, term=term, index=index, log_term=log_term)
                request.context = context
                self._send_with_commit(request)

    def handle_timeout_now(self) -> None:
        """The leader hands over.

        Campaign at once and without PreVote, as leases must not hinder it.
        """
        if self.may_campaign():
            self._start_election(CAMPAIGN_TRANSFER)

    def handle_vote_response(self, message: Message) -> None:
        """Count a vote."""
        expected = PRE_VOTE_RESPONSE if self.role is PRE_CANDIDATE else VOTE_RESPONSE
        if message.kind != expected:
            return
        if self.role is PRE_CANDIDATE and not message.reject and message.term != self.term + 1:
            # Granted to an earlier campaign, for a term that has come meanwhile.
            return
        self.votes.setdefault(message.sender, not message.reject)
        result = self.quorum.vote_result(self.votes)
        if result is VoteResult.WON:
            if self.role is PRE_CANDIDATE:
                self._start_election(b"")
            else:
                self.become_leader()
        elif result is VoteResult.LOST:
            self.become_follower(self.term, NO_MEMBER)

    def become_leader(self) -> None:
        """Lead: what followers have is unknown, and one empty entry commits the past.

        Source: Raft section 8.
        """
        self._reset(self.term)
        self.leader = self.id
        self.role = LEADER
        own = self.progress[self.id]
        own.become_replicate()
        own.recent_active = True
        self.append_own(EntryKind.EMPTY, [b""])
        self.broadcast_append()

    # -- votes --------------------------------------------------------------------------------

    def handle_vote_request(self, message: Message) -> None:
        """Answer a candidate or pre-candidate (Raft section 5.2, 5.4.1)."""
        if self.is_bound_by_lease() and message.context != CAMPAIGN_TRANSFER:
            # A candidate of a later term is not heard at all; this term's are no better.
            return
        self.learn_commit(message)
        response = VOTE_RESPONSE if message.kind == VOTE else PRE_VOTE_RESPONSE
        granted = self.can_vote(message) and self.log.is_up_to_date(message.index, message.log_term)
        if granted:
            self.send(Message(response, message.sender, term=message.term))
            if message.kind == VOTE:
                self.election_elapsed = 0
                self.vote = message.sender
        else:
            refusal = Message(response, message.sender, term=self.term, reject=True)
            self._send_with_commit(refusal)

    def _send_with_commit(self, message: Message) -> None:
        """Tell with it what is committed."""
        message.commit = self.log.committed
        message.reject_hint = self.log.term(message.commit)
        self.send(message)

    def learn_commit(self, message: Message) -> None:
        """Another one knows a change of the members to be committed, which stands in this log, too.

        It holds for a member once that has applied it. One that was not told of the commit might
        ask for votes forever where it needs none any more, or be asked for its own by one that
        it does not know. (As in TiKV's raft; etcd's advises against clusters of two, where that
        happens.)
        """
        log = self.log
        if self.role is LEADER or not log.matches(message.commit, message.reject_hint):
            return
        learned = log.entries[log.committed - log.offset : message.commit - log.offset]
        if any(entry.kind == CONF_CHANGE for entry in learned):
            log.commit_to(message.commit)
            if self.role is not FOLLOWER:
                # Who may vote is about to change.
                self.become_follower(self.term, NO_MEMBER)

    def can_vote(self, message: Message) -> bool:
        """One vote per term, first come first served; a pre-vote binds no member."""
        return (
            self.vote == message.sender
            or (self.vote == NO_MEMBER and self.leader == NO_MEMBER)
            or (message.kind == PRE_VOTE and message.term > self.term)
        )

    # -- transfer -----------------------------------------------------------------------------

    def transfer_leader(self, transferee: int) -> None:
        """Hand leadership to another voter, or ask the leader to (dissertation 3.10)."""
        if self.role is not LEADER:
            if self.leader != NO_MEMBER:
                self.send(Message(TRANSFER_LEADER, self.leader, index=transferee))
            return
        progress = self.progress.get(transferee)
        if transferee in (self.id, self.transferee) or not self.may_take_over(transferee):
            return
        assert progress is not None, "only a member may take over"
        self.election_elapsed = 0
        self.transferee = transferee
        if progress.match == self.log.last_index:
            self.hand_over(transferee)
        else:
            self.send_append(transferee)
