"""The operator of a store cluster: carries out orders while everything around it fails.

Orders are carried out one after the other, each after a look at who the members are: what became of
a request without an answer may show late. When the faults are over, the operator puts in order what
is left: members that no order asked for go, learners become voters.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable

import trio

from k8sactors.actors import Actor
from k8sactors.faults.orders import MAKE_ROOM
from k8sactors.faults.parameters import Parameters
from k8sactors.simulation import SECOND
from k8sactors.store.maintenance import Compaction, StoreMaintenance, compact_to
from k8sactors.store.member_orders import POLL_S, MemberOrders
from k8sactors.store.members import StoreMembers
from raftstore.client import StoreClient
from raftstore.errors import RaftStoreError

TIMEOUT_NS = 5 * SECOND
LOOK_NS = SECOND
MOST_ORDERS = 20
"""Orders that come while so many wait are refused: an operator has two hands."""


class StoreOperator(Actor):
    """Knows the store's machines, and how it is to be compacted."""

    def __init__(self, cluster: StoreMembers, compaction: Compaction = compact_to) -> None:
        self.done: dict[str, int] = {}
        """How many orders of each kind were carried out."""
        self.failed: dict[str, int] = {}
        """How many were not."""
        self.settled = False
        """Whether, after `rest`, the members were last seen to be those that there should be."""
        self._cluster = cluster
        self._compaction = compaction
        self._orders: deque[tuple[str, Parameters]] = deque()
        self._busy = False
        self._resting = False
        self._ordered = trio.Event()
        self._finished = trio.Event()

    @property
    def idle(self) -> bool:
        """Whether nothing is left to do."""
        return not self._orders and not self._busy

    def order(self, kind: str, parameters: Parameters) -> None:
        """Take an order."""
        if len(self._orders) < MOST_ORDERS and not self._resting:
            self._orders.append((kind, parameters))
            self._ordered.set()
            self._finished = trio.Event()
        else:
            self._count(self.failed, kind)

    async def wait_idle(self) -> None:
        """Return when all orders are carried out, or have failed."""
        if not self.idle:
            await self._finished.wait()

    def rest(self) -> None:
        """Finish what was begun, forget the orders behind it, and put the members in order."""
        self._orders.clear()
        self._resting = True
        self._ordered.set()

    async def main(self) -> None:
        """Carry out what was ordered, in turn."""
        self._members = MemberOrders(self._cluster, self.client)
        self._upkeep = StoreMaintenance(self._cluster, self.client, self._compaction)
        while not self._resting:
            while self._orders:
                kind, parameters = self._orders.popleft()
                self._busy = True
                carried_out = await self._carry_out(kind, parameters)
                self._count(self.done if carried_out else self.failed, kind)
                self._busy = False
            self._finished.set()
            if not self._resting:
                self._ordered = trio.Event()
                await self._ordered.wait()
        while True:
            self.settled = await self._members.settle() and await self._upkeep.make_room({})
            await trio.sleep(POLL_S)

    @staticmethod
    def _count(counts: dict[str, int], kind: str) -> None:
        counts[kind] = counts.get(kind, 0) + 1

    async def _carry_out(self, kind: str, parameters: Parameters) -> bool:
        if kind == "transfer-leader":
            return await self._transfer(parameters["host"])
        members, maintenance = self._members, self._upkeep
        what: dict[str, Callable[[Parameters], Awaitable[bool]]] = {
            "compact": maintenance.compact,
            "exceed-quota": maintenance.fill,
            MAKE_ROOM: maintenance.make_room,
        }
        if kind in what:
            return await what[kind](parameters)
        if not await members.reconcile():
            return False
        what = {
            "add-member": members.add,
            "remove-member": members.remove,
            "replace-member": members.replace,
            "replace-jointly": members.replace_jointly,
            "lost-disk": members.lose_disk,
            "bit-rot": members.rot_disk,
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
