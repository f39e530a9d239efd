"""Chaos on the store alone: members, clients and a watcher, without Kubernetes around them.

A safety phase under faults, then everything is healed and a liveness phase must show a store that
serves again and whose members agree. Judged by Raft's invariants at every step, linearizability and
revision order of what clients were told, the watch guarantees, and equal state at equal revision.
"""

from collections.abc import Sequence
from functools import partial

import trio

import k8sactors.simulation as simulation_module
from k8sactors.chaos.outcome import Outcome
from k8sactors.chaos.store_load import PREFIX, StoreLoad
from k8sactors.chaos.store_options import StoreChaos
from k8sactors.chaos.store_record import RecordingMonitor, count_ops, replay
from k8sactors.chaos.store_watcher import StoreWatcher, change_log
from k8sactors.checkers.findings import Finding
from k8sactors.checkers.kv_history import History
from k8sactors.checkers.linearizability import check_revisions
from k8sactors.checkers.linearizability import findings as linearizability_findings
from k8sactors.checkers.watch import WatchHistory, check_watch
from k8sactors.fabric import Crash, Network, open_fabric
from k8sactors.faults import PlannedFault, draw_plan, heal_everything, schedule_plan
from k8sactors.simulation import MICROSECOND, MILLISECOND
from k8sactors.storehost import StoreHost, open_disk
from raftstore.mvcc import Store
from raftstore.raft.errors import InvariantViolationError
from raftstore.server import MemberConfig, Peer

LIVENESS_POLL_S = 0.5
SETTLE_OPERATIONS = 1_000
EXPECTED_CRASHES = ("DiskFailedError",)
"""A member must stop when its disk fails."""


