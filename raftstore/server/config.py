"""The configuration of a member: who it is, and its limits, with etcd's defaults."""

import attrs

from raftstore.raft import RaftConfig

from .auto_compaction import KEEP_ALL, Retention

MILLISECOND_NS = 1_000_000
SECOND_NS = 1_000_000_000
MEBIBYTE = 1 << 20


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
    peers: tuple[Peer, ...]
    """The members that found the cluster; of one that joins: itself, and those it may ask."""
    cluster_id: int = 1
    announces_peer_urls: bool = False
    """Its peer addresses may be others at every start, and come through the log like its name."""
    joins: bool = False
    """The member was added to a running cluster, from which it learns everything else."""
    tick_ns: int = 100 * MILLISECOND_NS
    heartbeat_ticks: int = 1
    election_ticks: int = 10
    snapshot_entries: int = 10_000
    """A snapshot is made after so many applied entries (etcd: --snapshot-count)."""
    snapshot_bytes: int = 64 * MEBIBYTE
    """Or after so many bytes of them, or a quarter of the state where that is more to write."""
    catch_up_entries: int = 5_000
    """How many entries stay behind a snapshot for followers that are only a little late."""
    catch_up_bytes: int = 32 * MEBIBYTE
    """How many bytes of them."""
    max_lag_bytes: int = 128 * MEBIBYTE
    """So much of the log a leader keeps beyond that, for a member that is catching up."""
    max_lag_percent: int = 50
    """Of the size of the state, where that is more: a larger one takes longer to send."""
    max_request_bytes: int = MEBIBYTE * 3 // 2
    max_pending_requests: int = 50_000
    """So many writes, and so many reads, may wait for their answers at this member."""
    max_pending_bytes: int = 64 * MEBIBYTE
    """So much may be in the entries of the writes that wait; a single larger one may wait alone."""
    max_uncommitted_bytes: int = 64 * MEBIBYTE
    """So much of its log a leader lets wait for the quorum before it refuses more."""
    max_inflight_messages: int = 256
    max_inflight_bytes: int = 2 * MEBIBYTE
    """So much may be under way to one follower, which applies all of it in one go."""
    max_proposal_batch: int = 4_096
    max_entries_per_message: int = 4_096
    quota_bytes: int = 0
    """So much may keys and leases take (etcd: --quota-backend-bytes); 0: there is no limit."""
    lease_checkpoint_interval_s: int = 0
    """How often a leader writes down what is left of leases that nobody renews, so that the next
    one does not start them anew (etcd: 5 minutes with --experimental-enable-lease-checkpoint);
    0: never."""
    pre_vote: bool = True
    check_quorum: bool = True
    auto_compaction: Retention = KEEP_ALL
    """How much history stays when nobody asks for compactions; by default all."""
    lease_reads: bool = False
    """Whether the leader answers reads within its lease, without a round of heartbeats."""
    max_clock_drift_percent: int = 10
    """By so much the clock of one member may gain on that of another while there are leases."""
    lazy_replication: bool = False
    """Whether what no commit waits for is kept until the environment calls
    `Member.send_withheld`."""
    applied_at_once: int = 0
    """How many entries, or KiB of them, a follower applies in one batch that is behind the leader;
    while it has more, it is `Member.unfinished`. 0: all that there are."""

    @property
    def voters(self) -> tuple[int, ...]:
        """Ids of the members that found the cluster."""
        return () if self.joins else tuple(sorted(peer.id for peer in self.peers))

    @property
    def request_timeout_ns(self) -> int:
        """How long a request may wait: disk, queue, and two elections (etcd: ReqTimeout)."""
        return 5 * SECOND_NS + 2 * self.election_ticks * self.tick_ns

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
