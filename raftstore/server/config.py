"""The configuration of a member: who it is, and its limits, with etcd's defaults."""

from __future__ import annotations

import attrs

from raftstore.raft import RaftConfig
from raftstore.server.auto_compaction import KEEP_ALL, Retention
from raftstore.units import MILLISECOND, SECOND

MEBIBYTE = 1 << 20
# The smallest cluster that survives the loss of a member.
DEFAULT_MEMBERS = 3


@attrs.frozen
class Peer:
    """A member as others know it."""

    id: int
    name: str = ""
    peer_urls: tuple[str, ...] = ()
    client_urls: tuple[str, ...] = ()


@attrs.frozen
class MemberConfig:
    """One member of a store cluster. `tick` must be called every `tick_ns`."""

    id: int
    # The members that found the cluster; of one that joins: itself, and those it may ask.
    peers: tuple[Peer, ...]
    cluster_id: int = 1
    # Its peer addresses may be others at every start, and come through the log like its name.
    announces_peer_urls: bool = False
    # The member was added to a running cluster, from which it learns everything else.
    joins: bool = False
    tick_ns: int = 100 * MILLISECOND
    heartbeat_ticks: int = 1
    election_ticks: int = 10
    # A snapshot is made after so many applied entries (etcd: --snapshot-count).
    snapshot_entries: int = 10_000
    # Or after so many bytes of them, or a quarter of the state where that is more to write.
    snapshot_bytes: int = 64 * MEBIBYTE
    # How many entries stay behind a snapshot for followers that are only a little late.
    catch_up_entries: int = 5_000
    # How many bytes of them.
    catch_up_bytes: int = 32 * MEBIBYTE
    # So much of the log a leader keeps beyond that, for a member that is catching up.
    max_lag_bytes: int = 128 * MEBIBYTE
    # Of the size of the state, where that is more: a larger one takes longer to send.
    max_lag_percent: int = 50
    max_request_bytes: int = MEBIBYTE * 3 // 2
    # So many writes, and so many reads, may wait for their answers at this member.
    max_pending_requests: int = 50_000
    # So much may be in the entries of the writes that wait; a single larger one may wait alone.
    max_pending_bytes: int = 64 * MEBIBYTE
    # So much of its log a leader lets wait for the quorum before it refuses more.
    max_uncommitted_bytes: int = 64 * MEBIBYTE
    max_inflight_messages: int = 256
    # So much may be under way to one follower, which applies all of it in one go.
    max_inflight_bytes: int = 2 * MEBIBYTE
    max_proposal_batch: int = 4_096
    max_entries_per_message: int = 4_096
    # So much may keys and leases take (etcd: --quota-backend-bytes); 0: there is no limit.
    quota_bytes: int = 0
    # How often a leader writes down what is left of leases that no client renews, so that the next
    # one does not start them again (etcd: 5 minutes with --experimental-enable-lease-checkpoint);
    # 0: never.
    lease_checkpoint_interval_s: int = 0
    pre_vote: bool = True
    check_quorum: bool = True
    # How much history stays when no client asks for compactions; by default all.
    auto_compaction: Retention = KEEP_ALL
    # Whether the leader answers reads within its lease, without a round of heartbeats.
    lease_reads: bool = False
    # By so much the clock of one member may gain on that of another while there are leases.
    max_clock_drift_percent: int = 10
    # Whether what no commit waits for is kept until the environment calls `Member.send_withheld`.
    lazy_replication: bool = False
    # How many entries, or KiB of them, a follower applies in one batch that is behind the leader;
    # while it has more, it is `Member.unfinished`. 0: all that there are.
    applied_at_once: int = 0

    @property
    def voters(self) -> tuple[int, ...]:
        """Ids of the members that found the cluster."""
        return () if self.joins else tuple(sorted(peer.id for peer in self.peers))

    @property
    def request_timeout_ns(self) -> int:
        """How long a request may wait: disk, queue, and two elections (etcd: ReqTimeout)."""
        return 5 * SECOND + 2 * self.election_ticks * self.tick_ns

    def raft(self) -> RaftConfig:
        """The part that the consensus needs."""
        return RaftConfig(
            id=self.id,
            voters=self.voters,
            election_ticks=self.election_ticks,
            heartbeat_ticks=self.heartbeat_ticks,
            max_entries_per_message=self.max_entries_per_message,
            max_inflight_messages=self.max_inflight_messages,
            max_inflight_bytes=self.max_inflight_bytes,
            max_uncommitted_bytes=self.max_uncommitted_bytes,
            pre_vote=self.pre_vote,
            check_quorum=self.check_quorum,
            lease_reads=self.lease_reads,
            max_clock_drift_percent=self.max_clock_drift_percent,
            clock_units_per_tick=self.tick_ns,
            lazy_replication=self.lazy_replication,
        )


@attrs.frozen
class Policy:
    """What all members of a cluster are told alike; the fields are those of `MemberConfig`."""

    auto_compaction: Retention = KEEP_ALL
    quota_bytes: int = 0
    lease_checkpoint_interval_s: int = 0
    lease_reads: bool = False
    max_clock_drift_percent: int = 10

    def told_to(self, config: MemberConfig) -> MemberConfig:
        """The configuration of a member under this policy."""
        return attrs.evolve(config, **attrs.asdict(self, recurse=False))
