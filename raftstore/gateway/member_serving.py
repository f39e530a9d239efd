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
from raftstore.gateway.descriptors import max_connections
from raftstore.gateway.ports import Contexts
from raftstore.http.ports import endpoint_url, listen
from raftstore.server.config import MemberConfig, Peer, Policy
from raftstore.server.initial_cluster import Address, InitialCluster, peer_url
from raftstore.server.joining import check_new, find_place
from raftstore.server.member_directory import MemberDirectory, find_member, founding_member
from raftstore.server.process import MemberProcess
from raftstore.server.tls import TlsFiles
from raftstore.storage import Identity

SEED_BYTES: Final = 8


@attrs.frozen
class MemberOptions:
    """Which member to be, and where. `port` 0: an unused one, for clients.

    Without `cluster` the directory says everything. With it, the peer address is the one that it
    names. `existing`: what runs at the other addresses is a cluster that this member was added to.
    `client_urls`: how clients reach the member, if not by `host` and `port`.
    """

    name: str
    data_dir: Path
    cluster: InitialCluster | None = None
    existing: bool = False
    host: str = "127.0.0.1"
    port: int = 0
    tls: TlsFiles = attrs.field(factory=TlsFiles)
    peer_tls: TlsFiles = attrs.field(factory=TlsFiles)
    policy: Policy = attrs.field(factory=Policy)
    client_urls: tuple[str, ...] = ()

    @property
    def peer_scheme(self) -> str:
        """How the other members are spoken to."""
        return "https" if self.peer_tls.enabled else "http"


async def open_member(options: MemberOptions, dialling: ssl.SSLContext | None) -> MemberDirectory:
    """The member's directory, made if there is none.

    With one that exists, only the own address is taken from the initial cluster.

    Raises:
        ConfigurationError: the member does not belong to the initial cluster, or may not begin.
        StorageError: the directory is not this member's.
    """
    name, path, cluster = options.name, options.data_dir, options.cluster
    if cluster is not None:
        cluster.address(name)
    found = find_member(path, name)
    if found is not None:
        if cluster is None or cluster.address(name) == found.address:
            return found
        directory = attrs.evolve(found, address=cluster.address(name))
    elif cluster is None:
        raise ConfigurationError(
            f"{path} holds no member yet: --member needs --initial-cluster, with its own address "
            "as well"
        )
    elif options.existing:
        running, record = await find_place(name, cluster, dialling)
        identity = Identity(running.cluster_id, record.id)
        directory = MemberDirectory(path, name, identity, cluster.address(name), {})
    else:
        await check_new(name, cluster, dialling)
        directory = founding_member(path, name, cluster)
    directory.save()
    return directory


async def bind_member(
    options: MemberOptions, address: Address
) -> tuple[trio.SocketListener, trio.SocketListener]:
    """The ports for clients and, at `address`, for members.

    Raises:
        OSError: one cannot be had.
    """
    clients = await listen(options.host, options.port)
    try:
        peers = await listen(*address)
    except OSError:
        await clients.aclose()
        raise
    return clients, peers


async def serve_member(
    options: MemberOptions,
    directory: MemberDirectory,
    listeners: tuple[trio.SocketListener, trio.SocketListener],
    tls: Contexts,
    on_ready: Callable[[dict[str, str]], None],
    warn: Callable[[str], None],
) -> None:
    """Serve until cancelled.

    `on_ready` is told the member's name and URL for clients once it knows a leader, `warn` what is
    repaired.

    Raises:
        MemberRemovedError: the cluster continues without the member.
        StorageError: the member's directory cannot be used, or its disk has failed.
    """
    clients, peers = listeners
    url = endpoint_url(options.host, clients, tls.clients)
    config = _config(options, directory, options.client_urls or (url,))
    async with trio.open_nursery() as nursery:
        process = MemberProcess(
            options.policy.told_to(config),
            directory.disk(warn),
            peers,
            peer_url(options.peer_scheme, directory.address),
            (tls.accepting, tls.dialling),
            int.from_bytes(os.urandom(SEED_BYTES), "big"),
        )
        await nursery.start(process.run)
        gateway = Gateway(process)
        nursery.start_soon(gateway.serve, clients, tls.clients, max_connections(1))
        await process.wait_leader()
        await process.wait_published()
        on_ready({options.name: url})


def _config(
    options: MemberOptions, directory: MemberDirectory, client_urls: tuple[str, ...]
) -> MemberConfig:
    """The member, as its directory has it."""
    cluster_id, own_id = directory.identity.cluster_id, directory.identity.member_id
    founders = InitialCluster(directory.founders).peers(options.peer_scheme)
    peers = founders or (Peer(own_id, directory.name),)
    return MemberConfig(
        own_id,
        tuple(
            attrs.evolve(peer, client_urls=client_urls) if peer.id == own_id else peer
            for peer in peers
        ),
        cluster_id,
        joins=not founders,
    )
