"""Saves the state of a cluster's store as a snapshot that etcd's tools read."""

from __future__ import annotations

import hashlib
from pathlib import Path

from k8sactors.cluster.assembly import Assembly
from k8sactors.cluster.errors import ClusterError
from raftstore.storage import etcd_database
from raftstore.storage.etcd_database import About


def save_snapshot(assembly: Assembly, path: Path) -> None:
    """Write what the store's leader holds, as `etcdctl snapshot save` would; replaces the file.

    The database is followed by its SHA-256, which `etcdctl snapshot restore` checks.

    Raises:
        ClusterError: no member leads, the store is a real etcd, or the file cannot be written.
    """
    leading = [each for each in assembly.members() if each.leading_term is not None]
    if not leading:
        raise ClusterError("no snapshot is saved: no member of the store leads")
    member = max(leading, key=lambda each: each.leading_term or 0).member
    partial = path.with_name(f"{path.name}.part")
    try:
        with partial.open("wb+") as file:
            etcd_database.write(file, member.store.view().chunks(), About())
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").digest()
            file.seek(0, 2)
            file.write(digest)
        partial.replace(path)
    except OSError as error:
        raise ClusterError(f"cannot save the snapshot: {error}") from error
