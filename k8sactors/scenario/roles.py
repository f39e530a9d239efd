"""From the targets of a scenario to hosts and actors: which of them play a role right now."""

from __future__ import annotations

import attrs
import trio

from k8sactors.api.errors import StatusError
from k8sactors.cluster import Cluster
from k8sactors.scenario.errors import StepError
from k8sactors.scenario.targets import Target, TargetKind

_LEADER_LIMIT_S = 30.0
_POLL_S = 0.1


@attrs.frozen
class Place:
    """A host, or one actor on it."""

    host: str
    actor: str | None = None

    def __str__(self) -> str:
        return f"{self.host}/{self.actor}" if self.actor else self.host


@attrs.define
class Roles:
    """Resolves targets; remembers what earlier steps hit."""

    cluster: Cluster
    saved: dict[str, list[Place]] = attrs.field(factory=dict)

    async def resolve(self, target: Target) -> list[Place]:
        """The hosts or actors that are meant, at least one.

        Raises:
            StepError: no host or actor plays the role now.
        """
        places = await self._resolve(target)
        if target.whole_host:
            places = list(dict.fromkeys(Place(each.host) for each in places))
        if not places:
            raise StepError(f"nothing is {target} now")
        return places

    async def hosts(self, target: Target) -> list[str]:
        """The hosts that are meant, or carry the actors that are."""
        return list(dict.fromkeys(each.host for each in await self.resolve(target)))

    async def _resolve(self, target: Target) -> list[Place]:
        match target.kind:
            case TargetKind.HOST:
                return [Place(target.name)]
            case TargetKind.ACTOR:
                return [Place(target.name, target.actor)]
            case TargetKind.STORE:
                return await self._store(target)
            case TargetKind.ELECTED:
                return [Place(await self.holder(target.name), target.name)]
            case TargetKind.NODE_OF:
                return [Place(await self._node_of(target.name))]
            case TargetKind.ZONE:
                hosts = self.cluster.hosts.values()
                return [Place(host.name) for host in hosts if host.zone == target.name]
            case TargetKind.ROLE:
                return self._role(target.name)
            case TargetKind.SAVED:
                return self.saved[target.name]

    def _role(self, name: str) -> list[Place]:
        spec = self.cluster.spec
        if name == "control-planes":
            return [Place(host) for host in spec.control_plane_names]
        if name == "store-members":
            return [Place(host, "etcd") for host in self.cluster.assembly.store_hosts]
        others = {*spec.control_plane_names, *self.cluster.assembly.store.hosts}
        return [Place(host) for host in self.cluster.hosts if host not in others]

    async def _store(self, target: Target) -> list[Place]:
        leader = await self._store_leader()
        if target.name == "store-leader":
            return [Place(leader, "etcd")]
        followers = [
            name
            for name in self.cluster.assembly.store_hosts
            if name != leader and self.cluster.hosts[name].up
        ]
        return [Place(followers[0], "etcd")] if followers else []

    async def _store_leader(self) -> str:
        with trio.move_on_after(_LEADER_LIMIT_S):
            while True:
                leader = self.cluster.store_leader()
                if leader is not None:
                    return leader[0]
                await trio.sleep(_POLL_S)
        raise StepError(f"the store had no leader for {_LEADER_LIMIT_S:g} s")

    async def holder(self, component: str) -> str:
        """The host whose instance of a component holds its lease."""
        try:
            lease = await self.cluster.client.request(
                "get", "leases.coordination.k8s.io", namespace="kube-system", name=component
            )
        except StatusError as error:
            raise StepError(f"cannot tell which host leads {component}: {error}") from error
        identity = str(lease.get("spec", {}).get("holderIdentity") or "")
        for host in self.cluster.hosts:
            if identity == host or identity.startswith((f"{host}_", f"{host}/")):
                return host
        raise StepError(f"no host leads {component}; the lease names {identity or 'none'!r}")

    async def _node_of(self, name: str) -> str:
        namespace, _, prefix = name.partition("/")
        try:
            pods = await self.cluster.client.request("list", "pods", namespace=namespace)
        except StatusError as error:
            raise StepError(f"cannot list the pods of {namespace}: {error}") from error
        for pod in sorted(pods["items"], key=lambda each: str(each["metadata"]["name"])):
            found = str(pod["metadata"]["name"])
            if found == prefix or found.startswith(f"{prefix}-"):
                node = pod.get("spec", {}).get("nodeName")
                if node:
                    return str(node)
        raise StepError(f"no pod {prefix} runs in namespace {namespace}")
