"""A cluster that begins with the snapshot of another: its directory is made of the file.

A snapshot is etcd's, and holds what is in the store. The rest lies next to it:

    FILE                          the snapshot
    FILE.cluster/k8sactors.json   the topology
    FILE.cluster/clock.json       what the clock showed
    FILE.cluster/pki/             the CA, the certificates and the key of service-account tokens

The directory is made under another name and renamed when it is complete: a process that is killed
on the way leaves nothing that a start could take for a cluster.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from k8sactors.cluster import data_directory
from k8sactors.cluster.data_directory import CLOCK, NAME, PKI
from k8sactors.cluster.defaults import TopologyName
from k8sactors.cluster.errors import ClusterError, DataDirectoryError
from k8sactors.cluster.spec import ClusterSpec
from raftstore.server.restore import read_state, restore_cluster
from raftstore.storage import StorageError
from raftstore.storage.files import FileSystem

_SUFFIX: Final = ".cluster"
_PARTIAL: Final = ".restoring"
_LOCK: Final = "lock"


def companion(snapshot: Path) -> Path:
    """Where that lies which belongs to a snapshot and is not in it."""
    return snapshot.with_name(f"{snapshot.name}{_SUFFIX}")


def save_companion(snapshot: Path, spec: ClusterSpec, pki: Path | None, wall_ns: int) -> None:
    """Write what belongs to a snapshot; `pki` None: the certificates are there, or kept elsewhere.

    Raises:
        ClusterError: it cannot be written.
    """
    target = companion(snapshot)
    try:
        target.mkdir(mode=0o700, exist_ok=True)
        if pki is not None:
            _copy(pki, target / PKI)
        _write_json(target / CLOCK, {"bound_ns": wall_ns})
        _write_json(target / NAME, data_directory.description(spec))
    except OSError as error:
        raise ClusterError(f"cannot save the snapshot: {error}") from error


def snapshot_topology(snapshot: Path | None) -> TopologyName | None:
    """The topology of the cluster that a snapshot was saved of; None: it is not known.

    Raises:
        DataDirectoryError: it cannot be read.
    """
    if snapshot is None:
        return None
    return data_directory.kept_topology(companion(snapshot))


def restore_directory(snapshot: Path, path: Path, spec: ClusterSpec) -> None:
    """Make the directory of a cluster that continues where the snapshot was saved.

    Raises:
        DataDirectoryError: the file is damaged, or the directory is not new.
    """
    if (path / NAME).exists():
        raise DataDirectoryError(
            f"{path}: holds a cluster already; leave out --restore to continue with it, or name "
            "another directory"
        )
    data_directory.check_new(path)
    partial = path.with_name(f"{path.name}{_PARTIAL}")
    files = FileSystem()
    try:
        chunks = read_state(snapshot, check_hash=True)
        if partial.exists():
            # Of a process that was killed while it restored.
            shutil.rmtree(partial)
        partial.parent.mkdir(parents=True, exist_ok=True)
        restore_cluster(partial, chunks, spec.members, spec.store_names)
        extra = companion(snapshot)
        if (extra / PKI).is_dir():
            _copy(extra / PKI, partial / PKI)
        if (extra / CLOCK).exists():
            files.write_whole(partial / CLOCK, [(extra / CLOCK).read_bytes()])
        _write_json(partial / NAME, data_directory.description(spec))
        if path.exists():
            (path / _LOCK).unlink(missing_ok=True)
            path.rmdir()
        partial.rename(path)
        files.sync_directory(path.parent)
    except (OSError, StorageError) as error:
        raise DataDirectoryError(f"cannot restore {snapshot}: {error}") from error


def _copy(source: Path, target: Path) -> None:
    target.mkdir(mode=0o700, exist_ok=True)
    for file in _files_of(source):
        FileSystem().write_whole(target / file.name, [file.read_bytes()])


def _files_of(directory: Path) -> Iterator[Path]:
    return (each for each in sorted(directory.iterdir()) if each.is_file())


def _write_json(path: Path, value: object) -> None:
    FileSystem().write_whole(path, [json.dumps(value).encode() + b"\n"])
