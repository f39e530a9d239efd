"""What a member keeps in files: the write-ahead log, snapshots, and etcd's database format.

From the bytes up: `framing` (checked frames), `records` (what a member persists), `snapshot_file`
and `wal` (files), `directory` (the disk that a member uses).
"""

from __future__ import annotations

from raftstore.storage.directory import DirectoryDisk
from raftstore.storage.durations import Durations
from raftstore.storage.errors import (
    CorruptFileError,
    CorruptWalError,
    DirectoryInUseError,
    DiskFailedError,
    StorageError,
    WrongDirectoryError,
)
from raftstore.storage.records import WalRecord, recover, recover_newest
from raftstore.storage.snapshot_file import Identity

__all__ = [
    "CorruptFileError",
    "CorruptWalError",
    "DirectoryDisk",
    "DirectoryInUseError",
    "DiskFailedError",
    "Durations",
    "Identity",
    "StorageError",
    "WalRecord",
    "WrongDirectoryError",
    "recover",
    "recover_newest",
]
