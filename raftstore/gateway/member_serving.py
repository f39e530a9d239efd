"""One member in a process of its own, with a port for clients and one for the other members."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

import attrs
import trio

from raftstore.errors import ConfigurationError
from raftstore.gateway.app import Gateway
from raftstore.gateway.listener import Listener
from raftstore.gateway.serving import BACKLOG, endpoint_url
from raftstore.server.auto_compaction import KEEP_ALL, Retention
from raftstore.server.config import MemberConfig
from raftstore.server.member_directory import MemberDirectory, create_member, find_member
from raftstore.server.process import InitialCluster, MemberProcess
from raftstore.server.tls import TlsFiles, client_context, server_context
from raftstore.storage import Identity

SEED_BYTES: Final = 8


@attrs.frozen
class MemberOptions:
    """Which member to be, and where. `port` 0: an unused one, for clients.

    The peer address is the one that the initial cluster names.
    """

    name: str
    cluster: InitialCluster
    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 0
    tls: TlsFiles = attrs.field(factory=TlsFiles)
    peer_tls: TlsFiles = attrs.field(factory=TlsFiles)
    auto_compaction: Retention = KEEP_ALL
    quota_bytes: int = 0

    @property
    def peer_scheme(self) -> str:
        """How the other members are spoken to."""
        return "https" if self.peer_tls.enabled else "http"


@attrs.frozen
class Contexts:
    """What the three kinds of connections need; None: plain TCP."""

    clients: ssl.SSLContext | None
    accepting: ssl.SSLContext | None
    dialling: ssl.SSLContext | None


def contexts(options: MemberOptions) -> Contexts:
    """Read the certificates.

    Raises:
        ConfigurationError: one cannot be used.
    """
    return Contexts(
        server_context(options.tls),
        server_context(options.peer_tls),
        client_context(options.peer_tls),
    )


def open_member(options: MemberOptions) -> MemberDirectory:
    """The member's directory, made if there is none.

    Raises:
        ConfigurationError: the member does not belong to the initial cluster.
        StorageError: the directory is not this member's.
    """
    member_id = options.cluster.member_id(options.name)
    identity = Identity(options.cluster.cluster_id, member_id)
    found = find_member(options.data_dir, options.name)
    if found is None:
        return create_member(options.data_dir, options.name, identity)
    if found.identity != identity:
        raise ConfigurationError(
            f"{options.data_dir} holds a member of another cluster, or of one with other initial "
            "members: give the same --initial-cluster and token as at first, or another --data-dir"
        )
    return found


async def bind_member(
    options: MemberOptions,
) -> tuple[trio.SocketListener, trio.SocketListener]:
    """The ports for clients and for members.

    Raises:
        OSError: one cannot be had.
    """
    clients = await _listen(options.host, options.port)
    try:
        peers = await _listen(*options.cluster.addresses[options.name])
    except OSError:
        await clients.aclose()
        raise
    return clients, peers


async def _listen(host: str, port: int) -> trio.SocketListener:
    first, *surplus = await trio.open_tcp_listeners(port, host=host, backlog=BACKLOG)
    # A name may have several addresses; a member has one.
    for listener in surplus:
        await listener.aclose()
    return first


async def serve_member(
    options: MemberOptions,
    directory: MemberDirectory,
    listeners: tuple[trio.SocketListener, trio.SocketListener],
    tls: Contexts,
    report: tuple[Callable[[str], None], Callable[[str], None]],
) -> None:
    """Serve until cancelled.

    `report` is told the URL for clients once the member knows a leader, and what goes wrong.

    Raises:
        StorageError: the member's directory cannot be used, or its disk has failed.
    """
    on_ready, warn = report
    clients, peers = listeners
    url = endpoint_url(options.host, clients, tls.clients)
    own_id = directory.identity.member_id
    config = MemberConfig(
        own_id,
        tuple(
            attrs.evolve(peer, client_urls=(url,)) if peer.id == own_id else peer
            for peer in options.cluster.peers(options.peer_scheme)
        ),
        directory.identity.cluster_id,
        auto_compaction=options.auto_compaction,
        quota_bytes=options.quota_bytes,
    )
    async with trio.open_nursery() as nursery:
        process = MemberProcess(
            config,
            directory.disk(warn),
            peers,
            (tls.accepting, tls.dialling),
            int.from_bytes(os.urandom(SEED_BYTES), "big"),
        )
        await nursery.start(process.run)
        nursery.start_soon(Listener(Gateway(process), clients, tls.clients).run)
        await process.wait_leader()
        await process.wait_published()
        on_ready(url)
