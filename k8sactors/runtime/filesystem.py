"""The files of one container: a small tree in memory, bounded in bytes and in number.

Errors are Python's `OSError` with the numbers that the system calls give.
"""

from __future__ import annotations

import errno
import os
import posixpath
from collections.abc import Callable, Mapping
from typing import Final

import attrs

FILES_BYTES: Final = 32 << 20
FILES_MAX: Final = 10_000
DIRECTORY_MODE: Final = 0o755
FILE_MODE: Final = 0o644
TEMPORARY: Final = "/tmp"  # noqa: S108 - a path inside of a container
_BASE: Final = (
    "/bin",
    "/dev",
    "/etc",
    "/home",
    "/proc",
    "/root",
    "/usr/bin",
    "/var/log",
    TEMPORARY,
)


def failure(code: int, path: str) -> OSError:
    """An error of a system call."""
    return OSError(code, os.strerror(code), path)


@attrs.define
class Entry:
    """A file, or (data None) a directory."""

    data: bytes | None
    mode: int
    # Unix time.
    modified_ns: int


class Filesystem:
    """A tree of files by absolute path. `wall_ns` gives the time of changes."""

    def __init__(self, wall_ns: Callable[[], int], contents: Mapping[str, bytes]) -> None:
        self._wall_ns = wall_ns
        self._entries: dict[str, Entry] = {"/": Entry(None, DIRECTORY_MODE, wall_ns())}
        self._size_bytes = 0
        for path in _BASE:
            self.make_directory(path, parents=True)
        for path, data in contents.items():
            self.make_directory(posixpath.dirname(path), parents=True)
            self.write(path, data)

    @staticmethod
    def absolute(path: str, directory: str = "/") -> str:
        """The absolute path without dots."""
        found = posixpath.normpath(posixpath.join(directory, path))
        return found[1:] if found.startswith("//") else found

    def find(self, path: str) -> Entry:
        """What is there.

        Raises:
            OSError: ENOENT or ENOTDIR.
        """
        entry = self._entries.get(path)
        if entry is None:
            parent = self._entries.get(posixpath.dirname(path))
            is_file = parent is not None and parent.data is not None
            raise failure(errno.ENOTDIR if is_file else errno.ENOENT, path)
        return entry

    def exists(self, path: str) -> bool:
        """Whether anything is there."""
        return path in self._entries

    def is_directory(self, path: str) -> bool:
        """Whether a directory is there."""
        entry = self._entries.get(path)
        return entry is not None and entry.data is None

    def read(self, path: str) -> bytes:
        """A file's bytes.

        Raises:
            OSError: ENOENT, ENOTDIR or EISDIR.
        """
        data = self.find(path).data
        if data is None:
            raise failure(errno.EISDIR, path)
        return data

    def write(
        self, path: str, data: bytes, *, append: bool = False, mode: int | None = None
    ) -> None:
        """Replace a file's bytes, or add to them.

        Raises:
            OSError: ENOENT, ENOTDIR, EISDIR or ENOSPC.
        """
        old = self._entries.get(path)
        if old is not None and old.data is None:
            raise failure(errno.EISDIR, path)
        if old is None:
            self._check_parent(path)
        before = b"" if old is None or old.data is None else old.data
        content = before + data if append else data
        self._size_bytes += len(content) - len(before)
        if self._size_bytes > FILES_BYTES or len(self._entries) >= FILES_MAX:
            self._size_bytes -= len(content) - len(before)
            raise failure(errno.ENOSPC, path)
        kept = FILE_MODE if old is None else old.mode
        self._entries[path] = Entry(content, kept if mode is None else mode, self._wall_ns())

    def make_directory(self, path: str, *, parents: bool = False) -> None:
        """Make a directory; with `parents` also those above it, and one that exists will do.

        Raises:
            OSError: EEXIST, ENOENT, ENOTDIR or ENOSPC.
        """
        if parents:
            if self.is_directory(path):
                return
            self.make_directory(posixpath.dirname(path), parents=True)
        if path in self._entries:
            raise failure(errno.EEXIST, path)
        self._check_parent(path)
        if len(self._entries) >= FILES_MAX:
            raise failure(errno.ENOSPC, path)
        self._entries[path] = Entry(None, DIRECTORY_MODE, self._wall_ns())

    def _check_parent(self, path: str) -> None:
        if self.find(posixpath.dirname(path)).data is not None:
            raise failure(errno.ENOTDIR, path)

    def names(self, path: str) -> list[str]:
        """What is in a directory, in order.

        Raises:
            OSError: ENOENT or ENOTDIR.
        """
        if self.find(path).data is not None:
            raise failure(errno.ENOTDIR, path)
        prefix = path.rstrip("/") + "/"
        inside = (each[len(prefix) :] for each in self._entries if each.startswith(prefix))
        return sorted({name for name in inside if name and "/" not in name})

    def walk(self, path: str) -> list[str]:
        """A path and all below it, in order."""
        self.find(path)
        prefix = path.rstrip("/") + "/"
        return [path, *sorted(each for each in self._entries if each.startswith(prefix))]

    def remove(self, path: str, *, recursive: bool = False) -> None:
        """Remove a file, or with `recursive` a directory and all in it.

        Raises:
            OSError: ENOENT, EISDIR or EBUSY.
        """
        entry = self.find(path)
        if path == "/":
            raise failure(errno.EBUSY, path)
        if entry.data is None and not recursive:
            raise failure(errno.EISDIR, path)
        for each in self.walk(path):
            gone = self._entries.pop(each)
            self._size_bytes -= len(gone.data or b"")

    def move(self, source: str, target: str) -> None:
        """Rename a file or a directory.

        Raises:
            OSError: ENOENT, ENOTDIR, EISDIR or EINVAL.
        """
        entry = self.find(source)
        self._check_parent(target)
        if target == source or target.startswith(source.rstrip("/") + "/"):
            raise failure(errno.EINVAL, target)
        if self.is_directory(target) and entry.data is not None:
            raise failure(errno.EISDIR, target)
        moved = {target + each[len(source) :]: each for each in self.walk(source)}
        if target in self._entries:
            self.remove(target, recursive=True)
        for new, old in moved.items():
            self._entries[new] = self._entries.pop(old)

    def change_mode(self, path: str, mode: int) -> None:
        """Set the permissions, which are shown and not enforced: programs are root."""
        self.find(path).mode = mode
