"""The store's state as etcd's database, and back: what snapshot files hold.

etcd keeps everything in top-level buckets of one bbolt file. Of those:

- ``key``: every kept version under its revision (main and sub, 8 bytes big-endian each, joined by
  ``_``; deletions with a ``t`` behind), as a protobuf ``mvccpb.KeyValue``;
- ``lease``: a protobuf ``leasepb.Lease`` under each id (8 bytes big-endian);
- ``meta``: applied index and term, the compacted revision, the configuration;
- ``cluster``, ``members``, ``members_removed``: who wrote it;
- ``alarm`` and ``auth*``: the sections of `raftstore.storage.etcd_sections`.

A restore gives the state to a new cluster, so that `members` and the positions in the old log are
not read back.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO, Final

import attrs

from raftstore.mvcc.base import KV
from raftstore.mvcc.history import FIRST_REVISION
from raftstore.mvcc.keyspace import MOD_REVISION
from raftstore.mvcc.snapshot import PlainState, unpack
from raftstore.storage import protobuf
from raftstore.storage.bbolt import Database, Item
from raftstore.storage.bbolt_writer import Pair, write_database
from raftstore.storage.crc32c import crc32c
from raftstore.storage.errors import CorruptFileError
from raftstore.storage.etcd_sections import CODECS, SectionCodec

REVISION: Final = struct.Struct(">QcQ")
NUMBER: Final = struct.Struct(">Q")
LEASE_ID: Final = struct.Struct(">q")
SEPARATOR: Final = b"_"
TOMBSTONE: Final = b"t"
COMPACTED: Final = (b"finishedCompactRev", b"scheduledCompactRev")
APPLIED: Final = b"consistent_index"
TERM: Final = b"term"
# How much is hashed in one go.
HASH_BYTES: Final = 1 << 20


@attrs.frozen
class About:
    """What a database says about the cluster besides its state."""

    applied: int = 0
    term: int = 0
    version: str = ""
    # Id, name, peer URLs, client URLs, whether a learner.
    members: tuple[tuple[int, str, tuple[str, ...], tuple[str, ...], bool], ...] = ()


# -- writing -----------------------------------------------------------------------------------


def write(file: BinaryIO, chunks: Iterable[bytes], about: About) -> int:
    """Write the state in a store's snapshot as etcd's database; its size in bytes.

    `file` must be empty and seekable.
    """
    return write_database(file, _buckets(chunks, about))


def content_hash(chunks: Iterable[bytes], about: About) -> int:
    """CRC-32C over the content, without what differs between members equal in state."""
    value = 0
    for name, pairs in sorted(_buckets(chunks, about), key=itemgetter(0)):
        value = crc32c(name, value)
        for block in _blocks(pair for pair in pairs if pair[0] not in {APPLIED, TERM}):
            value = crc32c(block, value)
    return value


def _blocks(pairs: Iterable[Pair]) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for pair in pairs:
        held.extend(pair)
        size += len(pair[0]) + len(pair[1])
        if size >= HASH_BYTES:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)


def _buckets(chunks: Iterable[bytes], about: About) -> Iterator[tuple[bytes, Iterable[Pair]]]:
    state = unpack(chunks)
    yield b"key", _versions(state.versions)
    yield b"lease", sorted(_lease(*grant) for grant in state.grants)
    yield b"meta", sorted(_meta(state.compact_revision, about))
    yield b"cluster", [(b"clusterVersion", about.version.encode())] if about.version else []
    yield b"members", sorted(_member(*member) for member in about.members)
    yield b"members_removed", []
    for codec in CODECS:
        items = codec.to_items(state.sections.get(codec.name))
        for name in codec.buckets:
            yield name, sorted(items.get(name, []))


def _versions(versions: Iterable[KV]) -> Iterator[Pair]:
    # What a compaction has removed of a revision leaves no gap: any place within it will do.
    for revision, written in groupby(versions, itemgetter(MOD_REVISION)):
        for sub, kv in enumerate(written):
            key = REVISION.pack(revision, SEPARATOR, sub)
            if kv[3]:
                yield key, protobuf.key_value(*kv)
            else:
                yield key + TOMBSTONE, protobuf.encode(kv[0])


def _lease(lease_id: int, ttl_s: int) -> Pair:
    return LEASE_ID.pack(lease_id), protobuf.encode(lease_id, ttl_s)


def _meta(compact_revision: int, about: About) -> Iterator[Pair]:
    yield APPLIED, NUMBER.pack(about.applied)
    yield TERM, NUMBER.pack(about.term)
    if compact_revision:
        for name in COMPACTED:
            yield name, REVISION.pack(compact_revision, SEPARATOR, 0)
    voters = [member[0] for member in about.members if not member[4]]
    learners = [member[0] for member in about.members if member[4]]
    state: dict[str, Any] = {"voters": voters, "auto_leave": False}
    if learners:
        state["learners"] = learners
    yield b"confState", _json(state)
    if about.version:
        yield b"storageVersion", about.version.encode()


def _member(
    number: int, name: str, peer_urls: tuple[str, ...], client_urls: tuple[str, ...], learner: bool
) -> Pair:
    fields: dict[str, Any] = {"id": number, "peerURLs": list(peer_urls)}
    if learner:
        fields["isLearner"] = True
    fields |= {"name": name, "clientURLs": list(client_urls)}
    return b"%x" % number, _json(fields)


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


# -- reading -----------------------------------------------------------------------------------


@attrs.frozen
class Summary:
    """What `snapshot status` tells of a file."""

    hash: int
    revision: int
    total_keys: int
    total_size: int
    version: str = ""


def summarize(path: Path, data: bytes) -> Summary:
    """Look over a whole database.

    Raises:
        CorruptFileError: it is damaged.
    """
    database = Database(path, data)
    value = count = revision = 0
    version = ""
    for name, items in database.buckets():
        value = crc32c(name, value)
        pairs: list[Pair] = []
        for item in items:
            if not item.nested:
                pairs.append((item.key, item.value))
            if name == b"key":
                revision = _parse_revision(path, item.key)[0]
            if (name, item.key) == (b"meta", b"storageVersion"):
                version = item.value.decode(errors="replace")
        count += len(pairs)
        for block in _blocks(pairs):
            value = crc32c(block, value)
    return Summary(value, revision, count, database.size_bytes, version)


def read(path: Path, data: bytes) -> Iterator[bytes]:
    """The state in a database, as chunks that a store can restore.

    Raises:
        CorruptFileError: it is damaged, or holds what etcd would not write.
    """
    buckets = {name: list(items) for name, items in Database(path, data).buckets()}
    if b"key" not in buckets:
        raise CorruptFileError(path, 0, "there is no bucket 'key': not a database of etcd")
    compact_revision = _compact_revision(path, buckets.get(b"meta", []))
    by_revision: dict[int, list[KV]] = {}
    for item in buckets[b"key"]:
        main, kv = _version(path, item)
        by_revision.setdefault(main, []).extend([kv] if kv[0] else [])
    revision = max(by_revision, default=FIRST_REVISION)
    log_base = _log_base(by_revision, revision, compact_revision)
    base: dict[bytes, KV] = {}
    for main in sorted(by_revision):
        if main < log_base:
            base |= {kv[0]: kv for kv in by_revision[main]}
    if log_base == compact_revision:
        # Hidden by the compacted revision itself; etcd had not come to removing them.
        for kv in by_revision[log_base]:
            base.pop(kv[0], None)
    kept = sorted((kv for kv in base.values() if kv[3]), key=itemgetter(MOD_REVISION, 0))
    log = chain.from_iterable(by_revision[main] for main in range(log_base, revision + 1))
    pairs = {
        name: [(item.key, item.value) for item in items]
        for name, items in buckets.items()
        if name != b"key"
    }
    grants = [_grant(path, *pair) for pair in pairs.get(b"lease", [])]
    sections = {codec.name: _section(path, codec, pairs) for codec in CODECS}
    # What the log does not reach must not be asked for.
    compact_revision = max(compact_revision, log_base - 1 if log_base > FIRST_REVISION + 1 else 0)
    compact_revision = min(compact_revision, revision)
    versions = chain(kept, log)
    state = PlainState(revision, compact_revision, log_base, grants, sections, versions)
    return state.chunks()


def _section(path: Path, codec: SectionCodec, pairs: dict[bytes, list[Pair]]) -> Any:
    try:
        return codec.from_items(pairs)
    except ValueError as error:
        raise CorruptFileError(path, 0, f"the buckets of {codec.name!r}: {error}") from error


def _log_base(by_revision: dict[int, list[KV]], revision: int, compact_revision: int) -> int:
    """The first revision from which on nothing is missing."""
    first = revision + 1
    while first > max(compact_revision, FIRST_REVISION + 1) and by_revision.get(first - 1):
        first -= 1
    return first


def _parse_revision(path: Path, key: bytes) -> tuple[int, int, bool]:
    deleted = len(key) == REVISION.size + 1 and key.endswith(TOMBSTONE)
    if not deleted and len(key) != REVISION.size:
        raise CorruptFileError(path, 0, f"bucket 'key' holds {key!r}, which is no revision")
    main, separator, sub = REVISION.unpack_from(key)
    if separator != SEPARATOR:
        raise CorruptFileError(path, 0, f"bucket 'key' holds {key!r}, which is no revision")
    return main, sub, deleted


def _version(path: Path, item: Item) -> tuple[int, KV]:
    main, sub, deleted = _parse_revision(path, item.key)
    try:
        fields = protobuf.decode(item.value)
        number, text = protobuf.number, protobuf.text
        key, value, lease = text(fields, 1), text(fields, 5), number(fields, 6)
        created, modified, version = number(fields, 2), number(fields, 3), number(fields, 4)
    except ValueError as error:
        raise CorruptFileError(path, 0, f"the value of revision {main}.{sub}: {error}") from error
    if deleted:
        return main, (key, 0, main, 0, b"", 0)
    # An empty value stands for a revision that was only raised (etcdutl --bump-revision).
    if key and (modified != main or not 0 < created <= main or version < 1):
        what = f"the value of revision {main}.{sub} says {created}, {modified}, {version}"
        raise CorruptFileError(path, 0, what)
    return main, (key, created, modified, version, value, lease)


def _compact_revision(path: Path, meta: list[Item]) -> int:
    found = [_parse_revision(path, item.value)[0] for item in meta if item.key in COMPACTED]
    return max(found, default=0)


def _grant(path: Path, key: bytes, value: bytes) -> tuple[int, int]:
    try:
        fields = protobuf.decode(value)
        lease_id, ttl_s = protobuf.number(fields, 1), protobuf.number(fields, 2)
    except ValueError as error:
        raise CorruptFileError(path, 0, f"the lease {key.hex()}: {error}") from error
    return lease_id, ttl_s
