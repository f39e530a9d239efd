"""The state machine as bytes: what a lagging member is sent, and what a restart begins with.

A snapshot is the state at the log's base (one version per key at most), then the log, which is
replayed on top; so history survives, and a watch can resume on a member that got a snapshot.

Chunks are msgpack: first ``[format, revision, compact_revision, log_base, leases, sections]`` (the
state next to the keys, by name), then lists of versions in the order of writing; those before
`log_base` are the base. A chunk is bounded in bytes and may end within a revision.

A `StateView` holds the state by reference and packs a chunk when it is asked for it; a
`StateLoader` takes in one chunk after the other. So neither end ever handles the whole at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple, Protocol

import attrs
import msgpack

from raftstore.errors import RaftStoreError
from raftstore.mvcc.base import KV, SEGMENT_BYTES, Segment, pack, read
from raftstore.mvcc.history import SEGMENT_REVISIONS, VERSION_BYTES, HistoryView
from raftstore.mvcc.keyspace import KeySpace
from raftstore.mvcc.lease import Lease, Leases

FORMAT: Final = 3
# A chunk is closed when it holds so much: a fraction of a millisecond to pack, and to load two.
CHUNK_BYTES: Final = 64 << 10
# Or so many versions: what one costs hardly depends on its size.
CHUNK_VERSIONS: Final = 128
# What a version takes in addition to its key and value, roughly.
_KV_BYTES: Final = 24


# A part of a state: the head as bytes, then versions by reference, never to be changed.
Part = bytes | list[KV]
_pack: Final = msgpack.Packer(autoreset=True).pack


class SnapshotFormatError(RaftStoreError):
    """The bytes are not a snapshot of this format."""


class ChunkSource(Protocol):
    """A state machine's state, in whatever form it is at hand."""

    def chunks(self) -> Iterator[bytes]:
        """The state as bytes, bit by bit."""


@attrs.frozen
class PackedState:
    """A state in bytes, as it was read from somewhere."""

    parts: tuple[bytes, ...]

    def chunks(self) -> Iterator[bytes]:
        """The state as bytes, bit by bit."""
        return iter(self.parts)


class LoadedState(NamedTuple):
    """What a store consists of."""

    space: KeySpace
    leases: Leases
    sections: dict[str, Any]


class StateView:
    """The state as of a moment, by reference to versions that never change.

    Taking one costs next to nothing, however large the state. It keeps alive what it refers to.
    """

    def __init__(self, state: LoadedState) -> None:
        space, leases, sections = state
        grants = [[lease.id, lease.ttl_s] for lease in leases.by_id.values()]
        self._history: HistoryView = space.history.view()
        self._head: list[Any] = [FORMAT, space.revision, space.compact_revision]
        self._head += [space.log_base, grants, sections]
        self._loaded: LoadedState | None = None

    @classmethod
    def of_loaded(cls, state: LoadedState) -> StateView:
        """A view of a state that is not in use yet: `take_loaded` hands it out."""
        view = cls(state)
        view._loaded = state
        return view

    @property
    def revision(self) -> int:
        """The newest revision of the state."""
        revision: int = self._head[1]
        return revision

    @property
    def log_base(self) -> int:
        """The oldest revision of the log that the state refers to."""
        return self._history.log_base

    def chunks(self) -> Iterator[bytes]:
        """The state as bytes, each chunk packed when it is asked for."""
        return map(pack_part, self.parts())

    def parts(self) -> Iterator[Part]:
        """What the chunks hold, for `pack_part`, or for a `StateLoader` of the same program."""
        return _cut(self._head, self._history.pieces())

    def take_loaded(self) -> LoadedState | None:
        """The state itself, ready for use, if this is a view of one that was just loaded; once."""
        loaded, self._loaded = self._loaded, None
        return loaded

    def rest_on(self, same: StateView) -> None:
        """Refer to another copy of the same state, so that the own can go."""
        assert same.revision == self.revision, "not the same state"
        self._head, self._history = same._head, same._history


def pack_part(part: Part) -> bytes:
    """A part of a state as bytes."""
    return part if isinstance(part, bytes) else _pack(part)


def _cut(head: list[Any], pieces: Iterable[Iterable[KV]]) -> Iterator[Part]:
    # Packed, since the member that loads it may change what it finds there.
    yield _pack(head)
    part: list[KV] = []
    size = 0
    for piece in pieces:
        for kv in piece:
            part.append(kv)
            size += len(kv[0]) + len(kv[4]) + _KV_BYTES
            if size >= CHUNK_BYTES or len(part) >= CHUNK_VERSIONS:
                yield part
                part, size = [], 0
    if part:
        yield part


@attrs.frozen
class PlainState:
    """A state in its parts, for a caller that keeps it in another form."""

    revision: int
    compact_revision: int
    log_base: int
    # Id and seconds of each lease.
    grants: list[tuple[int, int]]
    sections: dict[str, Any]
    # In the order of writing; those before `log_base` are the base.
    versions: Iterable[KV]

    def chunks(self) -> Iterator[bytes]:
        """The state as bytes, bit by bit."""
        head: list[Any] = [FORMAT, self.revision, self.compact_revision]
        head += [self.log_base, self.grants, self.sections]
        return map(pack_part, _cut(head, [self.versions]))


def unpack(chunks: Iterable[bytes]) -> PlainState:
    """The parts of a state; its versions are read from the chunks as they are asked for, once.

    Raises:
        SnapshotFormatError: it begins with something else.
    """
    iterator = iter(chunks)
    head = _check_head(msgpack.unpackb(next(iterator, b"\xc0")))
    _, revision, compact_revision, log_base, grants, sections = head
    versions = (kv for chunk in iterator for kv in msgpack.unpackb(chunk, use_list=False))
    leases = [(lease_id, ttl_s) for lease_id, ttl_s in grants]
    return PlainState(revision, compact_revision, log_base, leases, sections, versions)


