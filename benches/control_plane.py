"""The parts of a cluster that a pod passes on its way to a node: store, API server, scheduler.

The hosts are those of the external topology, without latency between them: work is measured.
"""

from __future__ import annotations

import attrs

from k8sactors.apiserver import APIServer, APIServerConfig
from k8sactors.cluster.access import NODE_AND_RBAC
from k8sactors.cluster.defaults import STORE_MEMBERS
from k8sactors.fabric import Network
from k8sactors.scheduler import Scheduler
from k8sactors.simulation import MILLISECOND
from k8sactors.store.member import StoreHost
from raftstore.server import MemberConfig, Peer

__all__ = ["start_control_plane", "start_store"]

SYNC_LATENCY_NS = 1 * MILLISECOND


def start_store(network: Network, members: int = STORE_MEMBERS) -> tuple[str, ...]:
    """Start a store on hosts of its own; returns the members' addresses."""
    names = [f"etcd-{n}" for n in range(1, members + 1)]
    peers = tuple(Peer(id=n, name=name) for n, name in enumerate(names, 1))
    addresses = {peer.id: f"{peer.name}/etcd" for peer in peers}

    def start(peer: Peer) -> None:
        config = MemberConfig(id=peer.id, peers=peers)
        host = network.add_host(peer.name)
        host.spawn("etcd", lambda: StoreHost(config, addresses, SYNC_LATENCY_NS))

    for peer in peers:
        start(peer)
    return tuple(addresses.values())


def start_control_plane(network: Network, *, access: bool = False) -> list[str]:
    """Start a store of three, an API server and a scheduler; returns the API server's address.

    `access`: the Node authorizer and roles decide what a user may do, as kubeadm has it.
    """
    endpoints = start_store(network)
    host = network.add_host("cp-1")
    servers = [f"{host.name}/apiserver"]
    # No component would take the taint of new nodes away: no controllers run here.
    config = APIServerConfig(store_endpoints=endpoints, taint_new_nodes=False)
    if access:
        config = attrs.evolve(config, authorization_modes=NODE_AND_RBAC)
    host.spawn("apiserver", lambda: APIServer(config))
    host.spawn("kube-scheduler", lambda: Scheduler(servers, host.name))
    return servers
