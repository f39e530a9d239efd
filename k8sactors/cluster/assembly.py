"""Puts the actors of a cluster onto its hosts: what `kubeadm` and the service units would do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import attrs

import k8sactors.simulation as simulation_module
from k8sactors.api.scheme import Scheme
from k8sactors.apiserver.authn.service_account import TokenKey
from k8sactors.apiserver.config import APIServerConfig
from k8sactors.apiserver.server import APIServer
from k8sactors.cluster.addresses import node_ip
from k8sactors.cluster.node_assembly import install_node
from k8sactors.cluster.operator_host import OperatorClients
from k8sactors.cluster.spec import ClusterSpec
from k8sactors.cluster.topology import HostPlan, store_endpoints
from k8sactors.controllers.manager import ControllerManager
from k8sactors.fabric import Host, Network
from k8sactors.kubelet.node_object import NodeSpec
from k8sactors.network.kernel_messages import ProbeRequest, ProbeResult
from k8sactors.network.reachability import probe_reachability
from k8sactors.runtime.image_registry import ImageRegistry
from k8sactors.scheduler.scheduler import Scheduler
from k8sactors.simulation import MILLISECOND, SECOND
from k8sactors.store.member import RevisionTimes, StoreHost
from k8sactors.store.members import StoreMembers
from raftstore.raft import RaftMonitor
from raftstore.server import MemberConfig

CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"
CONTROL_PLANE_TAINT = {"key": CONTROL_PLANE_LABEL, "effect": "NoSchedule"}


class Assembly:
    """Knows which actor stands where.

    All API servers serve `scheme`. `monitor` watches Raft's invariants in every run.
    """

    def __init__(
        self,
        spec: ClusterSpec,
        network: Network,
        scheme: Scheme,
        api_server: Callable[[APIServerConfig, Scheme], APIServer],
    ) -> None:
        self._spec = spec
        self._api_server = api_server
        self._scheme = scheme
        self._network = network
        # The programs of images; containers that start from now on run them.
        self.images = ImageRegistry()
        self.monitor = RaftMonitor(record_only=True)
        self.revision_times = RevisionTimes(simulation_module.current().now_ns)
        self.servers = [f"{name}/apiserver" for name in spec.control_plane_names]
        self._token_key = spec.access.signing_key()
        self.store = self._store_members()
        self.store.found(spec.store_names)
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
        self.store.start(host.name)

    def _store_members(self) -> StoreMembers:
        options = self._spec.store
        settings = MemberConfig(
            id=0,
            peers=(),
            tick_ns=options.heartbeat_ms * MILLISECOND,
            election_ticks=options.election_ms // options.heartbeat_ms,
            snapshot_entries=options.snapshot_entries,
            quota_bytes=options.quota_bytes,
        )
        return StoreMembers(
            self._network,
            self._spec.store_names,
            settings,
            options.sync_latency_ns,
            self.monitor,
            on_revision=self.revision_times.note,
            new_host=self._new_store_host,
            open_disk=self._spec.open_disk,
        )

    def _new_store_host(self) -> str:
        """One more machine for a member of the store, in the first zone."""
        number = 1
        while f"etcd-{number}" in self._network.hosts:
            number += 1
        name = f"etcd-{number}"
        self.add(HostPlan(name, self._spec.zone_names[0]))
        return name

    def _start_remote(self, host: Host) -> None:
        from k8sactors.store.remote import RemoteStore  # noqa: PLC0415 - needs the serve extra

        endpoint = self._spec.remote_store[self._spec.store_names.index(host.name)]
        note = self.revision_times.note
        host.spawn("etcd", partial(RemoteStore, endpoint, self._spec.remote_tls, note))

    def _start_control_plane(self, host: Host) -> None:
        endpoints, access = store_endpoints(self._spec, host.name), self._spec.access
        config = APIServerConfig(
            store_endpoints=tuple(endpoints),
            advertise_address=self.node_ips[host.name],
            compaction_interval_ns=self._spec.compaction_interval_s * SECOND,
            crash_on_internal_error=simulation_module.current().virtual,
            authorization_modes=access.authorization_modes,
            authorization_webhooks=access.authorization_webhooks,
            anonymous_auth=access.anonymous_auth,
            static_tokens=access.static_tokens,
            oidc_issuers=access.oidc_issuers,
            webhook_tokens=access.webhook_tokens,
            service_account_key=self._token_key,
            service_account_issuer=access.service_account_issuer,
            audit=access.audit,
            # Programs of users read the token; what a simulation runs does not.
            service_account_token_volumes=not simulation_module.current().virtual,
            enable_admission_plugins=self._spec.enable_admission_plugins,
            disable_admission_plugins=self._spec.admission_plugins_off,
            admission_configuration=self._spec.admission_configuration,
            feature_gates=self._spec.feature_gates,
            max_mutating_in_flight=self._spec.max_mutating_in_flight,
            max_readonly_in_flight=self._spec.max_readonly_in_flight,
            enable_priority_and_fairness=self._spec.enable_priority_and_fairness,
            service_cidr=self._spec.service_cidr,
            node_ports=self._spec.node_ports,
        )
        host.spawn("apiserver", partial(self._api_server, config, self._scheme))
        servers = self._servers_for(host.name)
        controllers = self._spec.controller_manager
        keys = {"service_account_token_key": TokenKey(self._token_key), **controllers.settings}
        manager = partial(
            ControllerManager,
            servers,
            host.name,
            attrs.evolve(controllers, settings=keys),
            scheme=self._scheme,
        )
        host.spawn("kube-controller-manager", manager)
        host.spawn("kube-scheduler", partial(Scheduler, servers, host.name))

    def _start_node(self, host: Host, planned: HostPlan, number: int) -> None:
        servers = self._servers_for(host.name, number)
        reserved = planned.control_plane and not self._spec.control_plane_schedulable
        node = NodeSpec(
            name=host.name,
            ip=self.node_ips[host.name],
            zone=host.zone,
            capacity=self._spec.capacity.resources(),
            taints=(CONTROL_PLANE_TAINT,) if reserved else (),
        )
        install_node(host, node, servers, images=self.images)

    def _servers_for(self, host: str, number: int = 0) -> list[str]:
        """The API servers in order of preference: the one on its host first, else spread evenly."""
        own = f"{host}/apiserver"
        if own in self.servers:
            return [own, *(server for server in self.servers if server != own)]
        start = number % len(self.servers)
        return [*self.servers[start:], *self.servers[:start]]

    # What is asked about it

    def store_leader(self) -> tuple[str, int] | None:
        """Host and term of the leader of the highest term that runs, None if there is none."""
        best: tuple[str, int] | None = None
        for name in self.store.hosts:
            host = self._network.hosts[name]
            actor = host.actor("etcd")
            term = None if host.paused else getattr(actor, "leading_term", None)
            if term is not None and (best is None or term > best[1]):
                best = (name, term)
        return best

    @property
    def store_hosts(self) -> list[str]:
        """The hosts that should carry a store member now."""
        return list(self.store.places.values())

    def members(self) -> list[StoreHost]:
        """The store members that run now."""
        return self.store.carriers

    async def probe(
        self,
        operator: OperatorClients,
        service: str,
        *,
        node: str | None = None,
        port: int = 0,
        source: str = "",
        namespace: str = "default",
        **options: Any,
    ) -> ProbeResult:
        """Try a connection to a Service from a node, by default the first worker."""
        start = node or [*self._spec.worker_names, *self.node_names][0]
        request = ProbeRequest(service, port, source, namespace, **options)
        return await probe_reachability(operator.ctx, start, request)
