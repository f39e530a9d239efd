"""A store cluster inside one trio program: members as tasks, for embedding, tests and measurements.

Members and clients exchange msgpack frames over trio memory channels; nothing is shared. A member
drains what has arrived, handles it as one batch, and then sends one frame per destination. The
requests of all tasks that share a client leave in one frame as well, so batches grow with the load
by themselves. Time is trio's, so a cluster also runs on a virtual clock. ::

    async with LocalCluster(members=3) as cluster:
        client = cluster.client()
        await client.put(b"greeting", b"hello")
"""

from __future__ import annotations

import random  # noqa: TID251 - one seeded stream per life of a member
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Final, Self

import trio

from raftstore.client import StoreClient
from raftstore.raft import RaftMonitor
from raftstore.server.config import MemberConfig, Peer
from raftstore.server.credentials import Credentials
from raftstore.server.disk import SimulatedDisk, TaskDisk
from raftstore.server.local_member import MemberTask
from raftstore.server.local_network import LocalConnection, Network
from raftstore.server.local_timers import LocalTimers
from raftstore.server.member import Member
from raftstore.storage import DiskFailedError

POLL_S: Final = 0.005
WAIT_TIMEOUT_S: Final = 30.0

Configure = Callable[[MemberConfig], MemberConfig]
OpenDisk = Callable[[Peer], TaskDisk]
OnFailure = Callable[[Peer, DiskFailedError], None]


class LocalCluster:
    """Members 1 to `members`, each with a disk; an async context manager.

    Without `open_disk` the disks are simulated. A member whose disk fails stops, and `on_failure`
    is told.
    """

    def __init__(
        self,
        members: int = 3,
        *,
        seed: int = 0,
        sync_latency_ns: int = 0,
        configure: Configure = lambda config: config,
        monitor: RaftMonitor | None = None,
        cluster_id: int = 1,
        open_disk: OpenDisk | None = None,
        on_failure: OnFailure = lambda _peer, _error: None,
        credentials: Credentials | None = None,
    ) -> None:
        assert members > 0, "a cluster needs a member"
        self.peers = tuple(Peer(number, f"member-{number}") for number in range(1, members + 1))
        self.network = Network()
        self.timers = LocalTimers()
        self.disks: dict[int, Any] = {
            peer.id: open_disk(peer)
            if open_disk is not None
            else SimulatedDisk(self.timers.after, sync_latency_ns, peer.name)
            for peer in self.peers
        }
        self._cluster_id = cluster_id
        self._on_failure = on_failure
        self._seed = seed
        self._credentials = credentials
        self._configure = configure
        self._monitor = monitor
        self._starts = 0
        self._tasks: dict[int, MemberTask] = {}
        self._clients: list[StoreClient] = []
        self._stack = AsyncExitStack()
        self._nursery: trio.Nursery | None = None

    async def __aenter__(self) -> Self:
        nursery = await self._stack.enter_async_context(trio.open_nursery())
        self._nursery = nursery
        for task in (self.timers.run, self.network.break_refused):
            nursery.start_soon(task)
        try:
            for peer in self.peers:
                self.start(peer.id)
        except BaseException:
            nursery.cancel_scope.cancel()
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> bool | None:
        for client in self._clients:
            client.close()
        assert self._nursery is not None
        self._nursery.cancel_scope.cancel()
        return await self._stack.__aexit__(*exc_info)  # type: ignore[arg-type]  # passed on as it came

    # Members

    @property
    def members(self) -> dict[int, Member]:
        """The members that run, by id."""
        return {member_id: task.member for member_id, task in self._tasks.items()}

    def leader(self) -> int | None:
        """The id of the running leader of the highest term that has committed in it."""
        leaders = [
            member.node.raft
            for member in self.members.values()
            if member.is_leader and member.node.raft.committed_in_own_term()
        ]
        return max(leaders, key=lambda raft: raft.term).id if leaders else None

    async def wait_leader(self, timeout_s: float = WAIT_TIMEOUT_S) -> int:
        """Wait until there is a leader; returns its id.

        Raises:
            trio.TooSlowError: none was elected in time.
        """
        await _poll(lambda: self.leader() is not None, timeout_s)
        leader = self.leader()
        assert leader is not None
        return leader

    async def wait_applied(self, revision: int, timeout_s: float = WAIT_TIMEOUT_S) -> None:
        """Wait until all running members have applied `revision`.

        Raises:
            trio.TooSlowError: one is still behind.
        """
        await _poll(
            lambda: all(task.member.store.revision >= revision for task in self._tasks.values()),
            timeout_s,
        )

    def start(self, member_id: int) -> Member:
        """Start a member on what its disk holds."""
        assert self._nursery is not None, "the cluster is not open"
        assert member_id not in self._tasks, f"member {member_id} runs already"
        self._starts += 1
        task = MemberTask(
            self.network,
            self.timers,
            self._configure(MemberConfig(member_id, self.peers, self._cluster_id)),
            self.disks[member_id],
            random.Random(f"{self._seed}/{self._starts}/{member_id}"),
            self._monitor,
            self._credentials,
        )
        self._tasks[member_id] = self.network.members[member_id] = task
        self._nursery.start_soon(self._live, task)
        return task.member

    async def _live(self, task: MemberTask) -> None:
        await task.live()
        if task.failure is not None:
            # Stopped by its own disk: nothing of it may be tried again.
            self._tasks.pop(task.id)
            self.network.detach(task.id)
            self._on_failure(self.peers[task.id - 1], task.failure)

    def kill(self, member_id: int) -> None:
        """Cut a member's power: memory and unsynced writes are lost, connections are reset."""
        task = self._tasks.pop(member_id)
        task.kill()
        self.disks[member_id].crash()
        self.network.detach(member_id)

    def isolate(self, member_id: int) -> None:
        """Cut a member from the others until `network.heal`; its clients still reach it."""
        self.network.isolate(member_id, [peer.id for peer in self.peers])

    # Clients

    def client(self, first: int | None = None) -> StoreClient:
        """A client of all members; it begins with `first`, by default with the leader."""
        first = first or self.leader() or 1
        endpoints = [peer.name for peer in self.peers]
        endpoints = endpoints[first - 1 :] + endpoints[: first - 1]
        client = StoreClient(endpoints, self._dial, self.timers.after)
        self._clients.append(client)
        return client

    def _dial(self, endpoint: str, on_close: Callable[[str], None]) -> LocalConnection:
        return self.network.connect(int(endpoint.removeprefix("member-")), on_close)


async def _poll(reached: Callable[[], bool], timeout_s: float) -> None:
    # Members are looked at, they do not report: what is waited for is no event of their interface.
    with trio.fail_after(timeout_s):
        while not reached():  # noqa: ASYNC110 - see above
            await trio.sleep(POLL_S)
