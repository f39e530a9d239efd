"""What an operator does for the room of a store: compact, fill up to the quota, make room again."""

from collections.abc import Callable

import attrs
import trio

from k8sactors.chaos.store_cluster import StoreCluster
from k8sactors.chaos.store_load import ask
from k8sactors.checkers.kv_history import History, Refusal, Request, compact
from k8sactors.checkers.kv_wire import refused
from k8sactors.faults.fault import Parameters
from k8sactors.simulation import SECOND
from raftstore.client import StoreClient
from raftstore.errors import NO_SPACE, RaftStoreError, StoreError, UnknownOutcomeError
from raftstore.server.alarms import ALARM, ALARM_LIST, DEACTIVATE

TIMEOUT_NS = 2 * SECOND
POLL_S = 0.5
MOST_TRIES = 6
NAME = "operator"
FILLER = b"/filler/"
BEHIND_FILLER = b"/filler0"
FILLER_BYTES = 30_000
MOST_FILLERS = 20


@attrs.define
class StoreUpkeep:
    """Every method says whether it was done."""

    cluster: StoreCluster
    make_client: Callable[[list[str]], StoreClient]
    history: History
    now_ns: Callable[[], int]

    async def compact(self, parameters: Parameters) -> bool:
        """Forget all but some of the newest revisions."""
        client = self.make_client(self.cluster.endpoints)
        try:
            revision = (await client.status(timeout_ns=TIMEOUT_NS)).header.revision
            return await self._compact(client, max(1, revision - parameters["kept"]))
        except RaftStoreError:
            return False
        finally:
            client.close()

    async def fill(self, _parameters: Parameters) -> bool:
        """Write until there is no more room."""
        if not self.cluster.has_quota:
            return False
        client = self.make_client(self.cluster.endpoints)
        try:
            for number in range(MOST_FILLERS):
                key = FILLER + b"%d" % number
                await client.put(key, b"." * FILLER_BYTES, timeout_ns=TIMEOUT_NS)
        except StoreError as refusal:
            return refusal.status == NO_SPACE
        except RaftStoreError:
            return False
        finally:
            client.close()
        return False

    async def make_room(self, _parameters: Parameters) -> bool:
        """Until no alarm is left; as etcd's users do it (compact, defragment, disarm)."""
        for _ in range(MOST_TRIES):
            if await self.has_room() or await self._make_room():
                return True
            await trio.sleep(POLL_S)
        return False

    async def has_room(self) -> bool:
        """Whether it is certain that there is no alarm."""
        if not self.cluster.has_quota:
            return True
        client = self.make_client(self.cluster.endpoints)
        try:
            _, alarms = await client.ask_wire(ALARM_LIST, [0], TIMEOUT_NS)
        except RaftStoreError:
            return False
        finally:
            client.close()
        return not alarms

    async def _make_room(self) -> bool:
        client = self.make_client(self.cluster.endpoints)
        try:
            await client.delete(FILLER, BEHIND_FILLER, timeout_ns=TIMEOUT_NS)
            revision = (await client.status(timeout_ns=TIMEOUT_NS)).header.revision
            await self._compact(client, revision)
            for endpoint in self.cluster.endpoints:
                await self._defragment(endpoint)
            _, alarms = await client.ask_wire(ALARM_LIST, [0], TIMEOUT_NS)
            for member, alarm in alarms:
                await client.ask_wire(ALARM, [DEACTIVATE, member, alarm], TIMEOUT_NS)
        except RaftStoreError:
            return False
        finally:
            client.close()
        return True

    async def _defragment(self, endpoint: str) -> None:
        """A member that does not answer has a later turn, or starts anew."""
        client = self.make_client([endpoint])
        try:
            await client.ask_wire("defragment", [], TIMEOUT_NS)
        finally:
            client.close()

    async def _compact(self, client: StoreClient, revision: int) -> bool:
        """Compact, and write it down: clients will be refused what was forgotten."""
        request: Request = compact(revision)
        operation = self.history.invoke(NAME, request, self.now_ns())
        answer = None
        try:
            outcome, answer = await ask(client, request)
        except UnknownOutcomeError:
            return False
        except RaftStoreError as error:
            known = refused(error.status) if isinstance(error, StoreError) else None
            if known is None:
                self.history.discard(operation)
                return False
            outcome = known
        self.history.complete(operation, outcome, self.now_ns(), answer)
        return outcome.refusal in {None, Refusal.COMPACTED}
