"""What a cluster is to be: its hosts, their sizes, and why it cannot be built."""

from __future__ import annotations

import ssl
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from k8sactors.apiserver.admission import plugins, selected
from k8sactors.apiserver.errors import UnknownPluginError
from k8sactors.apiserver.feature_gates import (
    MUTATING_POLICY,
    feature_gate_problems,
    is_enabled,
)
from k8sactors.cluster import defaults
from k8sactors.cluster.access import AccessOptions
from k8sactors.cluster.addresses import (
    SERVICE_NETWORK,
    pod_network,
    pod_network_problems,
    service_network_problems,
)
from k8sactors.cluster.defaults import TOPOLOGIES, TopologyName
from k8sactors.cluster.operator_host import OPERATOR_HOST
from k8sactors.cluster.runtime_config import runtime_config_problems
from k8sactors.controllers.errors import ConfigurationError
from k8sactors.controllers.manager import ControllerManagerConfig
from k8sactors.controllers.node_ipam import NodeIPAMOptions
from k8sactors.kubelet.node_object import NodeCapacity
from k8sactors.simulation import MILLISECOND
from k8sactors.store.member import OpenDisk

ZONE_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@attrs.frozen
class StoreOptions:
    """Raft and snapshot settings of the store members (etcd's names and defaults)."""

    heartbeat_ms: int = 100
    election_ms: int = 1000
    snapshot_entries: int = 100_000
    sync_latency_ns: int = 1 * MILLISECOND
    # So much may keys and leases take (etcd: --quota-backend-bytes); 0: there is no limit.
    quota_bytes: int = 0


