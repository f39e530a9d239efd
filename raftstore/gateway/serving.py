"""A whole cluster in this process, on real time, each member with a port of its own."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any, Final

import attrs
import trio

from raftstore.client import Connection
from raftstore.errors import STOPPED, StoreError
from raftstore.gateway.app import Gateway
from raftstore.gateway.descriptors import max_connections
from raftstore.gateway.ports import LOOPBACK, PLAIN, Contexts, MemberPorts
from raftstore.http.ports import endpoint_url, listen
from raftstore.mvcc.snapshot import StateView
from raftstore.raft import NO_MEMBER
from raftstore.server.config import DEFAULT_MEMBERS, MemberConfig, Peer, Policy
from raftstore.server.credentials import Credentials, served
from raftstore.server.data_directory import DataDirectory, new_cluster_id
from raftstore.server.initial_cluster import peer_url
from raftstore.server.local import LocalCluster
from raftstore.server.peers.host import PeerHost
from raftstore.server.process import MemberRemovedError
from raftstore.server.tls import TlsFiles
from raftstore.storage import DiskFailedError

DEFAULT_PORT: Final = 2379
POLL_S: Final = 0.01


@attrs.frozen
class ServeOptions:
    """What to serve, and where. `port` 0: an unused one for each member.

    Without `data` the data lives in memory; with it, `data` knows the number of members.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    members: int = DEFAULT_MEMBERS
    tls: TlsFiles = attrs.field(factory=TlsFiles)
    data: DataDirectory | None = None
    # For members in other processes; None: an unused one, on the loopback interface only.
    peer_port: int | None = None
    peer_tls: TlsFiles = attrs.field(factory=TlsFiles)
    policy: Policy = attrs.field(factory=Policy)
    seed: int = attrs.field(factory=lambda: int.from_bytes(os.urandom(8), "big"))

    @property
    def member_ids(self) -> list[int]:
        """Those that are to run."""
        if self.data is None:
            return [*range(1, self.members + 1)]
        return [n for n in range(1, self.data.members + 1) if n not in self.data.former]

    @property
    def peer_host(self) -> str:
        """Where members in other processes reach those in this one."""
        return LOOPBACK if self.peer_port is None else self.host


class LocalBackend:
    """A member of a cluster in this process; `host`: as those in other processes meet it."""

    def __init__(self, cluster: LocalCluster, member_id: int, host: PeerHost | None = None) -> None:
        self._cluster = cluster
        self._member_id = member_id
        self._host = host

    def connect(self, on_close: Callable[[str], None], /) -> Connection:
        """A connection to the member."""
        return self._cluster.network.connect(self._member_id, on_close)

    def token_of_certificate(self, name: str, /) -> str:
        """A token of the user that a client's certificate names."""
        member = self._cluster.members.get(self._member_id)
        return "" if member is None else member.access.token_of_certificate(name)

    def has_leader(self) -> bool:
        """Whether the member runs and knows a leader."""
        member = self._cluster.members.get(self._member_id)
        return member is not None and member.node.raft.leader != NO_MEMBER

    def view(self) -> StateView:
        """Its whole state now, by reference.

        Raises:
            StoreError: it does not run.
        """
        member = self._cluster.members.get(self._member_id)
        if member is None:
            raise StoreError(*STOPPED)
        return member.store.view()

    def statistics(self) -> dict[str, Any]:
        """What the member tells about itself."""
        member = self._cluster.members.get(self._member_id)
        if member is None:
            return {}
        traffic = {} if self._host is None else self._host.network.statistics()
        return {**member.statistics(), **traffic}


async def bind(options: ServeOptions) -> list[MemberPorts]:
    """The members' ports.

    Raises:
        OSError: one cannot be had.
    """
    bound: list[MemberPorts] = []
    listeners: list[trio.SocketListener] = []
    try:
        for number in options.member_ids:
            port = options.port and options.port + number - 1
            peer_port = options.peer_port and options.peer_port + number - 1
            listeners.append(await listen(options.host, port))
            listeners.append(await listen(options.peer_host, peer_port or 0))
            bound.append(MemberPorts(number, *listeners[-2:]))
    except OSError:
        for listener in listeners:
            await listener.aclose()
        raise
    return bound


async def serve(
    options: ServeOptions,
    ports: list[MemberPorts],
    on_ready: Callable[[dict[str, str]], None],
    report: Callable[[str], None],
    tls: Contexts = PLAIN,
) -> None:
    """Serve until cancelled. `on_ready` gets the members' URLs by name once they have a leader.

    Raises:
        MemberRemovedError: the cluster continues without any member of this process.
        StorageError: a member's directory cannot be used, or the last member's disk has failed.
    """
    async with trio.open_nursery() as workers:
        await _Serving(options, ports, tls, report).run(on_ready, served(workers))


