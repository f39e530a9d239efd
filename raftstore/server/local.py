"""A store cluster inside one trio program: members as tasks, for embedding, tests and measurements.

Members and clients exchange msgpack frames; members hand each other Raft's messages as they are,
since those, and the entries in them, never change. A member drains what has arrived, handles it as
one batch, and then sends one frame per destination. The requests of all tasks that share a client
leave in one frame as well, so batches grow with the load by themselves.
Time is trio's, so a cluster also runs on a virtual clock. ::

    async with LocalCluster(members=3) as cluster:
        client = cluster.client()
        await client.put(b"greeting", b"hello")
"""

from __future__ import annotations

import random  # noqa: TID251 - one seeded stream per life of a member
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from typing import Any, Final, Self

import trio

from raftstore.client import StoreClient
from raftstore.raft import RaftMonitor
from raftstore.server.config import DEFAULT_MEMBERS, MemberConfig, Peer
from raftstore.server.credentials import Credentials
from raftstore.server.disk import SimulatedDisk, TaskDisk
from raftstore.server.local_member import MemberTask
from raftstore.server.local_network import LocalConnection, Network
from raftstore.server.local_timers import LocalTimers
from raftstore.server.local_turns import Turns
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
    is told; a removed one stops as well, and `on_removed` is told. Of the
    first `members`, those that are `former` are not started.
    """

    def __init__(
        self,
        members: int = DEFAULT_MEMBERS,
        *,
        seed: int = 0,
        sync_latency_ns: int = 0,
        configure: Configure = lambda config: config,
        monitor: RaftMonitor | None = None,
        cluster_id: int = 1,
        open_disk: OpenDisk | None = None,
        on_failure: OnFailure = lambda _peer, _error: None,
        credentials: Credentials | None = None,
        former: Iterable[int] = (),
        on_removed: Callable[[Peer], None] = lambda _peer: None,
    ) -> None:
        assert members > 0, "a cluster needs a member"
        self._founders = tuple(Peer(n, f"member-{n}") for n in range(1, members + 1))
        self.peers = tuple(peer for peer in self._founders if peer.id not in {*former})
        self._last_id = members
        self.network = Network()
        self.timers = LocalTimers()
        self._turns = Turns()
        self._sync_latency_ns = sync_latency_ns
        self._open_disk = open_disk or self._simulated_disk
        self.disks: dict[int, Any] = {peer.id: self._open_disk(peer) for peer in self.peers}
        self._changing: StoreClient | None = None
        self._cluster_id = cluster_id
        self._on_failure = on_failure
        self._on_removed = on_removed
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
        for task in (self.timers.run, self._turns.run, self.network.break_refused):
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

    def task(self, member_id: int) -> MemberTask:
        """A member that runs, as other members reach it."""
        return self._tasks[member_id]

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

    async def wait_published(self, timeout_s: float = WAIT_TIMEOUT_S) -> None:
        """Wait until the member list says what the running members say about themselves.

        Raises:
            trio.TooSlowError: one could not make itself heard.
        """
        await _poll(
            lambda: all(member.changes.is_published for member in self.members.values()), timeout_s
        )

    async def wait_applied(self, revision: int, timeout_s: float = WAIT_TIMEOUT_S) -> None:
        """Wait until all running members have applied `revision`.

        Raises:
            trio.TooSlowError: one is still behind.
        """
        await _poll(
            lambda: all(task.member.store.revision >= revision for task in self._tasks.values()),
            timeout_s,
        )

    async def add_member(self, *, is_learner: bool = False) -> int:
        """Let a new member join, and start it with nothing on its disk; returns its id.

        Raises:
            StoreError: the members cannot be changed now.
            trio.TooSlowError: it was added, but has not found the others.
        """
        url = f"http://member-{self._last_id + 1}:2380"
        answer = await self._change_client().member_add([url], is_learner=is_learner)
        return await self._start_new(answer.member.id)

    async def replace_member(self, member_id: int) -> int:
        """Put a new member in the place of one, in a single step; returns its id.

        The old one, which may be down, is gone for good. At no time is there one more to agree.

        Raises:
            StoreError: the members cannot be changed now.
            trio.TooSlowError: it was replaced, but the new one has not found the others.
        """
        url = f"http://member-{self._last_id + 1}:2380"
        answer = await self._change_client().member_replace(member_id, [url])
        self.peers = tuple(peer for peer in self.peers if peer.id != member_id)
        return await self._start_new(answer.member.id)

    async def _start_new(self, member_id: int) -> int:
        peer = Peer(member_id, f"member-{member_id}")
        self._last_id = peer.id
        self.peers = (*self.peers, peer)
        self.disks[peer.id] = self._open_disk(peer)
        section = self.start(peer.id).changes.section
        await _poll(lambda: section.is_started(peer.id), WAIT_TIMEOUT_S)
        return peer.id

    async def promote_member(self, member_id: int) -> None:
        """Let a learner vote.

        Raises:
            StoreError: it has not caught up yet, or is no learner.
        """
        await self._change_client().member_promote(member_id)

    async def remove_member(self, member_id: int) -> None:
        """Continue without a member; it stops.

        Raises:
            StoreError: the cluster needs it, or does not know it.
        """
        await self._change_client().member_remove(member_id)
        self.peers = tuple(peer for peer in self.peers if peer.id != member_id)

    def _change_client(self) -> StoreClient:
        """A client that knows the members of the moment; one at a time is open."""
        if self._changing is not None:
            self._clients.remove(self._changing)
            self._changing.close()
        self._changing = self.client()
        return self._changing

    def _simulated_disk(self, peer: Peer) -> SimulatedDisk:
        return SimulatedDisk(self.timers.after, self._sync_latency_ns, peer.name)

    def _config(self, member_id: int) -> MemberConfig:
        if member_id <= len(self._founders):
            return MemberConfig(member_id, self._founders, self._cluster_id)
        own = Peer(member_id, f"member-{member_id}")
        others = [peer for peer in self.peers if peer.id != member_id]
        return MemberConfig(member_id, (own, *others), self._cluster_id, joins=True)

    def start(self, member_id: int) -> Member:
        """Start a member on what its disk holds."""
        assert self._nursery is not None, "the cluster is not open"
        assert member_id not in self._tasks, f"member {member_id} runs already"
        self._starts += 1
        task = MemberTask(
            self.network,
            self.timers,
            self._turns,
            self._configure(self._config(member_id)),
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
        if self._tasks.get(task.id) is not task:
            return
        if task.failure is not None or task.member.removed:
            # Stopped by its own disk, or by the others: nothing of it may be tried again.
            self._tasks.pop(task.id)
            self.network.detach(task.id)
        if task.failure is not None:
            self._on_failure(Peer(task.id, f"member-{task.id}"), task.failure)
        elif task.member.removed:
            self._on_removed(Peer(task.id, f"member-{task.id}"))

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

    def client(
        self, first: int | None = None, *, user: str = "", password: str = ""
    ) -> StoreClient:
        """A client of all members; it begins with `first`, by default with the leader."""
        first = first or self.leader() or self.peers[0].id
        numbers = [peer.id for peer in self.peers]
        place = numbers.index(first) if first in numbers else 0
        endpoints = [f"member-{number}" for number in numbers[place:] + numbers[:place]]
        client = StoreClient(endpoints, self._dial, self.timers.after, user=user, password=password)
        client.about_to_wait = self._turns.give_now
        self._clients.append(client)
        return client

    def _dial(self, endpoint: str, on_close: Callable[[str], None]) -> LocalConnection:
        return self.network.connect(int(endpoint.removeprefix("member-")), on_close)


async def _poll(reached: Callable[[], bool], timeout_s: float) -> None:
    # Members are looked at, they do not report: what is waited for is no event of their interface.
    with trio.fail_after(timeout_s):
        while not reached():  # noqa: ASYNC110 - see above
            await trio.sleep(POLL_S)