@attrs.frozen
class ClusterSpec:
    """A cluster to build. Counts are hosts; latencies are one way, in nanoseconds.

    `worker_hosts` names the workers instead of `worker-1..N`; a name may stand only once.
    `controllers` and `controller_settings` go to every controller manager as they are.
    `remote_store` has the endpoints (``host:port``) of a real etcd, one for each host of the store;
    such a cluster runs on real time only.
    """

    topology: TopologyName = defaults.TOPOLOGY
    control_planes: int | None = None
    store_members: int | None = None
    workers: int = defaults.WORKERS
    # Whether nodes of the control plane carry workloads, too; then there need be no workers.
    control_plane_schedulable: bool = False
    zones: int = defaults.ZONES
    worker_hosts: tuple[str, ...] = ()
    capacity: NodeCapacity = defaults.NODE_CAPACITY
    store: StoreOptions = StoreOptions()
    compaction_interval_s: int = 300
    same_zone_latency_ns: int = defaults.SAME_ZONE_LATENCY_NS
    cross_zone_latency_ns: int = defaults.CROSS_ZONE_LATENCY_NS
    # A selection as in `kube-controller-manager --controllers`.
    controllers: tuple[str, ...] = ("*",)
    # Settings that the controllers declare, by name, such as `node_monitor_grace_period_ns`.
    controller_settings: Mapping[str, Any] = attrs.field(factory=dict, hash=False)
    access: AccessOptions = attrs.field(factory=AccessOptions)
    # Where Services have their cluster IPs from, and the first and last node port.
    service_cidr: str = str(SERVICE_NETWORK)
    node_ports: tuple[int, int] = defaults.NODE_PORTS
    # Admission plugins next to those that run by default, and those of them that do not run.
    enable_admission_plugins: tuple[str, ...] = ("NodeRestriction",)
    disable_admission_plugins: tuple[str, ...] = ()
    # The configuration of admission plugins, by name.
    admission_configuration: Mapping[str, Any] = attrs.field(factory=dict, hash=False)
    # Which versions of API groups clients are served, as in `--runtime-config`: by key, as texts.
    runtime_config: Mapping[str, str] = attrs.field(factory=dict, hash=False)
    # As in `--feature-gates`: by name, as texts.
    feature_gates: Mapping[str, str] = attrs.field(factory=dict, hash=False)
    # The seats that priority levels share, or the limits of each where they are off.
    max_mutating_in_flight: int = defaults.REQUESTS_IN_FLIGHT
    max_readonly_in_flight: int = defaults.REQUESTS_IN_FLIGHT
    enable_priority_and_fairness: bool = True
    # Opens the disks of the store's members where they are to outlive the process, which needs real
    # time; None: they are simulated.
    open_disk: OpenDisk | None = attrs.field(default=None, eq=False, repr=False)
    remote_store: tuple[str, ...] = ()
    remote_tls: ssl.SSLContext | None = attrs.field(default=None, eq=False, repr=False)

    def on_store(self, endpoints: Sequence[str], tls: ssl.SSLContext | None = None) -> ClusterSpec:
        """The same cluster with its state in a real etcd, whose endpoints stand as store hosts."""
        return attrs.evolve(
            self,
            topology="external",
            control_planes=self.planes,
            store_members=len(endpoints),
            remote_store=tuple(endpoints),
            remote_tls=tls,
        )

    @property
    def admission_plugins_off(self) -> tuple[str, ...]:
        """The admission plugins that do not run: those that are named, and by feature gates."""
        off = self.disable_admission_plugins
        if MUTATING_POLICY in off or is_enabled(self.feature_gates, MUTATING_POLICY):
            return off
        return (*off, MUTATING_POLICY)

    @property
    def controller_manager(self) -> ControllerManagerConfig:
        """What every controller manager is started with."""
        settings = {"cluster_cidr": self.pod_network.cluster_cidr, **self.controller_settings}
        return ControllerManagerConfig(self.controllers, settings, self.access.enforced)

    def problems(self) -> list[str]:
        """Every reason why this cluster cannot exist."""
        found = []
        if self.topology not in TOPOLOGIES:
            found.append(
                f"topology {self.topology!r} is unknown; choose one of {', '.join(TOPOLOGIES)}"
            )
            return found
        found += self._count_problems()
        found += self.access.problems()
        found += runtime_config_problems(self.runtime_config)
        found += feature_gate_problems(self.feature_gates)
        if min(self.max_mutating_in_flight, self.max_readonly_in_flight) < 1:
            found.append("requests in flight: at least one of each kind must be possible")
        try:
            self.controller_manager.select()
            selected(plugins(), self.enable_admission_plugins, self.disable_admission_plugins)
        except (ConfigurationError, UnknownPluginError) as error:
            found.append(str(error))
        names = self.worker_names
        for name, count in Counter(names).items():
            if count > 1:
                found.append(f"host {name} is used twice")
            elif name in self._reserved_names:
                found.append(f"host {name} is used twice: it belongs to the control plane")
        found += service_network_problems(self.service_cidr, self.node_ports)
        if not found:
            found += pod_network_problems(self.pod_network, self.nodes, self.service_cidr)
        if self.topology == "single" and self.members != 1:
            found.append(f"topology single has one store member, not {self.members}")
        if self.topology == "single" and self.planes != 1:
            found.append(f"topology single has one control plane, not {self.planes}")
        if self.topology == "stacked" and self.members != self.planes:
            found.append(
                f"topology stacked has a store member on each control plane: "
                f"{self.planes} control planes cannot carry {self.members} members"
            )
        return found

    def _count_problems(self) -> list[str]:
        limits = (
            ("control planes", self.planes, defaults.MAX_CONTROL_PLANES),
            ("store members", self.members, defaults.MAX_STORE_MEMBERS),
            ("workers", len(self.worker_names), defaults.MAX_WORKERS),
            ("zones", self.zones, len(ZONE_LETTERS)),
        )
        found = []
        for what, count, most in limits:
            if what == "workers" and count == 0 and self.control_plane_schedulable:
                continue
            if count < 1:
                found.append(f"{count} {what}: at least one is needed")
            elif count > most:
                found.append(f"{count} {what}: at most {most} are supported")
        return found

    def warnings(self) -> list[str]:
        """What is possible but unwise."""
        found = []
        if self.members % 2 == 0 and not self.remote_store:
            found.append(
                f"{self.members} store members tolerate no more failures than "
                f"{self.members - 1}: use an odd number"
            )
        if self.planes > 1 and self.members == 1 and not self.remote_store:
            found.append("one store member is a single point of failure for all control planes")
        return found

    @property
    def planes(self) -> int:
        """Control-plane hosts."""
        if self.control_planes is not None:
            return self.control_planes
        return 1 if self.topology == "single" else defaults.CONTROL_PLANES

    @property
    def members(self) -> int:
        """Store members."""
        if self.store_members is not None:
            return self.store_members
        if self.topology == "external":
            return defaults.STORE_MEMBERS
        return self.planes

    @property
    def nodes(self) -> int:
        """Nodes: hosts with a kubelet."""
        return self.planes + len(self.worker_names)

    @property
    def pod_network(self) -> NodeIPAMOptions:
        """Where pods have their addresses from: as set by hand, or wide enough for the nodes."""
        return pod_network(self.nodes, self.controller_settings)

    @property
    def worker_names(self) -> list[str]:
        """Names of the worker hosts."""
        return list(self.worker_hosts) or [f"worker-{n}" for n in range(1, self.workers + 1)]

    @property
    def control_plane_names(self) -> list[str]:
        """Names of the control-plane hosts."""
        return [f"cp-{n}" for n in range(1, self.planes + 1)]

    @property
    def store_names(self) -> list[str]:
        """Names of the hosts that carry a store member."""
        if self.topology == "external":
            return [f"etcd-{n}" for n in range(1, self.members + 1)]
        return self.control_plane_names

    @property
    def zone_names(self) -> list[str]:
        """Names of the zones, over which hosts are spread in turn."""
        return [f"zone-{letter}" for letter in ZONE_LETTERS[: self.zones]]

    @property
    def _reserved_names(self) -> set[str]:
        return {*self.control_plane_names, *self.store_names, OPERATOR_HOST}
