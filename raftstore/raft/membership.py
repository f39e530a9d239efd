"""Changes of the members (Raft section 6), as etcd's raft makes them.

A change is an entry of the log. It takes effect where it is *applied*, so a configuration in use is
always a committed one, and it is the environment that applies it (`apply_change`), because it may
refuse a change that its own state does not allow. There is never more than one change on its way,
and a leader begins none before it has committed an entry of its own term: without these two rules
two quorums could be disjoint (raft-dev, 10 July 2015).
"""

from __future__ import annotations

from raftstore.raft.configuration import LEAVE_JOINT, ConfChange, Configuration
from raftstore.raft.errors import ProposalDroppedError
from raftstore.raft.messages import CONF_CHANGE, NO_MEMBER, Entry, EntryKind
from raftstore.raft.reads import Reads
from raftstore.raft.state import LEADER

# How much of the leader's log a learner must hold to be promoted (etcd: readyPercentThreshold).
IN_SYNC_PERCENT = 90


class Membership(Reads):
    """Proposing and applying changes, and what follows from them."""

    # On a leader: no change of the configuration stands behind this index.
    pending_change_index: int

    def _reset(self, term: int) -> None:
        super()._reset(term)
        # What a former leader proposed may be anywhere in the log of a new one.
        self.pending_change_index = self.log.last_index

    # -- the rules ----------------------------------------------------------------------------

    def may_change_configuration(self) -> bool:
        """One change at a time, and none before an entry of the leader's own term is committed."""
        return self.pending_change_index <= self.log.applied and self.committed_in_own_term()

    def may_campaign(self) -> bool:
        """A voter that knows its configuration: committed changes must be applied first."""
        return self.is_promotable() and not self._has_unapplied_changes()

    def _has_unapplied_changes(self) -> bool:
        log = self.log
        start = max(log.applied - log.offset, 0)
        unapplied = log.entries[start : log.committed - log.offset]
        return any(entry.kind == CONF_CHANGE for entry in unapplied)

    def may_take_over(self, member: int) -> bool:
        """Only voters can become the leader."""
        return member in self.quorum.voters

    def is_caught_up(self, member: int) -> bool:
        """Whether a learner holds enough of the log to be promoted; only the leader can tell."""
        progress = self.progress.get(member)
        if progress is None or self.role is not LEADER:
            return False
        own = self.progress[self.id].match if self.id in self.progress else self.log.last_index
        return progress.match * 100 >= own * IN_SYNC_PERCENT

    def is_connected(self, member: int) -> bool:
        """Whether the leader has heard a member within this election timeout or the last one."""
        progress = self.progress.get(member)
        if member == self.id or progress is None:
            return member == self.id
        # A new member counts as heard before it has said a word, but has acknowledged nothing.
        return progress.match > 0 and (progress.recent_active or progress.was_active)

    # -- proposing ----------------------------------------------------------------------------

    def propose_change(self, change: ConfChange) -> None:
        """Append a change of the configuration to the log, here or through the leader.

        Raises:
            ProposalDroppedError: not now; nothing was appended.
            ConfigurationError: it is no change that may be made; nothing was appended.
        """
        data = change.encode()
        if self.role is not LEADER:
            if self.leader == NO_MEMBER:
                raise ProposalDroppedError("there is no leader")
            self.pass_proposal([Entry(0, 0, CONF_CHANGE, data)])
            return
        if self.transferee != NO_MEMBER:
            raise ProposalDroppedError("leadership is being transferred")
        if not self.may_change_configuration():
            raise ProposalDroppedError("a change of the members may be on its way")
        change.apply_to(self.configuration)
        self.append_own(EntryKind.CONF_CHANGE, [data])
        self.pending_change_index = self.log.last_index
        self.broadcast_append()

    def leave_joint_if_due(self) -> None:
        """End a joint configuration that is to end by itself; to be called after applying."""
        if (
            self.configuration.auto_leave
            and self.role is LEADER
            and self.transferee == NO_MEMBER
            and self.may_change_configuration()
        ):
            self.propose_change(LEAVE_JOINT)

    # -- applying -----------------------------------------------------------------------------

    def apply_change(self, change: ConfChange) -> Configuration:
        """Take a committed change into effect.

        Raises:
            ConfigurationError: it cannot be made; nothing has changed.
        """
        self._switch_to(change.apply_to(self.configuration))
        return self.configuration

    def _switch_to(self, configuration: Configuration) -> None:
        if configuration == self.configuration:
            return
        # Those who leave are told before they are forgotten.
        self.send_withheld()
        self.use_configuration(configuration)
        if self.role is not LEADER:
            return
        self._update_progress()
        if self.must_step_down():
            self.become_follower(self.term, NO_MEMBER)
            return
        if self.maybe_commit():
            self.on_commit_advanced()
        self.recount_reads()
        for member in configuration.members:
            if member != self.id:
                self.maybe_send_append(member, send_if_empty=False)
        if self.transferee != NO_MEMBER and not self.may_take_over(self.transferee):
            self.transferee = NO_MEMBER

    def must_step_down(self) -> bool:
        """A leader that is no voter any more leads only until that is committed."""
        return self.id not in self.quorum.voters

    def _update_progress(self) -> None:
        """Begin to follow new members, forget the ones that are gone."""
        configuration, known = self.configuration, self.progress
        self.progress = {}
        for member in configuration.members:
            progress = known.get(member)
            if progress is None:
                # It counts as heard, or a leader would step down before it could say anything. The
                # last entry is sent at once: the answer tells where the member's log ends.
                progress = self.new_progress(max(self.log.last_index, 1), is_learner=False)
                progress.recent_active = True
            progress.is_learner = member in configuration.learners
            self.progress[member] = progress
        self.choose_first_served()
