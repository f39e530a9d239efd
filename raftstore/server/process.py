"""One member in a process of its own, on real time: the others are reached over TCP.

The same `MemberTask` as in a cluster within one program; only the network and the disk differ.
Its memory is no place to keep a vote: a member that forgets what it promised can elect two
leaders, so a member process always has a disk that outlives it.
"""

from __future__ import annotations

import hashlib
import random  # noqa: TID251 - election timeouts of a process on real time
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

import attrs
import trio

from raftstore.client import Connection
from raftstore.errors import ConfigurationError
from raftstore.mvcc.snapshot import StateView
from raftstore.raft import NO_MEMBER
from raftstore.server.config import MemberConfig, Peer
from raftstore.server.credentials import served
from raftstore.server.disk import TaskDisk
from raftstore.server.local_member import MemberTask
from raftstore.server.local_timers import LocalTimers
from raftstore.server.membership import MemberRecord
from raftstore.server.peers.link import Address
from raftstore.server.peers.network import PeerNetwork
from raftstore.storage import StorageError

DEFAULT_TOKEN: Final = "etcd-cluster"  # noqa: S105 - tells clusters apart, and is no secret
POLL_S: Final = 0.01
MAX_PORT: Final = 65_535


class MemberRemovedError(StorageError):
    """The cluster goes on without this member."""


@attrs.frozen
class InitialCluster:
    """The members that begin a cluster together: their peer addresses by name.

    All of them must be given the same, and the same token; cluster and member ids follow from it.
    """

    addresses: dict[str, Address]
    token: str = DEFAULT_TOKEN

    @property
    def cluster_id(self) -> int:
        """63 bits that differ between clusters."""
        text = repr((self.token, sorted(self.addresses.items())))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1

    def member_id(self, name: str) -> int:
        """Members are numbered from 1 in the order of their names.

        Raises:
            ConfigurationError: there is no member of that name.
        """
        names = sorted(self.addresses)
        if name not in names:
            known = ", ".join(names)
            raise ConfigurationError(f"no member {name!r} in the initial cluster: {known}")
        return names.index(name) + 1

    def peers(self, scheme: str) -> tuple[Peer, ...]:
        """The members as the configuration has them."""
        return tuple(
            Peer(self.member_id(name), name, (peer_url(scheme, address),))
            for name, address in sorted(self.addresses.items())
        )


def parse_initial_cluster(text: str, token: str = DEFAULT_TOKEN) -> InitialCluster:
    """The members in ``name=host:port,...``; an URL may stand for host and port, as with etcd.

    Raises:
        ConfigurationError: it cannot be read.
    """
    addresses: dict[str, Address] = {}
    for part in text.split(","):
        name, equals, url = part.strip().partition("=")
        if not equals or not name:
            raise ConfigurationError(f"{part!r} is not NAME=HOST:PORT")
        if name in addresses:
            raise ConfigurationError(f"the member {name!r} stands twice in the initial cluster")
        addresses[name] = parse_address(url)
    if len(set(addresses.values())) != len(addresses):
        raise ConfigurationError("two members of the initial cluster have the same address")
    return InitialCluster(addresses, token)


def parse_address(url: str) -> Address:
    """Host and port of ``host:port`` or ``http(s)://host:port``.

    Raises:
        ConfigurationError: it cannot be read.
    """
    bare = url.removeprefix("http://").removeprefix("https://").rstrip("/")
    host, _, port = bare.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) <= MAX_PORT:
        raise ConfigurationError(f"{url!r} is not HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


def peer_url(scheme: str, address: Address) -> str:
    """The address as member lists show it."""
    host, port = address
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


class MemberProcess:
    """A member, its disk and its network.

    `listener` is the bound peer port. `tls`: what the accepting and the dialling end need.
    """

    def __init__(
        self,
        config: MemberConfig,
        disk: TaskDisk,
        listener: trio.SocketListener,
        tls: tuple[ssl.SSLContext | None, ssl.SSLContext | None],
        seed: int,
    ) -> None:
        self._config = config
        self._listener = listener
        self.network = PeerNetwork(config.cluster_id, config.id, tls, self._receive, self._members)
        self._timers = LocalTimers()
        self._disk = disk
        self._rng = random.Random(seed)
        self._addresses: dict[int, Address] = {}
        self.scope = trio.CancelScope()
        self._task: MemberTask | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Be a member until cancelled, or until `scope` is."""
        network, config = self.network, self._config
        with self.scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._timers.run)
                await nursery.start(network.run, self._listener)
                task = MemberTask(
                    network,
                    self._timers,
                    config,
                    self._disk,
                    self._rng,
                    None,
                    served(nursery),
                )
                self._task = network.members[config.id] = task
                nursery.start_soon(self._live, task)
                task.member.changes.section.on_change.append(self._connect)
                self._connect()
                task_status.started()

    def _connect(self) -> None:
        """Keep in touch with the members, and with former ones, which may not know that yet."""
        present = _addresses(self._running.member.changes.section.by_id)
        taken = set(present.values())
        former = {
            number: address
            for number, address in self._addresses.items()
            if number not in present and address not in taken
        }
        self._addresses = {**present, **former}
        self.network.connect_to(self._addresses)

    async def _live(self, task: MemberTask) -> None:
        await task.live()
        if task.failure is not None:
            raise task.failure
        if task.member.removed:
            raise MemberRemovedError(
                f"member {self._config.id} has been removed from the cluster; "
                "its data directory is of no use any more"
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
        return self.network.connect(self._config.id, on_close)

    def token_of_certificate(self, name: str, /) -> str:
        """A token of the user whom a client's certificate names."""
        return self._running.member.access.token_of_certificate(name)

    def view(self) -> StateView:
        """The member's whole state now, by reference."""
        return self._running.member.store.view()

    def statistics(self) -> dict[str, Any]:
        """What the member and its network tell about themselves."""
        member = self._running.member
        return {**member.statistics(), **self.network.statistics()}

    @property
    def _running(self) -> MemberTask:
        assert self._task is not None, "the process does not run"
        return self._task

    def _receive(self, sender: int, messages: list[Any]) -> None:
        self._running.deliver(partial(self._hand_in, sender, messages))

    def _hand_in(self, sender: int, messages: list[Any]) -> None:
        receive_peer = self._running.member.receive_peer
        for wire in messages:
            receive_peer(sender, wire)

    def _members(self) -> list[Any]:
        return self._running.member.changes.section.to_wire()


def _addresses(members: Mapping[int, MemberRecord]) -> dict[int, Address]:
    """Where the members are, as far as it can be told."""
    found: dict[int, Address] = {}
    for number, record in members.items():
        for url in record.peer_urls[:1]:
            with suppress(ConfigurationError):
                found[number] = parse_address(url)
    return found