class StoreChaosRun:
    """One seed's run; `main` goes to `simulation.run`."""

    def __init__(self, options: StoreChaos) -> None:
        self._options = options
        self._history = History()
        self._monitor = RecordingMonitor(lambda: simulation_module.current().now_ns())
        self._names = list(options.hosts)
        self._struck: dict[str, int] = {}
        self._addresses = {
            number: f"{name}/etcd" for number, name in enumerate(self._names, start=1)
        }
        self._findings: list[Finding] = []

    async def main(self) -> Outcome:
        """Run both phases and judge."""
        options = self._options
        sim = simulation_module.current()
        latency_ns = options.latency_us * MICROSECOND
        async with open_fabric(latency_ns) as network:
            watchers = self._build(network)
            plan = self._plan()
            find_leader = partial(self._leader, network)
            schedule_plan(
                plan, network, sim.timers, options.faults_ms, find_leader, self._count_strike
            )
            await trio.sleep(options.faults_ms / 1000)
            heal_everything(network)
            await self._settle(network)
            for load in self._loads(network):
                load.running = False
            self._judge(network, watchers)
            return Outcome(
                seed=sim.seed,
                findings=tuple(self._findings),
                faults=tuple(fault.describe() for fault in plan),
                trace_hash=sim.trace.hexdigest(),
                virtual_seconds=sim.now_ns() / simulation_module.SECOND,
                operations=len(self._history.operations),
                exercised=self._exercised(network, watchers),
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

    def _build(self, network: Network) -> list[StoreWatcher]:
        options = self._options
        peers = tuple(Peer(number, address) for number, address in self._addresses.items())
        for number, name in enumerate(self._names, start=1):
            config = MemberConfig(
                id=number,
                peers=peers,
                snapshot_entries=options.snapshot_entries,
                catch_up_entries=options.snapshot_entries // 4,
                max_entries_per_message=options.entries_per_message,
                election_ticks=options.election_ticks,
            )
            sync_ns = options.sync_latency_us * MICROSECOND
            member = partial(StoreHost, config, self._addresses, sync_ns, self._monitor)
            network.add_host(name).spawn("etcd", member)
        console = network.add_host("console")
        endpoints = list(self._addresses.values())
        for number in range(options.clients):
            start = number % len(endpoints)
            preferred = [*endpoints[start:], *endpoints[:start]]
            name = f"client-{number}"
            limits = (options.operations, options.think_ms)
            console.spawn(name, partial(StoreLoad, name, preferred, self._history, *limits))
        watchers = [
            StoreWatcher(f"watcher-{n}", [endpoint], PREFIX) for n, endpoint in enumerate(endpoints)
        ]
        for watcher in watchers:
            console.spawn(watcher.name, partial(_same, watcher))
        return watchers

    def _leader(self, network: Network) -> str | None:
        """The host of the leader of the highest term; deposed ones may not know yet."""
        leaders = [
            (host.member.node.raft.term, str(host.ctx.host.name))
            for host in self._members(network)
            if host.member.is_leader
        ]
        return max(leaders)[1] if leaders else None

    def _loads(self, network: Network) -> list[StoreLoad]:
        slots = network.hosts["console"].slots.values()
        return [slot.actor for slot in slots if isinstance(slot.actor, StoreLoad)]

    def _members(self, network: Network) -> list[StoreHost]:
        found = [network.hosts[name].actor("etcd") for name in self._names]
        return [actor for actor in found if isinstance(actor, StoreHost) and actor.started]

    async def _settle(self, network: Network) -> None:
        """Liveness: within the budget new operations complete and all members agree."""
        sim = simulation_module.current()
        deadline_ns = sim.now_ns() + self._options.settle_ms * MILLISECOND
        healed_order = len(self._history.operations)
        for load in self._loads(network):
            load.limit = healed_order + SETTLE_OPERATIONS
        while True:
            missing = self._missing(network, healed_order)
            if missing is None:
                return
            if sim.now_ns() >= deadline_ns:
                budget = self._options.settle_ms / 1000
                self._add("liveness", f"{budget:g} s after healing: {missing}")
                return
            await trio.sleep(LIVENESS_POLL_S)

    def _missing(self, network: Network, healed_order: int) -> str | None:
        members = self._members(network)
        leaders = [member for member in members if member.member.is_leader]
        if len(leaders) != 1:
            return f"{len(leaders)} leaders"
        newer = self._history.operations[healed_order:]
        done = sum(operation.outcome is not None for operation in newer)
        if done < 2 * self._options.clients:
            return f"only {done} operations completed"
        return None

    def _judge(self, network: Network, watchers: list[StoreWatcher]) -> None:
        for violation in self._monitor.violations:
            self._violation(violation)
        for crash in network.crashes:
            self._crash(crash)
        operations = self._history.operations
        self._findings += linearizability_findings(operations)
        self._findings += check_revisions(operations)
        stores = [host.member.store for host in self._members(network)]
        self._judge_states(stores)
        log = change_log(replay(self._monitor.log), PREFIX)
        streams = [watcher.stream for watcher in watchers]
        self._findings += check_watch(WatchHistory(log, streams))

    def _judge_states(self, stores: list[Store]) -> None:
        by_revision: dict[int, dict[int, int]] = {}
        lowest = min(store.revision for store in stores)
        for store in stores:
            hashes = by_revision.setdefault(lowest, {})
            hashes[store.space.hash(lowest)] = store.member_id
        if len(by_revision[lowest]) > 1:
            self._add("state-equality", f"members differ in their state at revision {lowest}")

    def _exercised(self, network: Network, watchers: list[StoreWatcher]) -> dict[str, int]:
        """How often each interesting thing happened: what did not happen was not tested."""
        monitor = self._monitor
        disks = [open_disk(network.host(name)) for name in self._names]
        operations = self._history.operations
        batches = [batch for watcher in watchers for batch in watcher.stream.batches]
        counts = {
            "leaders elected": len(monitor.leaders),
            "member starts": monitor.starts,
            "snapshots installed": monitor.installed_snapshots,
            "log entries replaced": monitor.replaced_entries,
            "datagrams lost": network.dropped_datagrams,
            "stops for a failed disk": sum(map(_is_expected, network.crashes)),
            "torn writes repaired": sum(disk.torn_crashes for disk in disks),
            "unsynced records lost": sum(disk.lost_records for disk in disks),
            "answers": sum(operation.outcome is not None for operation in operations),
            "outcomes unknown": sum(operation.outcome is None for operation in operations),
            "watch events": sum(len(batch.changes) for batch in batches),
            "watches compacted": sum(batch.compacted is not None for batch in batches),
            **{f"applied {op}": count for op, count in count_ops(monitor.log).items()},
        }
        return {**self._struck, **counts}

    def _violation(self, violation: InvariantViolationError) -> None:
        self._add(violation.check, str(violation).removeprefix(f"{violation.check}: "))

    def _crash(self, crash: Crash) -> None:
        if _is_expected(crash):
            return
        self._findings.append(Finding("crash", f"{crash.actor}: {crash.cause}", crash.time_ns))

    def _add(self, check: str, message: str) -> None:
        self._findings.append(Finding(check, message, simulation_module.current().now_ns()))


def run_store(options: StoreChaos, seed: int) -> Outcome:
    """Run one seed."""
    return simulation_module.run(StoreChaosRun(options).main, seed=seed)


def _is_expected(crash: Crash) -> bool:
    return crash.cause.startswith(EXPECTED_CRASHES)


def _same(watcher: StoreWatcher) -> StoreWatcher:
    """The factory of an actor that is never restarted: the console is out of reach of faults."""
    return watcher
