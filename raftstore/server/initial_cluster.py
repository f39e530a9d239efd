"""Members by name and address, as the command line gives them."""

from __future__ import annotations

import hashlib
from typing import Final

import attrs

from raftstore.errors import ConfigurationError
from raftstore.server.config import Peer

DEFAULT_TOKEN: Final = "etcd-cluster"  # noqa: S105 - tells clusters apart, and is no secret
MAX_PORT: Final = 65_535

# Host and port.
Address = tuple[str, int]


@attrs.frozen
class InitialCluster:
    """The members that begin a cluster together: their peer addresses by name.

    All of them must be given the same, and the same token; cluster and member ids follow from it.
    To a member that joins a cluster which runs, these are the members to be, itself among them.
    """

    addresses: dict[str, Address]
    token: str = DEFAULT_TOKEN

    @property
    def cluster_id(self) -> int:
        """63 bits that differ between clusters."""
        text = repr((self.token, sorted(self.addresses.items())))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1

    def address(self, name: str) -> Address:
        """Where a member is reached.

        Raises:
            ConfigurationError: there is no member of that name.
        """
        if name not in self.addresses:
            known = ", ".join(sorted(self.addresses))
            raise ConfigurationError(f"no member {name!r} in the initial cluster: {known}")
        return self.addresses[name]

    def member_id(self, name: str) -> int:
        """Members are numbered from 1 in the order of their names.

        Raises:
            ConfigurationError: there is no member of that name.
        """
        self.address(name)
        return sorted(self.addresses).index(name) + 1

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


def join_address(address: Address) -> str:
    """``host:port``, as `parse_address` reads it."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def peer_url(scheme: str, address: Address) -> str:
    """The address as member lists show it."""
    return f"{scheme}://{join_address(address)}"
