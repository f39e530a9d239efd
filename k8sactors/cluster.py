"""The one object that an embedding program holds.

    async with Cluster(ClusterSpec(topology="stacked", workers=3)) as cluster:
        await cluster.apply(manifest_text)
        await cluster.wait_available("deployments.apps/web")

It must run under `k8sactors.simulation.run`. Two clusters may live side by side in one run; they
share the clock and nothing else. Every wait has a limit in virtual time.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

import structlog
import trio
import trio.lowlevel

import k8sactors.simulation as simulation_module
from k8sactors.api import manifest as manifest_module
from k8sactors.api.errors import StatusError
from k8sactors.apply import Outcome, apply_manifest, reference, resource_of, with_namespace
from k8sactors.assembly import Assembly
from k8sactors.client import Client, is_not_found
from k8sactors.console import Console
from k8sactors.errors import ImpossibleClusterError, NotReadyError, WaitTimeoutError
from k8sactors.fabric import Crash, Host, Network, open_fabric
from k8sactors.node.kernel_messages import ProbeResult
from k8sactors.observe.logs import configure_logs
from k8sactors.topology import CONSOLE, ClusterSpec, HostPlan, plan

__all__ = ["Cluster", "ClusterSpec", "ImpossibleClusterError", "NotReadyError", "WaitTimeoutError"]

Object = dict[str, Any]

READY_LIMIT_S = 120.0
POLL_S = 0.25


class Cluster:
    """Hosts, their actors, and what one does with a cluster from outside."""

    def __init__(self, spec: ClusterSpec | None = None) -> None:
        self.spec = spec or ClusterSpec()
        self._plan: list[HostPlan] = plan(self.spec)
        self._stack = AsyncExitStack()
        self.network: Network
        self.assembly: Assembly
        self._console: Console

    async def __aenter__(self) -> Self:
        """Build all hosts, start all actors, wait until every node is ready.

        Raises:
            NotReadyError: the cluster did not come up within two virtual minutes.
        """
        await self.start()
        try:
            await self.wait_ready()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop everything."""
        await self._stack.__aexit__(exc_type, exc, traceback)

    async def start(self) -> None:
        """Build and start everything without waiting for readiness."""
        spec = self.spec
        if not structlog.is_configured():
            configure_logs("warning")

        def latency_ns(source: Host, target: Host) -> int:
            same = source.zone == target.zone
            return spec.same_zone_latency_ns if same else spec.cross_zone_latency_ns

        self.network = await self._stack.enter_async_context(open_fabric(latency_ns=latency_ns))
        self.network.on_crash.append(_log_crash)
        self.assembly = Assembly(self.spec, self.network)
        self.assembly.build(self._plan)
        console = self.network.add_host(CONSOLE, zone="")
        console.spawn("kubectl", lambda: Console(self.assembly.servers))
        actor = console.actor("kubectl")
        assert isinstance(actor, Console)
        await actor.started.wait()
        self._console = actor

    # What is there

    @property
    def client(self) -> Client:
        """The administrator's API client."""
        return self._console.client

    @property
    def hosts(self) -> dict[str, Host]:
        """Every host of the cluster by name (the operator's machine is not one of them)."""
        return {name: host for name, host in self.network.hosts.items() if name != CONSOLE}

    def actors(self) -> list[str]:
        """Addresses of all living actors."""
        return [
            slot.address
            for host in self.network.hosts.values()
            for slot in host.slots.values()
            if slot.life is not None
        ]

    def store_leader(self) -> tuple[str, int] | None:
        """Host and term of the store leader that a majority follows, None when there is none."""
        return self.assembly.store_leader()

    def store_leader_host(self) -> Host:
        """The host that carries the store leader.

        Raises:
            WaitTimeoutError: there is no leader at the moment.
        """
        leader = self.store_leader()
        if leader is None:
            raise WaitTimeoutError("the store has no leader now; wait for one first")
        return self.network.hosts[leader[0]]

    # What one does with it

    async def apply(self, manifests: str | Iterable[Mapping[str, Any]]) -> dict[str, Outcome]:
        """Apply YAML text or objects in order; returns what became of each.

        Raises:
            ManifestError: the text is malformed; nothing was applied.
            StatusError: the server refused an object; those before it are applied.
        """
        objects = _objects(manifests)
        results: dict[str, Outcome] = {}
        for manifest in objects:
            results[reference(manifest)] = await apply_manifest(self.client, manifest)
        return results

    async def add_worker(self, zone: str | None = None) -> str:
        """Add a worker host to the running cluster, in the first zone unless given.

        Returns:
            Its name; the node is ready some time later.
        """
        number = 1
        while f"worker-{number}" in self.network.hosts:
            number += 1
        planned = HostPlan(f"worker-{number}", zone or self._plan[0].zone, worker=True)
        self.assembly.add(planned)
        return planned.name

    async def delete(self, manifests: str | Iterable[Mapping[str, Any]]) -> None:
        """Delete what the manifests name; what is gone already does not matter."""
        objects = _objects(manifests)
        for manifest in objects:
            metadata = with_namespace(manifest)["metadata"]
            try:
                await self.client.delete(
                    resource_of(manifest),
                    metadata["name"],
                    metadata.get("namespace"),
                    propagationPolicy="Background",
                )
            except StatusError as error:
                if not is_not_found(error):
                    raise

    async def probe(self, service: str, **options: Any) -> ProbeResult:
        """Send one request to a Service (`name` or `name.namespace`) and return the hop list."""
        return await self.assembly.probe(self._console, service, **options)

    # What one waits for

    async def wait_for(
        self,
        condition: Callable[[], Awaitable[str | None]],
        what: str,
        *,
        timeout_s: float = READY_LIMIT_S,
        poll_s: float = POLL_S,
    ) -> None:
        """Poll until `condition` returns None; what it returns instead says what is missing.

        API errors count as not yet: a cluster under faults answers with them.

        Raises:
            WaitTimeoutError: with the last answer.
        """
        sim = simulation_module.current()
        deadline_ns = sim.now_ns() + round(timeout_s * simulation_module.SECOND)
        while True:
            try:
                missing = await condition()
            except StatusError as error:
                missing = str(error)
            if missing is None:
                return
            if sim.now_ns() >= deadline_ns:
                raise WaitTimeoutError(f"{what} not within {timeout_s:g} s: {missing}")
            await trio.sleep(poll_s)

    async def wait_ready(self, timeout_s: float = READY_LIMIT_S) -> None:
        """Wait until the store has a leader and every node is ready.

        Raises:
            NotReadyError: with what is missing.
        """
        wanted = set(self.assembly.node_names)

        async def missing() -> str | None:
            if self.store_leader() is None:
                return "the store has no leader"
            nodes = (await self.client.list("nodes"))["items"]
            ready = {node["metadata"]["name"] for node in nodes if condition_of(node, "Ready")}
            late = sorted(wanted - ready)
            return f"nodes not ready: {', '.join(late)}" if late else None

        try:
            await self.wait_for(missing, "the cluster is ready", timeout_s=timeout_s)
        except WaitTimeoutError as error:
            raise NotReadyError(str(error)) from error

    async def wait_available(
        self, workload: str, namespace: str = "default", *, timeout_s: float = READY_LIMIT_S
    ) -> None:
        """Wait until a workload (`deployments.apps/web`) has all its replicas available."""
        resource, _, name = workload.partition("/")

        async def missing() -> str | None:
            return unavailable(await self.client.get(resource, name, namespace))

        await self.wait_for(missing, f"{workload} is available", timeout_s=timeout_s)

    async def wait_answers(
        self, service: str, *, timeout_s: float = READY_LIMIT_S, **options: Any
    ) -> None:
        """Wait until a Service answers a probe."""

        async def missing() -> str | None:
            result = await self.probe(service, **options)
            return None if result.ok else result.error

        await self.wait_for(missing, f"service {service} answers", timeout_s=timeout_s)


