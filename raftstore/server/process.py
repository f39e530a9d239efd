"""One member in a process of its own, on real time: the others are reached over TCP.

The same `MemberTask` as in a cluster within one program; only the network and the disk differ.
Its memory is no place to keep a vote: a member that forgets what it promised can elect two
leaders, so a member process always has a disk that outlives it.
"""

from __future__ import annotations

import random  # noqa: TID251 - election timeouts of a process on real time
import ssl
from collections.abc import Callable
from typing import Any, Final

import trio

from raftstore.client import Connection
from raftstore.mvcc.snapshot import StateView
from raftstore.raft import NO_MEMBER
from raftstore.server.config import MemberConfig
from raftstore.server.credentials import served
from raftstore.server.disk import TaskDisk
from raftstore.server.local_member import MemberTask
from raftstore.server.local_network import Network
from raftstore.server.local_timers import LocalTimers
from raftstore.server.local_turns import Turns
from raftstore.server.peers.host import PeerHost
from raftstore.storage import StorageError

POLL_S: Final = 0.01


class MemberRemovedError(StorageError):
    """The cluster continues without this member."""


class MemberProcess:
    """A member, its disk and its network.

    `listener` is the bound peer port, `url` how others reach it. `tls`: what the accepting and the
    dialling end need.
    """

    def __init__(
        self,
        config: MemberConfig,
        disk: TaskDisk,
        listener: trio.SocketListener,
        url: str,
        tls: tuple[ssl.SSLContext | None, ssl.SSLContext | None],
        seed: int,
    ) -> None:
        self._config = config
        self._listener = listener
        self._peers = PeerHost(config.cluster_id, config.id, url, tls)
        peers = self._peers.network
        self._clients = Network(
            lambda _sender, member, frame, behind: peers.send(member, frame, behind=behind)
        )
        self._timers = LocalTimers()
        self._turns = Turns()
        self._disk = disk
        self._rng = random.Random(seed)
        self.scope = trio.CancelScope()
        self._task: MemberTask | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Be a member until cancelled, or until `scope` is.

        Raises:
            MemberRemovedError: the cluster continues without the member.
            StorageError: its directory cannot be used, or its disk has failed.
        """
        config = self._config
        with self.scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._timers.run)
                nursery.start_soon(self._turns.run)
                nursery.start_soon(self._clients.break_refused)
                await nursery.start(self._peers.network.run, self._listener)
                task = MemberTask(
                    self._clients,
                    self._timers,
                    self._turns,
                    config,
                    self._disk,
                    self._rng,
                    None,
                    served(nursery),
                )
                self._task = self._clients.members[config.id] = task
                nursery.start_soon(self._live, task)
                self._peers.attach(task)
                task_status.started()

    async def _live(self, task: MemberTask) -> None:
        await task.live()
        if task.failure is not None:
            raise task.failure
        if task.member.removed:
            raise MemberRemovedError(
                f"member {self._config.id:x} has been permanently removed from the cluster; its "
                "data directory is of no use any more. To come back it has to be added again: "
                "etcdctl member add, then serve --initial-cluster-state existing with a new "
                "--data-dir"
            )

    async def wait_leader(self) -> int:
        """Wait until the member knows a leader; returns its id."""
        raft = self._running.member.node.raft
        # The member is looked at, it does not report: roles are no event of its interface.
        while raft.leader == NO_MEMBER:  # noqa: ASYNC110 - see above
            await trio.sleep(POLL_S)
        return raft.leader

    async def wait_published(self) -> None:
        """Wait until the member list says what the member says about itself."""
        changes = self._running.member.changes
        while not changes.is_published:  # noqa: ASYNC110 - as above
            await trio.sleep(POLL_S)

    def connect(self, on_close: Callable[[str], None], /) -> Connection:
        """A client's connection to the member."""
        return self._clients.connect(self._config.id, on_close)

    def token_of_certificate(self, name: str, /) -> str:
        """A token of the user whom a client's certificate names."""
        return self._running.member.access.token_of_certificate(name)

    def has_leader(self) -> bool:
        """Whether the member knows a leader."""
        return self._running.member.node.raft.leader != NO_MEMBER

    def view(self) -> StateView:
        """The member's whole state now, by reference."""
        return self._running.member.store.view()

    def statistics(self) -> dict[str, Any]:
        """What the member and its network tell about themselves."""
        member = self._running.member
        return {**member.statistics(), **self._peers.network.statistics()}

    @property
    def _running(self) -> MemberTask:
        assert self._task is not None, "the process does not run"
        return self._task
