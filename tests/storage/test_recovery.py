"""What a member finds in its log: the last word of every entry, and nothing that was replaced."""

from __future__ import annotations

import random  # noqa: TID251 - a stream of its own per test

import pytest

from raftstore.raft import Entry, HardState, Snapshot
from raftstore.storage import WalRecord, recover
from raftstore.storage.records import recover_newest


def entries(first: int, last: int, term: int = 1) -> list[Entry]:
    return [Entry(term, index, 0, b"%d" % index) for index in range(first, last + 1)]


def appended(first: int, last: int, term: int = 1) -> WalRecord:
    return WalRecord(HardState(term, 0, 0), entries(first, last, term), None)


def made(index: int, term: int = 1) -> WalRecord:
    """A snapshot of the member itself: no word about term and vote."""
    return WalRecord(None, [], Snapshot(index, term))


def test_a_second_snapshot_at_the_same_index_keeps_what_was_written_since() -> None:
    """One is made again when a compaction has dropped what the first one kept alive."""
    found = recover([appended(1, 100), made(100), appended(101, 105), made(100)])
    assert [entry.index for entry in found.entries] == [101, 102, 103, 104, 105]
    assert found.snapshot.index == 100


def test_a_snapshot_that_contradicts_the_log_ends_it() -> None:
    found = recover([appended(1, 10), made(5, term=2)])
    assert found.entries == []
    found = recover([appended(1, 10), made(10), appended(11, 12), made(10, term=2)])
    assert found.entries == []


@pytest.mark.parametrize("seed", range(300))
def test_recovery_from_the_end_finds_what_replay_finds(seed: int) -> None:
    rng = random.Random(seed)
    records: list[WalRecord] = []
    last, term, covered = 0, 1, 0
    for _ in range(rng.randrange(1, 40)):
        draw = rng.random()
        if draw < 0.6:
            # A new leader may overwrite what no snapshot covers.
            if rng.random() < 0.2:
                term += 1
                last = rng.randrange(covered, last + 1)
            count = rng.randrange(1, 5)
            records.append(appended(last + 1, last + count, term))
            last += count
        elif draw < 0.7:
            records.append(WalRecord(HardState(term, 1, last), [], None))
        elif draw < 0.85 and last > covered:
            state = recover(records)
            covered = rng.randrange(covered + 1, last + 1)
            terms = {entry.index: entry.term for entry in state.entries}
            records.append(made(covered, terms[covered]))
        elif draw < 0.9:
            # One of a leader, beyond the own log.
            covered = last = last + rng.randrange(1, 10)
            term += 1
            records.append(WalRecord(HardState(term, 0, last), [], Snapshot(covered, term)))
    assert recover_newest(records) == recover(records)
