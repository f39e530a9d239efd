"""Runs one workload of scheduler_perf against a store of three members, API server and scheduler.

What goes on during the measured work, churn and deletions at a rate, is paced by the clock that is
further: the wall clock while there is work, the virtual one while nothing happens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from fnmatch import fnmatch
from functools import partial
from time import perf_counter, process_time
from typing import Any, Protocol

import attrs
import trio

from benches.collector import without_cyclic_collector
from benches.control_plane import start_store
from benches.scheduler_perf_client import LoadClient, PodRecord, Request
from benches.scheduler_perf_files import Operation, Workload
from benches.scheduler_perf_objects import (
    NotBuiltError,
    any_requests,
    namespace_requests,
    node_requests,
    pod_requests,
    resource_slice_requests,
    updated,
)
from benches.scheduler_perf_report import Measurement, measured
from benches.scheduler_perf_timing import TimedScheduler
from k8sactors import fabric
from k8sactors.apiserver import APIServer, APIServerConfig
from k8sactors.scheduler.plugins import load_plugins

__all__ = ["Display", "WorkloadError", "missing", "run_workload"]

POLL_S = 0.01
# How long pods may take, in virtual time: longer than any back-off of the scheduler, and than it
# leaves a pod alone for which no event came.
LIMIT_S = 900.0
# scheduler_perf switches these off: no controller makes accounts or takes taints away, and pods
# state priorities without classes.
ADMISSION_OFF = ("ServiceAccount", "TaintNodesByCondition", "Priority")
DEFAULT_CHURN_MS = 500


class Display(Protocol):
    """Shows how far an operation is."""

    def phase(self, name: str, total: int) -> None:
        """Begin an operation."""

    def update(self, done: int) -> None:
        """Show progress."""


class WorkloadError(Exception):
    """The workload did not get to its end."""


def missing(workload: Workload) -> str:
    """What the workload needs and is not built; empty when nothing is."""
    plugins = {plugin.name for plugin in load_plugins()}
    if workload.scheduler_config is not None:
        return f"the scheduler's configuration {workload.scheduler_config.name} cannot be loaded"
    for op in workload.operations:
        needed = ""
        if op.get("persistentVolumeTemplatePath") and "VolumeBinding" not in plugins:
            needed = "VolumeBinding"
        if op.opcode == "createResourceDriver" and "DynamicResources" not in plugins:
            needed = "DynamicResources"
        if needed:
            return f"{op.opcode} (line {op.line}) needs the scheduler plugin {needed}"
        if op.opcode == "allocResourceClaims":
            return f"{op.opcode} (line {op.line}) is not built"
    return ""


async def run_workload(workload: Workload, display: Display) -> list[Measurement]:
    """Run a workload to its end.

    Raises:
        WorkloadError: pods did not get nodes, or a request failed.
        NotBuiltError: an object's kind is not served.
        WorkloadFileError: a template is wrong.
    """
    async with fabric.open_fabric(default_latency_ns=0) as network, trio.open_nursery() as nursery:
        run = _Run(network, workload, display, nursery)
        await run.until(lambda: run.client.ready, "the client to start")
        with run.collecting:
            for number, op in enumerate(workload.operations):
                await run.operate(op, number)
            if run.collection is not None:
                raise run.collection.op.error(
                    "metrics are never stopped: add stopCollectingMetrics"
                )
        nursery.cancel_scope.cancel()
    return run.measurements


@attrs.define
class _Collection:
    """Metrics that are being collected."""

    op: Operation
    name: str
    namespaces: frozenset[str]
    labels: Mapping[str, str]
    started_s: float = attrs.field(factory=perf_counter)
    cpu_started_s: float = attrs.field(factory=process_time)


class _Pace:
    """Tells how many of a series are due."""

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._wall_s, self._virtual_s = perf_counter(), trio.current_time()

    def due(self) -> int:
        elapsed_s = max(perf_counter() - self._wall_s, trio.current_time() - self._virtual_s)
        return int(elapsed_s * self._per_second)


class _Run:
    def __init__(
        self, network: fabric.Network, workload: Workload, display: Display, nursery: trio.Nursery
    ) -> None:
        self._network, self._workload = network, workload
        self._display, self._nursery = display, nursery
        stages = [op.get("stageRequirement") for op in workload.operations]
        servers = ["cp-1/apiserver"]
        config = APIServerConfig(
            store_endpoints=start_store(network),
            taint_new_nodes=False,
            disable_admission_plugins=ADMISSION_OFF,
        )
        host = network.add_host("cp-1")
        host.spawn("apiserver", lambda: APIServer(config))
        self._scheduler = TimedScheduler(servers, host.name)
        host.spawn("kube-scheduler", lambda: self._scheduler)
        self.client = LoadClient(servers, decodes_new_pods="Attempted" in stages)
        network.add_host("console").spawn("client", lambda: self.client)
        self._namespaces: set[str] = set()
        self._nodes: list[str] = []
        self.collection: _Collection | None = None
        self.collecting = ExitStack()
        self.measurements: list[Measurement] = []

    async def operate(self, op: Operation, number: int) -> None:
        """Run one operation; `number` names what it makes."""
        match op.opcode:
            case "createPods":
                await self._create_pods(op, op.get("namespace", f"namespace-{number}"), f"{number}")
            case "createPodSets":
                for index in range(op.get("count")):
                    namespace = f"{op.get('namespacePrefix')}-{index}"
                    await self._create_pods(op.get("createPodsOp"), namespace, f"{number}-{index}")
            case "deletePods":
                await self._delete_pods(op)
            case "barrier":
                await self._barrier(op)
            case "sleep":
                await trio.sleep(op.get("duration"))
            case "startCollectingMetrics":
                namespaces = frozenset(op.get("namespaces"))
                self._start(op, op.get("name", ""), namespaces, op.get("labelSelector", {}))
            case "stopCollectingMetrics":
                self._stop(op)
            case _:
                await self._operate_on_objects(op, number)

    async def _operate_on_objects(self, op: Operation, number: int) -> None:
        match op.opcode:
            case "createNodes":
                requests = node_requests(op, number)
                await self._send(requests, f"{number} nodes")
                made = [r.body["metadata"]["name"] for r in requests if r.body]
                self._nodes += made
            case "createNamespaces":
                requests = namespace_requests(op)
                self._namespaces |= {r.body["metadata"]["name"] for r in requests if r.body}
                await self._send(requests, f"{number} namespaces")
            case "createAny":
                await self._create_any(op, number)
            case "updateAny":
                await self._update_any(op)
            case "createResourceDriver":
                nodes = [name for name in self._nodes if fnmatch(name, op.get("nodes"))]
                await self._send(resource_slice_requests(op, nodes), f"{number} devices")
            case "churn":
                namespace = op.get("namespace", f"namespace-{number}")
                await self._namespace(namespace)
                self._nursery.start_soon(self._churn, op, namespace, number)
            case _:
                raise NotBuiltError(f"{op.opcode} (line {op.line}) is not built")

    # --- pods

    async def _create_pods(self, op: Operation, namespace: str, unique: str) -> None:
        await self._namespace(namespace)
        before, requests = pod_requests(
            op, self._workload.default_pod_template, namespace, unique, op.get("count")
        )
        # Their status can be written when they exist: requests overtake each other.
        for verb in ("create", "update"):
            volumes = [request for request in before if request.verb == verb]
            if volumes:
                await self._send(volumes, f"{unique} volumes")
        if op.get("collectMetrics"):
            self._start(op, "", frozenset((namespace,)), {})
        records = [request.record for request in requests if request.record is not None]
        if op.get("steadyState"):
            await self._keep_steady(op, requests, namespace, unique)
        elif op.get("skipWaitToCompletion"):
            await self._send(requests, f"{unique} pods")
        else:
            self.client.send(requests)
            await self._bound(records, f"{unique} pods", op)
        if op.get("collectMetrics"):
            self._stop(op)
        rate = op.get("deletePodsPerSecond", 0)
        if rate:
            self._nursery.start_soon(self._delete_at_rate, records, rate)

    async def _keep_steady(
        self, op: Operation, requests: list[Request], namespace: str, unique: str
    ) -> None:
        """Put a new pod in place of each that got its node, for as long as the operation says."""
        seconds = op.get("duration", 0)
        if not seconds:
            raise op.error("steadyState needs a duration of more than 0s")
        pace, round_number = _Pace(1.0), 0
        while pace.due() < seconds:
            self.client.send(requests)
            records = [request.record for request in requests if request.record is not None]
            await self._bound(records, f"{unique} steady", op)
            self.client.send([_deletion(record) for record in records])
            round_number += 1
            _, requests = pod_requests(
                op,
                self._workload.default_pod_template,
                namespace,
                f"{unique}-{round_number}",
                op.get("count"),
            )

    async def _bound(self, records: Sequence[PodRecord], what: str, op: Operation) -> None:
        """Wait until pods have nodes or have gone."""
        self._display.phase(what, len(records))
        waiting = list(records)

        def all_bound() -> bool:
            while waiting and (waiting[-1].bound or waiting[-1].deleted):
                waiting.pop()
            return not waiting

        def done() -> int:
            return sum(record.bound for record in records)

        try:
            await self.until(all_bound, what, done)
        except trio.TooSlowError:
            left = [record for record in records if not record.bound and not record.deleted]
            raise WorkloadError(
                f"{op.opcode} (line {op.line}): {len(left)} of {len(records)} pods have no node"
                f" after {LIMIT_S:.0f} virtual seconds; of {left[0].name} the scheduler says:"
                f" {left[0].message or 'nothing'}"
            ) from None

    async def _barrier(self, op: Operation) -> None:
        namespaces = frozenset(op.get("namespaces", ())) or None
        labels = op.get("labelSelector", {})
        records = [r for r in self.client.pods.values() if r.matches(namespaces, labels)]
        if op.get("stageRequirement", "Scheduled") == "Scheduled":
            await self._bound(records, "barrier", op)
            return
        self._display.phase("barrier", len(records))
        try:
            await self.until(lambda: all(r.attempted or r.deleted for r in records), "barrier")
        except trio.TooSlowError:
            left = [r.name for r in records if not r.attempted]
            raise WorkloadError(f"{op.opcode} (line {op.line}): {left[0]} was not tried") from None

    async def _delete_pods(self, op: Operation) -> None:
        namespaces, labels = frozenset((op.get("namespace"),)), op.get("labelSelector", {})
        records = [
            r for r in self.client.pods.values() if not r.deleted and r.matches(namespaces, labels)
        ]
        rate = op.get("deletePodsPerSecond", 0)
        if op.get("skipWaitToCompletion"):
            self._nursery.start_soon(self._delete_at_rate, records, rate)
            return
        await self._delete_at_rate(records, rate)
        self._display.phase("deletions", len(records))
        try:
            await self.until(lambda: all(r.deleted for r in records), "deletions")
        except trio.TooSlowError:
            left = [r.name for r in records if not r.deleted]
            raise WorkloadError(
                f"{op.opcode} (line {op.line}): {left[0]} is still there; has it a finalizer, or a"
                " grace period without a kubelet?"
            ) from None

    async def _delete_at_rate(self, records: Sequence[PodRecord], per_second: int) -> None:
        await self._send_at_rate([_deletion(record) for record in records], per_second)

    async def _send_at_rate(self, requests: list[Request], per_second: int) -> None:
        """0 stands for at once."""
        pace, sent = _Pace(per_second), 0
        while sent < len(requests):
            due = pace.due() if per_second else len(requests)
            if due > sent:
                self.client.send(requests[sent:due])
                sent = due
            await trio.sleep(POLL_S)

    # --- other objects

    async def _namespace(self, name: str) -> None:
        if name in self._namespaces:
            return
        self._namespaces.add(name)
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        await self._send([Request("create", "namespaces", body=body)], f"namespace {name}")

    async def _create_any(self, op: Operation, number: int) -> None:
        path = op.template("templatePath")
        assert path is not None, "the field is required"
        namespace = op.get("namespace")
        if namespace is not None:
            await self._namespace(namespace)
        requests = any_requests(op, path, namespace, str(number), op.get("count", 1))
        await self._send(requests, f"{number} objects")

    async def _update_any(self, op: Operation) -> None:
        path = op.template("templatePath")
        assert path is not None, "the field is required"
        subresources = op.get("subresources") or [None]
        requests = []
        for made in any_requests(op, path, op.get("namespace"), "", op.get("count", 1)):
            wanted = made.body or {}
            requests += [
                Request(
                    "update",
                    made.resource,
                    made.namespace,
                    wanted["metadata"]["name"],
                    subresource=subresource,
                    change=partial(updated, wanted),
                )
                for subresource in subresources
            ]
        await self._send_at_rate(requests, op.get("updatePerSecond", 0))
        await self.until(lambda: self.client.idle, "updates")

    async def _churn(self, op: Operation, namespace: str, number: int) -> None:
        """Make objects at intervals, and in mode `recreate` take them away again."""
        pace = _Pace(1000 / (op.get("intervalMilliseconds", 0) or DEFAULT_CHURN_MS))
        recreates, limit = op.get("mode") == "recreate", op.get("number", 0)
        if recreates and not limit:
            raise op.error("mode recreate needs a number of more than 0")
        paths = [attrs.evolve(op, fields={"at": p}).template("at") for p in op.get("templatePaths")]
        made: list[list[Request]] = []
        cycles = 0
        while recreates or not limit or cycles < limit:
            # One cycle per look at the clock at most: what was missed is not made up for.
            await trio.sleep(POLL_S)
            if pace.due() <= cycles:
                continue
            if recreates and cycles // limit % 2:
                self.client.send([_undone(request) for request in made.pop(0)])
            else:
                unique = f"churn-{number}-{cycles}"
                made.append(
                    [r for p in paths if p for r in any_requests(op, p, namespace, unique, 1)]
                )
                self.client.send(made[-1])
                if not recreates:
                    made.clear()
            cycles += 1

    # --- metrics

    def _start(
        self, op: Operation, name: str, namespaces: frozenset[str], labels: Mapping[str, str]
    ) -> None:
        if self.collection is not None:
            raise op.error("metrics are being collected already: stop that before")
        self._scheduler.attempts.clear()
        self.collecting.enter_context(without_cyclic_collector())
        self.collection = _Collection(op, name, namespaces, labels)

    def _stop(self, op: Operation) -> None:
        collection, self.collection = self.collection, None
        if collection is None:
            raise op.error("no metrics are being collected: add startCollectingMetrics before")
        cpu_s = process_time() - collection.cpu_started_s
        self.collecting.close()
        records = [
            record
            for record in self.client.pods.values()
            if record.matches(collection.namespaces, collection.labels)
            and record.bound_s >= collection.started_s
        ]
        if not records:
            raise WorkloadError(f"{op.opcode} (line {op.line}): no pod got a node meanwhile")
        self.measurements.append(
            measured(self._workload, collection.name, records, self._scheduler.attempts, cpu_s)
        )

    # --- waiting

    async def _send(self, requests: list[Request], what: str) -> None:
        self._display.phase(what, len(requests))
        self.client.send(requests)
        await self.until(lambda: self.client.idle, what)
        self._display.update(len(requests))

    async def until(
        self, condition: Callable[[], bool], what: str, done: Callable[[], int] | None = None
    ) -> None:
        """Wait for a condition.

        Raises:
            TooSlowError: it did not come within `LIMIT_S`.
            WorkloadError: something failed meanwhile.
        """
        shown = 0
        with trio.fail_after(LIMIT_S):
            while not condition():
                if self._network.crashes:
                    raise WorkloadError(f"{what}: a component crashed: {self._network.crashes[0]}")
                if self.client.errors:
                    raise WorkloadError(f"{what}: {self.client.errors[0]}")
                shown += 1
                if done is not None and shown % 10 == 0:
                    self._display.update(done())
                await trio.sleep(POLL_S)


def _deletion(record: PodRecord) -> Request:
    return Request("delete", "pods", record.namespace, record.name, record=record)


def _undone(request: Request) -> Request:
    body: dict[str, Any] = request.body or {}
    return Request("delete", request.resource, request.namespace, body["metadata"]["name"])