def _log_crash(crash: Crash) -> None:
    host = crash.actor.partition("/")[0]
    structlog.get_logger().error("crashed", actor=crash.actor, host=host, cause=crash.cause)


def condition_of(obj: Mapping[str, Any], kind: str) -> bool:
    """Whether a status condition is True."""
    conditions = obj.get("status", {}).get("conditions") or ()
    return any(item["type"] == kind and item["status"] == "True" for item in conditions)


def unavailable(workload: Mapping[str, Any]) -> str | None:
    """What a Deployment or ReplicaSet lacks to be complete, None when it lacks nothing."""
    wanted = workload["spec"].get("replicas", 1)
    status = workload.get("status", {})
    if status.get("observedGeneration", 0) < workload["metadata"].get("generation", 0):
        return "its controller has not seen the latest change"
    counts = {"available": status.get("availableReplicas", 0), "all": status.get("replicas", 0)}
    if "updatedReplicas" in status or workload.get("kind") == "Deployment":
        counts["updated"] = status.get("updatedReplicas", 0)
    if all(count == wanted for count in counts.values()):
        return None
    have = ", ".join(f"{count} {what}" for what, count in counts.items())
    return f"{have}; wanted {wanted}"


def _objects(manifests: str | Iterable[Mapping[str, Any]]) -> list[Object]:
    if isinstance(manifests, str):
        return [item.obj for item in manifest_module.load(manifests, "<text>")]
    return [dict(manifest) for manifest in manifests]