class _Serving:
    """The members of this process, their ports, and the way to members in others."""

    def __init__(
        self,
        options: ServeOptions,
        ports: list[MemberPorts],
        tls: Contexts,
        report: Callable[[str], None],
    ) -> None:
        self._options = options
        self._data = options.data
        self._tls = tls
        self._report = report
        self._ports = {port.member_id: port for port in ports}
        scheme = "http" if tls.accepting is None else "https"
        self._client_urls = {
            port.member_id: endpoint_url(options.host, port.clients, tls.clients) for port in ports
        }
        self._peer_urls = {
            port.member_id: peer_url(scheme, port.peers.socket.getsockname()[:2]) for port in ports
        }
        self._cluster_id = new_cluster_id() if options.data is None else options.data.cluster_id
        self._ended = {port.member_id: trio.Event() for port in ports}
        self._hosts = {
            number: PeerHost(
                self._cluster_id,
                number,
                url,
                (tls.accepting, tls.dialling),
                frozenset(self._ports),
            )
            for number, url in self._peer_urls.items()
        }
        self._cluster: LocalCluster | None = None

    async def run(
        self, on_ready: Callable[[dict[str, str]], None], credentials: Credentials
    ) -> None:
        """Serve until cancelled."""
        options, data = self._options, self._data
        self._cluster = cluster = LocalCluster(
            options.members if data is None else data.members,
            seed=options.seed,
            configure=self._configure,
            cluster_id=self._cluster_id,
            open_disk=None if data is None else data.disk,
            on_failure=self._failed,
            credentials=credentials,
            former=() if data is None else data.former,
            on_removed=self._removed,
        )
        cluster.network.outside = self._send_outside
        async with cluster, trio.open_nursery() as nursery:
            for number, host in self._hosts.items():
                await nursery.start(self._serve_peers, number)
                host.attach(cluster.task(number))
            # There may be members elsewhere, and without them no quorum.
            await self._wait_leader(cluster)
            await cluster.wait_published(math.inf)
            for number in self._ports:
                nursery.start_soon(self._serve_clients, number)
            on_ready(
                {
                    f"member-{number}": url
                    for number, url in self._client_urls.items()
                    if number in cluster.members
                }
            )

    def _configure(self, config: MemberConfig) -> MemberConfig:
        peers = tuple(self._with_urls(peer) for peer in config.peers)
        config = attrs.evolve(config, peers=peers, announces_peer_urls=True)
        return self._options.policy.told_to(config)

    def _with_urls(self, peer: Peer) -> Peer:
        if peer.id not in self._ports:
            return peer
        return attrs.evolve(
            peer,
            peer_urls=(self._peer_urls[peer.id],),
            client_urls=(self._client_urls[peer.id],),
        )

    async def _wait_leader(self, cluster: LocalCluster) -> None:
        # Members are looked at, they do not report: roles are no event of their interface.
        while any(  # noqa: ASYNC110 - see above
            member.node.raft.leader == NO_MEMBER for member in cluster.members.values()
        ):
            await trio.sleep(POLL_S)

    async def _serve_peers(
        self, number: int, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(self._hosts[number].network.run, self._ports[number].peers)
            task_status.started()
            await self._ended[number].wait()
            nursery.cancel_scope.cancel()

    async def _serve_clients(self, number: int) -> None:
        assert self._cluster is not None
        gateway = Gateway(LocalBackend(self._cluster, number, self._hosts[number]))
        share = max_connections(len(self._ports))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(gateway.serve, self._ports[number].clients, self._tls.clients, share)
            await self._ended[number].wait()
            nursery.cancel_scope.cancel()

    def _send_outside(self, sender: int, member: int, frame: bytes, behind: bool) -> None:
        self._hosts[sender].network.send(member, frame, behind=behind)

    def _failed(self, peer: Peer, error: DiskFailedError) -> None:
        self._report(f"{peer.name} has stopped: {error}")
        self._ended[peer.id].set()
        assert self._cluster is not None
        if not self._cluster.members:
            raise error

    def _removed(self, peer: Peer) -> None:
        text = f"{peer.name} has been permanently removed from the cluster, and has stopped"
        if self._data is not None:
            self._data = self._data.without(peer.id)
            text = f"{text}; {self._data.path / peer.name} is of no use any more"
        self._report(text)
        self._ended[peer.id].set()
        assert self._cluster is not None
        if not self._cluster.members:
            raise MemberRemovedError("the cluster continues without any member of this process")
