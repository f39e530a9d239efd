"""The liveness phase: once everything is healed, within a budget, all must be well again.

One leader; new operations of the clients complete; a write through every single member completes; a
lease that is granted now lives as long as it should and no longer; when the clients rest, members
agree on revision and history, and every watcher has been sent everything.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import trio

import k8sactors.simulation as simulation_module
from k8sactors.actors import Actor
from k8sactors.chaos.store.cluster import StoreCluster
from k8sactors.chaos.store.load import StoreLoad
from k8sactors.chaos.store.record import RecordingMonitor
from k8sactors.chaos.store.watcher import StoreWatcher, undelivered
from k8sactors.checkers.findings import Finding
from k8sactors.checkers.kv_history import History
from k8sactors.simulation import MILLISECOND, SECOND
from k8sactors.store.operator import StoreOperator
from raftstore.client import StoreClient
from raftstore.errors import RaftStoreError

POLL_S = 0.5
SETTLE_OPERATIONS = 1_000
PROBE_PREFIX = b"/settle/"
PROBE_TTL_S = 2
PROBE_TIMEOUT_NS = 5 * SECOND
LONGEST_OVERTIME_S = 10.0
"""How late a lease may end: an election, which starts its time again, a revocation, a poll."""


class Prober(Actor):
    """Writes through each member, then sees a lease live and end. `missing` is what is not done.

    It begins when the operator is done: from then on the members stay the same.
    """

    def __init__(
        self,
        cluster: StoreCluster,
        operator: StoreOperator,
        report: Callable[[str, str], None],
    ) -> None:
        self.missing: str | None = "the members are not those that were asked for"
        self._cluster = cluster
        self._operator = operator
        self._report = report

    async def main(self) -> None:
        """All of it, in turn."""
        while not self._operator.settled:  # noqa: ASYNC110 - the operator has nothing to wait for
            await trio.sleep(POLL_S)
        endpoints = self._cluster.endpoints
        for endpoint in endpoints:
            self.missing = f"no write through {endpoint} completed"
            client = StoreClient([endpoint], self.ctx.connect, self.ctx.after)
            key = PROBE_PREFIX + endpoint.encode()
            await _until_done(partial(client.put, key, b"", timeout_ns=PROBE_TIMEOUT_NS))
        client = StoreClient(endpoints, self.ctx.connect, self.ctx.after)
        self.missing = "a lease was neither granted nor did it end"
        await _until_done(partial(self._see_lease, client))
        self.missing = None

    async def _see_lease(self, client: StoreClient) -> None:
        """Grant a lease, use it, and watch it to its end."""
        key = PROBE_PREFIX + b"lease"
        asked_ns = self.ctx.now_ns()
        granted = await client.lease_grant(PROBE_TTL_S, timeout_ns=PROBE_TIMEOUT_NS)
        granted_ns = self.ctx.now_ns()
        await client.put(key, b"", lease=granted.id, timeout_ns=PROBE_TIMEOUT_NS)
        while await client.get(key, timeout_ns=PROBE_TIMEOUT_NS) is not None:
            lived_s = (self.ctx.now_ns() - granted_ns) / SECOND
            if lived_s > granted.ttl + LONGEST_OVERTIME_S:
                self._report("lease-expires", f"a lease of {granted.ttl} s lives {lived_s} s")
                return
            await trio.sleep(POLL_S)
        lived_s = (self.ctx.now_ns() - asked_ns) / SECOND
        if lived_s < granted.ttl:
            self._report("lease-early", f"a lease of {granted.ttl} s was gone after {lived_s} s")


async def _until_done(ask: Callable[[], Awaitable[object]]) -> None:
    """Ask again and again, until it goes well."""
    while True:
        try:
            await ask()
        except RaftStoreError:
            await trio.sleep(POLL_S)
        else:
            return


class Settling:
    """Waits until everything is well; what is missing when the budget is spent is a finding."""

    def __init__(
        self,
        settle_ms: int,
        history: History,
        monitor: RecordingMonitor,
        cluster: StoreCluster,
    ) -> None:
        self.findings: list[Finding] = []
        self._settle_ms = settle_ms
        self._history = history
        self._monitor = monitor
        self._cluster = cluster

    async def run(
        self,
        loads: list[StoreLoad],
        watchers: list[StoreWatcher],
        prober: Prober,
        operator: StoreOperator,
    ) -> None:
        """First the cluster must serve, then come to rest."""
        deadline_ns = simulation_module.current().now_ns() + self._settle_ms * MILLISECOND
        operator.rest()
        healed_order = len(self._history.operations)
        for load in loads:
            load.limit = healed_order + SETTLE_OPERATIONS
        served = partial(self._serving, loads, healed_order, prober, operator)
        if not await self._wait(served, deadline_ns):
            return
        for load in loads:
            load.running = False
        for watcher in watchers:
            watcher.finish()
        await self._wait(partial(self._at_rest, loads, watchers), deadline_ns)

    def report(self, check: str, message: str) -> None:
        """Note a finding."""
        self.findings.append(Finding(check, message, simulation_module.current().now_ns()))

    async def _wait(self, missing: Callable[[], str | None], deadline_ns: int) -> bool:
        while (what := missing()) is not None:
            if simulation_module.current().now_ns() >= deadline_ns:
                self.report("liveness", f"{self._settle_ms / 1000:g} s after healing: {what}")
                return False
            await trio.sleep(POLL_S)
        return True

    def _serving(
        self,
        loads: list[StoreLoad],
        healed_order: int,
        prober: Prober,
        operator: StoreOperator,
    ) -> str | None:
        leaders = [host for host in self._cluster.running if host.member.is_leader]
        if len(leaders) != 1:
            return f"{len(leaders)} leaders"
        if not operator.settled:
            return "the members are not those that were asked for"
        newer = self._history.operations[healed_order:]
        done = sum(operation.outcome is not None for operation in newer)
        if done < 2 * len(loads):
            return f"only {done} operations completed"
        return prober.missing

    def _at_rest(self, loads: list[StoreLoad], watchers: list[StoreWatcher]) -> str | None:
        if any(load.asking for load in loads):
            return "a client still waits for an answer"
        last = self._monitor.log[-1].entry.index
        wrong = self._wrong_members()
        if wrong is not None:
            return wrong
        members = self._cluster.carriers
        for host in members:
            if host.member.node.raft.log.applied < last:
                return f"member {host.member.id} has not applied entry {last}"
        leases = len(members[0].member.store.leases.by_id)
        if leases:
            return f"{leases} leases have not ended"
        log = self._monitor.committed_log().store.changes
        endpoints = self._cluster.endpoints
        for watcher in watchers:
            if not watcher.reaches(endpoints):
                continue
            change = undelivered(log, watcher.stream)
            if change is not None:
                return f"{watcher.name} was not sent revision {change.revision}"
        return None

    def _wrong_members(self) -> str | None:
        """All members that there should be run and agree on the members; former ones have ended.

        A machine that came back may carry a former member: it ends as soon as it has been told.
        """
        wanted = sorted(self._cluster.places)
        for host in self._cluster.running:
            member = host.member
            if member.id not in wanted:
                return f"member {member.id} was removed, and runs"
            configuration = member.node.raft.configuration
            if sorted(configuration.voters) != wanted or configuration.is_joint:
                return f"member {member.id} has {configuration}, it should have {wanted}"
            known = sorted(member.changes.section.by_id)
            if known != wanted:
                return f"member {member.id} lists the members {known}, they are {wanted}"
        if len(self._cluster.running) < len(wanted):
            return f"{len(self._cluster.running)} of the members {wanted} run"
        return None
