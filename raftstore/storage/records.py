"""What a member persists, as values and as bytes.

The payload of a log frame is the msgpack list of the items of one flush. An item is
``[0, hard_state | nil, entries, reference | nil]`` or ``[1, session]``. Since one flush is one
frame and is synced at once, at most the last frame of a log was not durable, whatever order the
file system wrote its pages in.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgpack

from raftstore.raft import Entry, HardState, RecoveredState, Snapshot

RECORD: Final = 0
SESSION: Final = 1

_new_tuple: Final = tuple.__new__


class WalRecord(NamedTuple):
    """What one step persists; `snapshot` without a hard state is one that was made locally."""

    hard_state: HardState | None
    entries: list[Entry]
    snapshot: Snapshot | None


class SnapshotReference(NamedTuple):
    """A snapshot's place in the log; its data lies in a file next to the log."""

    index: int  # type: ignore[assignment]  # Raft's own word; the tuple is never searched
    term: int
    # It came from the leader and replaced the log, instead of trailing it.
    installed: bool
    # The check of the last frame of its file.
    file_check: int


class WalItem(NamedTuple):
    """A record as it stands in the log."""

    hard_state: HardState | None
    entries: list[Entry]
    reference: SnapshotReference | None


def refer(record: WalRecord, file_check: int = 0) -> WalItem:
    """A record with a reference in place of the snapshot."""
    snapshot = record.snapshot
    reference = None
    if snapshot is not None:
        installed = record.hard_state is not None
        reference = SnapshotReference(snapshot.index, snapshot.term, installed, file_check)
    return WalItem(record.hard_state, record.entries, reference)


def encode_items(items: list[WalItem], session: int | None = None) -> bytes:
    """The payload of a log frame."""
    payload: list[Any] = [(RECORD, *item) for item in items]
    if session is not None:
        payload.append((SESSION, session))
    data: bytes = msgpack.packb(payload)
    return data


def decode_items(payload: bytes) -> tuple[list[WalItem], int | None]:
    """The items of a log frame, and the session that began there.

    Raises:
        ValueError, TypeError: the payload is of no known form.
    """
    items: list[WalItem] = []
    session: int | None = None
    for tag, *fields in msgpack.unpackb(payload):
        if tag == SESSION:
            (session,) = fields
            continue
        if tag != RECORD:
            raise ValueError(f"an item of unknown kind {tag}")
        hard_state, entries, reference = fields
        items.append(
            WalItem(
                None if hard_state is None else HardState(*hard_state),
                [_new_tuple(Entry, entry) for entry in entries],
                None if reference is None else SnapshotReference(*reference),
            )
        )
    return items, session


NO_SNAPSHOT: Final = Snapshot()


def recover(records: list[WalRecord], before: Snapshot = NO_SNAPSHOT) -> RecoveredState:
    """Replay a log that begins after a snapshot.

    Later entries replace earlier ones, a snapshot what it covers or contradicts.
    """
    hard_state = HardState()
    snapshot = before
    entries: list[Entry] = []
    for record in records:
        if record.snapshot is not None:
            entries = _behind(record.snapshot, snapshot, entries)
            snapshot = record.snapshot
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


def recover_newest(records: list[WalRecord]) -> RecoveredState:
    """What `recover` gives, found from the end: of use where a snapshot covers most of the log."""
    hard_state = newest = None
    for place in range(len(records) - 1, -1, -1):
        record = records[place]
        hard_state = hard_state or record.hard_state
        if record.snapshot is not None:
            if newest is not None:
                break
            newest = record.snapshot
        if newest is None or not record.entries:
            continue
        first = record.entries[0].index
        if first <= newest.index and hard_state is not None:
            # From here on the log holds every entry; whatever stood there before was replaced.
            return recover(records[place:], Snapshot(first - 1))
    return recover(records)


def _behind(snapshot: Snapshot, before: Snapshot, entries: list[Entry]) -> list[Entry]:
    """What stays of a log when the snapshot arrives: its tail if they agree (Raft section 7)."""
    if snapshot.index == before.index:
        # Made once more, since a compaction has dropped what the first one kept alive.
        return entries if snapshot.term == before.term else []
    place = snapshot.index - entries[0].index if entries else -1
    if not 0 <= place < len(entries) or entries[place].term != snapshot.term:
        return []
    return entries[place + 1 :]
