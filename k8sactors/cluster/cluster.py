"""The one object that an embedding program holds.

    async with Cluster(ClusterSpec(topology="stacked", workers=3)) as cluster:
        await cluster.apply(manifest_text)
        await cluster.wait_available("deployments.apps/web")

It must run under `k8sactors.simulation.run`. Two clusters may live side by side in one run; they
share the clock and nothing else. Every wait has a limit in virtual time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from types import TracebackType
from typing import Any, Self

import structlog
import trio
import trio.lowlevel

import k8sactors.simulation as simulation_module
from k8sactors.api import manifest as manifest_module
from k8sactors.api.errors import StatusError
from k8sactors.api.meta import condition_is
from k8sactors.api.protocol import WEBHOOK_ACTOR, service_host
from k8sactors.api.scheme import Scheme, builtin
from k8sactors.api.user import ADMIN_USER
from k8sactors.apiserver.config import APIServerConfig
from k8sactors.apiserver.server import APIServer
from k8sactors.client import Client, is_not_found
from k8sactors.client.apply import Outcome, apply_manifest, reference, resource_of, with_namespace
from k8sactors.cluster.addons import addon_roles
from k8sactors.cluster.addresses import pod_network_problems
from k8sactors.cluster.assembly import CONTROL_PLANE_LABEL, Assembly
from k8sactors.cluster.errors import (
    ImpossibleClusterError,
    NotReadyError,
    NotServedError,
    WaitTimeoutError,
    few_of,
)
from k8sactors.cluster.operator_host import OPERATOR_HOST, OperatorClients
from k8sactors.cluster.runtime_config import served_scheme
from k8sactors.cluster.spec import ClusterSpec
from k8sactors.cluster.topology import HostPlan, plan
from k8sactors.cluster.webhook import Review, Webhook
from k8sactors.fabric import Crash, Host, Network, open_fabric
from k8sactors.faults.orders import OPERATOR
from k8sactors.gateway.endpoint import Endpoint, ServerTls
from k8sactors.network.kernel_messages import ProbeResult
from k8sactors.observe.logs import configure_logs
from k8sactors.runtime.image_registry import ImageRegistry
from k8sactors.store.operator import StoreOperator

__all__ = ["Cluster", "ClusterSpec", "ImpossibleClusterError", "NotReadyError", "WaitTimeoutError"]

Object = dict[str, Any]

READY_LIMIT_S = 120.0
LOOPBACK = "127.0.0.1"
POLL_S = 0.25
KIND_LIMIT_S = 3.0
NODE_LIST_INTERVAL_NS = 2 * simulation_module.SECOND


class Cluster:
    """Hosts, their actors, and what a program does with a cluster from outside."""

    def __init__(self, spec: ClusterSpec | None = None) -> None:
        self.spec = spec or ClusterSpec()
        # Which kinds are served; more may be added before the start.
        self.scheme: Scheme = builtin()
        # What of it clients of the ports are served: all but what `runtime_config` turns off.
        self.served_scheme = self.scheme
        self._plan: list[HostPlan] = plan(self.spec)
        self._stack = AsyncExitStack()
        self.network: Network
        self.assembly: Assembly
        self._operator: OperatorClients

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
        self.served_scheme = served_scheme(self.scheme, spec.runtime_config)
        self.assembly = Assembly(self.spec, self.network, self.scheme, self.api_server)
        self.assembly.build(self._plan)
        operator = self.network.add_host(OPERATOR_HOST, zone="")
        addons = addon_roles() if spec.access.enforced else []
        operator.spawn("kubectl", lambda: OperatorClients(self.assembly.servers, addons))
        actor = operator.actor("kubectl")
        assert isinstance(actor, OperatorClients)
        await actor.started.wait()
        self._operator = actor

    # Parts that a subclass may replace

    def api_server(self, config: APIServerConfig, scheme: Scheme) -> APIServer:
        """What runs as an API server; called at each of its starts."""
        return APIServer(config, scheme=scheme)

    def front(self, *, trust_plain: bool = True, control_plane: str | None = None) -> Any:
        """The application behind a port; `trust_plain`: plain clients are the administrator.

        It asks the API server of one `control_plane` host, or by default any that runs.

        Raises:
            NotServedError: packages are missing.
        """
        try:
            from k8sactors.gateway.front import Front  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise NotServedError(_packages_missing(error)) from error
        self.follow_custom_resources()
        trusted = ADMIN_USER if trust_plain else None
        return Front(self.client_of_front(control_plane), trusted, self.served_scheme)

    def follow_custom_resources(self) -> None:
        """Know the kinds of custom resources from now on."""
        schemes = dict.fromkeys((self.scheme, self.served_scheme))
        self._operator.follow_custom_resources(*schemes)

    def client_of_front(self, control_plane: str | None) -> Client:
        """Like `proxy_client`, but of the API server on one host where one is named."""
        if control_plane is None:
            return self.proxy_client
        return self._operator.proxy_to(f"{control_plane}/apiserver")

    # State

    @property
    def client(self) -> Client:
        """The administrator's API client."""
        return self._operator.client

    @property
    def proxy_client(self) -> Client:
        """The API client of a front that authenticates its users and states them by request."""
        return self._operator.proxy

    @property
    def hosts(self) -> dict[str, Host]:
        """Every host of the cluster by name (the operator's machine is not one of them)."""
        return {
            name: host
            for name, host in self.network.hosts.items()
            if name != OPERATOR_HOST and not name.endswith(".svc")
        }

    def actors(self) -> list[str]:
        """Addresses of all living actors."""
        return [
            slot.address
            for host in self.network.hosts.values()
            for slot in host.slots.values()
            if slot.life is not None
        ]

    @property
    def images(self) -> ImageRegistry:
        """The programs that containers run, by image: `cluster.images.register(image, program)`."""
        return self.assembly.images

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

    def store_operator(self) -> StoreOperator:
        """The operator of the store: adds, removes and replaces its members; there from now on.

        Raises:
            ImpossibleClusterError: the members of a real etcd are no part of the cluster.
        """
        if self.spec.remote_store:
            raise ImpossibleClusterError(["a real etcd has no operator here"])
        host = self.network.hosts[OPERATOR_HOST]
        if OPERATOR not in host.slots:
            host.spawn(OPERATOR, partial(StoreOperator, self.assembly.store))
        operator = host.actor(OPERATOR)
        assert isinstance(operator, StoreOperator)
        return operator

    # Changes and requests

    async def apply(self, manifests: str | Iterable[Mapping[str, Any]]) -> dict[str, Outcome]:
        """Apply YAML text or objects in order; returns what became of each.

        A custom resource may follow its definition: it is applied when its kind is served.

        Raises:
            ManifestError: the text is malformed; nothing was applied.
            StatusError: the server refused an object; those before it are applied.
            UnknownKindError: nothing serves the kind of an object.
        """
        objects = _objects(manifests)
        results: dict[str, Outcome] = {}
        for manifest in objects:
            if not self.scheme.has_kind(manifest["apiVersion"], manifest["kind"]):
                await self._wait_for_kind(manifest["apiVersion"], manifest["kind"])
            results[reference(self.scheme, manifest)] = await apply_manifest(
                self.client, self.scheme, manifest
            )
        return results

    async def _wait_for_kind(self, api_version: str, kind: str) -> None:
        """Give the definition of a custom resource time to be established."""
        self.follow_custom_resources()

        async def missing() -> str | None:
            return None if self.scheme.has_kind(api_version, kind) else "it is unknown"

        with suppress(WaitTimeoutError):
            await self.wait_for(missing, f"kind {kind} is served", timeout_s=KIND_LIMIT_S)

    async def add_worker(self, zone: str | None = None) -> str:
        """Add a worker host to the running cluster, in the first zone unless given.

        Returns:
            Its name; the node is ready some time later.

        Raises:
            ImpossibleClusterError: the pod network has no range for another node.
        """
        nodes = len(self.assembly.node_names) + 1
        problems = pod_network_problems(self.spec.pod_network, nodes, self.spec.service_cidr)
        if problems:
            raise ImpossibleClusterError(problems)
        number = 1
        while f"worker-{number}" in self.network.hosts:
            number += 1
        planned = HostPlan(f"worker-{number}", zone or self._plan[0].zone, worker=True)
        self.assembly.add(planned)
        return planned.name

    def add_webhook(self, namespace: str, name: str, review: Review) -> Host:
        """Run an admission webhook that configurations reach as the service `namespace/name`.

        `review` gets the request of each AdmissionReview and returns the response; None leaves the
        request without an answer. Returns the host that the webhook runs on, which may fail.
        """
        host = self.network.add_host(service_host(namespace, name), self._plan[0].zone)
        host.spawn(WEBHOOK_ACTOR, lambda: Webhook(review))
        return host

    async def delete(self, manifests: str | Iterable[Mapping[str, Any]]) -> None:
        """Delete what the manifests name; what is gone already does not matter."""
        objects = _objects(manifests)
        for manifest in objects:
            metadata = with_namespace(self.scheme, manifest)["metadata"]
            try:
                await self.client.delete(
                    resource_of(self.scheme, manifest),
                    metadata["name"],
                    metadata.get("namespace"),
                    propagationPolicy="Background",
                )
            except StatusError as error:
                if not is_not_found(error):
                    raise

    async def probe(self, service: str, **options: Any) -> ProbeResult:
        """Send one request to a Service (`name` or `name.namespace`) and return the hop list."""
        return await self.assembly.probe(self._operator, service, **options)

    @asynccontextmanager
    async def serve(
        self,
        port: int = 0,
        *,
        host: str = LOOPBACK,
        listener: trio.SocketListener | None = None,
        tls: ServerTls | None = None,
        trust_plain: bool = True,
        plain_http: bool = True,
        control_plane: str | None = None,
    ) -> AsyncIterator[Endpoint]:
        """Serve the API over HTTP while the block runs, to `kubectl` and every other client.

        Port 0 is an unused one; `listener` is one that was bound already. With `tls` (of a
        `gateway.pki.Pki`) clients show a certificate or a token; without it the port is plain.
        Plain HTTP is taken from programs of the same machine, too, unless `plain_http` is False.
        Each plain client is the administrator, unless `trust_plain` is False: do not serve plainly
        beyond loopback what may not be changed by any program there. The port is that of all API
        servers, as a load balancer's is, or of the one on the host `control_plane`.

        Raises:
            NotServedError: the simulation's time is virtual, or packages are missing.
            OSError: the port cannot be had.
        """
        if simulation_module.current().virtual:
            text = "clients over HTTP live in real time: run the simulation on a RealClock"
            raise NotServedError(text)
        try:
            from k8sactors.gateway.serving import serving  # noqa: PLC0415 - an extra
            from raftstore.http.ports import listen  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise NotServedError(_packages_missing(error)) from error
        bound = listener or await listen(host, port)
        front = self.front(trust_plain=trust_plain, control_plane=control_plane)
        async with serving(front, bound, host, tls, plain_from_loopback=plain_http) as endpoint:
            yield endpoint

    # Waiting

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
        late: list[str] = []
        list_at_ns = 0

        async def missing() -> str | None:
            nonlocal late, list_at_ns
            if self.store_leader() is None:
                return "the store has no leader"
            # One node that is not ready says enough: thousands are not listed at every look.
            now_ns = simulation_module.current().now_ns()
            if now_ns >= list_at_ns or await self._is_node_ready(late[0]):
                late = await self._nodes_not_ready()
                list_at_ns = now_ns + NODE_LIST_INTERVAL_NS
            return f"{len(late)} nodes not ready: {few_of(late)}" if late else None

        try:
            await self.wait_for(missing, "the cluster is ready", timeout_s=timeout_s)
        except WaitTimeoutError as error:
            raise NotReadyError(str(error)) from error
        await self._mark_control_planes()

    async def _mark_control_planes(self) -> None:
        """Label the nodes of the control plane, as kubeadm does: a kubelet may not label itself."""
        label = {"metadata": {"labels": {CONTROL_PLANE_LABEL: ""}}}
        for name in self.spec.control_plane_names:
            try:
                await self.client.patch("nodes", name, label, patch_type="merge")
            except StatusError as error:
                if not is_not_found(error):
                    raise NotReadyError(f"node {name} cannot be labelled: {error}") from error

    async def _is_node_ready(self, name: str) -> bool:
        try:
            return condition_is(await self.client.get("nodes", name), "Ready")
        except StatusError as error:
            if is_not_found(error):
                return False
            raise

    async def _nodes_not_ready(self) -> list[str]:
        nodes = (await self.client.list("nodes"))["items"]
        ready = {node["metadata"]["name"] for node in nodes if condition_is(node, "Ready")}
        return sorted(set(self.assembly.node_names) - ready)

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


def _packages_missing(error: ImportError) -> str:
    return f"serving needs more packages ({error}): pip install 'k8sactors[serve]'"


def _log_crash(crash: Crash) -> None:
    host = crash.actor.partition("/")[0]
    structlog.get_logger().error("crashed", actor=crash.actor, host=host, cause=crash.cause)


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
