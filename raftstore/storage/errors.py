"""What can go wrong with stored bytes.

Every text names the file and says what to do::

RaftStoreError
└── StorageError
    ├── CorruptFileError       bytes that were durable once are damaged or missing
    │   └── CorruptWalError    ... in a write-ahead log
    ├── DirectoryInUseError    another process has the directory open
    ├── WrongDirectoryError    the directory belongs to another member, or is not empty
    └── DiskFailedError        a write or an fsync failed: the member must stop
"""

from __future__ import annotations

from pathlib import Path

from raftstore.errors import RaftStoreError


class StorageError(RaftStoreError):
    """Something is wrong with a member's directory."""


class CorruptFileError(StorageError):
    """Damage that is refused: file, offset in bytes, what was found, and the way out."""

    remedy = "take another copy of the file"

    def __init__(self, path: Path | str, offset: int, what: str, remedy: str = "") -> None:
        self.path = Path(path)
        self.offset = offset
        self.what = what
        self.remedy = remedy or self.remedy
        super().__init__(f"{path}: damaged at offset {offset}: {what}; {self.remedy}")


class CorruptWalError(CorruptFileError):
    """A log that does not hold what was acknowledged: the member may not vote with it."""

    remedy = (
        "nothing was changed; if the other members have a quorum, remove this member, erase its "
        "directory and add it again, else restore all members from a snapshot file"
    )


class DirectoryInUseError(StorageError):
    """Two processes on one log would destroy it."""


class WrongDirectoryError(StorageError):
    """What is in the directory is not this member's."""


class DiskFailedError(StorageError):
    """The disk took no more.

    After a failed fsync the kernel may have dropped the pages and report success the next time
    (PostgreSQL's "fsyncgate", 2018), so nothing is tried again: only a restart reads what is there.
    """
