"""The machines of a campaign on the store: the founding members are on the first of them."""

from __future__ import annotations

from k8sactors.chaos.store.options import StoreChaos
from k8sactors.fabric import Network
from k8sactors.simulation import MICROSECOND
from k8sactors.store.member import open_disk
from k8sactors.store.members import StoreMembers
from raftstore.raft import RaftMonitor
from raftstore.server import MemberConfig


class StoreCluster(StoreMembers):
    """Machines of the store alone; those next to the founding members' are free."""

    def __init__(self, network: Network, options: StoreChaos, monitor: RaftMonitor) -> None:
        settings = MemberConfig(
            id=0,
            peers=(),
            snapshot_entries=options.snapshot_entries,
            catch_up_entries=options.snapshot_entries // 4,
            max_entries_per_message=options.entries_per_message,
            election_ticks=options.election_ticks,
            quota_bytes=options.quota_bytes,
            lease_reads=options.lease_reads,
            max_clock_drift_percent=options.max_clock_drift_percent,
        )
        sync_latency_ns = options.sync_latency_us * MICROSECOND
        super().__init__(network, options.hosts, settings, sync_latency_ns, monitor)
        self._founders = options.hosts[: options.members]
        self.disks = [open_disk(network.add_host(name)) for name in self.hosts]
        """The disks of all machines."""

    def begin(self) -> None:
        """Start the founding members."""
        self.found(self._founders)
        for name in self._founders:
            self.start(name)
