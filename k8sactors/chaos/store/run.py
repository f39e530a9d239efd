"""Chaos on the store alone: members, clients and watchers, without Kubernetes around them.

A safety phase under faults, then everything is healed and a liveness phase must show a store that
serves again and whose members agree. Checked are Raft's invariants at every step, linearizability
and revision order of what clients were told, the watch guarantees, and equal state at equal
revision.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import trio

import k8sactors.simulation as simulation_module
from k8sactors.actors import Actor
from k8sactors.chaos.outcome import Outcome
from k8sactors.chaos.store.check import DISK_FAILED, DISK_ROTTEN, check_members, check_run
from k8sactors.chaos.store.cluster import StoreCluster
from k8sactors.chaos.store.compaction import RecordedCompaction
from k8sactors.chaos.store.load import PREFIX, StoreLoad
from k8sactors.chaos.store.mix import KEYS
from k8sactors.chaos.store.options import StoreChaos
from k8sactors.chaos.store.partial_partition import PartialPartition
from k8sactors.chaos.store.record import RecordingMonitor, count_ops
from k8sactors.chaos.store.settle import Prober, Settling
from k8sactors.chaos.store.watcher import STEADY, STYLES, StoreWatcher
from k8sactors.checkers.kv_history import History
from k8sactors.fabric import Crash, Host, Network, open_fabric
from k8sactors.faults import PlannedFault, draw_plan, heal_everything, schedule_plan
from k8sactors.faults.fault import OPERATOR_HOST, STORE_ACTOR, WATCHER_HOST
from k8sactors.faults.orders import OPERATOR
from k8sactors.simulation import MICROSECOND, SECOND
from k8sactors.store.operator import StoreOperator

SYNC_NS = 3 * SECOND
WRONG_CLOCKS = ("clock-drift", "clock-freeze")


class StoreChaosRun:
    """One seed's run; `main` goes to `simulation.run`."""

    def __init__(self, options: StoreChaos) -> None:
        self._options = options
        self._history = History()
        self._monitor = RecordingMonitor(lambda: simulation_module.current().now_ns())
        self._struck: dict[str, int] = {}

    async def main(self) -> Outcome:
        """Run both phases and judge."""
        options = self._options
        sim = simulation_module.current()
        async with open_fabric(options.latency_us * MICROSECOND) as network:
            cluster = StoreCluster(network, options, self._monitor)
            cluster.begin()
            console = network.add_host(OPERATOR_HOST)
            # Wherever a member may be one day: clients that have lost all others look there.
            endpoints = [f"{name}/{STORE_ACTOR}" for name in cluster.hosts]
            loads = self._start_loads(console, endpoints)
            watchers = self._start_watchers(console, endpoints)
            watchers.append(self._start_slow_watcher(network, endpoints))
            operator = StoreOperator(cluster, RecordedCompaction(self._history))
            _spawn(console, OPERATOR, operator)
            plan = self._plan()
            find_leader = partial(_leader, cluster)
            strikes = schedule_plan(
                plan, network, sim.timers, options.faults_ms, find_leader, self._count_strike
            )
            await trio.sleep(options.faults_ms / 1000)
            heal_everything(network, strikes)
            settling = Settling(options.settle_ms, self._history, self._monitor, cluster)
            if options.partial_partition:
                # An order to hand over would be one more reason for an election.
                operator.rest()
                phase = PartialPartition(options, network, cluster, settling.report)
                kind = await phase.endure(sim.random("chaos/partial"))
                self._struck[f"endured {kind}"] = 1
            prober = Prober(cluster, operator, settling.report)
            _spawn(console, "prober", prober)
            await settling.run(loads, watchers, prober, operator)
            now_ns = sim.now_ns()
            checked = check_run(
                self._history,
                self._monitor,
                network.crashes,
                loads,
                watchers,
                now_ns,
                trust_clocks=not any(fault.kind in WRONG_CLOCKS for fault in plan),
            )
            findings = [
                *settling.findings,
                *checked.findings,
                *check_members(self._monitor.committed_log(), cluster, now_ns),
            ]
            return Outcome(
                seed=sim.seed,
                findings=tuple(findings),
                picture=checked.picture,
                faults=tuple(fault.describe() for fault in plan),
                plan=tuple(plan),
                trace_hash=sim.trace.hexdigest(),
                virtual_seconds=now_ns / simulation_module.SECOND,
                operations=len(self._history.operations),
                exercised={
                    **self._struck,
                    **self._exercised(network, cluster, watchers),
                    **{f"done: {kind}": count for kind, count in operator.done.items()},
                    "histories without a verdict of the black box": int(checked.undecided),
                },
            )

    def _plan(self) -> Sequence[PlannedFault]:
        options = self._options
        if options.plan is not None:
            return options.plan
        random = simulation_module.current().random("chaos/plan")
        return draw_plan(random, options.targets, options.faults_ms, options.kinds, options.pace)

    def _count_strike(self, fault: PlannedFault) -> None:
        kind = f"fault {fault.part_of or fault.kind}"
        self._struck[kind] = self._struck.get(kind, 0) + 1

    @property
    def _sync_ns(self) -> int:
        """Clients need not ask who the members are if those stay the same."""
        return SYNC_NS if self._options.spares else 0

    def _start_loads(self, console: Host, endpoints: list[str]) -> list[StoreLoad]:
        options = self._options
        loads = []
        for number in range(options.clients):
            start = number % len(endpoints)
            load = StoreLoad(
                f"client-{number}",
                [*endpoints[start:], *endpoints[:start]],
                self._history,
                options.operations,
                options.think_ms,
                options.features,
                self._sync_ns,
            )
            _spawn(console, f"client-{number}", load)
            loads.append(load)
        return loads

    def _start_watchers(self, console: Host, endpoints: list[str]) -> list[StoreWatcher]:
        """One on each machine, in every style, of all keys or of one."""
        watchers = [
            StoreWatcher(f"watcher-{number}", [f"{name}/{STORE_ACTOR}"], PREFIX)
            for number, name in enumerate(self._options.hosts)
        ]
        for style in STYLES if self._options.features else ():
            prefix = PREFIX if style != STEADY else PREFIX + KEYS[0]
            watchers.append(
                StoreWatcher(
                    style,
                    endpoints,
                    prefix,
                    style,
                    with_previous=style != STEADY,
                    sync_ns=self._sync_ns,
                )
            )
        for watcher in watchers:
            _spawn(console, watcher.name, watcher)
        return watchers

    def _start_slow_watcher(self, network: Network, endpoints: list[str]) -> StoreWatcher:
        """A watcher on a machine of its own, which may be slow to take what it is sent."""
        watcher = StoreWatcher(WATCHER_HOST, endpoints, PREFIX, sync_ns=self._sync_ns)
        _spawn(network.add_host(WATCHER_HOST), watcher.name, watcher)
        return watcher

    def _exercised(
        self, network: Network, cluster: StoreCluster, watchers: list[StoreWatcher]
    ) -> dict[str, int]:
        """How often each interesting thing happened: what did not happen was not tested."""
        monitor, disks = self._monitor, cluster.disks
        operations = self._history.operations
        outcomes = [operation.outcome for operation in operations if operation.outcome]
        streams = [stream for watcher in watchers for stream in watcher.streams]
        batches = [batch for stream in streams for batch in stream.batches]
        counts = {
            "leaders elected": len(monitor.leaders),
            "member starts": monitor.starts,
            "members added": cluster.changes["added"],
            "members removed": cluster.changes["removed"],
            "members removed that led": cluster.changes["leaders"],
            "members removed that were dead": cluster.changes["dead"],
            "learners promoted": cluster.changes["promoted"],
            "snapshots installed": monitor.installed_snapshots,
            "log entries replaced": monitor.replaced_entries,
            "datagrams lost": network.dropped_datagrams,
            "stops for a failed disk": _count(network.crashes, DISK_FAILED),
            "starts refused for bit rot": _count(network.crashes, DISK_ROTTEN),
            "torn writes repaired": sum(disk.torn_crashes for disk in disks),
            "unsynced records lost": sum(disk.lost_records for disk in disks),
            "runs with leases for reads": int(self._options.lease_reads),
            "answers": len(outcomes),
            "outcomes unknown": len(operations) - len(outcomes),
            "watch events": sum(len(batch.changes) for batch in batches),
            "watches compacted": sum(batch.compacted is not None for batch in batches),
            **{f"applied {op}": count for op, count in count_ops(monitor.committed_log()).items()},
        }
        for disk in disks:
            for place, count in disk.interrupted.items():
                counts[f"crashed {place}"] = counts.get(f"crashed {place}", 0) + count
        for outcome in outcomes:
            if outcome.refusal is not None:
                name = f"refused: {outcome.refusal.value}"
                counts[name] = counts.get(name, 0) + 1
        return counts


def _count(crashes: Sequence[Crash], cause: str) -> int:
    return sum(crash.cause.startswith(cause) for crash in crashes)


def _leader(cluster: StoreCluster) -> str | None:
    """The host of the leader of the highest term; deposed ones may not know yet."""
    leaders = [
        (host.member.node.raft.term, str(host.ctx.host.name))
        for host in cluster.running
        if host.member.is_leader
    ]
    return max(leaders)[1] if leaders else None


def run_store(options: StoreChaos, seed: int) -> Outcome:
    """Run one seed."""
    return simulation_module.run(StoreChaosRun(options).main, seed=seed)


def _spawn(console: Host, name: str, actor: Actor) -> None:
    """Start an actor that is never restarted: the console is out of reach of faults."""
    console.spawn(name, lambda: actor)
