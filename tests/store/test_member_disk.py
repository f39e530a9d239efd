"""What a disk holds after a process, or the power, has gone, and what its faults do to a member."""

from __future__ import annotations

import random  # noqa: TID251  # seeded by each test
from collections.abc import Callable
from typing import Any

import pytest

from raftstore.raft import Configuration, Entry, HardState, Snapshot
from raftstore.raft.messages import CONF_CHANGE
from raftstore.server import SimulatedDisk, WalRecord
from raftstore.server.bare import BareCluster
from raftstore.server.disk import AFTER_SYNC, BEFORE_SYNC, BEFORE_WRITE, describe
from raftstore.storage import CorruptWalError, DiskFailedError


def _record(index: int) -> WalRecord:
    return WalRecord(HardState(1, 1, 0), [Entry(1, index, 0, b"x" * index)], None)


class Timers:
    """Runs what is due when told to."""

    def __init__(self) -> None:
        self.waiting: list[tuple[int, Callable[[], None]]] = []

    def after(self, delay_ns: int, callback: Callable[[], None]) -> None:
        self.waiting.append((delay_ns, callback))

    def run(self) -> list[int]:
        waiting, self.waiting = self.waiting, []
        for _, callback in waiting:
            callback()
        return [delay_ns for delay_ns, _ in waiting]


def _unsynced(count: int) -> SimulatedDisk:
    disk = SimulatedDisk(lambda _delay_ns, _callback: None, sync_latency_ns=1)
    for index in range(1, count + 1):
        disk.append(_record(index))
    return disk


def _indexes(disk: SimulatedDisk) -> list[int]:
    return [entry.index for entry in disk.open()[1].entries]


def _put(cluster: BareCluster, member_id: int, key: bytes) -> list[Any]:
    return cluster.call(member_id, "put", [key, b"v", 0, False, False, False])


def _values(cluster: BareCluster, member_id: int) -> list[bytes]:
    answer = cluster.call(
        member_id, "range", [b"\0", b"\0", 0, 0, 0, 0, True, False, False, 0, 0, 0, 0]
    )
    return [kv[0] for kv in answer[1][1]]


def test_a_power_cut_loses_what_was_not_synced() -> None:
    disk = _unsynced(1)
    disk.sync(lambda: None)
    disk.crash()
    assert (_indexes(disk), disk.lost_records) == ([], 1)


def test_what_a_killed_process_left_unsynced_is_synced_before_its_successor_builds_on_it() -> None:
    disk = _unsynced(1)
    disk.sync(lambda: None)
    assert _indexes(disk) == [1]  # the process died, the host did not
    disk.crash()
    assert _indexes(disk) == [1]


def test_a_torn_crash_keeps_a_head_of_what_was_not_synced() -> None:
    kept = set()
    for seed in range(60):
        disk = _unsynced(4)
        disk.crash(torn_bytes_rng=random.Random(seed))
        found = _indexes(disk)
        assert list(range(1, len(found) + 1)) == found
        assert disk.lost_records == 4 - len(found)
        kept.add(len(found))
    assert kept == {0, 1, 2, 3}


def test_a_torn_crash_never_touches_what_was_synced() -> None:
    for seed in range(20):
        disk = SimulatedDisk()
        disk.append(_record(1))
        disk.sync(lambda: None)
        disk.append(_record(2))
        disk.crash(torn_bytes_rng=random.Random(seed))
        assert _indexes(disk) == [1]


def test_a_snapshot_that_survives_a_torn_crash_cuts_the_log_at_the_next_start() -> None:
    disk = _unsynced(2)
    disk.open()
    disk.append(WalRecord(None, [], Snapshot(2, 1, Configuration.of_voters((1,)), b"data")))
    disk.append(_record(3))
    disk.crash(torn_bytes_rng=_Last())
    _, recovered = disk.open()
    assert (recovered.snapshot.data, list(recovered.entries)) == (b"data", [])


class _Last:
    def randrange(self, _start: int, stop: int, /) -> int:
        return stop - 1


def test_rot_is_refused_with_the_offset_until_the_disk_is_replaced() -> None:
    for seed in range(200):
        disk = _unsynced(3)
        disk.open()
        assert disk.rot(random.Random(seed))
        for _ in range(2):
            with pytest.raises(CorruptWalError, match=r"disk: damaged at offset \d+: .* follows"):
                disk.open()
        disk.erase()
        assert _indexes(disk) == []


def test_there_is_nothing_to_rot_on_an_empty_disk() -> None:
    disk = SimulatedDisk()
    assert not disk.rot(random.Random(0))
    disk.open()


def test_a_failed_sync_is_told_once_and_nothing_more_is_promised() -> None:
    disk = SimulatedDisk()
    failures: list[DiskFailedError] = []
    synced: list[int] = []
    disk.on_failure = failures.append
    disk.append(_record(1))
    disk.sync(lambda: synced.append(1))
    disk.inject(failing_syncs=1)
    disk.append(_record(2))
    disk.sync(lambda: synced.append(2))
    disk.sync(lambda: synced.append(3))  # a second fsync would claim success
    assert (synced, len(failures)) == ([1], 1)
    assert _indexes(disk) == [1]
    disk.append(_record(2))
    disk.sync(lambda: synced.append(4))
    assert synced == [1, 4]


