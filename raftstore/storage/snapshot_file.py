"""Snapshot files: the state machine in chunks, each with its checksum, and the whole with one.

``<term>-<index>.snap`` is frames (see `raftstore.storage.framing`) without salt: a head
``[format, cluster, member, index, term, *configuration]``, the chunks, an end ``[chunks, bytes]``.
The log refers to a file by the check of its end, which the links make depend on every byte before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import attrs
import msgpack

from raftstore.mvcc.snapshot import ChunkSource, PackedState
from raftstore.raft import Configuration, Snapshot
from raftstore.storage import framing
from raftstore.storage.errors import CorruptWalError
from raftstore.storage.files import FileSystem
from raftstore.storage.framing import Damage

SUFFIX: Final = ".snap"
FORMAT: Final = 1
HEAD: Final = 1
CHUNK: Final = 2
END: Final = 3


@attrs.frozen
class Identity:
    """Whose directory it is. Ids that differ: another cluster's data, or another member's."""

    cluster_id: int
    member_id: int


def name_of(index: int, term: int) -> str:
    """The file's name; by name, files stand in the order of the log."""
    return f"{term:016x}-{index:016x}{SUFFIX}"


def write(files: FileSystem, directory: Path, identity: Identity, snapshot: Snapshot) -> int:
    """Write a snapshot durably; its file check, for the log.

    Raises:
        OSError: the disk failed.
    """
    last = 0

    def frames() -> Iterator[bytes]:
        nonlocal last
        count = size = 0
        owner = (FORMAT, identity.cluster_id, identity.member_id)
        data, last = _frame(HEAD, (*owner, *_configuration(snapshot)), 0)
        yield data
        for chunk in chunks_of(snapshot):
            data, last = framing.encode(CHUNK, chunk, last, 0)
            yield data
            count, size = count + 1, size + len(chunk)
        data, last = _frame(END, (count, size), last)
        yield data

    files.write_whole(directory / name_of(snapshot.index, snapshot.term), frames())
    return last


def _frame(kind: int, fields: tuple[Any, ...], link: int) -> tuple[bytes, int]:
    return framing.encode(kind, msgpack.packb(fields), link, 0)


def read(path: Path, identity: Identity, file_check: int) -> Snapshot:
    """Read a snapshot that the log refers to.

    Raises:
        CorruptWalError: it is damaged, or not the one that the log means.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise CorruptWalError(path, 0, "the log refers to this snapshot, it is missing") from error
    head, chunks, check = _parse(path, data)
    if head[:3] != [FORMAT, identity.cluster_id, identity.member_id]:
        raise CorruptWalError(path, 0, f"a snapshot of another member: {head[1:3]}")
    if check != file_check:
        raise CorruptWalError(path, 0, "it is not the snapshot that the log refers to")
    return _snapshot(head[3:], chunks)


def _parse(path: Path, data: bytes) -> tuple[list[Any], list[bytes], int]:
    head: list[Any] = []
    chunks: list[bytes] = []
    for frame in framing.read(data, 0, 0, 0):
        if isinstance(frame, Damage):
            raise CorruptWalError(path, frame.offset, frame.what)
        if frame.kind == HEAD and not head:
            head = msgpack.unpackb(frame.payload)
        elif frame.kind == CHUNK and head:
            chunks.append(frame.payload)
        elif frame.kind == END and frame.end == len(data):
            if msgpack.unpackb(frame.payload) != [len(chunks), sum(map(len, chunks))]:
                break
            return head, chunks, frame.check
        else:
            raise CorruptWalError(path, frame.offset, f"a frame of kind {frame.kind}")
    raise CorruptWalError(path, len(data), "the file ends too early")


# -- what a snapshot of Raft is made of --------------------------------------------------------


def chunks_of(snapshot: Snapshot) -> Iterable[bytes]:
    """The parts of a snapshot's state, packed as they are asked for."""
    state: ChunkSource | None = snapshot.data or None
    return () if state is None else state.chunks()


def _configuration(snapshot: Snapshot) -> tuple[Any, ...]:
    return snapshot.index, snapshot.term, snapshot.configuration


def _snapshot(fields: list[Any], chunks: list[bytes]) -> Snapshot:
    index, term, configuration = fields
    members = Configuration.from_wire(configuration)
    return Snapshot(index, term, members, PackedState(tuple(chunks)))
