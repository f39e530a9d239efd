"""Files as durable things: what is written stays, what is renamed is whole.

`FileSystem` is the few calls that can fail, in one place, so that tests can make them fail.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from raftstore.storage.errors import DirectoryInUseError

PRIVATE: Final = 0o600
TEMPORARY: Final = ".tmp"


class FileSystem:
    """The calls of the operating system that put bytes on a disk.

    All raise OSError; after a failure the contents of the disk are unknown.
    """

    def write(self, descriptor: int, data: bytes) -> None:
        """Write all of it at the end."""
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]

    def sync(self, descriptor: int) -> None:
        """Make the file's data and length durable."""
        os.fdatasync(descriptor)

    def sync_directory(self, path: Path) -> None:
        """Make the names in a directory durable."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def write_whole(self, path: Path, parts: Iterable[bytes]) -> None:
        """A file that is there completely or not at all, whenever the power goes."""
        temporary = path.with_name(path.name + TEMPORARY)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE)
        try:
            for part in parts:
                self.write(descriptor, part)
            self.sync(descriptor)
        finally:
            os.close(descriptor)
        temporary.rename(path)
        self.sync_directory(path.parent)

    def remove(self, path: Path) -> None:
        """Remove a file, durably before the next one is removed."""
        path.unlink()
        self.sync_directory(path.parent)


class DirectoryLock:
    """Keeps a directory to one process; the kernel lets go of it when that dies."""

    def __init__(self, path: Path) -> None:
        """Take the lock.

        Raises:
            DirectoryInUseError: another process has it.
        """
        self._descriptor = os.open(path / "lock", os.O_RDWR | os.O_CREAT, PRIVATE)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.pread(self._descriptor, 32, 0).decode(errors="replace").strip()
            os.close(self._descriptor)
            raise DirectoryInUseError(
                f"{path}: in use by process {owner or '?'}; stop that one, or name another "
                "directory"
            ) from error
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, b"%d\n" % os.getpid(), 0)

    def release(self) -> None:
        """Let others have it."""
        if self._descriptor >= 0:
            with suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = -1
