"""The `cluster` section of a scenario: what is built before the first step."""

from typing import cast

import attrs

from k8sactors.api.located_yaml import KeyPath
from k8sactors.scenario.binding import (
    Choice,
    Duration,
    Integer,
    ListOf,
    Reader,
    Text,
    setting,
)
from k8sactors.simulation import MICROSECOND
from k8sactors.topology import TOPOLOGIES, ClusterSpec, NodeCapacity, TopologyName

HOST_NAME = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_QUANTITY = Text(
    "a quantity, as in 4, 500m or 16Gi", r"\d+(?:\.\d+)?(?:m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?"
)
_MANY = 1_000_000


@attrs.define
class ClusterSection:
    """The cluster to build; counts that are left out follow from the topology."""

    topology: str = setting(
        Choice(TOPOLOGIES),
        "single: one control plane with one store member; stacked: a store member on each "
        "control plane; external: store members on hosts of their own",
        default="single",
    )
    control_planes: int | None = setting(Integer(0, _MANY), "control-plane hosts", default=None)
    store_members: int | None = setting(Integer(0, _MANY), "members of the store", default=None)
    workers: int = setting(Integer(0, _MANY), "worker hosts, worker-1 and so on", default=3)
    worker_hosts: list[str] = setting(
        ListOf(Text("the name of a host", HOST_NAME)),
        "names of the workers, instead of their number",
        default=[],
    )
    zones: int = setting(Integer(0, _MANY), "zones, over which hosts are spread", default=1)
    latency_ns: int = setting(
        Duration(),
        "one-way delay between hosts of a zone",
        key="latency",
        default=100 * MICROSECOND,
    )
    zone_latency_ns: int = setting(
        Duration(), "one-way delay between zones", key="zoneLatency", default=500 * MICROSECOND
    )
    cpu: str = setting(_QUANTITY, "cpus of a worker", default="4")
    memory: str = setting(_QUANTITY, "memory of a worker", default="16Gi")
    pods: int = setting(Integer(1), "most pods of a worker", default=110)

    def spec(self, topology: str | None = None) -> ClusterSpec:
        """The cluster to build; `topology` replaces the file's, and counts are made to fit it."""
        wanted = cast("TopologyName", topology or self.topology)
        planes, members = self.control_planes, self.store_members
        if wanted != self.topology:
            if wanted == "single":
                planes = members = 1
            elif wanted == "stacked":
                members = planes
            elif self.topology == "single":
                planes = members = None
        return ClusterSpec(
            topology=wanted,
            control_planes=planes,
            store_members=members,
            workers=self.workers,
            zones=self.zones,
            worker_hosts=tuple(self.worker_hosts),
            capacity=NodeCapacity(cpu=self.cpu, memory=self.memory, pods=str(self.pods)),
            same_zone_latency_ns=self.latency_ns,
            cross_zone_latency_ns=self.zone_latency_ns,
        )


def check_cluster(spec: ClusterSpec, path: KeyPath, reader: Reader) -> None:
    """Refuse a cluster that cannot be built, with every reason."""
    for reason in spec.problems():
        reader.problem(_place(reason, path), reason)


def _place(reason: str, path: KeyPath) -> KeyPath:
    """The key that a reason is most likely about, for its line in the file."""
    for words, key in (
        ("workers", "workers"),
        ("zones", "zones"),
        ("used twice", "workerHosts"),
        ("members", "storeMembers"),
        ("control plane", "controlPlanes"),
    ):
        if words in reason:
            return (*path, key)
    return path


def host_names(spec: ClusterSpec) -> list[str]:
    """Names of all hosts of a cluster."""
    return list(dict.fromkeys([*spec.control_plane_names, *spec.store_names, *spec.worker_names]))


def zone_names(spec: ClusterSpec) -> list[str]:
    """Names of all zones of a cluster."""
    return [f"zone-{chr(ord('a') + n)}" for n in range(spec.zones)]
