"""Log replication (Raft section 5.3), commitment (5.3, 5.4.2) and snapshot transfer (7)."""

from __future__ import annotations

from raftstore.raft.errors import UncommittedLimitError
from raftstore.raft.messages import (
    APPEND,
    APPEND_RESPONSE,
    COMMIT,
    HEARTBEAT,
    HEARTBEAT_RESPONSE,
    PROPOSE,
    SNAPSHOT,
    TIMEOUT_NOW,
    Entry,
    EntryKind,
    Message,
    Snapshot,
)
from raftstore.raft.progress import PROBE, REPLICATE, Progress, ProgressState
from raftstore.raft.quorum import MajorityConfig
from raftstore.raft.state import FOLLOWER, LEADER, RaftState


class Replication(RaftState):
    """Leader: send, count, commit. Follower: check, append, answer."""

    # -- leader: new entries ------------------------------------------------------------------

    def append_own(self, kind: EntryKind, payloads: list[bytes]) -> None:
        """Append new entries of this leader.

        Raises:
            UncommittedLimitError: too much is uncommitted already.
        """
        size = sum(map(len, payloads))
        if not self.admits(size):
            raise UncommittedLimitError("too many bytes are not committed yet")
        self.uncommitted_bytes += size
        term, first, number = self.term, self.log.last_index + 1, int(kind)
        new = tuple.__new__
        self.log.append(
            [new(Entry, (term, index, number, data)) for index, data in enumerate(payloads, first)]
        )

    def pass_proposal(self, entries: list[Entry]) -> None:
        """Let the leader append entries: the leader of this term, and no other."""
        self.send(Message(PROPOSE, self.leader, log_term=self.term, entries=entries))

    def admits(self, size_bytes: int) -> bool:
        """Whether so much more may wait for its commit; anything goes when nothing waits."""
        total = self.uncommitted_bytes + size_bytes
        return (
            not self.uncommitted_bytes
            or not size_bytes
            or total <= self.config.max_uncommitted_bytes
        )

    def acknowledge_own(self) -> None:
        """Count this leader's own disk, synced up to `log.stable`, as one of the quorum."""
        progress = self.progress
        own = progress.get(self.id)
        if own is None or not own.maybe_update(self.log.stable):
            return
        if len(self.quorum.voters) > 1:
            committed = self.log.committed
            for other in progress.values():
                if other.match > committed and other is not own:
                    break
            else:
                # The own disk is the first, as most often: there is nothing to count yet.
                return
        if self.maybe_commit():
            self.on_commit_advanced()

    # -- leader: commitment -------------------------------------------------------------------

    def maybe_commit(self) -> bool:
        """Move the commit index to what a quorum holds."""
        index = self.quorum.committed_index(
            {member: progress.match for member, progress in self.progress.items()}
        )
        if index > self.log.committed and self.may_commit(index):
            self.log.commit_to(index)
            self.commit_quorum = self.quorum
            return True
        return False

    def may_commit(self, index: int) -> bool:
        """Only entries of the leader's own term are committed by counting.

        Source: Raft section 5.4.2, figure 8.
        """
        return self.log.term(index) == self.term

    def on_commit_advanced(self) -> None:
        """Tell the followers at once, by an append if there is one to send.

        With `lazy_replication` the news waits for the next append, or for `send_withheld`.
        """
        if self.config.lazy_replication:
            self.commit_unsent = True
            return
        last = self.log.last_index
        for member, progress in self.progress.items():
            if member == self.id or (
                progress.next <= last and self.maybe_send_append(member, send_if_empty=False)
            ):
                continue
            self._send_commit(member, progress)

    def send_withheld(self) -> None:
        """Send the followers entries and tell them of commits, if that has waited."""
        if self.withholds and self.role is LEADER:
            last = self.log.last_index
            for member, progress in self.progress.items():
                if member != self.id and not (
                    progress.next <= last and self.maybe_send_append(member, send_if_empty=False)
                ):
                    self._send_commit(member, progress)
        self.commit_unsent = self.entries_withheld = False

    def _send_commit(self, member: int, progress: Progress) -> None:
        """Followers that are being streamed to have (or will get) everything before `next`."""
        if progress.state is not REPLICATE:
            return
        previous = progress.next - 1
        if previous >= self.log.offset:
            self.send(
                Message(
                    COMMIT,
                    member,
                    index=previous,
                    log_term=self.log.term(previous),
                    commit=self.log.committed,
                )
            )

    # -- leader: sending ----------------------------------------------------------------------

    def replicate(self) -> None:
        """Send new entries to those who need them now: a quorum, if others may wait."""
        first = self._first_served()
        self.entries_withheld = False
        if not first:
            self.broadcast_append()
            return
        due = self.log.last_index - self.config.max_withheld_entries
        for member, progress in self.progress.items():
            if member == self.id:
                continue
            if member in first or progress.next <= due:
                self.maybe_send_append(member, send_if_empty=True)
            else:
                self.entries_withheld = True
        self.commit_unsent = False

    def _last_due(self) -> int:
        """Up to where every follower shall have the log by now."""
        last = self.log.last_index
        return last - self.config.max_withheld_entries if self.entries_withheld else last

    def _first_served(self) -> tuple[int, ...]:
        """The followers that make a quorum with this leader; none if that cannot be told."""
        first = self.first_served
        for member in first:
            progress = self.progress.get(member)
            if progress is None or progress.paused or progress.state is not REPLICATE:
                return ()
        return first

    def choose_first_served(self) -> None:
        """Take those that are ahead: they answer first, or have been chosen before."""
        quorum = self.quorum
        self.first_served = ()
        if self.config.lazy_replication and isinstance(quorum, MajorityConfig):
            others = [voter for voter in quorum.voters if voter != self.id]
            if len(others) < len(quorum.voters):
                others.sort(key=lambda voter: -self.progress[voter].match)
                self.first_served = tuple(others[: quorum.size - 1])

    def broadcast_append(self) -> None:
        """Send to every follower what it lacks."""
        all_told = True
        for member in self.progress:
            if member != self.id and not self.maybe_send_append(member, send_if_empty=True):
                all_told = False
        if all_told:
            self.commit_unsent = False

    def send_append(self, member: int) -> None:
        """Send an append even if it carries no entries: its answer tells where the follower is."""
        self.maybe_send_append(member, send_if_empty=True)

    def maybe_send_append(self, member: int, *, send_if_empty: bool) -> bool:
        """Send the next append, or a snapshot when its entries are compacted.

        False if nothing was sent.
        """
        progress = self.progress[member]
        if progress.paused or progress.state is ProgressState.SNAPSHOT:
            return False
        previous = progress.next - 1
        log = self.log
        if previous < log.offset:
            return self._send_snapshot(member, progress)
        if previous == log.last_index or (progress.state is REPLICATE and progress.is_full()):
            entries: list[Entry] = []
            size_bytes = 0
        else:
            config = self.config
            entries, size_bytes = log.sized_slice(
                progress.next, config.max_entries_per_message, config.max_bytes_per_message
            )
        if not entries and not send_if_empty:
            return False
        self.send(
            Message(
                APPEND,
                member,
                index=previous,
                log_term=log.term(previous),
                commit=log.committed,
                entries=entries,
            )
        )
        progress.sent_entries(len(entries), size_bytes)
        return True

    def _send_snapshot(self, member: int, progress: Progress) -> bool:
        if not progress.recent_active:
            return False
        snapshot = self._snapshot_source()
        assert snapshot.index >= self.log.offset, "the snapshot does not reach the log"
        self.send(Message(SNAPSHOT, member, snapshot=snapshot))
        progress.become_snapshot(snapshot.index)
        return True

    def broadcast_heartbeat(self, context: bytes) -> None:
        """Assert leadership; the commit index sent is one that the follower is known to hold."""
        committed, stamp = self.log.committed, self.heartbeat_stamp()
        for member, progress in self.progress.items():
            if member != self.id:
                commit = min(progress.match, committed)
                self.send(Message(HEARTBEAT, member, index=stamp, commit=commit, context=context))

    def heartbeat_stamp(self) -> int:
        """A number that comes back with the answers."""
        return 0

    def hand_over(self, member: int) -> None:
        """Tell a member to take the leadership (dissertation 3.10)."""
        self.send(Message(TIMEOUT_NOW, member))

    def age_snapshots(self) -> None:
        """Probe again when a snapshot was not acknowledged for long.

        It, or the answer, was lost.
        """
        for progress in self.progress.values():
            if progress.state is ProgressState.SNAPSHOT:
                progress.snapshot_age_heartbeats += 1
                if progress.snapshot_age_heartbeats >= self.config.snapshot_resend_heartbeats:
                    progress.pending_snapshot = 0
                    progress.become_probe()

    # -- leader: answers ----------------------------------------------------------------------

    def handle_append_response(self, message: Message) -> None:
        """A follower tells what it holds, or that an append did not fit."""
        progress = self.progress.get(message.sender)
        if progress is None:
            return
        progress.recent_active = True
        if message.reject:
            self._handle_rejection(progress, message)
            return
        was_paused = progress.is_paused()
        if not progress.maybe_update(message.index) and not (
            progress.match == message.index and progress.state is PROBE
        ):
            return
        self._resume(progress, message.index)
        sender = message.sender
        if message.index > self.log.committed and self.maybe_commit():
            self.on_commit_advanced()
        elif was_paused:
            self.send_append(sender)
        while was_paused or progress.next <= self._last_due():
            if not self.maybe_send_append(sender, send_if_empty=False):
                break
        if sender == self.transferee and progress.match == self.log.last_index:
            self.hand_over(sender)

    def _resume(self, progress: Progress, index: int) -> None:
        if progress.state is REPLICATE:
            progress.free_inflight(index)
        elif progress.state is PROBE or progress.match >= self.log.offset:
            progress.become_replicate()

    def _handle_rejection(self, progress: Progress, message: Message) -> None:
        hint = message.reject_hint
        if message.log_term > 0:
            hint, _ = self.log.find_conflict_by_term(hint, message.log_term)
        if progress.maybe_decrease(message.index, hint):
            if progress.state is REPLICATE:
                progress.become_probe()
            self.send_append(message.sender)

    def resume_after_heartbeat(self, message: Message) -> None:
        """A live follower may have lost appends: let it say so."""
        progress = self.progress[message.sender]
        progress.recent_active = True
        progress.paused = False
        if progress.match < self.log.last_index or progress.state is PROBE:
            self.send_append(message.sender)

    def report_unreachable(self, member: int) -> None:
        """The transport dropped messages: stop streaming into the void."""
        progress = self.progress.get(member)
        if progress is not None and progress.state is REPLICATE:
            progress.become_probe()

    def report_snapshot(self, member: int, *, ok: bool) -> None:
        """The transport has delivered a snapshot, or failed to.

        Either way the member is probed again, after its next sign of life: at a success behind the
        snapshot, which it may still be installing.
        """
        progress = self.progress.get(member)
        if progress is None or progress.state is not ProgressState.SNAPSHOT:
            return
        if not ok:
            progress.pending_snapshot = 0
        progress.become_probe()
        progress.paused = True

    def report_snapshot_progress(self, member: int) -> None:
        """A part of a snapshot arrived: do not give it up as lost."""
        progress = self.progress.get(member)
        if progress is not None:
            progress.snapshot_age_heartbeats = 0

    # -- follower -----------------------------------------------------------------------------

    def handle_append(self, message: Message) -> None:
        """Append what fits, answer with the last agreeing index or with a hint of where to look."""
        log = self.log
        if message.index < log.committed:
            self.send(Message(APPEND_RESPONSE, message.sender, index=log.committed))
            return
        last = log.maybe_append(message.index, message.log_term, message.commit, message.entries)
        if last is not None:
            self.send(Message(APPEND_RESPONSE, message.sender, index=last))
        else:
            self._reject(message)

    def handle_commit(self, message: Message) -> None:
        """Move the commit index.

        Say so if the entry before does not fit, as a lost append would show.
        """
        if self.log.matches(message.index, message.log_term):
            self.log.commit_to(min(message.commit, message.index))
        elif message.index > self.log.committed:
            self._reject(message)

    def _reject(self, message: Message) -> None:
        hint, hint_term = self.log.find_conflict_by_term(
            min(message.index, self.log.last_index), message.log_term
        )
        self.send(
            Message(
                APPEND_RESPONSE,
                message.sender,
                index=message.index,
                reject=True,
                reject_hint=hint,
                log_term=hint_term,
            )
        )

    def handle_heartbeat(self, message: Message) -> None:
        """The leader lives; what it says is committed is known to be here."""
        self.log.commit_to(message.commit)
        self.send(
            Message(
                HEARTBEAT_RESPONSE, message.sender, index=message.index, context=message.context
            )
        )

    def handle_snapshot(self, message: Message) -> None:
        """Take a snapshot instead of the compacted entries, unless the log is further already."""
        assert message.snapshot is not None, "a snapshot message carries a snapshot"
        installed = self._restore(message.snapshot)
        index = self.log.last_index if installed else self.log.committed
        self.send(Message(APPEND_RESPONSE, message.sender, index=index))

    def _restore(self, snapshot: Snapshot) -> bool:
        """Replace the log by a snapshot. It may be older than this member's joining the cluster."""
        log = self.log
        if snapshot.index <= log.committed or self.role is not FOLLOWER:
            return False
        if log.matches(snapshot.index, snapshot.term):
            log.commit_to(snapshot.index)
            return False
        log.restore(snapshot)
        self.use_configuration(snapshot.configuration)
        return True

    def compact(self, index: int) -> None:
        """Drop entries that a snapshot covers; followers that still need them get the snapshot.

        Raises:
            CompactedError: they are gone already.
        """
        self.log.compact(index)
