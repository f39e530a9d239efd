"""Puts the actors of a cluster onto its hosts: what `kubeadm` and the service units would do."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import k8sactors.simulation as simulation_module
from k8sactors.apiserver.config import APIServerConfig
from k8sactors.apiserver.server import APIServer
from k8sactors.console import Console
from k8sactors.controllers.manager import ControllerManager
from k8sactors.fabric import Host, Network
from k8sactors.node.assembly import install_node
from k8sactors.node.kernel_messages import ProbeRequest, ProbeResult
from k8sactors.node.node_object import NodeSpec
from k8sactors.node.probe import probe
from k8sactors.scheduler.scheduler import Scheduler
from k8sactors.simulation import MILLISECOND, SECOND
from k8sactors.storehost import RevisionTimes, StoreHost
from k8sactors.topology import ClusterSpec, HostPlan, store_endpoints
from raftstore.raft import RaftMonitor
from raftstore.server import MemberConfig, Peer

CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"
CONTROL_PLANE_TAINT = {"key": CONTROL_PLANE_LABEL, "effect": "NoSchedule"}
ADDRESSES_PER_SUBNET = 250


class Assembly:
    """Knows which actor stands where. `monitor` watches Raft's invariants in every run."""

    def __init__(self, spec: ClusterSpec, network: Network) -> None:
        self._spec = spec
        self._network = network
        self.monitor = RaftMonitor(record_only=True)
        self.revision_times = RevisionTimes(simulation_module.current().now_ns)
        self.servers = [f"{name}/apiserver" for name in spec.control_plane_names]
        self.store_addresses = {
            number: f"{name}/etcd" for number, name in enumerate(spec.store_names, start=1)
        }
        self.node_names: list[str] = []
        self.node_ips: dict[str, str] = {}

    def build(self, hosts: Sequence[HostPlan]) -> None:
        """Create every host and start what runs on it."""
        for planned in hosts:
            self.add(planned)

    def add(self, planned: HostPlan) -> None:
        """Create one host, also while the cluster runs, and start what runs on it."""
        host = self._network.add_host(planned.name, planned.zone)
        self.node_ips[planned.name] = node_ip(len(self.node_ips))
        if planned.store_member:
            self._start_member(host)
        if planned.control_plane:
            self._start_control_plane(host)
        if planned.control_plane or planned.worker:
            self.node_names.append(planned.name)
            self._start_node(host, planned, len(self.node_names))

    # Roles

    def _start_member(self, host: Host) -> None:
        if self._spec.remote_store:
            self._start_remote(host)
            return
        store = self._spec.store
        peers = tuple(Peer(number, address) for number, address in self.store_addresses.items())
        config = MemberConfig(
            id=next(
                number
                for number, address in self.store_addresses.items()
                if address == f"{host.name}/etcd"
            ),
            peers=peers,
            tick_ns=store.heartbeat_ms * MILLISECOND,
            election_ticks=store.election_ms // store.heartbeat_ms,
            snapshot_entries=store.snapshot_entries,
        )
        host.spawn(
            "etcd",
            partial(
                StoreHost,
                config,
                self.store_addresses,
                store.sync_latency_ns,
                self.monitor,
                self.revision_times.note,
            ),
        )

    def _start_remote(self, host: Host) -> None:
        from k8sactors.remotestore import RemoteStore  # noqa: PLC0415 - needs the serve extra

        endpoint = self._spec.remote_store[self._spec.store_names.index(host.name)]
        note = self.revision_times.note
        host.spawn("etcd", partial(RemoteStore, endpoint, self._spec.remote_tls, note))

    def _start_control_plane(self, host: Host) -> None:
        endpoints = store_endpoints(self._spec, host.name)
        config = APIServerConfig(
            store_endpoints=tuple(endpoints),
            advertise_address=self.node_ips[host.name],
            compaction_interval_ns=self._spec.compaction_interval_s * SECOND,
        )
        host.spawn("apiserver", partial(APIServer, config))
        servers = self._servers_for(host.name)
        host.spawn("kube-controller-manager", partial(ControllerManager, servers, host.name))
        host.spawn("kube-scheduler", partial(Scheduler, servers, host.name))

    def _start_node(self, host: Host, planned: HostPlan, number: int) -> None:
        servers = self._servers_for(host.name, number)
        capacity = self._spec.capacity
        node = NodeSpec(
            name=host.name,
            ip=self.node_ips[host.name],
            zone=host.zone,
            capacity={
                "cpu": capacity.cpu,
                "memory": capacity.memory,
                "pods": capacity.pods,
                "ephemeral-storage": capacity.ephemeral_storage,
            },
            labels={CONTROL_PLANE_LABEL: ""} if planned.control_plane else {},
            taints=(CONTROL_PLANE_TAINT,) if planned.control_plane else (),
        )
        install_node(host, node, servers)

    def _servers_for(self, host: str, number: int = 0) -> list[str]:
        """The API servers in order of preference: the one beside it first, else spread evenly."""
        own = f"{host}/apiserver"
        if own in self.servers:
            return [own, *(server for server in self.servers if server != own)]
        start = number % len(self.servers)
        return [*self.servers[start:], *self.servers[:start]]

    # What is asked about it

    def store_leader(self) -> tuple[str, int] | None:
        """Host and term of the leader of the highest term that runs, None if there is none."""
        best: tuple[str, int] | None = None
        for address in self.store_addresses.values():
            name = address.partition("/")[0]
            host = self._network.hosts[name]
            actor = host.actor("etcd")
            term = None if host.paused else getattr(actor, "leading_term", None)
            if term is not None and (best is None or term > best[1]):
                best = (name, term)
        return best

    def members(self) -> list[StoreHost]:
        """The store members that run now."""
        hosts = [self._network.hosts[name] for name in self._spec.store_names]
        actors = [host.actor("etcd") for host in hosts]
        return [actor for actor in actors if isinstance(actor, StoreHost) and actor.started]

    async def probe(
        self,
        console: Console,
        service: str,
        *,
        node: str | None = None,
        port: int = 0,
        source: str = "",
        namespace: str = "default",
        **options: Any,
    ) -> ProbeResult:
        """Try a connection to a Service from a node, by default the first worker."""
        start = node or self._spec.worker_names[0]
        request = ProbeRequest(service, port, source, namespace, **options)
        return await probe(console.ctx, start, request)


def node_ip(index: int) -> str:
    """Addresses of hosts, in order of creation, out of 10.0.0.0/8 without the pods' 10.244.0.0."""
    return f"10.0.{index // ADDRESSES_PER_SUBNET}.{index % ADDRESSES_PER_SUBNET + 1}"
