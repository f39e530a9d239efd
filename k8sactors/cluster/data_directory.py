"""The directory of a served cluster: what is there after its process has ended, however that was.

    DIR/lock              kept by the process that serves the cluster
    DIR/k8sactors.json    which cluster it is: topology, hosts of control plane and store
    DIR/clock.json        what the cluster's clock has not passed
    DIR/pki/              the CA, the certificates and the key of service-account tokens
    DIR/cluster.json      the store's founders (`raftstore.server.data_directory`)
    DIR/<host>/           write-ahead log and snapshots of the member on that host

The clock of a cluster that runs faster than real time is ahead of it, and must not go back at the
next start: leases and tokens would be of the future. So an upper bound is written ahead of it.

Nodes are no part of it: workers register again at each start, and there may be more or fewer.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import attrs
import structlog

from k8sactors.cluster.defaults import TOPOLOGIES, TopologyName
from k8sactors.cluster.errors import DataDirectoryError
from k8sactors.cluster.spec import ClusterSpec
from raftstore.server import MemberConfig, data_directory
from raftstore.storage import DirectoryDisk, StorageError
from raftstore.storage.files import DirectoryLock, FileSystem

NAME: Final = "k8sactors.json"
PKI: Final = "pki"
CLOCK: Final = "clock.json"
FORMAT: Final = 1


@attrs.define
class ClusterDirectory:
    """A directory that belongs to this process until `release`."""

    path: Path
    _store: data_directory.DataDirectory
    _lock: DirectoryLock

    @property
    def pki(self) -> Path:
        """Where the CA and the keys are."""
        return self.path / PKI

    def open_disk(self, config: MemberConfig) -> DirectoryDisk:
        """The disk of a member; part of a `ClusterSpec`."""
        peer = next(peer for peer in config.peers if peer.id == config.id)
        return self._store.disk(peer)

    def clock_bound_ns(self) -> int:
        """What the cluster's clock has never passed, in nanoseconds since the epoch; 0: unknown.

        Raises:
            DataDirectoryError: the file is damaged.
        """
        file = self.path / CLOCK
        try:
            return int(json.loads(file.read_bytes())["bound_ns"]) if file.exists() else 0
        except (OSError, ValueError, KeyError, TypeError) as error:
            remedy = "remove it, and the clock may go back once"
            raise DataDirectoryError(f"{file}: unreadable ({error!r}); {remedy}") from error

    def keep_clock_bound(self, bound_ns: int) -> None:
        """Write down that the clock may show times up to this one.

        Raises:
            DataDirectoryError: it cannot be written.
        """
        try:
            text = json.dumps({"bound_ns": bound_ns})
            FileSystem().write_whole(self.path / CLOCK, [text.encode() + b"\n"])
        except OSError as error:
            raise DataDirectoryError(f"cannot use the data directory: {error}") from error

    def release(self) -> None:
        """Let other processes have it. Idempotent."""
        self._lock.release()


def open_cluster_directory(path: Path, spec: ClusterSpec) -> ClusterDirectory:
    """Take the directory of a cluster, or make one in an empty or missing directory.

    Raises:
        DataDirectoryError: it is in use, of another kind of cluster, or cannot be written.
    """
    try:
        found = _read(path)
        wanted = description(spec)
        if found is None:
            check_new(path)
        elif found != wanted:
            raise DataDirectoryError(_difference(path, found, wanted))
        path.mkdir(parents=True, exist_ok=True)
        lock = DirectoryLock(path)
    except (OSError, StorageError) as error:
        raise DataDirectoryError(f"cannot use the data directory: {error}") from error
    try:
        # The store's file is the last to be written: without it there is no cluster yet.
        FileSystem().write_whole(path / NAME, [json.dumps(wanted).encode() + b"\n"])
        if (path / data_directory.NAME).exists():
            store = data_directory.open_directory(path, spec.members, _notice)
        else:
            number = data_directory.new_cluster_id()
            store = data_directory.create(path, number, spec.members, _notice)
    except (OSError, StorageError) as error:
        lock.release()
        raise DataDirectoryError(f"cannot use the data directory: {error}") from error
    return ClusterDirectory(path, store, lock)


def kept_topology(path: Path | None) -> TopologyName | None:
    """The topology of the cluster in a directory; None: there is no cluster in it yet.

    Raises:
        DataDirectoryError: it cannot be read.
    """
    try:
        found = None if path is None else _read(path)
    except OSError as error:
        raise DataDirectoryError(f"cannot use the data directory: {error}") from error
    return None if found is None else found["topology"]


def _notice(text: str) -> None:
    structlog.get_logger().warning("repaired a data directory", notice=text)


def description(spec: ClusterSpec) -> dict[str, Any]:
    """Which cluster a directory holds, as it is written down there."""
    return {
        "format": FORMAT,
        "topology": spec.topology,
        "control_planes": spec.planes,
        "store_members": spec.members,
    }


def _read(path: Path) -> dict[str, Any] | None:
    file = path / NAME
    if not file.exists():
        return None
    try:
        found: dict[str, Any] = json.loads(file.read_bytes())
        number, topology = found["format"], found["topology"]
    except (ValueError, KeyError, TypeError) as error:
        text = f"{file}: unreadable ({error!r}); restore it from a copy"
        raise DataDirectoryError(text) from error
    if number != FORMAT:
        raise DataDirectoryError(f"{file}: of an unknown format {number}; use a newer version")
    if topology not in TOPOLOGIES:
        raise DataDirectoryError(f"{file}: of an unknown topology {topology!r}")
    return found


def check_new(path: Path) -> None:
    """Refuse a directory that holds something else.

    Raises:
        DataDirectoryError: it does.
    """
    if (path / data_directory.NAME).exists():
        raise DataDirectoryError(
            f"{path}: holds a store of `raftstore serve`, not a cluster; name another directory, "
            "or serve the store and give its address with --store"
        )
    if path.exists() and (not path.is_dir() or any(each.name != "lock" for each in path.iterdir())):
        raise DataDirectoryError(
            f"{path}: not empty, and not the directory of a cluster; name a new one, or empty it"
        )


def _difference(path: Path, found: dict[str, Any], wanted: dict[str, Any]) -> str:
    differing = [
        f"{name.replace('_', ' ')} {found.get(name)!r}, not {wanted[name]!r}"
        for name in wanted
        if found.get(name) != wanted[name]
    ]
    return (
        f"{path}: holds a cluster with {', '.join(differing)}; start it as it was made, or name "
        "another directory"
    )
