"""Chaos on a whole cluster: set-up, safety phase under faults, liveness phase, all checks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import attrs
import trio

import k8sactors.simulation as simulation_module
from k8sactors.api.errors import StatusError
from k8sactors.api.meta import condition_is
from k8sactors.chaos.cluster.api_load import APILoad, check_counter, create_counter
from k8sactors.chaos.cluster.history import IncompleteHistoryError, cluster_history
from k8sactors.chaos.cluster.options import ClusterChaos
from k8sactors.chaos.cluster.pod_cycle import PodCycle
from k8sactors.chaos.outcome import Outcome
from k8sactors.chaos.store.load import StoreLoad
from k8sactors.checkers.batch import check_jobs_finished, is_of_job
from k8sactors.checkers.cluster_history import ClusterHistory
from k8sactors.checkers.findings import Finding
from k8sactors.checkers.kubernetes import check_liveness, check_safety
from k8sactors.checkers.kv_history import History
from k8sactors.checkers.linearizability import check_revisions
from k8sactors.checkers.linearizability import findings as linearizability_findings
from k8sactors.cluster import Cluster
from k8sactors.cluster.errors import ClusterError, WaitTimeoutError, few_of
from k8sactors.cluster.operator_host import OPERATOR_HOST
from k8sactors.cluster.spec import ClusterSpec
from k8sactors.faults import (
    PlannedFault,
    Targets,
    draw_plan,
    heal_everything,
    schedule_plan,
)
from k8sactors.observe.text import few
from k8sactors.simulation import SECOND

NEVER_S = 10**9
SETTLE_POLL_S = 2.0

# A converged cluster may still write a last status; then its pods must not change any more.
QUIET_AFTER_S, QUIET_S = 15.0, 5.0


SetUp = Callable[[Cluster], Awaitable[None]]


class ClusterChaosRun:
    """One seed's run; `main` goes to `simulation.run`."""

    def __init__(self, spec: ClusterSpec, set_up: SetUp, options: ClusterChaos) -> None:
        # The history must stay whole, and snapshots must happen.
        store = attrs.evolve(spec.store, snapshot_entries=min(spec.store.snapshot_entries, 1_000))
        self._spec = attrs.evolve(spec, compaction_interval_s=NEVER_S, store=store)
        self._set_up = set_up
        self._options = options
        self._history = History()
        self._findings: list[Finding] = []
        self._plan: Sequence[PlannedFault] = ()

    async def main(self) -> Outcome:
        """Run all phases and judge."""
        sim = simulation_module.current()
        try:
            async with Cluster(self._spec) as cluster:
                await self._set_up(cluster)
                await create_counter(cluster.client)
                loads = self._start_loads(cluster)
                await self._safety_phase(cluster)
                await self._liveness_phase(cluster, loads)
                await self._check(cluster, loads)
        except (ClusterError, StatusError) as error:
            self._add("set-up", str(error))
        return Outcome(
            seed=sim.seed,
            findings=tuple(self._findings),
            faults=tuple(fault.describe() for fault in self._plan),
            plan=tuple(self._plan),
            trace_hash=sim.trace.hexdigest(),
            virtual_seconds=sim.now_ns() / SECOND,
            operations=len(self._history.operations),
        )

    def _start_loads(self, cluster: Cluster) -> list[APILoad]:
        console = cluster.network.hosts[OPERATOR_HOST]
        endpoints = list(cluster.assembly.store.addresses.values())
        for number in range(self._options.store_clients):
            start = number % len(endpoints)
            preferred = [*endpoints[start:], *endpoints[:start]]
            name = f"store-client-{number}"
            limits = (self._options.operations, self._options.think_ms)
            load = partial(StoreLoad, name, preferred, self._history, *limits)
            console.spawn(name, load)
        loads = []
        servers = cluster.assembly.servers
        for number in range(self._options.api_clients):
            start = number % len(servers)
            user = APILoad(f"user-{number}", [*servers[start:], *servers[:start]])
            loads.append(user)
            console.spawn(f"user-{number}", partial(_same, user))
        for number in range(self._options.named_pods):
            name = f"named-{number}"
            console.spawn(name, partial(PodCycle, name, servers))
        return loads

    async def _safety_phase(self, cluster: Cluster) -> None:
        sim = simulation_module.current()
        options = self._options
        if options.plan is not None:
            self._plan = options.plan
        else:
            self._plan = draw_plan(
                sim.random("chaos/plan"),
                (options.targets or targets_of)(cluster),
                options.faults_ms,
                options.kinds,
                options.pace,
            )
        find_leader = partial(_leader, cluster)
        strikes = schedule_plan(
            self._plan, cluster.network, sim.timers, options.faults_ms, find_leader
        )
        await trio.sleep(options.faults_ms / 1000)
        heal_everything(cluster.network, strikes)

    async def _liveness_phase(self, cluster: Cluster, loads: list[APILoad]) -> None:
        """The users stop; within the budget everything that is wanted must be there."""
        for load in loads:
            load.running = False
        for cycle in _pod_cycles(cluster):
            cycle.running = False
        budget_s = self._options.settle_ms / 1000
        try:
            await cluster.wait_for(
                partial(self._missing, cluster, loads),
                "everything has converged",
                timeout_s=budget_s,
                poll_s=SETTLE_POLL_S,
            )
        except WaitTimeoutError as error:
            self._add("liveness", str(error))
        for actor in _store_loads(cluster):
            actor.running = False
        await trio.sleep(QUIET_AFTER_S + QUIET_S)

    async def _missing(self, cluster: Cluster, loads: list[APILoad]) -> str | None:
        if not all(load.finished for load in loads):
            return "a user still waits for an answer"
        if cluster.store_leader() is None:
            return "the store has no leader"
        nodes = (await cluster.client.list("nodes"))["items"]
        late = [node["metadata"]["name"] for node in nodes if not condition_is(node, "Ready")]
        if late:
            return f"{len(late)} nodes not ready: {few_of(late)}"
        history = self._true_history(cluster)
        found = []
        if history is not None:
            found = [*check_liveness(history), *check_jobs_finished(history)]
        return str(found[0]) if found else None

    def _true_history(self, cluster: Cluster) -> ClusterHistory | None:
        try:
            now_ns = simulation_module.current().now_ns()
            return cluster_history(cluster.assembly, cluster.hosts, now_ns)
        except IncompleteHistoryError as error:
            self._add("history", str(error))
            return None

    async def _check(self, cluster: Cluster, loads: list[APILoad]) -> None:
        for violation in cluster.assembly.monitor.violations:
            self._add(violation.check, str(violation).removeprefix(f"{violation.check}: "))
        causes = tuple(cause for fault in self._plan for cause in fault.fault.crash_causes)
        for crash in cluster.network.crashes:
            if crash.cause.startswith(causes):
                continue
            self._findings.append(Finding("crash", f"{crash.actor}: {crash.cause}", crash.time_ns))
        self._findings += linearizability_findings(self._history.operations)
        self._findings += check_revisions(self._history.operations)
        history = self._true_history(cluster)
        if history is not None:
            self._findings += check_safety(history)
            self._findings += check_quiet(history, round(QUIET_S * SECOND))
        self._check_states(cluster)
        now_ns = simulation_module.current().now_ns()
        self._findings += await check_counter(cluster.client, loads, now_ns)

    def _check_states(self, cluster: Cluster) -> None:
        stores = [host.member.store for host in cluster.assembly.members()]
        lowest = min(store.revision for store in stores)
        if len({store.space.hash(lowest) for store in stores}) > 1:
            self._add("state-equality", f"members differ in their state at revision {lowest}")

    def _add(self, check: str, message: str) -> None:
        self._findings.append(Finding(check, message, simulation_module.current().now_ns()))


