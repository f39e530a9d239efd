"""The safety properties of Raft (figure 3 of the paper), watched at every step of every run.

One `RaftMonitor` watches all members of one cluster; each member tells it what happened. Costs are
constant per entry: logs are compared as list slices against one reference log, so an entry that
members share costs one comparison in C. The reference keeps a bounded window behind the last entry.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from raftstore.raft.configuration import Configuration
from raftstore.raft.errors import InvariantViolationError
from raftstore.raft.messages import (
    APPEND_RESPONSE,
    CONF_CHANGE,
    NO_MEMBER,
    VOTE_RESPONSE,
    Entry,
    Message,
)
from raftstore.raft.quorum import Quorum

# How many overwritten entries are remembered, a bound on memory.
MAX_REPLACED_ENTRIES = 100_000
# How many configurations are remembered.
MAX_CONFIGURATIONS = 1_000


class ReferenceLog:
    """The entries first seen at each index; a bounded window that follows the end."""

    def __init__(self, window: int) -> None:
        self.first = 0
        self.entries: list[Entry] = []
        self._window = window

    @property
    def end(self) -> int:
        """The index behind the last entry."""
        return self.first + len(self.entries)

    def get(self, index: int) -> Entry | None:
        """The entry at `index`, unless it is unknown or forgotten."""
        position = index - self.first
        return self.entries[position] if 0 <= position < len(self.entries) else None

    def differing(self, entries: list[Entry]) -> list[Entry]:
        """Take in a run of consecutive entries.

        The ones that differ from what is known come back.
        """
        first = entries[0].index
        if not self.entries or first > self.end:
            self.first, self.entries = first, list(entries)
            return []
        skipped = self.first - first
        if skipped > 0:
            entries, first = entries[skipped:], self.first
        known = self.entries[first - self.first : first - self.first + len(entries)]
        count = len(known)
        if count < len(entries):
            self.entries.extend(entries[count:])
            if len(self.entries) > 2 * self._window:
                surplus = len(self.entries) - self._window
                del self.entries[:surplus]
                self.first += surplus
            entries = entries[:count]
        if known == entries:
            return []
        return [entry for entry, other in zip(entries, known, strict=True) if entry != other]

    def replace(self, entry: Entry) -> None:
        """Another entry took the place of the known one."""
        position = entry.index - self.first
        if 0 <= position < len(self.entries):
            self.entries[position] = entry


@attrs.define
class Observed:
    """What the monitor knows of one member."""

    term: int = 0
    vote: int = NO_MEMBER
    commit: int = 0
    applied: int = 0
    # Up to where its log, as far as it is known here, agrees with what leaders wrote.
    log_end: int = 0


class RaftMonitor:
    """Observes the members of one cluster; raises at the first violation, or records it.

    Raises:
        InvariantViolationError: from any of its methods, unless `record_only`.
    """

    def __init__(self, *, record_only: bool = False, window_entries: int = 16_384) -> None:
        self.violations: list[InvariantViolationError] = []
        # Term -> the one leader it had.
        self.leaders: dict[int, int] = {}
        self._record_only = record_only
        self._members: dict[int, Observed] = {}
        self._votes: dict[tuple[int, int], int] = {}
        self._log = ReferenceLog(window_entries)
        self._applied = ReferenceLog(window_entries)
        self._replaced: dict[tuple[int, int], Entry] = {}
        # How often a member overwrote an entry that another one had at that index.
        self.replaced_entries = 0
        # By the index of the entry that made it; the newest ones.
        self.configurations: dict[int, Configuration] = {}

    def _violated(self, check: str, message: str) -> None:
        violation = InvariantViolationError(check, message)
        self.violations.append(violation)
        if not self._record_only:
            raise violation

    def _member(self, member_id: int) -> Observed:
        observed = self._members.get(member_id)
        if observed is None:
            observed = self._members[member_id] = Observed()
        return observed

    # -- elections ----------------------------------------------------------------------------

    def leader_elected(
        self, member_id: int, term: int, term_at: Callable[[int], int | None]
    ) -> None:
        """Election safety and leader completeness (Raft figure 3).

        `term_at` reads the new leader's log; it gives None for a compacted index.
        """
        other = self.leaders.setdefault(term, member_id)
        if other != member_id:
            self._violated("election-safety", f"members {other} and {member_id} lead term {term}")
        last = self._applied.end - 1
        entry = self._applied.get(last)
        if entry is not None and entry.term < term:
            found = term_at(last)
            if found is not None and found != entry.term:
                self._violated(
                    "leader-completeness",
                    f"leader {member_id} of term {term} lacks the committed entry {last}"
                    f" of term {entry.term}",
                )

    def persisted(self, member_id: int, term: int, vote: int) -> None:
        """The disk has synced this term and vote: the term never falls, a vote is never changed."""
        observed = self._member(member_id)
        if term < observed.term:
            self._violated("term-monotonic", f"member {member_id}: {observed.term} -> {term}")
        if term == observed.term and observed.vote not in (vote, NO_MEMBER):
            self._violated(
                "single-vote", f"member {member_id} changed its vote in term {term} to {vote}"
            )
        observed.term, observed.vote = term, vote

    def replied(self, member_id: int, message: Message, *, durable: bool) -> None:
        """A vote or an append acknowledgement leaves: what it promises must be on disk."""
        kind = message.kind
        if message.reject or kind not in (APPEND_RESPONSE, VOTE_RESPONSE):
            return
        if not durable:
            self._violated(
                "persist-before-reply", f"member {member_id} answered before its disk had synced"
            )
        if kind == VOTE_RESPONSE:
            observed = self._member(member_id)
            on_disk = (observed.term, observed.vote)
            if on_disk != (message.term, message.to) and observed.term <= message.term:
                self._violated(
                    "persist-before-reply",
                    f"member {member_id} sent a vote of term {message.term} not on its disk",
                )
            given = self._votes.setdefault((member_id, message.term), message.to)
            if given != message.to:
                self._violated(
                    "single-vote",
                    f"member {member_id} voted for {given} and {message.to} in term {message.term}",
                )

    # -- logs ---------------------------------------------------------------------------------

    def appended(self, member_id: int, entries: list[Entry]) -> None:
        """Log matching: equal index and term means equal entries, at every member."""
        for entry in self._log.differing(entries):
            known = self._log.get(entry.index)
            assert known is not None, "a differing entry has a known counterpart"
            if known.term == entry.term:
                self._mismatch(member_id, entry)
                continue
            older = self._replaced.get((entry.index, entry.term))
            if older is not None and older != entry:
                self._mismatch(member_id, entry)
            self.replaced_entries += 1
            if entry.term < known.term:
                self._replaced[entry.index, entry.term] = entry
            else:
                self._replace(member_id, known, entry)
        observed, last = self._member(member_id), entries[-1]
        agrees = self._log.get(last.index) in (None, last)
        observed.log_end = last.index if agrees else min(observed.log_end, entries[0].index - 1)
        if len(self._replaced) > MAX_REPLACED_ENTRIES:
            self._replaced.clear()

    def _replace(self, member_id: int, known: Entry, entry: Entry) -> None:
        """A newer leader wrote another entry: a member with the known one must take it back."""
        self._replaced[known.index, known.term] = known
        self._log.replace(entry)
        for other_id, other in self._members.items():
            if other_id != member_id:
                other.log_end = min(other.log_end, entry.index - 1)

    def _mismatch(self, member_id: int, entry: Entry) -> None:
        self._violated(
            "log-matching",
            f"member {member_id} has another entry {entry.index} of term {entry.term}",
        )

    def committed(self, member_id: int, commit: int) -> None:
        """The commit index of a running member never falls."""
        observed = self._member(member_id)
        if commit < observed.commit:
            self._violated("commit-monotonic", f"member {member_id}: {observed.commit} -> {commit}")
        observed.commit = commit

    def leader_committed(
        self, member_id: int, term: int, commit: int, entry_term: int, quorum: Quorum | None = None
    ) -> None:
        """A leader's commit index moves only to entries of its own term (Raft section 5.4.2).

        And only to what a quorum has written, of a joint configuration both (section 6); `quorum`
        is the one by which the leader counted. To be told before `persisted` and `committed` tell
        of the same step. Votes are persisted before they count, so a member whose disk knows its
        term already committed as its leader.
        """
        observed = self._member(member_id)
        if observed.term != term or commit <= observed.commit:
            return
        if entry_term != term:
            self._violated(
                "commit-own-term",
                f"leader {member_id} of term {term} committed entry {commit} of term {entry_term}",
            )
        if quorum is not None:
            held = {number: member.log_end for number, member in self._members.items()}
            if quorum.committed_index(held) < commit:
                self._violated(
                    "commit-quorum",
                    f"leader {member_id} of term {term} committed entry {commit}, which no quorum"
                    f" of {quorum} has written",
                )

    def applied(self, member_id: int, entries: list[Entry]) -> None:
        """State machine safety: all members apply the same entries, in order, without a gap."""
        observed = self._member(member_id)
        first = entries[0].index
        if observed.applied and first != observed.applied + 1:
            self._violated(
                "apply-order", f"member {member_id} applied {first} after {observed.applied}"
            )
        observed.applied = entries[-1].index
        for entry in self._applied.differing(entries):
            self._violated(
                "state-machine-safety",
                f"member {member_id} applied another entry at index {entry.index}",
            )

    def change_proposed(
        self, member_id: int, term: int, index: int, commit: int, commit_term: int
    ) -> None:
        """A leader has appended a change of the members: one at a time, and not too early.

        `commit` is how far its log was committed by then. Without these two rules quorums could be
        disjoint: a change of a former leader, two steps away, may still be on its way (raft-dev,
        10 July 2015).
        """
        if commit_term != term:
            self._violated(
                "change-own-term",
                f"leader {member_id} proposed a change in term {term}, and had committed entries of"
                f" term {commit_term} only",
            )
        for other in range(commit + 1, index):
            entry = self._log.get(other)
            if entry is not None and entry.kind == CONF_CHANGE:
                self._violated(
                    "one-change-at-a-time",
                    f"leader {member_id} of term {term} proposed the change {index} while the"
                    f" change {other} was not committed",
                )

    def configured(self, member_id: int, index: int, configuration: Configuration) -> None:
        """The entry at `index` changed the members: equally at every member, by allowed steps.

        Each configuration shares a member of every quorum with the one before (Raft section 6).
        """
        known = self.configurations.get(index)
        if known is None:
            before = max([other for other in self.configurations if other < index], default=0)
            if before and not _may_follow(self.configurations[before], configuration):
                self._violated(
                    "configuration-step",
                    f"{self.configurations[before]} became {configuration} at index {index}",
                )
            self.configurations[index] = configuration
            if len(self.configurations) > MAX_CONFIGURATIONS:
                del self.configurations[min(self.configurations)]
        elif known != configuration:
            self._violated(
                "configuration-agreement",
                f"member {member_id} has {configuration} at index {index}, others {known}",
            )

    def installed(
        self, member_id: int, index: int, configuration: Configuration | None = None
    ) -> None:
        """A snapshot replaced the state up to `index`; it has the members as they were then."""
        if configuration is not None:
            made = max([other for other in self.configurations if other <= index], default=0)
            if made and made > min(self.configurations):
                self.configured(member_id, made, configuration)
        observed = self._member(member_id)
        if index < observed.applied:
            self._violated("apply-order", f"member {member_id} went back to snapshot {index}")
        observed.applied = index
        observed.log_end = max(observed.log_end, index)

    def restarted(self, member_id: int, term: int, applied: int, last_index: int = 0) -> None:
        """A member came back with what its disk had.

        Never with an older term than it answered with.
        """
        observed = self._member(member_id)
        if term < observed.term:
            self._violated("term-monotonic", f"member {member_id} restarted in term {term}")
        observed.applied = applied
        observed.commit = 0
        observed.log_end = min(observed.log_end, last_index) or last_index


def _may_follow(before: Configuration, after: Configuration) -> bool:
    """Whether every quorum of the one shares a member with every quorum of the other."""
    if after.is_joint or before.is_joint:
        entered = not before.is_joint and after.outgoing == before.voters
        left = not after.is_joint and after.voters == before.voters
        return entered or left or before == after
    return len(frozenset(before.voters) ^ frozenset(after.voters)) <= 1
