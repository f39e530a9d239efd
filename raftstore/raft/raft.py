"""The dispatch of incoming messages by term and role.

Source: "Rules for Servers", figure 2 of the Raft paper.
"""

from __future__ import annotations

from raftstore.raft.configuration import ConfChange
from raftstore.raft.election import Election
from raftstore.raft.errors import ProposalDroppedError
from raftstore.raft.messages import (
    APPEND,
    APPEND_RESPONSE,
    COMMIT,
    CONF_CHANGE,
    HEARTBEAT,
    HEARTBEAT_RESPONSE,
    NO_MEMBER,
    PRE_VOTE,
    PRE_VOTE_RESPONSE,
    PROPOSE,
    READ_INDEX,
    READ_INDEX_RESPONSE,
    SNAPSHOT,
    TIMEOUT_NOW,
    TRANSFER_LEADER,
    VOTE,
    VOTE_RESPONSE,
    Entry,
    EntryKind,
    Message,
)
from raftstore.raft.state import FOLLOWER, LEADER, TERMLESS

_FROM_LEADER = frozenset((APPEND, COMMIT, HEARTBEAT, SNAPSHOT))
_VOTE_REQUESTS = frozenset((VOTE, PRE_VOTE))
_VOTE_RESPONSES = frozenset((VOTE_RESPONSE, PRE_VOTE_RESPONSE))


class Raft(Election):
    """One member: `tick`, `step`, `propose` change it.

    `messages` and the log tell what is to be done.
    """

    def propose(self, payloads: list[bytes]) -> None:
        """Append entries to the replicated log, here or through the leader.

        Raises:
            ProposalDroppedError: nothing was appended.
        """
        if self.role is not LEADER:
            if self.leader == NO_MEMBER:
                raise ProposalDroppedError("there is no leader")
            entries = [Entry(0, 0, EntryKind.NORMAL.value, data) for data in payloads]
            self.pass_proposal(entries)
            return
        if self.transferee != NO_MEMBER:
            raise ProposalDroppedError("leadership is being transferred")
        self.append_own(EntryKind.NORMAL, payloads)
        self.replicate()

    def step(self, message: Message) -> None:
        """Take one message of a peer.

        Raises:
            ProposalDroppedError: a forwarded proposal cannot be taken.
            ConfigurationError: a forwarded change of the members is none that may be made.
        """
        if message.term != self.term and not self.admit_term(message):
            return
        kind = message.kind
        if kind in _VOTE_REQUESTS:
            self.handle_vote_request(message)
        elif self.role is LEADER:
            self._step_leader(kind, message)
        else:
            self._step_follower(kind, message)

    # -- terms --------------------------------------------------------------------------------

    def admit_term(self, message: Message) -> bool:
        """Settle a difference of terms; False when the message ends here."""
        kind = message.kind
        if kind in TERMLESS:
            return True
        if message.term < self.term:
            return self.admit_older_term(message)
        if kind in _VOTE_REQUESTS and self.in_leader_lease(message):
            return False
        if kind == PRE_VOTE or (kind == PRE_VOTE_RESPONSE and not message.reject):
            return True
        leader = message.sender if kind in _FROM_LEADER else NO_MEMBER
        self.become_follower(message.term, leader)
        return True

    def admit_older_term(self, message: Message) -> bool:
        """Ignore the past, but let a deposed leader or a stuck candidate learn of the present."""
        kind = message.kind
        if kind in _FROM_LEADER and (self.config.check_quorum or self.config.pre_vote):
            self.send(Message(APPEND_RESPONSE, message.sender))
        elif kind == PRE_VOTE:
            refusal = Message(PRE_VOTE_RESPONSE, message.sender, term=self.term, reject=True)
            self._send_with_commit(refusal)
        return False

    # -- roles --------------------------------------------------------------------------------

    def _step_leader(self, kind: int, message: Message) -> None:
        if kind == APPEND_RESPONSE:
            self.handle_append_response(message)
            if self.early_reads:
                self.release_early_reads()
        elif kind == HEARTBEAT_RESPONSE:
            self.handle_heartbeat_response(message)
        elif kind == PROPOSE:
            self._take_proposal(message)
        elif kind == READ_INDEX:
            self.handle_read_index(message)
        elif kind == TRANSFER_LEADER:
            self.transfer_leader(message.index)
        else:
            assert kind not in _FROM_LEADER, f"two leaders in term {self.term}"

    def _step_follower(self, kind: int, message: Message) -> None:
        if kind in _FROM_LEADER:
            self._follow(message)
            self._step_from_leader(kind, message)
        elif kind in _VOTE_RESPONSES:
            self.learn_commit(message)
            if self.role is not FOLLOWER:
                self.handle_vote_response(message)
        elif kind == TIMEOUT_NOW:
            if self.role is FOLLOWER:
                self.handle_timeout_now()
        elif kind == READ_INDEX_RESPONSE:
            self.handle_read_index_response(message)

    def _step_from_leader(self, kind: int, message: Message) -> None:
        if kind == APPEND:
            self.handle_append(message)
        elif kind == COMMIT:
            self.handle_commit(message)
        elif kind == HEARTBEAT:
            self.handle_heartbeat(message)
        else:
            self.handle_snapshot(message)

    def _follow(self, message: Message) -> None:
        """A member that sends as a leader in this term is its leader."""
        if self.role is not FOLLOWER:
            self.become_follower(message.term, message.sender)
        self.leader = message.sender
        self.note_leader()

    def _take_proposal(self, message: Message) -> None:
        """Append what a follower has passed on to the leader of this term.

        A copy that was sent to the leader of another term, be it this member, may stand in the log
        already: the next leader cannot tell, so it must not be appended again.
        """
        if message.log_term != self.term:
            return
        entries = message.entries
        if entries and entries[0].kind == CONF_CHANGE:
            self.propose_change(ConfChange.decode(entries[0].data))
        else:
            self.propose([entry.data for entry in entries])

    def acknowledge_own(self) -> None:
        """Count the own disk, and start reads that waited for the first commit."""
        super().acknowledge_own()
        if self.early_reads:
            self.release_early_reads()
