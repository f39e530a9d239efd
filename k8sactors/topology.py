"""Which hosts a cluster has and what runs on each: single, stacked and external.

`stacked` puts a store member on every control-plane host, and each API server talks to the member
beside it. `external` gives the members hosts of their own, and each API server knows all of them.
`single` is one control plane with one member, for learning and development.
"""

import ssl
from collections import Counter
from collections.abc import Sequence
from typing import Literal

import attrs

from k8sactors.errors import ImpossibleClusterError
from k8sactors.simulation import MICROSECOND, MILLISECOND

TopologyName = Literal["single", "stacked", "external"]
TOPOLOGIES: tuple[TopologyName, ...] = ("single", "stacked", "external")

MAX_WORKERS = 20_000
MAX_CONTROL_PLANES = 9
MAX_STORE_MEMBERS = 9
ZONE_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@attrs.frozen
class NodeCapacity:
    """What a worker offers, as Kubernetes quantities."""

    cpu: str = "4"
    memory: str = "32Gi"
    pods: str = "110"
    ephemeral_storage: str = "100Gi"


@attrs.frozen
class StoreOptions:
    """Raft and snapshot settings of the store members (etcd's names and defaults)."""

    heartbeat_ms: int = 100
    election_ms: int = 1000
    snapshot_entries: int = 100_000
    sync_latency_ns: int = 1 * MILLISECOND


@attrs.frozen
class ClusterSpec:
    """A cluster to build. Counts are hosts; latencies are one way, in nanoseconds.

    `worker_hosts` names the workers instead of `worker-1..N`; a name may stand only once.
    `remote_store` has the endpoints (``host:port``) of a real etcd, one for each host of the store;
    such a cluster runs on real time only.
    """

    topology: TopologyName = "stacked"
    control_planes: int | None = None
    store_members: int | None = None
    workers: int = 3
    zones: int = 3
    worker_hosts: tuple[str, ...] = ()
    capacity: NodeCapacity = NodeCapacity()
    store: StoreOptions = StoreOptions()
    compaction_interval_s: int = 300
    same_zone_latency_ns: int = 100 * MICROSECOND
    cross_zone_latency_ns: int = 500 * MICROSECOND
    remote_store: tuple[str, ...] = ()
    remote_tls: ssl.SSLContext | None = attrs.field(default=None, eq=False, repr=False)

    def on_store(
        self, endpoints: Sequence[str], tls: ssl.SSLContext | None = None
    ) -> "ClusterSpec":
        """The same cluster with its state in a real etcd, whose endpoints stand as store hosts."""
        return attrs.evolve(
            self,
            topology="external",
            control_planes=self.planes,
            store_members=len(endpoints),
            remote_store=tuple(endpoints),
            remote_tls=tls,
        )

    def problems(self) -> list[str]:
        """Every reason why this cluster cannot exist."""
        found = []
        if self.topology not in TOPOLOGIES:
            found.append(
                f"topology {self.topology!r} is unknown; choose one of {', '.join(TOPOLOGIES)}"
            )
            return found
        found += self._count_problems()
        names = self.worker_names
        for name, count in Counter(names).items():
            if count > 1:
                found.append(f"host {name} is used twice")
            elif name in self._reserved_names:
                found.append(f"host {name} is used twice: it belongs to the control plane")
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
            ("control planes", self.planes, MAX_CONTROL_PLANES),
            ("store members", self.members, MAX_STORE_MEMBERS),
            ("workers", len(self.worker_names), MAX_WORKERS),
            ("zones", self.zones, len(ZONE_LETTERS)),
        )
        found = []
        for what, count, most in limits:
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
        return 1 if self.topology == "single" else 3

    @property
    def members(self) -> int:
        """Store members."""
        if self.store_members is not None:
            return self.store_members
        if self.topology == "external":
            return 3
        return self.planes

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
    def _reserved_names(self) -> set[str]:
        return {*self.control_plane_names, *self.store_names, CONSOLE}


# The machine of whoever operates the cluster: not part of it, never a target of faults.
CONSOLE = "console"


@attrs.frozen
class HostPlan:
    """A host to create: its zone and its roles."""

    name: str
    zone: str
    control_plane: bool = False
    store_member: bool = False
    worker: bool = False


def plan(spec: ClusterSpec) -> list[HostPlan]:
    """The hosts of a cluster, in order of creation.

    Raises:
        ImpossibleClusterError: with every contradiction in the specification.
    """
    problems = spec.problems()
    if problems:
        raise ImpossibleClusterError(problems)
    hosts = []
    stacked = spec.topology != "external"
    if not stacked:
        hosts += [
            HostPlan(name, _zone(index, spec.zones), store_member=True)
            for index, name in enumerate(spec.store_names)
        ]
    hosts += [
        HostPlan(name, _zone(index, spec.zones), control_plane=True, store_member=stacked)
        for index, name in enumerate(spec.control_plane_names)
    ]
    hosts += [
        HostPlan(name, _zone(index, spec.zones), worker=True)
        for index, name in enumerate(spec.worker_names)
    ]
    return hosts


def store_endpoints(spec: ClusterSpec, control_plane: str) -> list[str]:
    """The store addresses an API server is configured with."""
    if spec.topology == "external":
        return [f"{name}/etcd" for name in spec.store_names]
    return [f"{control_plane}/etcd"]


def _zone(index: int, zones: int) -> str:
    return f"zone-{ZONE_LETTERS[index % zones]}"
