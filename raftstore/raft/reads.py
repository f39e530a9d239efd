"""Linearizable reads without a log entry: ReadIndex (Raft dissertation section 6.4).

The leader notes its commit index, makes sure with a round of heartbeats that it still is the
leader, and only then releases the index to the member that asked. A round confirms all requests
that came before it. With `RaftConfig.lease_reads` a leader that has its lease needs no round.
"""

from __future__ import annotations

import attrs

from raftstore.raft.lease import Lease
from raftstore.raft.messages import NO_MEMBER, READ_INDEX, READ_INDEX_RESPONSE, Message
from raftstore.raft.quorum import VoteResult
from raftstore.raft.state import LEADER, ReadState


@attrs.define
class PendingRead:
    """A read that waits for its round of heartbeats."""

    context: bytes
    requester: int
    index: int
    acknowledged: dict[int, bool]


class Reads(Lease):
    """ReadIndex on the leader, forwarding on followers."""

    pending_reads: dict[bytes, PendingRead]
    early_reads: list[tuple[bytes, int]]

    def _reset(self, term: int) -> None:
        super()._reset(term)
        self.pending_reads = {}
        self.early_reads = []

    def read_index(self, context: bytes) -> bool:
        """Ask for a read index on behalf of this member; False when no leader is known."""
        if self.role is LEADER:
            self._read_as_leader(context, self.id)
            return True
        if self.leader == NO_MEMBER:
            return False
        self.send(Message(READ_INDEX, self.leader, context=context))
        return True

    def handle_read_index(self, message: Message) -> None:
        """A follower forwards a read."""
        self._read_as_leader(message.context, message.sender)

    def handle_read_index_response(self, message: Message) -> None:
        """The leader confirmed a read of this member."""
        self.read_states.append(ReadState(message.index, message.context))

    def _read_as_leader(self, context: bytes, requester: int) -> None:
        if self.may_serve_reads():
            self._serve_or_ask(context, requester)
        else:
            self.early_reads.append((context, requester))

    def _serve_or_ask(self, context: bytes, requester: int) -> None:
        if self.read_needs_no_quorum() or self.has_lease():
            self._release(PendingRead(context, requester, self.log.committed, {}))
        else:
            self._start_round(context, requester)

    def read_needs_no_quorum(self) -> bool:
        """Only a leader that is its own quorum knows without asking that it was not deposed."""
        return self.is_alone()

    def may_serve_reads(self) -> bool:
        """Before its first commit a leader may not know of all that was committed.

        Source: Raft section 8.
        """
        return self.committed_in_own_term()

    def release_early_reads(self) -> None:
        """Start the reads that came before the leader's first commit."""
        if self.early_reads and self.may_serve_reads():
            waiting, self.early_reads = self.early_reads, []
            for context, requester in waiting:
                self._serve_or_ask(context, requester)

    def _start_round(self, context: bytes, requester: int) -> None:
        if context in self.pending_reads:
            return
        self.pending_reads[context] = PendingRead(
            context, requester, self.log.committed, {self.id: True}
        )
        self.broadcast_heartbeat(context)

    def last_read_context(self) -> bytes:
        """What an ordinary heartbeat carries, so that a lost round is repeated."""
        return next(reversed(self.pending_reads), b"")

    def handle_heartbeat_response(self, message: Message) -> None:
        """A follower confirms the leader, and all reads up to the round that it answers."""
        if message.sender not in self.progress:
            return
        self.note_lease_answer(message)
        self.resume_after_heartbeat(message)
        read = self.pending_reads.get(message.context)
        if read is None:
            return
        read.acknowledged[message.sender] = True
        if self.quorum.vote_result(read.acknowledged) is VoteResult.WON:
            self._release_up_to(message.context)

    def recount_reads(self) -> None:
        """The members have changed: fewer answers may be enough."""
        for context in reversed(list(self.pending_reads)):
            acknowledged = self.pending_reads[context].acknowledged
            if self.quorum.vote_result(acknowledged) is VoteResult.WON:
                self._release_up_to(context)
                return

    def _release_up_to(self, last: bytes) -> None:
        for context in list(self.pending_reads):
            self._release(self.pending_reads.pop(context))
            if context == last:
                return

    def _release(self, read: PendingRead) -> None:
        if read.requester == self.id:
            self.read_states.append(ReadState(read.index, read.context))
        else:
            self.send(
                Message(READ_INDEX_RESPONSE, read.requester, index=read.index, context=read.context)
            )
