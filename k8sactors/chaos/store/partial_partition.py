"""A phase of liveness under a partition that persists: elections must settle all the same.

Some members cannot reach each other, but one of them at least can reach a quorum. Where a member
that misses the leader may disturb those that hear it, leaders then follow each other forever
(Cloudflare, 2 November 2020). Clients are not asked: those at the wrong end of
the partition have every reason to wait.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

import k8sactors.simulation as simulation_module
from k8sactors.chaos.store.cluster import StoreCluster
from k8sactors.chaos.store.options import StoreChaos
from k8sactors.fabric import Network
from k8sactors.faults import fault_named
from k8sactors.simulation import Random
from raftstore.server import MemberConfig

CHECK = "elections-settle"
SHAPES = ("bridge", "one-way")
PEACE_TIMEOUTS = 3
"""Elections have settled when one leader was undisturbed for so many election timeouts."""
MOST_TIMEOUTS = 15
"""So many may pass until then. Each counts as the longest that a member draws."""
POLL_S = 0.1


class PartialPartition:
    """Cuts the members apart, partly, and waits for one of them to lead in peace."""

    def __init__(
        self,
        options: StoreChaos,
        network: Network,
        cluster: StoreCluster,
        report: Callable[[str, str], None],
    ) -> None:
        self._options = options
        self._network = network
        self._cluster = cluster
        self._report = report
        tick_ns = MemberConfig(id=1, peers=()).tick_ns
        self._timeout_s = 2 * options.election_ticks * tick_ns / simulation_module.SECOND

    async def endure(self, random: Random) -> str:
        """Cut, wait, mend; tells the kind of the partition."""
        shape = fault_named(random.choice(SHAPES))
        parameters = shape.draw(random, self._options.targets)
        shape.inject(self._network, parameters)
        reigns = await self._wait_for_peace()
        if reigns is not None:
            message = (
                f"{shape.describe(parameters)}: after {MOST_TIMEOUTS * self._timeout_s:g} s no"
                f" leader had been left in peace for {PEACE_TIMEOUTS * self._timeout_s:g} s; it"
                f" changed {reigns} times"
            )
            self._report(CHECK, message)
        shape.heal(self._network, parameters)
        return shape.name

    async def _wait_for_peace(self) -> int | None:
        """None: there is peace; else how often the leader has changed meanwhile."""
        began_s = since_s = trio.current_time()
        reigning = self._leader()
        changes = 0
        while (now_s := trio.current_time()) < began_s + MOST_TIMEOUTS * self._timeout_s:
            leader = self._leader()
            if leader != reigning:
                reigning, since_s = leader, now_s
                changes += 1
            if reigning is not None and now_s - since_s > PEACE_TIMEOUTS * self._timeout_s:
                return None
            await trio.sleep(POLL_S)
        return changes

    def _leader(self) -> tuple[int, int] | None:
        """Term and id of the one member that leads and is followed by a quorum."""
        rafts = [host.member.node.raft for host in self._cluster.carriers]
        leaders = [raft for raft in rafts if raft.leader == raft.id]
        if len(leaders) != 1:
            return None
        leader = leaders[0]
        followers = sum(raft.leader == leader.id and raft.term == leader.term for raft in rafts)
        if followers <= len(self._cluster.places) // 2:
            return None
        return leader.term, leader.id
