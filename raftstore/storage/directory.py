"""A member's disk in a real directory: every promise waits for an fsync.

The member appends and asks for a sync in its own turn, which only queues. A task writes what is
queued and syncs it in a worker thread, off the event loop; callers that ask meanwhile share the
next fsync (group commit). Snapshots that the member makes of itself are written by a second thread,
and enter the log when their file is durable: no request waits for them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import trio

from raftstore.raft import RecoveredState, Snapshot
from raftstore.storage import snapshot_file
from raftstore.storage.durations import Durations
from raftstore.storage.errors import DiskFailedError
from raftstore.storage.files import DirectoryLock, FileSystem
from raftstore.storage.records import SnapshotReference, WalItem, WalRecord, refer
from raftstore.storage.snapshot_file import Identity
from raftstore.storage.wal import SEGMENT_BYTES, Wal

# So many records without a promise wait for the next sync; then they are written without one.
MAX_UNSYNCED_RECORDS: Final = 1_000
RETRY_S: Final = 0.001

# Runs a callback in the member's turn; False if its inbox is full now.
InTurn = Callable[[Callable[[], None]], bool]


class DirectoryDisk:
    """A `Disk` of one member. `open` it, then let `run` run as long as the member lives."""

    keeps_references = False

    def __init__(
        self,
        path: Path,
        identity: Identity,
        *,
        notice: Callable[[str], None] = lambda _text: None,
        files: FileSystem | None = None,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        self.path = path
        self.written = 0
        self.synced = 0
        self.sync_count = 0
        # Of writes and syncs together, as who waits for them sees it.
        self.sync_durations = Durations()
        self._identity = identity
        self._files = files or FileSystem()
        self._notice = notice
        self._segment_bytes = segment_bytes
        self._wal = self._new_wal()
        self._lock: DirectoryLock | None = None
        self._pending: list[WalRecord | WalItem] = []
        self._waiting: list[Callable[[], None]] = []
        self._local: Snapshot | None = None
        self._newest_index = 0
        self._wake_log = trio.Event()
        self._wake_snapshots = trio.Event()

    def _new_wal(self) -> Wal:
        return Wal(self.path, self._identity, self._files, self._notice, self._segment_bytes)

    def attach(self, after: Callable[..., object]) -> None:
        """It needs no timer."""

    @property
    def appended_bytes(self) -> int:
        """What was written to the log since the start."""
        return self._wal.appended_bytes

    def crash(self) -> None:
        """`run` lets go of the directory when it is cancelled; the kernel, when we die."""

    # -- used by the member, in its turn ------------------------------------------------------

    def open(self) -> tuple[int, RecoveredState]:
        """Lock the directory, read it and repair a torn tail.

        Raises:
            StorageError: it is in use, another member's, or damaged.
            DiskFailedError: it cannot be read or written.
        """
        lock: DirectoryLock | None = None
        wal = self._new_wal()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = DirectoryLock(self.path)
            state = wal.open()
        except OSError as error:
            _close(wal, lock)
            raise self._failed(error) from error
        except Exception:
            _close(wal, lock)
            raise
        self._wal, self._lock = wal, lock
        # What the life before had not written was never promised.
        self._pending, self._waiting, self._local = [], [], None
        self._newest_index = state.snapshot.index
        return self._wal.session, state

    def append(self, record: WalRecord) -> None:
        """Take a record for the next sync; a snapshot made locally is written next to it."""
        self.written += 1
        if record.snapshot is not None and record.hard_state is None:
            self._local = record.snapshot
            self._wake_snapshots.set()
            return
        self._pending.append(record)
        if len(self._pending) >= MAX_UNSYNCED_RECORDS:
            self._wake_log.set()

    def sync(self, on_synced: Callable[[], None]) -> None:
        """Call back, in the member's turn, when all that is written is durable."""
        self._waiting.append(on_synced)
        self._wake_log.set()

    # -- the tasks ----------------------------------------------------------------------------

    async def run(self, in_turn: InTurn) -> None:
        """Write until cancelled.

        Raises:
            DiskFailedError: the disk failed; the member must stop at once.
        """
        wal, lock = self._wal, self._lock
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write_log, in_turn)
                nursery.start_soon(self._write_snapshots)
        except* OSError as failures:
            raise self._failed(failures) from failures
        finally:
            _close(wal, lock)

    async def _write_log(self, in_turn: InTurn) -> None:
        while True:
            await self._wake_log.wait()
            self._wake_log = trio.Event()
            position = self.written
            pending, self._pending = self._pending, []
            waiting, self._waiting = self._waiting, []
            begun_s = trio.current_time()
            await trio.to_thread.run_sync(self._flush, pending)
            self.sync_durations.observe(trio.current_time() - begun_s)
            self.synced = position
            self.sync_count += 1
            for callback in waiting:
                # An inbox that is full has no event for being less so.
                while not in_turn(callback):  # noqa: ASYNC110 - see above
                    await trio.sleep(RETRY_S)

    def _flush(self, pending: list[WalRecord | WalItem]) -> None:
        """In a worker thread: one write and one fsync for everything."""
        items: list[WalItem] = []
        for record in pending:
            if isinstance(record, WalItem):
                # Overtaken by a snapshot of the leader, it is of no use.
                if record.reference and record.reference.index > self._newest_index:
                    self._newest_index = record.reference.index
                    items.append(record)
                continue
            check = 0
            if record.snapshot is not None:
                check = self._write_snapshot(record.snapshot)
                self._newest_index = record.snapshot.index
            items.append(refer(record, check))
        self._wal.flush(items)

    def _write_snapshot(self, snapshot: Snapshot) -> int:
        return snapshot_file.write(self._files, self.path, self._identity, snapshot)

    async def _write_snapshots(self) -> None:
        while True:
            await self._wake_snapshots.wait()
            self._wake_snapshots = trio.Event()
            snapshot, self._local = self._local, None
            if snapshot is None:
                continue
            check = await trio.to_thread.run_sync(self._write_snapshot, snapshot)
            reference = SnapshotReference(snapshot.index, snapshot.term, False, check)
            self._pending.append(WalItem(None, [], reference))
            self._wake_log.set()

    def _failed(self, error: Exception) -> DiskFailedError:
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        return DiskFailedError(
            f"{self.path}: {error}; the member stops, since it cannot know what the disk holds "
            "now: look after the disk (space, health), then start the member again"
        )

    def close(self) -> None:
        """Let go of the directory."""
        _close(self._wal, self._lock)


def _close(wal: Wal, lock: DirectoryLock | None) -> None:
    wal.close()
    if lock is not None:
        lock.release()
