"""Snapshot files as etcd's tools exchange them: a database, and its SHA-256 right behind it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from raftstore.storage.errors import CorruptFileError, StorageError

# A database's size is a multiple of it, so that a hash behind it shows in the size.
SECTOR_BYTES: Final = 512
HASH_BYTES: Final = hashlib.sha256().digest_size


def read(path: Path, *, need_hash: bool) -> bytes:
    """The database in a snapshot file, checked against its hash if there is one.

    Raises:
        CorruptFileError: something of it has changed or is missing.
        StorageError: the file cannot be read, or has no hash and needs one.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StorageError(f"cannot read the snapshot: {error}") from error
    over = len(data) % SECTOR_BYTES
    if not data or over not in {0, HASH_BYTES}:
        what = f"a file of {len(data)} bytes has lost its end, or is no snapshot"
        raise CorruptFileError(path, len(data), what)
    if not over:
        if need_hash:
            raise StorageError(
                f"{path}: has no hash behind it to be checked against; if it was copied from a "
                "data directory, say --skip-hash-check"
            )
        return data
    database, expected = data[:-HASH_BYTES], data[-HASH_BYTES:]
    if need_hash and hashlib.sha256(database).digest() != expected:
        what = f"the SHA-256 there is not that of the {len(database)} bytes before it"
        raise CorruptFileError(path, len(database), what)
    return database
