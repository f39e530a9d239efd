"""The directory of a cluster whose members all live in one process: ``DIR/<member name>/`` each.

``DIR/cluster.json`` says which cluster it is and how many members it has; it is written last, so a
directory without it holds no cluster.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import attrs

from raftstore.server.config import Peer
from raftstore.storage import DirectoryDisk, Identity, StorageError, WrongDirectoryError
from raftstore.storage.files import FileSystem

NAME: Final = "cluster.json"
FORMAT: Final = 1
DEFAULT_MEMBERS: Final = 3


@attrs.frozen
class DataDirectory:
    """A cluster's directory; `notice` is told of repairs."""

    path: Path
    cluster_id: int
    # How many founded it; they are numbered from 1.
    members: int
    notice: Callable[[str], None]
    # Those of them that were removed.
    former: frozenset[int] = frozenset()

    def disk(self, peer: Peer) -> DirectoryDisk:
        """A member's disk, not yet open."""
        identity = Identity(self.cluster_id, peer.id)
        return DirectoryDisk(self.path / peer.name, identity, notice=self.notice)

    def without(self, member_id: int) -> DataDirectory:
        """Write down that the cluster continues without a member.

        Raises:
            StorageError: the disk failed.
        """
        left = attrs.evolve(self, former=self.former | {member_id})
        try:
            left.save()
        except OSError as error:
            raise StorageError(f"cannot write {self.path / NAME}: {error}") from error
        return left

    def save(self) -> None:
        """Write down what cluster it is.

        Raises:
            OSError: the disk failed.
        """
        text = json.dumps(
            {
                "format": FORMAT,
                "cluster_id": f"{self.cluster_id:x}",
                "members": self.members,
                "former": sorted(self.former),
            }
        )
        FileSystem().write_whole(self.path / NAME, [text.encode() + b"\n"])


def open_directory(path: Path, members: int | None, notice: Callable[[str], None]) -> DataDirectory:
    """The cluster in a directory, or a new one in an empty or missing directory.

    Raises:
        StorageError: it holds something else, or not so many members.
    """
    try:
        found = _read(path)
        if found is None:
            check_empty(path)
            return create(path, new_cluster_id(), members or DEFAULT_MEMBERS, notice)
    except OSError as error:
        raise StorageError(f"cannot use the data directory {path}: {error}") from error
    cluster_id, count, former = found
    if members not in {None, count}:
        raise WrongDirectoryError(
            f"{path}: holds a cluster that began with {count} members, not {members}; "
            "leave out --members, or name another directory"
        )
    return DataDirectory(path, cluster_id, count, notice, former)


def check_empty(path: Path) -> None:
    """Refuse a directory with something in it.

    Raises:
        WrongDirectoryError: there is.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise WrongDirectoryError(
            f"{path}: not empty, and no cluster's directory; name a new one, or empty it"
        )


def new_cluster_id() -> int:
    """A positive number of 63 bits that no other cluster has."""
    return int.from_bytes(os.urandom(8), "big") >> 1 | 1


def create(
    path: Path, cluster_id: int, members: int, notice: Callable[[str], None]
) -> DataDirectory:
    """Write down that here is a cluster.

    Raises:
        OSError: the disk failed.
    """
    path.mkdir(parents=True, exist_ok=True)
    made = DataDirectory(path, cluster_id, members, notice)
    made.save()
    return made


def _read(path: Path) -> tuple[int, int, frozenset[int]] | None:
    file = path / NAME
    if not file.exists():
        return None
    try:
        text: dict[str, Any] = json.loads(file.read_bytes())
        number, members = int(text["cluster_id"], 16), int(text["members"])
        former = frozenset(map(int, text.get("former", ())))
        known = text["format"] == FORMAT and members > 0
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{file}: unreadable ({error!r}); restore it from a copy") from error
    if not known:
        raise StorageError(f"{file}: of an unknown format {text['format']}; use a newer version")
    return number, members, former
