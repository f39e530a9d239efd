"""The write-ahead log: segments in a directory, each a head and one frame per flush.

A segment's head is ``[format, sequence, cluster, member, salt, session, hard_state]``: what of the
segments before must be known when they are removed, because a snapshot covers their entries. A
segment appears whole, by a rename, and only after the one before it is durable; so only the last
frame of the last segment can be torn.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import attrs
import msgpack

from raftstore.raft import Entry, HardState, RecoveredState, Snapshot
from raftstore.storage import framing, snapshot_file
from raftstore.storage.errors import CorruptWalError, WrongDirectoryError
from raftstore.storage.files import TEMPORARY, FileSystem
from raftstore.storage.framing import Damage, Frame
from raftstore.storage.records import SnapshotReference, WalItem, decode_items, encode_items
from raftstore.storage.snapshot_file import Identity

SUFFIX: Final = ".wal"
FORMAT: Final = 1
# A segment is closed when it is larger (etcd: 64 MB).
SEGMENT_BYTES: Final = 64 << 20
HEAD: Final = 8
FLUSH: Final = 9
SALT_BYTES: Final = 4


@attrs.define
class Segment:
    """One file of the log."""

    path: Path
    sequence: int
    # The largest index of an entry in it.
    max_index: int = 0


class Wal:
    """A log that is open for writing. Not for two threads at once."""

    def __init__(
        self,
        directory: Path,
        identity: Identity,
        files: FileSystem,
        notice: Callable[[str], None],
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        self.session = 0
        self.size_bytes = 0
        # Of all segments, since the start.
        self.appended_bytes = 0
        self._directory = directory
        self._identity = identity
        self._files = files
        self._notice = notice
        self._segment_bytes = segment_bytes
        self._segments: list[Segment] = []
        self._link = 0
        self._salt = 0
        self._hard_state = HardState()
        self._newest: SnapshotReference | None = None
        # The newest reference, and the sequence of its segment: what lies before may go.
        self._covering: tuple[SnapshotReference, int] | None = None
        self._descriptor = -1
        self._torn = ""

    # -- opening ------------------------------------------------------------------------------

    def open(self) -> RecoveredState:
        """Read the log, repair a torn tail, begin a session.

        Raises:
            CorruptWalError: something is damaged that was durable once; nothing was changed.
            WrongDirectoryError: the log is another member's.
            OSError: the disk failed.
        """
        names = sorted(self._directory.glob(f"*{SUFFIX}"))
        snapshots = sorted(self._directory.glob(f"*{snapshot_file.SUFFIX}"))
        if snapshots and not names:
            raise CorruptWalError(snapshots[0], 0, "there is a snapshot, but no log next to it")
        items: list[WalItem] = []
        end = 0
        for place, path in enumerate(names):
            end = self._read_segment(path, items, last=place == len(names) - 1)
        state = self._replay(items)
        self._remove_leftovers()
        if names:
            self._reopen(end)
        else:
            self._salt = int.from_bytes(os.urandom(SALT_BYTES), "little")
            self._begin_segment(1)
        self.session += 1
        self._append(encode_items([], self.session))
        return state

    def _read_segment(self, path: Path, items: list[WalItem], *, last: bool) -> int:
        """Take a segment in; the offset at which it ends."""
        data = path.read_bytes()
        sequence, offset = self._read_head(path, data)
        segment = Segment(path, sequence)
        self._segments.append(segment)
        for frame in framing.read(data, offset, self._link, self._salt):
            if isinstance(frame, Damage):
                self._judge(path, data, frame, last=last)
                break
            self._take_flush(segment, frame, items)
            offset = frame.end
        return offset

    def _read_head(self, path: Path, data: bytes) -> tuple[int, int]:
        """The sequence of a segment, and where its first flush lies."""
        head = framing.parse(data, 0, 0)
        if isinstance(head, Damage):
            raise CorruptWalError(path, head.offset, f"in the segment's head: {head.what}")
        fields = msgpack.unpackb(head.payload)
        if head.kind != HEAD or fields[0] != FORMAT:
            raise CorruptWalError(path, 0, f"a segment of unknown format {fields[0]}")
        _, sequence, cluster_id, member_id, salt, session, hard_state = fields
        found = Identity(cluster_id, member_id)
        if found != self._identity:
            raise WrongDirectoryError(
                f"{path}: the log of member {member_id:x} of cluster {cluster_id:x}, not of "
                f"{self._identity.member_id:x} of {self._identity.cluster_id:x}; name that "
                "member's own directory"
            )
        if not self._segments:
            self._salt, self.session = salt, session
            self._hard_state = HardState(*hard_state)
        else:
            before = self._segments[-1]
            if sequence != before.sequence + 1:
                what = f"segment {sequence} follows segment {before.sequence}: one is missing"
                raise CorruptWalError(path, 0, what)
            if framing.link_of(data, 0) != self._link:
                raise CorruptWalError(
                    before.path, before.path.stat().st_size, "the segment ends too early"
                )
        self._link = head.check
        return sequence, head.end

    def _judge(self, path: Path, data: bytes, damage: Damage, *, last: bool) -> None:
        """Accept damage as a torn tail, or refuse it."""
        if not last:
            raise CorruptWalError(path, damage.offset, f"{damage.what}, and more segments follow")
        sound = framing.find_sound(data, damage.offset + 1, self._salt)
        if sound is not None:
            what = f"{damage.what}, and a sound frame follows at offset {sound}"
            raise CorruptWalError(path, damage.offset, what)
        self._torn = (
            f"{path}: cut off a torn tail of {len(data) - damage.offset} bytes at offset "
            f"{damage.offset} ({damage.what}): a write that was never acknowledged"
        )

    def _take_flush(self, segment: Segment, frame: Frame, items: list[WalItem]) -> None:
        try:
            found, session = decode_items(frame.payload)
        except (ValueError, TypeError) as error:
            raise CorruptWalError(segment.path, frame.offset, f"unreadable: {error}") from error
        self._link = frame.check
        self.session = session or self.session
        self._note(segment, found)
        items.extend(found)

    def _note(self, segment: Segment, items: list[WalItem]) -> None:
        for item in items:
            if item.hard_state is not None:
                self._hard_state = item.hard_state
            if item.entries:
                segment.max_index = max(segment.max_index, item.entries[-1].index)
            if item.reference is not None:
                self._newest = item.reference
                self._covering = item.reference, segment.sequence

    def _replay(self, items: list[WalItem]) -> RecoveredState:
        snapshot = Snapshot()
        if self._newest is not None:
            path = self._directory / snapshot_file.name_of(self._newest.index, self._newest.term)
            snapshot = snapshot_file.read(path, self._identity, self._newest.file_check)
        entries: list[Entry] = []
        for item in items:
            if item.reference is not None and item.reference.installed:
                entries = []
            if item.entries:
                self._replay_entries(entries, item.entries)
        entries = [entry for entry in entries if entry.index > snapshot.index]
        if entries and entries[0].index != snapshot.index + 1:
            self._missing(snapshot.index + 1, entries[0].index)
        if self._hard_state.commit > snapshot.index + len(entries):
            self._missing(snapshot.index + len(entries) + 1, self._hard_state.commit + 1)
        return RecoveredState(self._hard_state, snapshot, entries)

    def _replay_entries(self, entries: list[Entry], written: list[Entry]) -> None:
        first = written[0].index
        if entries:
            keep = first - entries[0].index
            if keep > len(entries):
                self._missing(entries[-1].index + 1, first)
            del entries[max(keep, 0) :]
        entries.extend(written)

    def _missing(self, first: int, end: int) -> None:
        path = self._segments[0].path
        raise CorruptWalError(path, 0, f"entries {first} to {end - 1} of the log are missing")

    def _remove_leftovers(self) -> None:
        """What a crash left half done: files not yet renamed, snapshots not yet referred to."""
        newest = self._newest
        kept = "" if newest is None else snapshot_file.name_of(newest.index, newest.term)
        for path in sorted(self._directory.iterdir()):
            stale = path.suffix == snapshot_file.SUFFIX and path.name != kept
            if stale or path.suffix == TEMPORARY:
                self._files.remove(path)

    def _reopen(self, end: int) -> None:
        path = self._segments[-1].path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.ftruncate(self._descriptor, end)
        self.size_bytes = end
        if self._torn:
            self._notice(self._torn)

    # -- writing ------------------------------------------------------------------------------

    def flush(self, items: list[WalItem]) -> None:
        """Write items durably, then remove what the newest snapshot covers.

        Raises:
            OSError: the disk failed. What it holds now only a restart can tell.
        """
        if self.size_bytes >= self._segment_bytes:
            self._begin_segment(self._segments[-1].sequence + 1)
        self._append(encode_items(items))
        self._note(self._segments[-1], items)
        if self._covering is not None:
            self._remove_covered(*self._covering)
            self._covering = None

    def _append(self, payload: bytes) -> None:
        frame, self._link = framing.encode(FLUSH, payload, self._link, self._salt)
        self._files.write(self._descriptor, frame)
        self._files.sync(self._descriptor)
        self.size_bytes += len(frame)
        self.appended_bytes += len(frame)

    def _begin_segment(self, sequence: int) -> None:
        path = self._directory / f"{sequence:016x}{SUFFIX}"
        owner = self._identity
        fields: list[Any] = [FORMAT, sequence, owner.cluster_id, owner.member_id, self._salt]
        fields += [self.session, self._hard_state]
        head, self._link = framing.encode(HEAD, msgpack.packb(fields), self._link, 0)
        self._files.write_whole(path, [head])
        self.close()
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
        self.size_bytes = len(head)
        self._segments.append(Segment(path, sequence))

    def _remove_covered(self, reference: SnapshotReference, sequence: int) -> None:
        """Oldest first, so that whatever stays is one piece."""
        for path in self._old_snapshots(reference):
            self._files.remove(path)
        while len(self._segments) > 1:
            oldest = self._segments[0]
            if oldest.sequence >= sequence or oldest.max_index > reference.index:
                return
            self._files.remove(oldest.path)
            del self._segments[0]

    def _old_snapshots(self, newest: SnapshotReference) -> Iterator[Path]:
        kept = snapshot_file.name_of(newest.index, newest.term)
        for path in sorted(self._directory.glob(f"*{snapshot_file.SUFFIX}")):
            if path.name < kept:
                yield path

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
