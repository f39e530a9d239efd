"""One member in a process of its own, on real time: the others are reached over TCP.

The same `MemberTask` as in a cluster within one program; only the network and the disk differ.
Its memory is no place to keep a vote: a member that forgets what it promised can elect two
leaders, so a member process always has a disk that outlives it.
"""

from __future__ import annotations

import random  # noqa: TID251 - election timeouts of a process on real time
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

import trio

from raftstore.client import Connection
from raftstore.errors import ConfigurationError
from raftstore.mvcc.snapshot import StateView
from raftstore.raft import NO_MEMBER
from raftstore.server.config import MemberConfig
from raftstore.server.credentials import served
from raftstore.server.disk import TaskDisk
from raftstore.server.initial_cluster import Address, parse_address
from raftstore.server.local_member import MemberTask
from raftstore.server.local_network import Network
from raftstore.server.local_timers import LocalTimers
from raftstore.server.local_turns import Turns
from raftstore.server.membership import MemberRecord
from raftstore.server.peers.network import MAX_SENDERS, PeerNetwork
from raftstore.storage import StorageError

POLL_S: Final = 0.01


class MemberRemovedError(StorageError):
    """The cluster goes on without this member."""


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
        self._peers = PeerNetwork(config.cluster_id, config.id, url, tls, self)
        self._clients = Network(lambda _sender, member, frame: self._peers.send(member, frame))
        self._timers = LocalTimers()
        self._turns = Turns()
        self._disk = disk
        self._rng = random.Random(seed)
        self._listed: dict[int, Address] = {}
        self._met: dict[int, Address] = {}
        self._addresses: dict[int, Address] = {}
        self.scope = trio.CancelScope()
        self._task: MemberTask | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Be a member until cancelled, or until `scope` is.

        Raises:
            MemberRemovedError: the cluster goes on without the member.
            StorageError: its directory cannot be used, or its disk has failed.
        """
        config = self._config
        with self.scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._timers.run)
                nursery.start_soon(self._turns.run)
                nursery.start_soon(self._clients.break_refused)
                await nursery.start(self._peers.run, self._listener)
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
                task.member.changes.section.on_change.append(self._connect)
                self._connect()
                task_status.started()

    def _connect(self) -> None:
        """Keep in touch with the members.

        And with others: former ones may not know that they are, and new ones not be in the log yet.
        What a member said about itself holds until the log says something new.
        """
        listed = addresses_of(self._running.member.changes.section.by_id)
        for number, address in listed.items():
            if self._listed.get(number) != address:
                self._met.pop(number, None)
        self._listed = listed
        present = {**listed, **self._met}
        taken = set(present.values())
        others = {
            number: address
            for number, address in self._addresses.items()
            if number not in present and address not in taken
        }
        self._addresses = {**present, **others}
        self._peers.connect_to(self._addresses)

    async def _live(self, task: MemberTask) -> None:
        await task.live()
        if task.failure is not None:
            raise task.failure
        if task.member.removed:
            raise MemberRemovedError(
                f"member {self._config.id:x} has been permanently removed from the cluster; its "
                "data directory is of no use any more. To come back it has to be added anew: "
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

    def view(self) -> StateView:
        """The member's whole state now, by reference."""
        return self._running.member.store.view()

    def statistics(self) -> dict[str, Any]:
        """What the member and its network tell about themselves."""
        member = self._running.member
        return {**member.statistics(), **self._peers.statistics()}

    @property
    def _running(self) -> MemberTask:
        assert self._task is not None, "the process does not run"
        return self._task

    # -- what other members ask and say -------------------------------------------------------

    def take(self, sender: int, messages: list[Any], /) -> None:
        """Messages of another member."""
        self._running.deliver(partial(self._hand_in, sender, messages))

    def _hand_in(self, sender: int, messages: list[Any]) -> None:
        receive_peer = self._running.member.receive_peer
        for wire in messages:
            receive_peer(sender, wire)

    def members(self) -> list[Any]:
        """Who belongs to the cluster, for processes that are to join."""
        return self._running.member.changes.section.to_wire()

    def is_former(self, member_id: int, /) -> bool:
        """Whether the cluster has gone on without that member."""
        return member_id in self._running.member.changes.section.removed

    def met(self, member_id: int, url: str, /) -> None:
        """Another member has introduced itself: its word may be newer than the own log."""
        if len(self._met) >= MAX_SENDERS and member_id not in self._met:
            return
        with suppress(ConfigurationError):
            address = parse_address(url)
            if address != self._addresses.get(member_id):
                self._met[member_id] = address
                self._connect()

    def told_removed(self) -> None:
        """Another member says that the cluster has gone on without this one."""
        self._running.deliver(self._running.member.leave)


def addresses_of(members: Mapping[int, MemberRecord]) -> dict[int, Address]:
    """Where the members are, as far as it can be told."""
    found: dict[int, Address] = {}
    for number, record in members.items():
        for url in record.peer_urls:
            with suppress(ConfigurationError):
                found.setdefault(number, parse_address(url))
    return found
