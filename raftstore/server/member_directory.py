"""The directory of one member that lives in a process of its own.

``DIR/member.json`` says whose it is; ``DIR/member/`` is the member's disk. The file is written
first, so that a member whose start was interrupted comes back with the same ids: a member with new
ids and an old log, or the other way round, would belong to another member.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import attrs

from raftstore.errors import ConfigurationError
from raftstore.server.data_directory import NAME as CLUSTER_FILE
from raftstore.server.data_directory import check_empty
from raftstore.server.initial_cluster import (
    Address,
    InitialCluster,
    join_address,
    parse_address,
)
from raftstore.storage import DirectoryDisk, Identity, StorageError, WrongDirectoryError
from raftstore.storage.files import FileSystem

NAME: Final = "member.json"
DISK: Final = "member"
FORMAT: Final = 1


@attrs.frozen
class MemberDirectory:
    """A member's directory."""

    path: Path
    name: str
    identity: Identity
    # Where others reach the member.
    address: Address
    # The members that founded the cluster together; none: this one was added later.
    founders: dict[str, Address]

    def disk(self, notice: Callable[[str], None]) -> DirectoryDisk:
        """The member's disk, not yet open; `notice` is told of repairs."""
        return DirectoryDisk(self.path / DISK, self.identity, notice=notice)

    def save(self) -> None:
        """Write down whose directory it is.

        Raises:
            StorageError: the disk failed.
        """
        founders = {name: join_address(address) for name, address in self.founders.items()}
        text = json.dumps(
            {
                "format": FORMAT,
                "name": self.name,
                "cluster_id": f"{self.identity.cluster_id:x}",
                "member_id": f"{self.identity.member_id:x}",
                "address": join_address(self.address),
                "founders": founders,
            }
        )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            FileSystem().write_whole(self.path / NAME, [text.encode() + b"\n"])
        except OSError as error:
            raise StorageError(f"cannot use the data directory {self.path}: {error}") from error


def founding_member(path: Path, name: str, cluster: InitialCluster) -> MemberDirectory:
    """The directory, not yet written, of a member that founds a cluster.

    Raises:
        ConfigurationError: the cluster has no member of that name.
    """
    identity = Identity(cluster.cluster_id, cluster.member_id(name))
    return MemberDirectory(path, name, identity, cluster.address(name), cluster.addresses)


def find_member(path: Path, name: str) -> MemberDirectory | None:
    """The member in a directory; None: the directory is empty or missing.

    Raises:
        StorageError: it holds something else, or another member.
    """
    file = path / NAME
    try:
        if not file.exists():
            if (path / CLUSTER_FILE).exists():
                raise WrongDirectoryError(
                    f"{path}: holds a whole cluster; serve it without --member, "
                    "or name another directory"
                )
            check_empty(path)
            return None
        content = file.read_bytes()
    except OSError as error:
        raise StorageError(f"cannot use the data directory {path}: {error}") from error
    member = _read(path, content)
    if member.name != name:
        raise WrongDirectoryError(
            f"{path}: is the directory of member {member.name!r}, not of {name!r}"
        )
    return member


def _read(path: Path, content: bytes) -> MemberDirectory:
    file = path / NAME
    try:
        fields: dict[str, Any] = json.loads(content)
        if fields["format"] != FORMAT:
            raise StorageError(
                f"{file}: of an unknown format {fields['format']}; use a newer version"
            )
        return MemberDirectory(
            path,
            str(fields["name"]),
            Identity(int(fields["cluster_id"], 16), int(fields["member_id"], 16)),
            parse_address(fields["address"]),
            {str(name): parse_address(at) for name, at in fields["founders"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError, ConfigurationError) as error:
        raise StorageError(f"{file}: unreadable ({error!r}); restore it from a copy") from error
