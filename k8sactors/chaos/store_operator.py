"""The operator of a store cluster: carries out orders while everything around it fails.

Orders are carried out one after the other, each after a look at who the members are: what became of
a request without an answer may show late. When the faults are over, the operator puts in order what
is left: members that nobody wanted go, learners become voters.
"""

from collections import deque
from collections.abc import Awaitable, Callable

import trio

from k8sactors.actors import Actor
from k8sactors.chaos.member_orders import POLL_S, MemberOrders
from k8sactors.chaos.store_cluster import StoreCluster
from k8sactors.chaos.store_upkeep import StoreUpkeep
from k8sactors.checkers.kv_history import History
from k8sactors.faults import orders
from k8sactors.faults.fault import Parameters
from k8sactors.simulation import SECOND
from raftstore.client import StoreClient
from raftstore.errors import RaftStoreError

TIMEOUT_NS = 5 * SECOND
LOOK_NS = SECOND
MOST_ORDERS = 20
"""Orders that come while so many wait are refused: an operator has two hands."""


class StoreOperator(Actor):
    """Knows the cluster's machines; its compactions stand in the history, as the clients' do."""

    def __init__(self, cluster: StoreCluster, history: History) -> None:
        self.done: dict[str, int] = {}
        self.settled = False
        """Whether, after `rest`, the members were last seen to be those that there should be."""
        self._cluster = cluster
        self._history = history
        self._orders: deque[tuple[str, Parameters]] = deque()
        self._busy = False
        self._resting = False
        self._ordered = trio.Event()

    @property
    def idle(self) -> bool:
        """Whether nothing is left to do."""
        return not self._orders and not self._busy

    def order(self, kind: str, parameters: Parameters) -> None:
        """Take an order."""
        if len(self._orders) < MOST_ORDERS and not self._resting:
            self._orders.append((kind, parameters))
            self._ordered.set()

    def rest(self) -> None:
        """Finish what was begun, forget the orders behind it, and put the members in order."""
        self._orders.clear()
        self._resting = True
        self._ordered.set()

    async def main(self) -> None:
        """Carry out what was ordered, in turn."""
        self._members = MemberOrders(self._cluster, self.client)
        self._upkeep = StoreUpkeep(self._cluster, self.client, self._history, self.ctx.now_ns)
        while not self._resting:
            while self._orders:
                kind, parameters = self._orders.popleft()
                self._busy = True
                if await self._carry_out(kind, parameters):
                    self.done[kind] = self.done.get(kind, 0) + 1
                self._busy = False
            if not self._resting:
                self._ordered = trio.Event()
                await self._ordered.wait()
        while True:
            self.settled = await self._members.settle() and await self._upkeep.make_room({})
            await trio.sleep(POLL_S)

    async def _carry_out(self, kind: str, parameters: Parameters) -> bool:
        if kind == orders.LeaderTransfer.kind:
            return await self._transfer(parameters["host"])
        members, upkeep = self._members, self._upkeep
        what: dict[str, Callable[[Parameters], Awaitable[bool]]] = {
            orders.Compaction.kind: upkeep.compact,
            orders.QuotaExceeded.kind: upkeep.fill,
            orders.QuotaExceeded.relief: upkeep.make_room,
        }
        if kind in what:
            return await what[kind](parameters)
        if not await members.reconcile():
            return False
        what = {
            orders.MemberAdd.kind: members.add,
            orders.MemberRemoval.kind: members.remove,
            orders.MemberReplacement.kind: members.replace,
            orders.JointReplacement.kind: members.replace_jointly,
            orders.LostDisk.kind: members.lose_disk,
            orders.BitRot.kind: members.rot_disk,
        }
        return await what[kind](parameters)

    async def _transfer(self, host: str) -> bool:
        """Ask the leader to hand over; only it can."""
        leader = await self._leader()
        target = self._cluster.member_on(host)
        if leader is None or target is None:
            return False
        client = self.client([self._cluster.addresses[leader]])
        try:
            await client.move_leader(target, timeout_ns=TIMEOUT_NS)
        except RaftStoreError:
            return False
        finally:
            client.close()
        return True

    async def _leader(self) -> int | None:
        """Whom some member takes for the leader."""
        for endpoint in self._cluster.endpoints:
            client = self.client([endpoint])
            try:
                status = await client.status(timeout_ns=LOOK_NS)
            except RaftStoreError:
                continue
            finally:
                client.close()
            if status.leader in self._cluster.places:
                return status.leader
        return None

    def client(self, endpoints: list[str]) -> StoreClient:
        """A client of these endpoints, to be closed."""
        return StoreClient(endpoints, self.ctx.connect, self.ctx.after)
