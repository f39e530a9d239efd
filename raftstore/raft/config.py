"""The limits and timeouts of one member, checked at construction."""

from __future__ import annotations

import attrs

from raftstore.raft.configuration import founding
from raftstore.raft.messages import CONF_CHANGE, NO_MEMBER, Entry, HardState, Snapshot

MEBIBYTE = 1 << 20
WHOLE_PERCENT = 100


@attrs.frozen
class RaftConfig:
    """How a member behaves. Timeouts count calls of `tick`."""

    id: int
    # The members that found the cluster; none for one that joins, which learns them by the log.
    voters: tuple[int, ...]
    election_ticks: int = 10
    heartbeat_ticks: int = 1
    max_bytes_per_message: int = MEBIBYTE
    max_entries_per_message: int = 4096
    # So many appends to a follower may be unanswered.
    max_inflight_messages: int = 256
    # So many bytes of entries may be under way to a follower; the last append may pass it.
    max_inflight_bytes: int = 16 * MEBIBYTE
    # So much a leader takes beyond what is committed; a single larger batch is let in alone.
    max_uncommitted_bytes: int = 64 * MEBIBYTE
    max_committed_bytes_per_ready: int = 16 * MEBIBYTE
    # How long a leader waits for the acknowledgement of a snapshot before it probes again.
    snapshot_resend_heartbeats: int = 30
    pre_vote: bool = True
    check_quorum: bool = True
    # Whether a leader with a lease answers reads without asking the others (needs CheckQuorum).
    lease_reads: bool = False
    # By so much the clock of a follower may gain on the leader's: the lease is shorter by it.
    max_clock_drift_percent: int = 10
    # In which the clock counts that measures the lease.
    clock_units_per_tick: int = 1
    # Whether what no commit waits for may wait itself: entries for followers that the quorum does
    # not need, up to `max_withheld_entries`, and news of commits. More of the same carries it, or
    # `send_withheld`.
    lazy_replication: bool = False
    max_withheld_entries: int = 64

    def __attrs_post_init__(self) -> None:
        assert self.id > 0, "member ids start at 1"
        assert self.election_ticks > self.heartbeat_ticks > 0, "an election outlasts a heartbeat"
        assert self.check_quorum or not self.lease_reads, "a lease needs members that keep to it"
        assert 0 <= self.max_clock_drift_percent < WHOLE_PERCENT, "a clock must measure something"
        assert self.max_inflight_messages > 0, "nothing could be replicated"
        assert self.max_inflight_bytes > 0, "nothing could be replicated"
        assert self.max_entries_per_message > 0, "nothing could be replicated"

    @property
    def lease_units(self) -> int:
        """How long a lease lasts. A follower's first tick may come at once, so it is one less."""
        sound_percent = WHOLE_PERCENT - self.max_clock_drift_percent
        return (
            (self.election_ticks - 1) * self.clock_units_per_tick * sound_percent // WHOLE_PERCENT
        )


@attrs.frozen
class RecoveredState:
    """What a member finds on its disk: nothing at first.

    Later its snapshot and the entries behind it.
    """

    hard_state: HardState = attrs.field(factory=HardState)
    snapshot: Snapshot = attrs.field(factory=Snapshot)
    entries: tuple[Entry, ...] | list[Entry] = ()


def founding_state(voters: tuple[int, ...], context: bytes = b"") -> RecoveredState:
    """What each founding member of a cluster that is to be changed later begins with.

    The members stand in the log from its first entry on, committed in term 1 (as in etcd), so that
    a joining member learns them like everything else. To be written to the disk.
    """
    entry = Entry(1, 1, CONF_CHANGE, founding(voters, context).encode())
    return RecoveredState(HardState(1, NO_MEMBER, 1), Snapshot(), (entry,))
