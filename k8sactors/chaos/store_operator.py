"""The operator of a store cluster: carries out orders while everything around it fails.

Orders are carried out one after the other. Each is a few requests, every one of them repeated until
it is certain that it has been done: a request of unknown outcome is looked up first.
"""

from collections import deque

import trio

from k8sactors.actors import Actor
from k8sactors.faults.fault import Parameters
from k8sactors.simulation import SECOND
from raftstore.client import StoreClient
from raftstore.errors import RaftStoreError

TIMEOUT_NS = 5 * SECOND
LOOK_NS = SECOND
MOST_ORDERS = 20
"""Orders that come while so many wait are refused: an operator has two hands."""


class StoreOperator(Actor):
    """Knows the endpoint of each member by its host: `endpoints`."""

    def __init__(self, endpoints: dict[str, str], ids: dict[str, int]) -> None:
        self.done: dict[str, int] = {}
        self._endpoints = endpoints
        self._ids = ids
        self._orders: deque[tuple[str, Parameters]] = deque()
        self._busy = False
        self._ordered = trio.Event()

    @property
    def idle(self) -> bool:
        """Whether nothing is left to do."""
        return not self._orders and not self._busy

    def order(self, kind: str, parameters: Parameters) -> None:
        """Take an order."""
        if len(self._orders) < MOST_ORDERS:
            self._orders.append((kind, parameters))
            self._ordered.set()

    def rest(self) -> None:
        """Finish what was begun, and forget the orders behind it."""
        self._orders.clear()

    async def main(self) -> None:
        """Carry out what was ordered, in turn."""
        while True:
            while not self._orders:
                self._ordered = trio.Event()
                await self._ordered.wait()
            kind, parameters = self._orders.popleft()
            self._busy = True
            if await self._transfer(parameters["host"]):
                self.done[kind] = self.done.get(kind, 0) + 1
            self._busy = False

    async def _transfer(self, host: str) -> bool:
        """Ask the leader to hand over; only it can."""
        leader = await self._leader()
        if leader is None:
            return False
        client = self._client(self._endpoints[leader])
        try:
            await client.move_leader(self._ids[host], timeout_ns=TIMEOUT_NS)
        except RaftStoreError:
            return False
        finally:
            client.close()
        return True

    async def _leader(self) -> str | None:
        """The host of whom some member takes for the leader."""
        for endpoint in self._endpoints.values():
            client = self._client(endpoint)
            try:
                status = await client.status(timeout_ns=LOOK_NS)
            except RaftStoreError:
                continue
            finally:
                client.close()
            for host, number in self._ids.items():
                if number == status.leader:
                    return host
        return None

    def _client(self, endpoint: str) -> StoreClient:
        return StoreClient([endpoint], self.ctx.connect, self.ctx.after)
