"""The cluster of one case: one of each control-plane component, an observer, and nodes to order."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import trio

from k8sactors import fabric
from k8sactors.apiserver.config import APIServerConfig
from k8sactors.apiserver.server import APIServer
from k8sactors.cluster.node_assembly import install_node
from k8sactors.controllers.manager import ControllerManager, ControllerManagerConfig
from k8sactors.fabric import Network
from k8sactors.kubelet.node_object import NodeSpec
from k8sactors.scheduler.scheduler import Scheduler
from k8sactors.simulation import MICROSECOND, MILLISECOND, SECOND
from k8sactors.store.member import StoreHost
from raftstore.server import MemberConfig, Peer
from tests.golden.agents import Agents
from tests.golden.observer import Observer

Object = dict[str, Any]

STORE, SERVER = "cp/etcd", "cp/apiserver"
LATENCY_NS = 100 * MICROSECOND
SYNC_NS = MILLISECOND
POLL_S = 0.05
# The recorded release waits 40 s for a heartbeat; the present default is 50 s.
RECORDED_GRACE_NS = 40 * SECOND
ZONE = "topology.kubernetes.io/zone"
HOLLOW_CAPACITY = {"cpu": "1", "memory": "3840Mi", "pods": "110", "ephemeral-storage": "0"}
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"


class ConditionTimeoutError(Exception):
    """A step's condition did not come true."""


def default_nodes(kind: str) -> list[Object]:
    """Three nodes in three zones."""
    prefix = "node" if kind == "agent" else kind
    return [
        {"name": f"{prefix}-{n}", "kind": kind, "labels": {ZONE: f"zone-{n}"}} for n in range(3)
    ]


class CaseCluster:
    """A running control plane and what acts on it."""

    def __init__(self, network: Network, observer: Observer, agents: Agents) -> None:
        self.network = network
        self.observer = observer
        self.agents = agents

    async def wait_for(self, condition: Callable[[], Any], timeout_s: float, what: str) -> None:
        """Poll in virtual time.

        Raises:
            ConditionTimeoutError: after `timeout_s`.
        """
        end = self.observer.now_s() + timeout_s
        while not condition():
            if self.observer.now_s() >= end:
                raise ConditionTimeoutError(f"{what}: not within {timeout_s:g} s")
            await trio.sleep(POLL_S)

    async def add_node(self, node: Mapping[str, Any]) -> None:
        """Add a node of any kind; it may not be ready yet."""
        if node.get("kind") != "hollow":
            await self.agents.add(node)
            return
        name, number = node["name"], len(self.network.hosts)
        labels = dict(node.get("labels") or {})
        zone = labels.get(ZONE, "")
        spec = NodeSpec(name, f"10.0.1.{number}", zone, HOLLOW_CAPACITY, labels)
        install_node(self.network.add_host(name, zone), spec, [SERVER])

    async def add_nodes(self, nodes: Sequence[Mapping[str, Any]]) -> None:
        """Add nodes and wait until pods may go there."""
        for node in nodes:
            await self.add_node(node)
        await self.wait_for(lambda: all(map(self.usable, nodes)), 60, "nodes are ready")
        await trio.sleep(0.5)

    def usable(self, node: Mapping[str, Any]) -> bool:
        """Whether a node is ready and has only the taints it was given."""
        own = [taint["key"] for taint in node.get("taints") or []]
        for found in self.observer.find("Node", name=node["name"]):
            conditions = found["status"].get("conditions") or []
            ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
            foreign = [
                taint
                for taint in found["spec"].get("taints") or []
                if taint["key"].startswith("node.kubernetes.io/")
                and taint["key"] not in {UNSCHEDULABLE, *own}
            ]
            return ready and not foreign
        return False


@asynccontextmanager
async def open_case_cluster() -> AsyncIterator[CaseCluster]:
    """A control plane without nodes, inside a running simulation."""
    async with fabric.open_fabric(default_latency_ns=LATENCY_NS) as network:
        plane = network.add_host("cp")
        member = MemberConfig(id=1, peers=(Peer(1, STORE),))
        plane.spawn("etcd", partial(StoreHost, member, {1: STORE}, SYNC_NS))
        plane.spawn("apiserver", partial(APIServer, APIServerConfig(store_endpoints=(STORE,))))
        config = ControllerManagerConfig(
            settings={"node_monitor_grace_period_ns": RECORDED_GRACE_NS}
        )
        plane.spawn(
            "kube-controller-manager",
            partial(ControllerManager, [SERVER], "cp", config, leader_elect=False),
        )
        plane.spawn("kube-scheduler", partial(Scheduler, [SERVER], "cp", leader_elect=False))
        host = network.add_host("observer")
        host.spawn("observer", partial(Observer, SERVER))
        observer = host.actor("observer")
        assert isinstance(observer, Observer)
        await observer.started.wait()
        for _ in range(100):
            code, _ = await observer.call("get", "Namespace", None, "kube-node-lease")
            if code == 200:
                break
            await trio.sleep(POLL_S)
        observer.watch()
        await trio.sleep(1)
        yield CaseCluster(network, observer, Agents(observer))
        assert not network.crashes, network.crashes