def test_a_failed_sync_is_raised_where_no_caller_wants_to_be_told() -> None:
    disk = SimulatedDisk(name="member-3")
    disk.inject(full=True)
    disk.append(_record(1))
    with pytest.raises(DiskFailedError, match="member-3: No space left on device"):
        disk.sync(lambda: None)


@pytest.mark.parametrize("fault", ["full", "broken"])
def test_a_disk_that_takes_nothing_cannot_be_opened(fault: str) -> None:
    disk = SimulatedDisk()
    disk.inject(**{fault: True})
    with pytest.raises(DiskFailedError):
        disk.open()
    disk.heal()
    disk.open()


def test_a_stalled_disk_completes_in_order_when_it_continues() -> None:
    timers = Timers()
    disk = SimulatedDisk(timers.after, sync_latency_ns=5)
    done: list[int] = []
    disk.append(_record(1))
    disk.sync(lambda: done.append(1))
    disk.inject(stalled=True, slow_ns=7)
    disk.append(_record(2))
    disk.sync(lambda: done.append(2))
    assert timers.run() == [5, 12]
    assert (done, disk.synced) == ([], 0)
    disk.heal()
    assert timers.run() == [0, 0], "in turns of the process that waits"
    assert (done, disk.synced) == ([1, 2], 2)


def test_what_a_stalled_disk_had_not_completed_a_crash_takes() -> None:
    timers = Timers()
    disk = SimulatedDisk(timers.after, sync_latency_ns=5)
    disk.inject(stalled=True)
    disk.append(_record(1))
    disk.sync(lambda: pytest.fail("nothing was synced"))
    timers.run()
    disk.crash()
    disk.heal()
    assert _indexes(disk) == []


def test_a_member_whose_disk_fails_promises_nothing_and_the_others_continue() -> None:
    cluster = BareCluster(3, random.Random)
    leader = cluster.leader().id
    failures: list[DiskFailedError] = []
    disk = cluster.disks[leader]
    disk.on_failure = failures.append
    disk.inject(failing_syncs=1)
    answer = _put(cluster, leader, b"a")
    assert len(failures) == 1
    # The others may commit it: the leader's own disk is not needed for a quorum.
    assert answer == [] or answer[0] == 0
    cluster.kill(leader)
    assert _put(cluster, cluster.leader().id, b"b")[0] == 0
    cluster.start(leader)
    cluster.advance(5)
    keys = _values(cluster, leader)
    assert b"b" in keys
    assert keys == _values(cluster, cluster.leader().id)


def test_a_member_with_a_rotten_log_does_not_start_and_the_others_continue() -> None:
    cluster = BareCluster(3, random.Random)
    for number in range(20):
        assert _put(cluster, cluster.leader().id, b"k%02d" % number)[0] == 0
    victim = cluster.leader().id
    cluster.kill(victim)
    assert cluster.disks[victim].rot(random.Random(1))
    with pytest.raises(CorruptWalError, match="remove this member, erase its directory"):
        cluster.start(victim)
    assert _put(cluster, cluster.leader().id, b"k20")[0] == 0


class _CrashHereError(Exception):
    """The test's own crash."""


def _write(disk: SimulatedDisk, index: int, promised: list[int]) -> None:
    disk.append(_record(index))
    disk.sync(lambda: promised.append(index))


@pytest.mark.parametrize("power", [False, True])
@pytest.mark.parametrize("step", [BEFORE_WRITE, BEFORE_SYNC, AFTER_SYNC])
def test_a_crash_at_a_step_of_a_write_leaves_what_was_done_before_it(
    step: str, *, power: bool
) -> None:
    disk = SimulatedDisk()
    promised: list[int] = []
    _write(disk, 1, promised)

    def crash(at: str, what: str) -> None:
        assert what == "entries"
        if at == step:
            raise _CrashHereError

    disk.on_step = crash
    with pytest.raises(_CrashHereError):
        _write(disk, 2, promised)
    if power:
        disk.crash()
    assert promised == [1]
    is_kept = step == AFTER_SYNC or (step == BEFORE_SYNC and not power)
    assert _indexes(disk) == ([1, 2] if is_kept else [1])
    assert disk.interrupted == {f"{step} of entries": 1}


def test_the_steps_of_one_sync_name_all_that_it_makes_durable() -> None:
    snapshot = Snapshot(1, 1, Configuration((1,)), b"")
    change = Entry(1, 2, CONF_CHANGE, b"")
    records = [
        WalRecord(HardState(1, 1, 0), [], None),
        WalRecord(None, [change], None),
        WalRecord(None, [], snapshot),
    ]
    timers = Timers()
    disk = SimulatedDisk(timers.after, sync_latency_ns=1)
    seen: list[tuple[str, str]] = []
    for record in records:
        disk.append(record)
    disk.on_step = lambda step, what: seen.append((step, what))
    disk.sync(lambda: None)
    timers.run()
    names = ["a vote or a commit", "a change of members", "a snapshot"]
    assert seen == [(step, name) for step in (BEFORE_SYNC, AFTER_SYNC) for name in names]
    assert describe(WalRecord(HardState(1, 1, 0), [], snapshot)) == "an installed snapshot"
