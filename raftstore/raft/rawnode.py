"""The face of the package.

Feed it ticks, messages and proposals, carry out what `Ready` says, `advance`.

The contract of a `Ready`, in this order:

1. send `messages`, at any time from now on: they promise nothing;
2. write `snapshot`, `entries` and `hard_state` to the disk, and sync if `must_sync`;
3. only then send `messages_after_persist`;
4. apply `snapshot`, then `committed_entries` (a quorum has synced those: it need not wait for 2);
   an entry of kind CONF_CHANGE by `apply_change`, unless the state machine refuses it;
5. `advance`. There is one `Ready` at a time; messages, ticks and proposals may come in between.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from raftstore.raft.config import RaftConfig, RecoveredState
from raftstore.raft.configuration import ConfChange, Configuration
from raftstore.raft.log import entry_data
from raftstore.raft.messages import Entry, HardState, Message, Snapshot
from raftstore.raft.raft import Raft
from raftstore.raft.state import LEADER, ReadState, Rng, Role


@attrs.frozen
class SoftState:
    """What changes without being persisted."""

    leader: int
    role: Role


@attrs.define
class Ready:
    """Work for the environment. `None` and empty lists mean that nothing changed."""

    entries: list[Entry]
    committed_entries: list[Entry]
    messages: list[Message]
    messages_after_persist: list[Message]
    read_states: list[ReadState]
    hard_state: HardState | None
    soft_state: SoftState | None
    snapshot: Snapshot | None
    must_sync: bool


class RawNode:
    """A Raft member with the bookkeeping between its state and its environment.

    `clock` measures the leader's lease (`RaftConfig.lease_reads`): it never goes back, and counts
    in `RaftConfig.clock_units_per_tick`. By default it counts the calls of `tick`, which is as
    good as they are punctual.
    """

    def __init__(
        self,
        config: RaftConfig,
        recovered: RecoveredState,
        rng: Rng,
        snapshot_source: Callable[[], Snapshot],
        clock: Callable[[], int] | None = None,
    ) -> None:
        self.raft = Raft(config, recovered, rng, snapshot_source, clock)
        self._hard_state = self.raft.hard_state()
        self._soft_leader = self.raft.leader
        self._soft_role = self.raft.role
        self._own_messages: list[Message] = []
        self._outstanding = False

    # -- input --------------------------------------------------------------------------------

    def tick(self) -> None:
        """One unit of time has passed."""
        self.raft.tick()

    def step(self, message: Message) -> None:
        """Take a message of a peer.

        Raises:
            ProposalDroppedError: a forwarded proposal cannot be taken.
            ConfigurationError: a forwarded change of the members is none that may be made.
        """
        self.raft.step(message)

    def propose(self, payloads: list[bytes]) -> None:
        """Append a batch of entries to the replicated log.

        Raises:
            ProposalDroppedError: none of them was appended.
        """
        self.raft.propose(payloads)

    def propose_change(self, change: ConfChange) -> None:
        """Append a change of the members to the replicated log.

        Raises:
            ProposalDroppedError: not now; nothing was appended.
            ConfigurationError: it is no change that may be made; nothing was appended.
        """
        self.raft.propose_change(change)

    def apply_change(self, change: ConfChange) -> Configuration:
        """Take a committed change of the members into effect; returns the members after it.

        Raises:
            ConfigurationError: it cannot be made; nothing has changed.
        """
        return self.raft.apply_change(change)

    def report_unreachable(self, member: int) -> None:
        """Messages to a member were dropped."""
        self.raft.report_unreachable(member)

    def report_snapshot(self, member: int, *, ok: bool) -> None:
        """The snapshot that was to be sent to a member has arrived there, or has not."""
        self.raft.report_snapshot(member, ok=ok)

    def send_withheld(self) -> None:
        """Send what has waited in vain for company (`RaftConfig.lazy_replication`)."""
        self.raft.send_withheld()

    def campaign(self) -> None:
        """Stand for election now."""
        self.raft.campaign()

    def transfer_leader(self, transferee: int) -> None:
        """Ask for `transferee` to become the leader."""
        self.raft.transfer_leader(transferee)

    def read_index(self, context: bytes) -> bool:
        """Ask for a linearizable read index.

        The answer is a `ReadState` with this unique context.
        """
        return self.raft.read_index(context)

    def compact(self, index: int) -> None:
        """Forget log entries up to `index`; the snapshot source must cover them.

        Raises:
            CompactedError: they are gone already.
        """
        self.raft.compact(index)

    # -- output -------------------------------------------------------------------------------

    def has_ready(self) -> bool:
        """Whether there is something to carry out (and nothing is being carried out)."""
        if self._outstanding:
            return False
        raft = self.raft
        if raft.messages or raft.messages_after_persist:
            return True
        return self._is_more_than_messages()

    def take_only_messages(self) -> list[Message]:
        """The messages of a `Ready` that would hold nothing else, to be sent.

        There is nothing to persist, apply or advance then; in all other cases an empty list. Most
        of what an idle member has to carry out is heartbeats and their answers.
        """
        raft = self.raft
        if (
            not raft.messages
            or self._outstanding
            or raft.messages_after_persist
            or self._is_more_than_messages()
        ):
            return []
        messages, raft.messages = raft.messages, []
        return messages

    def _is_more_than_messages(self) -> bool:
        raft = self.raft
        log = raft.log
        committed = log.committed
        term, vote, commit = self._hard_state
        return bool(
            log.stable < log.last_index
            or log.applied < committed
            or commit != committed
            or raft.read_states
            or log.pending_snapshot is not None
            or term != raft.term
            or vote != raft.vote
            or self._soft_leader != raft.leader
            or self._soft_role is not raft.role
        )

    def ready(self) -> Ready:
        """Take what is to be carried out."""
        assert not self._outstanding, "the last Ready was not advanced"
        self._outstanding = True
        raft = self.raft
        log = raft.log
        entries = log.entries[log.stable - log.offset :] if log.stable < log.last_index else []
        snapshot = log.pending_snapshot
        committed = log.committed
        term, vote, commit = self._hard_state
        promised = raft.term != term or raft.vote != vote
        must_sync = bool(entries or promised or snapshot is not None)
        hard_state = None
        if promised or committed != commit:
            hard_state = self._hard_state = raft.hard_state()
        soft_state = None
        if raft.leader != self._soft_leader or raft.role is not self._soft_role:
            self._soft_leader, self._soft_role = raft.leader, raft.role
            soft_state = SoftState(raft.leader, raft.role)
        messages, raft.messages = raft.messages, []
        read_states, raft.read_states = raft.read_states, []
        after_persist, raft.messages_after_persist = raft.messages_after_persist, []
        if after_persist:
            own_id = raft.id
            self._own_messages = [message for message in after_persist if message.to == own_id]
            if self._own_messages:
                after_persist = [message for message in after_persist if message.to != own_id]
        return Ready(
            entries,
            log.next_committed(raft.config.max_committed_bytes_per_ready)
            if log.applied < committed
            else [],
            messages,
            after_persist,
            read_states,
            hard_state,
            soft_state,
            snapshot,
            must_sync,
        )

    def advance(self, ready: Ready) -> None:
        """The Ready is persisted, sent and applied."""
        assert self._outstanding, "there is no Ready to advance"
        self._outstanding = False
        raft, log = self.raft, self.raft.log
        if ready.snapshot is not None:
            if log.pending_snapshot is ready.snapshot:
                log.pending_snapshot = None
            log.applied_to(ready.snapshot.index)
        if ready.committed_entries:
            log.applied_to(ready.committed_entries[-1].index)
            if raft.role is LEADER:
                self._reduce_uncommitted(ready.committed_entries)
                if raft.configuration.auto_leave:
                    raft.leave_joint_if_due()
        if ready.entries:
            last = ready.entries[-1]
            log.stable_to(last.index, last.term)
            if raft.role is LEADER:
                raft.acknowledge_own()
        if self._own_messages:
            own, self._own_messages = self._own_messages, []
            for message in own:
                raft.step(message)

    def _reduce_uncommitted(self, committed: list[Entry]) -> None:
        """Only what this leader appended itself was counted: not what it inherited."""
        raft = self.raft
        if raft.uncommitted_bytes:
            if committed[0].term != raft.term:
                committed = [entry for entry in committed if entry.term == raft.term]
            if len(committed) == 1:
                raft.uncommitted_bytes -= len(committed[0].data)
            else:
                raft.uncommitted_bytes -= sum(map(len, map(entry_data, committed)))
            assert raft.uncommitted_bytes >= 0, "an entry was counted out that was never counted"

    # -- state --------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """The member's view, as plain data."""
        raft, log = self.raft, self.raft.log
        return {
            "id": raft.id,
            "role": raft.role.value,
            "leader": raft.leader,
            "term": raft.term,
            "vote": raft.vote,
            "committed": log.committed,
            "applied": log.applied,
            "first_index": log.first_index,
            "last_index": log.last_index,
            "transferee": raft.transferee,
            "has_lease": raft.has_lease(),
            "configuration": raft.configuration._asdict(),
            "progress": {
                member: {
                    "match": progress.match,
                    "next": progress.next,
                    "state": progress.state.value,
                    "recent_active": progress.recent_active,
                    "is_learner": progress.is_learner,
                }
                for member, progress in raft.progress.items()
            }
            if raft.role is LEADER
            else {},
        }