def check_quiet(history: ClusterHistory, quiet_ns: int) -> list[Finding]:
    """What has converged stays: no component overwrites another in the last `quiet_ns`.

    The pods of Jobs are none of it: they come and go by themselves.
    """
    since_ns = history.end_ns - quiet_ns
    late = [
        change
        for change in history.changes
        if change.resource == "pods" and change.time_ns >= since_ns and not is_of_job(change.object)
    ]
    if not late:
        return []
    names = sorted({change.object["metadata"]["name"] for change in late})
    message = f"{len(late)} changes of pods after everything had converged: {few(names)}"
    return [Finding("stays-converged", message, late[0].time_ns)]


def run_cluster(spec: ClusterSpec, options: ClusterChaos, seed: int) -> Outcome:
    """Run one seed on a cluster that nothing was installed on."""
    return simulation_module.run(ClusterChaosRun(spec, _nothing, options).main, seed=seed)


async def _nothing(_cluster: Cluster) -> None:
    """No set-up."""


def _leader(cluster: Cluster) -> str | None:
    leader = cluster.store_leader()
    return leader[0] if leader is not None else None


def targets_of(cluster: Cluster) -> Targets:
    """Everything but the operator's machine."""
    hosts = tuple(cluster.hosts)
    actors = tuple((name, slot) for name, host in cluster.hosts.items() for slot in host.slots)
    return Targets(hosts, tuple(cluster.assembly.store_hosts), actors)


def store_and_kubelets(cluster: Cluster) -> Targets:
    """Links among store hosts, processes of API servers and of the workers' kubelets.

    So an API server can be left behind by the store while every kubelet still reaches it.
    """
    spec = cluster.spec
    servers = [(name, "apiserver") for name in spec.control_plane_names]
    kubelets = [(name, "kubelet") for name in spec.worker_names]
    stores = tuple(spec.store_names)
    return Targets(stores, stores, (*servers, *servers, *kubelets))


def _store_loads(cluster: Cluster) -> list[StoreLoad]:
    slots = cluster.network.hosts[OPERATOR_HOST].slots.values()
    return [slot.actor for slot in slots if isinstance(slot.actor, StoreLoad)]


def _pod_cycles(cluster: Cluster) -> list[PodCycle]:
    slots = cluster.network.hosts[OPERATOR_HOST].slots.values()
    return [slot.actor for slot in slots if isinstance(slot.actor, PodCycle)]


def _same(load: APILoad) -> APILoad:
    """The factory of an actor that is never restarted: the console is out of reach of faults."""
    return load
