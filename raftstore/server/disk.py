"""A member's disk: what was written, and what of it would survive a power cut.

The write-ahead log is a list of records, each what one `Ready` asked to persist. Appending writes,
`sync` makes durable, `crash` loses whatever was only written: always a tail, as on a disk that
keeps the order of one file. Records are immutable values, so keeping them by reference is as honest
as keeping bytes.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from raftstore.raft import Entry, HardState, RecoveredState, Snapshot


class WalRecord(NamedTuple):
    """What one step persists; `snapshot` without entries also marks a snapshot made locally."""

    hard_state: HardState | None
    entries: list[Entry]
    snapshot: Snapshot | None


class Disk(Protocol):
    """What a member needs of a disk."""

    written: int
    """Number of records ever appended: the position of the last one."""
    synced: int
    """Position of the last durable record."""

    def open(self) -> tuple[int, RecoveredState]:
        """Start using the disk: how often that has happened.

        (durably counted), and what is on it.
        """

    def append(self, record: WalRecord) -> None:
        """Write a record behind the others."""

    def sync(self, on_synced: Callable[[], None]) -> None:
        """Make all that is written durable, then call back; perhaps before returning."""


Timer = Callable[[int, Callable[[], None]], Any]
"""`after(delay_ns, callback)` of whoever keeps the time."""


class SimulatedDisk:
    """A disk in memory. It outlives the member.

    Call `crash` when the power goes, then open it anew.
    """

    def __init__(self, after: Timer | None = None, sync_latency_ns: int = 0) -> None:
        assert after is not None or not sync_latency_ns, "latency needs a timer"
        self.written = 0
        self.synced = 0
        self.sync_count = 0
        self.lost_records = 0
        self.sync_latency_ns = sync_latency_ns
        self._after = after
        self._sessions = 0
        self._epoch = 0
        self._first = 1
        self._records: list[WalRecord] = []
        self._snapshots: list[int] = []
        """Positions of records with a snapshot, oldest first: how far the log may be cut."""

    def use_timer(self, after: Timer, sync_latency_ns: int) -> None:
        """Take the timer of a new process; the one before died with its own."""
        self._after = after
        self.sync_latency_ns = sync_latency_ns

    # -- used by the member -------------------------------------------------------------------

    def open(self) -> tuple[int, RecoveredState]:
        """Read everything back.

        What a killed process wrote without syncing is still there, but the next power cut would
        take it: it is synced before anybody builds a promise on it.
        """
        self._epoch += 1
        self._sessions += 1
        self._complete(self.written)
        return self._sessions, recover(self._records)

    def append(self, record: WalRecord) -> None:
        """Write a record."""
        self._records.append(record)
        self.written += 1
        if record.snapshot is not None:
            self._snapshots.append(self.written)

    def sync(self, on_synced: Callable[[], None]) -> None:
        """Make what is written now durable, after the latency."""
        if not self.sync_latency_ns or self._after is None:
            self._complete(self.written)
            on_synced()
            return
        position, epoch = self.written, self._epoch

        def complete() -> None:
            if epoch == self._epoch:
                self._complete(position)
                on_synced()

        self._after(self.sync_latency_ns, complete)

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
        state = recover(self._records[:count])
        head = WalRecord(state.hard_state, list(state.entries), state.snapshot)
        self._records[:count] = [head]
        self._first = durable[-1]

    # -- used by whoever pulls the plug -------------------------------------------------------

    def crash(self) -> None:
        """Lose what was written but not synced, and every callback that is still to come."""
        self._epoch += 1
        lost = self.written - self.synced
        if lost:
            del self._records[len(self._records) - lost :]
            self.lost_records += lost
            self.written = self.synced
            self._snapshots = [place for place in self._snapshots if place <= self.synced]

    def erase(self) -> None:
        """Come back empty, as a replaced disk does."""
        self._epoch += 1
        self.written = self.synced = 0
        self._first = 1
        self._records = []
        self._snapshots = []


def recover(records: list[WalRecord]) -> RecoveredState:
    """Replay a log.

    Later entries replace earlier ones, a snapshot what it covers or contradicts.
    """
    hard_state = HardState()
    snapshot = Snapshot()
    entries: list[Entry] = []
    for record in records:
        if record.snapshot is not None:
            snapshot = record.snapshot
            entries = _behind(snapshot, entries)
        if record.entries:
            first = record.entries[0].index
            keep = first - snapshot.index - 1
            if keep < 0:
                entries = record.entries[-keep:]
            else:
                del entries[keep:]
                entries.extend(record.entries)
        if record.hard_state is not None:
            hard_state = record.hard_state
    return RecoveredState(hard_state, snapshot, entries)


def _behind(snapshot: Snapshot, entries: list[Entry]) -> list[Entry]:
    """What stays of a log when the snapshot arrives: its tail if they agree (Raft section 7)."""
    for position, entry in enumerate(entries):
        if entry.index == snapshot.index:
            return entries[position + 1 :] if entry.term == snapshot.term else []
    return []
