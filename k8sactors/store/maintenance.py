"""What an operator does for the room of a store: compact, fill up to the quota, make room again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs
import trio

from k8sactors.faults.parameters import Parameters
from k8sactors.simulation import SECOND
from k8sactors.store.members import StoreMembers
from raftstore.client import StoreClient
from raftstore.errors import COMPACTED, NO_SPACE, RaftStoreError, StoreError
from raftstore.server.alarms import ALARM, ALARM_LIST, DEACTIVATE

TIMEOUT_NS = 2 * SECOND
POLL_S = 0.5
MOST_TRIES = 6
FILLER = b"/filler/"
BEHIND_FILLER = b"/filler0"
FILLER_BYTES = 30_000
"""The size of a filler of a small store."""
LARGEST_FILLER_BYTES = 1 << 20
"""Requests may not be much larger."""
FILLERS = 20
"""So many fill a store, or less if it is small."""

Compaction = Callable[[StoreClient, int], Awaitable[bool]]
"""Asks a store to forget what is older than a revision; tells whether it is forgotten."""


async def compact_to(client: StoreClient, revision: int) -> bool:
    """Compact; that it was done before is as good.

    Raises:
        RaftStoreError: the answer did not come.
    """
    try:
        await client.compact(revision, timeout_ns=TIMEOUT_NS)
    except StoreError as refusal:
        return refusal.status == COMPACTED
    return True


@attrs.define
class StoreMaintenance:
    """Every method says whether it was done."""

    cluster: StoreMembers
    make_client: Callable[[list[str]], StoreClient]
    compact_to: Compaction

    async def compact(self, parameters: Parameters) -> bool:
        """Forget all but some of the newest revisions."""
        client = self.make_client(self.cluster.endpoints)
        try:
            revision = (await client.status(timeout_ns=TIMEOUT_NS)).header.revision
            return await self.compact_to(client, max(1, revision - parameters["kept"]))
        except RaftStoreError:
            return False
        finally:
            client.close()

    async def fill(self, _parameters: Parameters) -> bool:
        """Write until there is no more room."""
        if not self.cluster.has_quota:
            return False
        quota_bytes = self.cluster.quota_bytes
        size_bytes = min(max(FILLER_BYTES, quota_bytes // FILLERS), LARGEST_FILLER_BYTES)
        client = self.make_client(self.cluster.endpoints)
        try:
            for number in range(max(FILLERS, quota_bytes // size_bytes) + 1):
                key = FILLER + b"%d" % number
                await client.put(key, b"." * size_bytes, timeout_ns=TIMEOUT_NS)
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
            await self.compact_to(client, revision)
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
        """A member that does not answer has a later turn, or starts again."""
        client = self.make_client([endpoint])
        try:
            await client.ask_wire("defragment", [], TIMEOUT_NS)
        finally:
            client.close()
