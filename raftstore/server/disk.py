"""A member's disk: what was written, and what of it would survive a power cut.

The write-ahead log is a list of records, each what one `Ready` asked to persist. Appending writes,
`sync` makes durable, `crash` loses whatever was only written: always a tail, as on a disk that
keeps the order of one file. Records are immutable values, so keeping them by reference is as honest
as keeping bytes.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any, Final, Protocol

import attrs

from raftstore.raft import RecoveredState
from raftstore.raft.messages import CONF_CHANGE
from raftstore.raft.state import Rng
from raftstore.storage import CorruptWalError, DiskFailedError, WalRecord, recover, recover_newest
from raftstore.storage.faults import rotten, torn


class Disk(Protocol):
    """What a member needs of a disk."""

    # Number of records ever appended: the position of the last one.
    written: int
    # Position of the last durable record.
    synced: int
    # Whether a snapshot is kept by reference: writing one costs nothing, but it takes memory.
    keeps_references: bool

    def open(self) -> tuple[int, RecoveredState]:
        """Start using the disk; returns how often that has happened, and what is on it.

        The number is counted durably.
        """

    def append(self, record: WalRecord) -> None:
        """Write a record behind the others."""

    def sync(self, on_synced: Callable[[], None]) -> None:
        """Make all that is written durable, then call back; perhaps before returning."""


BEFORE_WRITE: Final = "before the write"
BEFORE_SYNC: Final = "before the sync"
# The steps of a write, for `SimulatedDisk.on_step`.
AFTER_SYNC: Final = "after the sync"

# `after(delay_ns, callback)` of the clock's owner.
Timer = Callable[[int, Callable[[], None]], Any]


class TaskDisk(Disk, Protocol):
    """A disk that a member task can work with: simulated, or a real directory."""

    def attach(self, after: Timer) -> None:
        """A process begins to use it: its timer."""

    async def run(self, in_turn: Callable[[Callable[[], None]], bool]) -> None:
        """Work next to the member; `in_turn` runs a callback in the member's turn.

        Raises:
            DiskFailedError: the member must stop.
        """

    def crash(self) -> None:
        """The member was killed."""


@attrs.frozen
class DiskFaults:
    """What is wrong with a disk now."""

    # Latency: every sync takes so much longer. Needs a timer.
    slow_ns: int = 0
    # No sync completes until it ends.
    stalled: bool = False
    # ENOSPC: the next sync fails, and the disk cannot be opened.
    full: bool = False
    # EIO: the next sync fails, and the disk cannot be opened.
    broken: bool = False
    # So many syncs fail, one in each life of the member: each failure ends one.
    failing_syncs: int = 0

    @property
    def error_number(self) -> int:
        """Why a sync fails; 0: it does not."""
        if self.full:
            return errno.ENOSPC
        return errno.EIO if self.broken or self.failing_syncs else 0


NO_FAULTS: Final = DiskFaults()


class SimulatedDisk:
    """A disk in memory. It outlives the member.

    Call `crash` when the power goes, then open it again. Faults are set and ended by the owner of
    the disk: `inject` and `heal`, `rot`, `erase`, and `crash` with a torn tail. A disk that has
    failed takes nothing more until it is opened again: the member must stop (`on_failure`).
    """

    keeps_references = True

    def __init__(
        self, after: Timer | None = None, sync_latency_ns: int = 0, name: str = "disk"
    ) -> None:
        assert after is not None or not sync_latency_ns, "latency needs a timer"
        self.name = name
        self.written = 0
        self.synced = 0
        self.sync_count = 0
        self.lost_records = 0
        # Crashes that left a part of what was not synced.
        self.torn_crashes = 0
        self.sync_latency_ns = sync_latency_ns
        self.faults = NO_FAULTS
        # Why it takes nothing more, until it is opened again.
        self.failed: DiskFailedError | None = None
        # Told of a failure, once; it must stop the member. Without it the failure is raised.
        self.on_failure: Callable[[DiskFailedError], None] | None = None
        # Told of each step of a write, with what is written (`describe`). What it raises ends the
        # process at that very point (fault: crash at a named point).
        self.on_step: Callable[[str, str], None] | None = None
        # How often `on_step` has raised, by what and when.
        self.interrupted: dict[str, int] = {}
        self._after = after
        self._sessions = 0
        self._epoch = 0
        self._first = 1
        self._records: list[WalRecord] = []
        # Positions of records with a snapshot, oldest first: how far the log may be cut.
        self._snapshots: list[int] = []
        self._held: list[Callable[[], None]] = []
        self._rotten: CorruptWalError | None = None

    def attach(self, after: Timer) -> None:
        """Take the timer of a new process; the one before died with its own."""
        self._after = after

    def use_timer(self, after: Timer, sync_latency_ns: int) -> None:
        """Take the timer of a new process, and its latency."""
        self.attach(after)
        self.sync_latency_ns = sync_latency_ns

    async def run(self, in_turn: Callable[[Callable[[], None]], bool]) -> None:
        """Nothing happens next to the member: its timer does all."""

    # -- used by the member -------------------------------------------------------------------

    def open(self) -> tuple[int, RecoveredState]:
        """Read everything back.

        What a killed process wrote without syncing is still there, but the next power cut would
        take it: it is synced before a promise is built on it. What a failed sync was to
        write is not.

        Raises:
            CorruptWalError: `rot` has struck; `erase` the disk and replace the member.
            DiskFailedError: the disk is full or broken.
        """
        self._epoch += 1
        self._held = []
        if self._rotten is not None:
            raise self._rotten
        if self.failed is not None:
            self._lose_unsynced()
            self.failed = None
        if self.faults.full or self.faults.broken:
            raise self._error()
        self._sessions += 1
        self._complete(self.written)
        return self._sessions, recover(self._records)

    def append(self, record: WalRecord) -> None:
        """Write a record."""
        if self.on_step is not None:
            self._step(BEFORE_WRITE, [record])
        self._records.append(record)
        self.written += 1
        if record.snapshot is not None:
            self._snapshots.append(self.written)

    def sync(self, on_synced: Callable[[], None]) -> None:
        """Make what is written now durable, after the latency."""
        if self.on_step is not None:
            self._step(BEFORE_SYNC, self._unsynced(self.written))
        if self.faults is not NO_FAULTS or self.failed is not None:
            self._faulty_sync(on_synced)
            return
        if not self.sync_latency_ns or self._after is None:
            self._finish(self.written, on_synced)
            return
        self._sync_later(self.sync_latency_ns, on_synced)

    def _sync_later(self, delay_ns: int, on_synced: Callable[[], None]) -> None:
        position, epoch = self.written, self._epoch

        def complete() -> None:
            if epoch != self._epoch:
                return
            if self.faults.stalled:
                self._held.append(complete)
                return
            self._finish(position, on_synced)

        if delay_ns and self._after is not None:
            self._after(delay_ns, complete)
        else:
            complete()

    def _faulty_sync(self, on_synced: Callable[[], None]) -> None:
        faults = self.faults
        if self.failed is not None:
            return
        if not faults.error_number:
            self._sync_later(self.sync_latency_ns + faults.slow_ns, on_synced)
            return
        self.failed = self._error()
        self._epoch += 1
        self.inject(failing_syncs=max(0, faults.failing_syncs - 1))
        if self.on_failure is None:
            raise self.failed
        self.on_failure(self.failed)

    def _finish(self, position: int, on_synced: Callable[[], None]) -> None:
        """A sync has succeeded."""
        records = [] if self.on_step is None else self._unsynced(position)
        self._complete(position)
        if records:
            self._step(AFTER_SYNC, records)
        on_synced()

    def _unsynced(self, position: int) -> list[WalRecord]:
        """The records up to a position that are not durable yet."""
        return self._records[self.synced - self._first + 1 : position - self._first + 1]

    def _step(self, step: str, records: list[WalRecord]) -> None:
        for record in records:
            if self.on_step is None:
                return
            what = describe(record)
            try:
                self.on_step(step, what)
            except Exception:
                place = f"{step} of {what}"
                self.interrupted[place] = self.interrupted.get(place, 0) + 1
                raise

    def _error(self) -> DiskFailedError:
        reason = os.strerror(self.faults.error_number)
        return DiskFailedError(f"{self.name}: {reason}; the member stops")

    def _complete(self, position: int) -> None:
        self.sync_count += 1
        self.synced = max(self.synced, position)
        if self._snapshots and self._snapshots[0] <= self.synced:
            self._cut()

    def _cut(self) -> None:
        """Drop the records that the newest durable snapshot makes superfluous.

        The records from the snapshot on stay; what it does not cover of the ones before it (a
        snapshot made locally trails the log) and the last hard state move into one record.
        """
        durable = [position for position in self._snapshots if position <= self.synced]
        self._snapshots = self._snapshots[len(durable) :]
        count = durable[-1] - self._first + 1
        state = recover_newest(self._records[:count])
        head = WalRecord(state.hard_state, list(state.entries), state.snapshot)
        self._records[:count] = [head]
        self._first = durable[-1]

    # -- used by the injector of a power cut -------------------------------------------------------

    def crash(self, torn_bytes_rng: Rng | None = None) -> None:
        """Lose what was written but not synced, and every callback that is still to come.

        With `torn_bytes_rng`, what was not synced is lost from a random byte on: whole records
        before it survive though nothing was promised.
        """
        self._epoch += 1
        self._held = []
        unsynced = self._records[len(self._records) - (self.written - self.synced) :]
        self._lose_unsynced()
        if torn_bytes_rng is None or not unsynced or self.failed is not None:
            return
        self.torn_crashes += 1
        kept = torn(unsynced, torn_bytes_rng)
        self.lost_records -= len(kept)
        for record in kept:
            self.append(record)

    def _lose_unsynced(self) -> None:
        lost = self.written - self.synced
        if lost:
            del self._records[len(self._records) - lost :]
            self.lost_records += lost
            self.written = self.synced
            self._snapshots = [place for place in self._snapshots if place <= self.synced]

    @property
    def durable_commit(self) -> int:
        """How far a member would know its log to be committed if the power went now."""
        synced = self._records[: self.synced - self._first + 1]
        return max((record.hard_state.commit for record in synced if record.hard_state), default=0)

    def erase(self) -> None:
        """Come back empty and sound, as a replaced disk does (fault: lost disk).

        Its member has forgotten what it acknowledged: it may come back only as a new one, removed
        from the cluster and added again under another id.
        """
        self._epoch += 1
        self.written = self.synced = 0
        self._first = 1
        self._records = []
        self._snapshots = []
        self._held = []
        self._rotten = self.failed = None

    # -- faults -------------------------------------------------------------------------------

    def inject(self, **changes: Any) -> None:
        """Change the fields of `faults` that are named."""
        faults = attrs.evolve(self.faults, **changes)
        self.faults = NO_FAULTS if faults == NO_FAULTS else faults
        if not faults.stalled and self._held:
            held, self._held = self._held, []
            for complete in held:
                # In a turn of the process that waits, if it is still the one.
                if self._after is not None:
                    self._after(0, complete)
                else:
                    complete()

    def heal(self) -> None:
        """End every fault that a disk gets over by itself; what was held back completes."""
        self.on_step = None
        self.inject(**attrs.asdict(NO_FAULTS))

    def rot(self, rng: Rng) -> bool:
        """Flip a bit of what is durable; the next `open` refuses. False: there was none to flip.

        For a member that does not run: its memory would still hold what its disk has lost.
        """
        durable = self._records[: len(self._records) - (self.written - self.synced)]
        self._rotten = rotten(durable, rng, self.name) or self._rotten
        return self._rotten is not None


def describe(record: WalRecord) -> str:
    """What a record is about: one of `WRITTEN`."""
    if record.snapshot is not None:
        return "a snapshot" if record.hard_state is None else "an installed snapshot"
    if any(entry.kind == CONF_CHANGE for entry in record.entries):
        return "a change of members"
    return "entries" if record.entries else "a vote or a commit"


WRITTEN: Final = (
    "a snapshot",
    "an installed snapshot",
    "a change of members",
    "entries",
    "a vote or a commit",
)
