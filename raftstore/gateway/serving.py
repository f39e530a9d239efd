"""A whole cluster in this process, on real time, each member with a port of its own."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from typing import Any, Final

import attrs
import trio

from raftstore.client import Connection
from raftstore.errors import STOPPED, StoreError
from raftstore.gateway.app import Gateway
from raftstore.gateway.listener import Listener
from raftstore.mvcc.snapshot import StateView
from raftstore.server.config import MemberConfig, Peer, Policy
from raftstore.server.credentials import served
from raftstore.server.data_directory import DataDirectory
from raftstore.server.local import LocalCluster
from raftstore.server.tls import TlsFiles
from raftstore.storage import DiskFailedError

DEFAULT_PORT: Final = 2379
MAX_PORT: Final = 65_535
BACKLOG: Final = 128


@attrs.frozen
class ServeOptions:
    """What to serve, and where. `port` 0: an unused one for each member.

    Without `data` the data lives in memory; with it, `data` knows the number of members.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    members: int = 3
    tls: TlsFiles = attrs.field(factory=TlsFiles)
    data: DataDirectory | None = None
    policy: Policy = attrs.field(factory=Policy)
    seed: int = attrs.field(factory=lambda: int.from_bytes(os.urandom(8), "big"))


class LocalBackend:
    """A member of a cluster in this process."""

    def __init__(self, cluster: LocalCluster, member_id: int) -> None:
        self._cluster = cluster
        self._member_id = member_id

    def connect(self, on_close: Callable[[str], None], /) -> Connection:
        """A connection to the member."""
        return self._cluster.network.connect(self._member_id, on_close)

    def token_of_certificate(self, name: str, /) -> str:
        """A token of the user whom a client's certificate names."""
        member = self._cluster.members.get(self._member_id)
        return "" if member is None else member.access.token_of_certificate(name)

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
        return {} if member is None else member.statistics()


async def serve(
    options: ServeOptions,
    listeners: list[trio.SocketListener],
    tls: ssl.SSLContext | None,
    on_ready: Callable[[list[str]], None],
    report: Callable[[str], None],
) -> None:
    """Serve until cancelled. `on_ready` gets the members' URLs once they have a leader.

    Raises:
        StorageError: a member's directory cannot be used, or the last member's disk has failed.
    """
    urls = [endpoint_url(options.host, listener, tls) for listener in listeners]

    def configure(config: MemberConfig) -> MemberConfig:
        peers = tuple(_with_url(peer, urls) for peer in config.peers)
        return options.policy.told_to(attrs.evolve(config, peers=peers))

    def stopped(peer: Peer, error: DiskFailedError) -> None:
        report(f"{peer.name} has stopped: {error}")
        if not cluster.members:
            raise error

    data = options.data
    async with trio.open_nursery() as workers:
        cluster = LocalCluster(
            options.members if data is None else data.members,
            seed=options.seed,
            configure=configure,
            cluster_id=1 if data is None else data.cluster_id,
            open_disk=None if data is None else data.disk,
            on_failure=stopped,
            credentials=served(workers),
        )
        async with cluster, trio.open_nursery() as nursery:
            await cluster.wait_leader()
            await cluster.wait_published()
            for member_id, listener in enumerate(listeners, start=1):
                gateway = Gateway(LocalBackend(cluster, member_id))
                nursery.start_soon(Listener(gateway, listener, tls).run)
            on_ready(urls)


async def bind(options: ServeOptions) -> list[trio.SocketListener]:
    """The members' ports.

    Raises:
        OSError: one cannot be had.
    """
    listeners: list[trio.SocketListener] = []
    try:
        for number in range(options.members):
            port = options.port + number if options.port else 0
            opened = await trio.open_tcp_listeners(port, host=options.host, backlog=BACKLOG)
            listeners.append(opened[0])
            # A name may have several addresses; a member has one.
            for surplus in opened[1:]:
                await surplus.aclose()
    except OSError:
        for listener in listeners:
            await listener.aclose()
        raise
    return listeners


def endpoint_url(host: str, listener: trio.SocketListener, tls: ssl.SSLContext | None) -> str:
    """How clients reach a listening port."""
    scheme = "http" if tls is None else "https"
    port = listener.socket.getsockname()[1]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _with_url(peer: Peer, urls: list[str]) -> Peer:
    return attrs.evolve(peer, client_urls=(urls[peer.id - 1],))
