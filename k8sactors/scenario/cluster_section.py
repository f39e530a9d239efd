"""The `cluster` section of a scenario: what is built before the first step."""

from __future__ import annotations

from typing import cast

import attrs

from k8sactors.api.located_yaml import KeyPath
from k8sactors.api.quantity import parse_memory_bytes
from k8sactors.cluster import defaults
from k8sactors.cluster.defaults import TOPOLOGIES, TopologyName
from k8sactors.cluster.spec import ClusterSpec, StoreOptions
from k8sactors.kubelet.node_object import NodeCapacity
from k8sactors.scenario.binding import Choice, Duration, Integer, ListOf, Reader, Text, setting

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
        default=defaults.SCENARIO_TOPOLOGY,
    )
    control_planes: int | None = setting(Integer(0, _MANY), "control-plane hosts", default=None)
    store_members: int | None = setting(Integer(0, _MANY), "members of the store", default=None)
    store_quota: str | None = setting(
        _QUANTITY, "room of the store, as in 8Mi; without, there is no limit", default=None
    )
    workers: int = setting(
        Integer(0, _MANY), "worker hosts, worker-1 and so on", default=defaults.WORKERS
    )
    worker_hosts: list[str] = setting(
        ListOf(Text("the name of a host", HOST_NAME)),
        "names of the workers, instead of their number",
        default=[],
    )
    zones: int = setting(
        Integer(0, _MANY), "zones, over which hosts are spread", default=defaults.SCENARIO_ZONES
    )
    latency_ns: int = setting(
        Duration(),
        "one-way delay between hosts of a zone",
        key="latency",
        default=defaults.SAME_ZONE_LATENCY_NS,
    )
    zone_latency_ns: int = setting(
        Duration(),
        "one-way delay between zones",
        key="zoneLatency",
        default=defaults.CROSS_ZONE_LATENCY_NS,
    )
    cpu: str = setting(_QUANTITY, "cpus of a worker", default=defaults.NODE_CAPACITY.cpu)
    memory: str = setting(_QUANTITY, "memory of a worker", default=defaults.SCENARIO_NODE_MEMORY)
    pods: int = setting(
        Integer(1), "most pods of a worker", default=int(defaults.NODE_CAPACITY.pods)
    )

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
            store=StoreOptions(quota_bytes=self._quota_bytes),
            worker_hosts=tuple(self.worker_hosts),
            capacity=NodeCapacity(cpu=self.cpu, memory=self.memory, pods=str(self.pods)),
            same_zone_latency_ns=self.latency_ns,
            cross_zone_latency_ns=self.zone_latency_ns,
        )

    @property
    def _quota_bytes(self) -> int:
        return parse_memory_bytes(self.store_quota) if self.store_quota else 0


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
    return spec.zone_names
