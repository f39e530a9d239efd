"""The directory of one member that lives in a process of its own.

``DIR/member.json`` says whose it is; ``DIR/member/`` is the member's disk. The file is written
first, so that a member whose start was interrupted comes back with the same ids: a member with new
ids and an old log, or the other way round, would be somebody else's.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import attrs

from raftstore.server.data_directory import NAME as CLUSTER_FILE
from raftstore.server.data_directory import check_empty
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

    def disk(self, notice: Callable[[str], None]) -> DirectoryDisk:
        """The member's disk, not yet open; `notice` is told of repairs."""
        return DirectoryDisk(self.path / DISK, self.identity, notice=notice)


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
    found = _read(file, content)
    member = MemberDirectory(path, found["name"], found["identity"])
    if member.name != name:
        raise WrongDirectoryError(
            f"{path}: is the directory of member {member.name!r}, not of {name!r}"
        )
    return member


def create_member(path: Path, name: str, identity: Identity) -> MemberDirectory:
    """Write down whose directory it is.

    Raises:
        StorageError: the disk failed.
    """
    text = json.dumps(
        {
            "format": FORMAT,
            "name": name,
            "cluster_id": f"{identity.cluster_id:x}",
            "member_id": f"{identity.member_id:x}",
        }
    )
    try:
        path.mkdir(parents=True, exist_ok=True)
        FileSystem().write_whole(path / NAME, [text.encode() + b"\n"])
    except OSError as error:
        raise StorageError(f"cannot use the data directory {path}: {error}") from error
    return MemberDirectory(path, name, identity)


def _read(file: Path, content: bytes) -> dict[str, Any]:
    try:
        fields: dict[str, Any] = json.loads(content)
        if fields["format"] != FORMAT:
            raise StorageError(
                f"{file}: of an unknown format {fields['format']}; use a newer version"
            )
        identity = Identity(int(fields["cluster_id"], 16), int(fields["member_id"], 16))
        return {"name": str(fields["name"]), "identity": identity}
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{file}: unreadable ({error!r}); restore it from a copy") from error
