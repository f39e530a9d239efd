"""New members from a snapshot file: the state of one cluster becomes the beginning of another.

Every member gets the same state, as a snapshot of Raft at index 1, and an identity that no member
of the old cluster has: should one of those still run, no member takes it for one of the new.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from raftstore.mvcc.snapshot import PackedState
from raftstore.raft import Configuration, HardState, Snapshot
from raftstore.server.config import Peer
from raftstore.server.data_directory import DataDirectory, new_cluster_id
from raftstore.server.data_directory import create as create_cluster
from raftstore.server.initial_cluster import InitialCluster
from raftstore.server.member_directory import DISK, founding_member
from raftstore.storage import (
    Identity,
    StorageError,
    WrongDirectoryError,
    etcd_database,
    exchange_file,
    snapshot_file,
)
from raftstore.storage.files import FileSystem
from raftstore.storage.records import SnapshotReference, WalItem
from raftstore.storage.wal import Wal

INDEX: Final = 1
TERM: Final = 1
SESSION_BYTES: Final = 2

Made = TypeVar("Made")


def read_state(path: Path, *, check_hash: bool) -> list[bytes]:
    """The state in a snapshot file, as the store takes it.

    Raises:
        StorageError: the file is damaged, or cannot be read.
    """
    data = exchange_file.read(path, need_hash=check_hash)
    return list(etcd_database.read(path, data))


def restore_cluster(
    path: Path, chunks: list[bytes], members: int, names: Sequence[str] = ()
) -> DataDirectory:
    """Make the directory of a cluster whose members live in one process; by default it names them.

    Raises:
        StorageError: the directory is not empty, or cannot be written.
    """

    def make() -> DataDirectory:
        cluster_id = new_cluster_id()
        numbers = range(1, members + 1)
        known = names or [f"member-{number}" for number in numbers]
        peers = [Peer(number, name) for number, name in zip(numbers, known, strict=True)]
        for peer in peers:
            identity = Identity(cluster_id, peer.id)
            _plant(path / peer.name, identity, _snapshot(chunks, [peer.id for peer in peers]))
        # Last, so that a directory that was half made holds no cluster.
        return create_cluster(path, cluster_id, members, lambda _text: None)

    return _in_new_directory(path, make)


def restore_member(path: Path, chunks: list[bytes], name: str, cluster: InitialCluster) -> Identity:
    """Make the directory of one member that lives in a process of its own.

    Raises:
        ConfigurationError: the cluster has no member of that name.
        StorageError: the directory is not empty, or cannot be written.
    """
    directory = founding_member(path, name, cluster)
    voters = [cluster.member_id(other) for other in cluster.addresses]

    def make() -> Identity:
        _plant(path / DISK, directory.identity, _snapshot(chunks, voters))
        directory.save()
        return directory.identity

    return _in_new_directory(path, make)


def _in_new_directory(path: Path, make: Callable[[], Made]) -> Made:
    try:
        if path.exists() and any(path.iterdir()):
            raise WrongDirectoryError(
                f"{path}: not empty, and nothing is overwritten: name a new directory"
            )
        return make()
    except OSError as error:
        text = f"cannot write {path}: {error}; remove what is there of it and try again"
        raise StorageError(text) from error


def _snapshot(chunks: list[bytes], voters: list[int]) -> Snapshot:
    return Snapshot(INDEX, TERM, Configuration(tuple(sorted(voters))), PackedState(tuple(chunks)))


def _plant(path: Path, identity: Identity, snapshot: Snapshot) -> None:
    """Write a log that begins with a snapshot."""
    path.mkdir(parents=True)
    files = FileSystem()
    wal = Wal(path, identity, files, lambda _text: None)
    # Ids of leases are made of the session: they must not meet those in the snapshot.
    wal.session = int.from_bytes(os.urandom(SESSION_BYTES), "big")
    wal.open()
    try:
        check = snapshot_file.write(files, path, identity, snapshot)
        reference = SnapshotReference(snapshot.index, snapshot.term, True, check)
        wal.flush([WalItem(HardState(snapshot.term, 0, snapshot.index), [], reference)])
    finally:
        wal.close()
    files.sync_directory(path.parent)