def _check_head(head: Any) -> list[Any]:
    if not isinstance(head, list) or head[:1] != [FORMAT]:
        raise SnapshotFormatError("not a snapshot of a known format")
    return head


class StateLoader:
    """Builds a state from its chunks, or from its parts. `feed` them in order, then `finish`."""

    def __init__(self) -> None:
        self._space = KeySpace()
        self._leases = Leases()
        self._sections: dict[str, Any] = {}
        self._revision = 0
        self._begun = False
        # Versions of the base that are to be packed together.
        self._unpacked: list[KV] = []
        self._unpacked_bytes = 0

    def feed(self, chunk: Part) -> None:
        """Take in the next chunk, packed or not.

        Raises:
            SnapshotFormatError: it is none, or not the next one.
        """
        items: Any = chunk
        if isinstance(chunk, bytes):
            try:
                items = msgpack.unpackb(chunk, use_list=not self._begun)
            except (ValueError, msgpack.UnpackException) as error:
                raise SnapshotFormatError(f"a damaged chunk: {error}") from error
        if not self._begun:
            self._begin(items)
            return
        try:
            self._load(items)
        except (TypeError, ValueError, LookupError) as error:
            raise SnapshotFormatError(f"a chunk of something else: {error}") from error

    def _load(self, items: list[KV]) -> None:
        """Write versions as they were written once; mostly puts, so these take the short way."""
        space = self._space
        if items and len(space.log) >= SEGMENT_REVISIONS and items[0][2] > space.revision:
            # Now and then, while the newest revision is complete, instead of all at the end.
            space.history.seal()
        live, older, log, log_base = space.live, space.older, space.log, space.log_base
        size_bytes = 0
        for kv in items:
            key, _, revision, version, value, lease = kv
            size_bytes += len(key) + len(value) + VERSION_BYTES
            if revision < log_base:
                self._add_to_base(kv)
                continue
            if self._unpacked:
                self._pack_base()
            if revision == space.revision + 1:
                log.append(kv)
                space.revision = revision
            else:
                self._join_revision(kv)
            kept = live.get(key)
            old = read(kept, key) if isinstance(kept, Segment) else kept
            if not version:
                # The tombstone at the compaction itself hides a version that was dropped.
                size_bytes -= 0 if self._bury(old, kv) else len(key) + VERSION_BYTES
                continue
            live[key] = kv
            if kept is None:
                space.live_keys.add(key)
                if key in older:
                    space.dead_keys.discard(key)
            else:
                space.retire(key, kept)
            if lease or (old is not None and old[5]):
                self._move_lease(kv, 0 if old is None else old[5])
        space.size_bytes += size_bytes

    def _begin(self, head: Any) -> None:
        head = _check_head(head)
        _, self._revision, compact_revision, log_base, grants, self._sections = head
        self._begun = True
        self._space.revision = log_base - 1
        self._space.compact_revision = compact_revision
        self._space.history.start_at(log_base)
        for lease_id, ttl_s in grants:
            self._leases.by_id[lease_id] = Lease(lease_id, ttl_s)

    def finish(self) -> LoadedState:
        """The state, complete.

        Raises:
            SnapshotFormatError: chunks are missing.
        """
        space = self._space
        self._pack_base()
        if not self._begun or space.revision != self._revision:
            text = f"ends at revision {space.revision} instead of {self._revision}"
            raise SnapshotFormatError(text)
        return LoadedState(space, self._leases, self._sections)

    # -- versions -----------------------------------------------------------------------------

    def _add_to_base(self, kv: KV) -> None:
        space, key = self._space, kv[0]
        if not kv[3] or key in space.live:
            raise SnapshotFormatError(f"the base holds {key!r} twice, or as deleted")
        space.live[key] = kv
        space.live_keys.add(key)
        if kv[5]:
            self._move_lease(kv, 0)
        self._unpacked.append(kv)
        self._unpacked_bytes += len(key) + len(kv[4]) + _KV_BYTES
        if self._unpacked_bytes >= SEGMENT_BYTES:
            self._pack_base()

    def _pack_base(self) -> None:
        versions, self._unpacked, self._unpacked_bytes = self._unpacked, [], 0
        for segment, packed in pack(versions):
            self._space.base.append(segment)
            for kv in packed:
                self._space.live[kv[0]] = segment

    def _join_revision(self, kv: KV) -> None:
        """A further version of the newest revision."""
        space = self._space
        if kv[2] != space.revision or not space.log:
            raise SnapshotFormatError(f"revision {kv[2]} follows revision {space.revision}")
        last = space.log[-1]
        if isinstance(last, list):
            last.append(kv)
        else:
            space.log[-1] = [last, kv]

    def _bury(self, old: KV | None, tombstone: KV) -> bool:
        """Delete a key; False if there is nothing to delete."""
        if old is None:
            return False
        space = self._space
        key = old[0]
        space.retire(key, space.live.pop(key), tombstone)
        space.live_keys.discard(key)
        space.dead_keys.add(key)
        if old[5]:
            self._leases.move(key, old[5], 0)
        return True

    def _move_lease(self, kv: KV, old: int) -> None:
        # A lease that is gone by the end of the log took its keys with it.
        new = kv[5] if kv[5] in self._leases.by_id else 0
        self._leases.move(kv[0], old, new)


def load(chunks: Iterable[bytes]) -> LoadedState:
    """The state whose chunks these are.

    Raises:
        SnapshotFormatError: they are not the chunks of a state.
    """
    loader = StateLoader()
    for chunk in chunks:
        loader.feed(chunk)
    return loader.finish()
