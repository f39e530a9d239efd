"""Chaos on the store alone: members, clients and watchers, without Kubernetes around them.

A safety phase under faults, then everything is healed and a liveness phase must show a store that
serves again and whose members agree. Judged by Raft's invariants at every step, linearizability and
revision order of what clients were told, the watch guarantees, and equal state at equal revision.
"""

from collections.abc import Sequence
from functools import partial

import trio

import k8sactors.simulation as simulation_module
from k8sactors.actors import Actor
from k8sactors.chaos.outcome import Outcome
from k8sactors.chaos.store_judge import is_expected, judge_run, judge_states
from k8sactors.chaos.store_load import PREFIX, StoreLoad
from k8sactors.chaos.store_mix import KEYS
from k8sactors.chaos.store_operator import StoreOperator
from k8sactors.chaos.store_options import StoreChaos
from k8sactors.chaos.store_record import RecordingMonitor, count_ops
from k8sactors.chaos.store_settle import Prober, Settling
from k8sactors.chaos.store_watcher import STEADY, STYLES, StoreWatcher
from k8sactors.checkers.kv_history import History
from k8sactors.fabric import Host, Network, open_fabric
from k8sactors.faults import PlannedFault, draw_plan, heal_everything, schedule_plan
from k8sactors.faults.clock import ClockDrift, ClockFreeze
from k8sactors.faults.fault import STORE_ACTOR
from k8sactors.faults.orders import OPERATOR, OPERATOR_HOST
from k8sactors.simulation import MICROSECOND
from k8sactors.storehost import StoreHost, open_disk
from raftstore.server import MemberConfig, Peer

WRONG_CLOCKS = (ClockDrift.kind, ClockFreeze.kind)


class StoreChaosRun:
    """One seed's run; `main` goes to `simulation.run`."""

    def __init__(self, options: StoreChaos) -> None:
        self._options = options
        self._history = History()
        self._monitor = RecordingMonitor(lambda: simulation_module.current().now_ns())
        self._names = list(options.hosts)
        self._struck: dict[str, int] = {}
        self._addresses = {
            number: f"{name}/{STORE_ACTOR}" for number, name in enumerate(self._names, start=1)
        }

    async def main(self) -> Outcome:
        """Run both phases and judge."""
        options = self._options
        sim = simulation_module.current()
        async with open_fabric(options.latency_us * MICROSECOND) as network:
            self._start_members(network)
            console = network.add_host(OPERATOR_HOST)
            loads = self._start_loads(console)
            watchers = self._start_watchers(console)
            operator = StoreOperator(
                {name: f"{name}/{STORE_ACTOR}" for name in self._names},
                {name: number for number, name in enumerate(self._names, start=1)},
            )
            _spawn(console, OPERATOR, operator)
            plan = self._plan()
            find_leader = partial(self._leader, network)
            schedule_plan(
                plan, network, sim.timers, options.faults_ms, find_leader, self._count_strike
            )
            await trio.sleep(options.faults_ms / 1000)
            heal_everything(network)
            members = partial(self._members, network)
            settling = Settling(options.settle_ms, self._history, self._monitor, members)
            prober = Prober(list(self._addresses.values()), settling.report)
            _spawn(console, "prober", prober)
            await settling.run(loads, watchers, prober, operator)
            now_ns = sim.now_ns()
            findings = [
                *settling.findings,
                *judge_run(
                    self._history,
                    self._monitor,
                    network.crashes,
                    loads,
                    watchers,
                    now_ns,
                    trust_clocks=not any(fault.kind in WRONG_CLOCKS for fault in plan),
                ),
                *judge_states([host.member.store for host in members()], now_ns),
            ]
            return Outcome(
                seed=sim.seed,
                findings=tuple(findings),
                faults=tuple(fault.describe() for fault in plan),
                trace_hash=sim.trace.hexdigest(),
                virtual_seconds=now_ns / simulation_module.SECOND,
                operations=len(self._history.operations),
                exercised={
                    **self._struck,
                    **self._exercised(network, watchers),
                    **{f"done: {kind}": count for kind, count in operator.done.items()},
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

    def _start_members(self, network: Network) -> None:
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
            network.add_host(name).spawn(STORE_ACTOR, member)

    def _start_loads(self, console: Host) -> list[StoreLoad]:
        options = self._options
        endpoints = list(self._addresses.values())
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
            )
            _spawn(console, f"client-{number}", load)
            loads.append(load)
        return loads

    def _start_watchers(self, console: Host) -> list[StoreWatcher]:
        """One on each member, in every style, of all keys or of one."""
        endpoints = list(self._addresses.values())
        watchers = [
            StoreWatcher(f"watcher-{number}", [endpoint], PREFIX)
            for number, endpoint in enumerate(endpoints)
        ]
        for style in STYLES if self._options.features else ():
            prefix = PREFIX if style != STEADY else PREFIX + KEYS[0]
            watchers.append(
                StoreWatcher(style, endpoints, prefix, style, with_previous=style != STEADY)
            )
        for watcher in watchers:
            _spawn(console, watcher.name, watcher)
        return watchers

    def _leader(self, network: Network) -> str | None:
        """The host of the leader of the highest term; deposed ones may not know yet."""
        leaders = [
            (host.member.node.raft.term, str(host.ctx.host.name))
            for host in self._members(network)
            if host.member.is_leader
        ]
        return max(leaders)[1] if leaders else None

    def _members(self, network: Network) -> list[StoreHost]:
        found = [network.hosts[name].actor(STORE_ACTOR) for name in self._names]
        return [actor for actor in found if isinstance(actor, StoreHost) and actor.started]

    def _exercised(self, network: Network, watchers: list[StoreWatcher]) -> dict[str, int]:
        """How often each interesting thing happened: what did not happen was not tested."""
        monitor = self._monitor
        disks = [open_disk(network.host(name)) for name in self._names]
        operations = self._history.operations
        outcomes = [operation.outcome for operation in operations if operation.outcome]
        streams = [stream for watcher in watchers for stream in watcher.streams]
        batches = [batch for stream in streams for batch in stream.batches]
        counts = {
            "leaders elected": len(monitor.leaders),
            "member starts": monitor.starts,
            "snapshots installed": monitor.installed_snapshots,
            "log entries replaced": monitor.replaced_entries,
            "datagrams lost": network.dropped_datagrams,
            "stops for a failed disk": sum(map(is_expected, network.crashes)),
            "torn writes repaired": sum(disk.torn_crashes for disk in disks),
            "unsynced records lost": sum(disk.lost_records for disk in disks),
            "answers": len(outcomes),
            "outcomes unknown": len(operations) - len(outcomes),
            "watch events": sum(len(batch.changes) for batch in batches),
            "watches compacted": sum(batch.compacted is not None for batch in batches),
            **{f"applied {op}": count for op, count in count_ops(monitor.log).items()},
        }
        for outcome in outcomes:
            if outcome.refusal is not None:
                name = f"refused: {outcome.refusal.value}"
                counts[name] = counts.get(name, 0) + 1
        return counts


def run_store(options: StoreChaos, seed: int) -> Outcome:
    """Run one seed."""
    return simulation_module.run(StoreChaosRun(options).main, seed=seed)


def _spawn(console: Host, name: str, actor: Actor) -> None:
    """Start an actor that is never restarted: the console is out of reach of faults."""
    console.spawn(name, lambda: actor)
