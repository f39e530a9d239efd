"""A log in real files: what survives, what is repaired, what is refused with file and offset."""

from __future__ import annotations

import errno
import itertools
import os
import re
from pathlib import Path

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raftstore.mvcc.snapshot import PackedState
from raftstore.raft import Configuration, Entry, HardState, RecoveredState, Snapshot
from raftstore.storage import (
    CorruptWalError,
    DirectoryDisk,
    DirectoryInUseError,
    DiskFailedError,
    Identity,
    WalRecord,
    WrongDirectoryError,
    framing,
    snapshot_file,
)
from raftstore.storage.files import FileSystem
from raftstore.storage.records import SnapshotReference, WalItem
from raftstore.storage.wal import Wal

OWNER = Identity(cluster_id=7, member_id=3)


def entries(first: int, last: int, term: int = 1) -> list[Entry]:
    return [Entry(term, index, 0, b"data %d" % index) for index in range(first, last + 1)]


def flushed(first: int, last: int, term: int = 1) -> list[WalItem]:
    return [WalItem(HardState(term, 1, max(0, first - 1)), entries(first, last, term), None)]


class Scene:
    """A directory, and what the log said when it was opened."""

    def __init__(self, path: Path, segment_bytes: int = 1 << 20) -> None:
        self.path = path
        self.notices: list[str] = []
        self.segment_bytes = segment_bytes

    def open(self, owner: Identity = OWNER, files: FileSystem | None = None) -> Wal:
        wal = Wal(self.path, owner, files or FileSystem(), self.notices.append, self.segment_bytes)
        self.state = wal.open()
        return wal

    def recovered(self) -> RecoveredState:
        self.open().close()
        return self.state

    def segments(self) -> list[Path]:
        return sorted(self.path.glob("*.wal"))

    def store_snapshot(self, wal: Wal, index: int, data: bytes, *, installed: bool = False) -> None:
        snapshot = Snapshot(index, 1, Configuration.of_voters((1, 2, 3)), PackedState((data,)))
        check = snapshot_file.write(FileSystem(), self.path, OWNER, snapshot)
        state = HardState(1, 1, index) if installed else None
        wal.flush([WalItem(state, [], SnapshotReference(index, 1, installed, check))])


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def indexes(state: RecoveredState) -> list[int]:
    return [entry.index for entry in state.entries]


def test_what_was_flushed_is_read_again(scene: Scene) -> None:
    wal = scene.open()
    wal.flush(flushed(1, 2))
    wal.flush(flushed(3, 5, term=2))
    wal.close()
    state = scene.recovered()
    assert list(state.entries) == entries(1, 2) + entries(3, 5, term=2)
    assert state.hard_state == HardState(2, 1, 2)
    assert scene.notices == []


def test_later_entries_replace_earlier_ones(scene: Scene) -> None:
    wal = scene.open()
    wal.flush(flushed(1, 5))
    wal.flush(flushed(3, 4, term=2))
    wal.close()
    assert list(scene.recovered().entries) == entries(1, 2) + entries(3, 4, term=2)


def test_every_opening_is_a_new_session(scene: Scene) -> None:
    sessions = []
    for _ in range(3):
        wal = scene.open()
        sessions.append(wal.session)
        wal.close()
    assert sessions == [1, 2, 3]


def test_sessions_and_hard_state_outlive_the_segments_that_named_them(scene: Scene) -> None:
    scene.segment_bytes = 200
    wal = scene.open()
    for index in range(1, 9):
        wal.flush(flushed(index, index))
    scene.store_snapshot(wal, 8, b"state")
    wal.flush([])
    wal.close()
    assert scene.segments()[0].name > f"{1:016x}.wal"
    wal = scene.open()
    assert wal.session == 2
    assert scene.state.hard_state == HardState(1, 1, 7)
    wal.close()


def cut_log(path: Path) -> tuple[bytes, list[int]]:
    """The bytes of a log of four flushes, and where each ends."""
    scene = Scene(path)
    wal = scene.open()
    ends = [wal.size_bytes]
    for first in (1, 3, 4, 8):
        wal.flush(flushed(first, {1: 2, 3: 3, 4: 7, 8: 8}[first]))
        ends.append(wal.size_bytes)
    wal.close()
    return scene.segments()[0].read_bytes(), ends


@given(cut=st.integers(0, 10_000), garbage=st.binary(max_size=40))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_log_that_ends_anywhere_loses_only_what_was_not_whole(
    tmp_path_factory: pytest.TempPathFactory, cut: int, garbage: bytes
) -> None:
    path = tmp_path_factory.mktemp("wal")
    data, ends = cut_log(path)
    scene = Scene(path)
    end = ends[0] + cut % (len(data) - ends[0] + 1)
    torn = data[:end] + garbage
    scene.segments()[0].write_bytes(torn)
    whole = sum(end >= flush_end for flush_end in ends[1:])
    assert indexes(scene.recovered()) == list(range(1, [0, 2, 3, 7, 8][whole] + 1))
    if torn in [data[:flush_end] for flush_end in ends]:
        assert scene.notices == []
    else:
        (notice,) = scene.notices
        assert f"cut off a torn tail of {len(torn) - ends[whole]} bytes" in notice
        assert f"offset {ends[whole]} " in notice
    # Repaired for good: nothing is left to complain about.
    scene.notices.clear()
    scene.recovered()
    assert scene.notices == []


def test_zeros_behind_the_last_record_are_a_torn_tail(scene: Scene) -> None:
    cut_log(scene.path)
    segment = scene.segments()[0]
    segment.write_bytes(segment.read_bytes() + bytes(4096))
    assert indexes(scene.recovered()) == list(range(1, 9))
    assert len(scene.notices) == 1


@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_flipped_bit_before_the_last_record_is_refused_and_nothing_is_changed(
    tmp_path_factory: pytest.TempPathFactory, place: int, bit: int
) -> None:
    path = tmp_path_factory.mktemp("wal")
    data, ends = cut_log(path)
    scene = Scene(path)
    rotten = bytearray(data)
    rotten[place % ends[-2]] ^= 1 << bit
    segment = scene.segments()[0]
    segment.write_bytes(rotten)
    with pytest.raises((CorruptWalError, WrongDirectoryError)) as refused:
        scene.open()
    error = refused.value
    assert isinstance(error, CorruptWalError)
    assert error.path == segment
    assert error.offset <= place % ends[-2]
    assert re.search(r"damaged at offset \d+: .*; nothing was changed", str(error))
    assert segment.read_bytes() == rotten


def test_a_record_that_was_moved_or_doubled_or_taken_out_is_refused(scene: Scene) -> None:
    data, ends = cut_log(scene.path)
    flush = [data[start:end] for start, end in itertools.pairwise(ends)]
    head = data[: ends[0]]
    segment = scene.segments()[0]
    for order in ([1, 0, 2, 3], [0, 0, 1, 2, 3], [0, 2, 3], [1, 2, 3]):
        segment.write_bytes(head + b"".join(flush[number] for number in order))
        with pytest.raises(CorruptWalError, match="does not follow the one before it, and a sound"):
            scene.open()


def rotated(scene: Scene) -> list[Path]:
    scene.segment_bytes = 200
    wal = scene.open()
    for index in range(1, 13):
        wal.flush(flushed(index, index))
    wal.close()
    assert len(scene.segments()) >= 3
    return scene.segments()


def test_a_log_continues_over_segments(scene: Scene) -> None:
    rotated(scene)
    assert indexes(scene.recovered()) == list(range(1, 13))


def test_a_missing_segment_is_refused(scene: Scene) -> None:
    segments = rotated(scene)
    kept = segments[1].read_bytes()
    segments[1].unlink()
    with pytest.raises(CorruptWalError, match="segment 3 follows segment 1: one is missing"):
        scene.open()
    segments[1].write_bytes(kept)
    segments[0].unlink()
    with pytest.raises(CorruptWalError, match=r"entries 1 to \d+ of the log are missing"):
        scene.open()


def test_a_segment_cut_short_is_no_torn_tail_when_others_follow(scene: Scene) -> None:
    segments = rotated(scene)
    data = segments[1].read_bytes()
    for short in (5, len(data) // 2):
        segments[1].write_bytes(data[:-short])
        with pytest.raises(CorruptWalError, match=f"{segments[1].name}: damaged at offset"):
            scene.open()


def test_a_segment_that_ends_a_whole_record_early_is_refused(scene: Scene) -> None:
    segments = rotated(scene)
    frame = framing.find_sound(segments[1].read_bytes(), 1, _salt(segments[1]))
    assert frame is not None
    segments[1].write_bytes(segments[1].read_bytes()[:frame])
    with pytest.raises(CorruptWalError, match="the segment ends too early"):
        scene.open()


def _salt(segment: Path) -> int:
    import msgpack  # noqa: PLC0415 - only this test looks into a head

    head = framing.parse(segment.read_bytes(), 0, 0)
    assert isinstance(head, framing.Frame)
    salt: int = msgpack.unpackb(head.payload)[4]
    return salt


def test_a_log_without_the_end_that_was_committed_is_refused(scene: Scene) -> None:
    wal = scene.open()
    wal.flush(flushed(1, 3))
    wal.flush([WalItem(HardState(1, 1, 9), [], None)])
    wal.close()
    with pytest.raises(CorruptWalError, match="entries 4 to 9 of the log are missing"):
        scene.open()


def test_another_members_log_is_refused(scene: Scene) -> None:
    scene.open().close()
    with pytest.raises(WrongDirectoryError, match="member 3 of cluster 7, not of 4 of 7"):
        scene.open(Identity(7, 4))


def test_a_client_cannot_store_what_looks_like_a_record_to_hinder_a_repair(scene: Scene) -> None:
    wal = scene.open()
    wal.flush(flushed(1, 1))
    looks_sound, _ = framing.encode(9, b"\x90", 0, 0)
    wal.flush([WalItem(None, [Entry(1, 2, 0, looks_sound * 3)], None)])
    wal.close()
    segment = scene.segments()[0]
    segment.write_bytes(segment.read_bytes()[:-2])
    assert indexes(scene.recovered()) == [1]


# -- snapshots ----------------------------------------------------------------------------------


def test_a_snapshot_takes_the_place_of_what_it_covers(scene: Scene) -> None:
    scene.segment_bytes = 200
    wal = scene.open()
    for index in range(1, 9):
        wal.flush(flushed(index, index))
    scene.store_snapshot(wal, 5, b"five")
    wal.flush(flushed(9, 9))
    scene.store_snapshot(wal, 7, b"seven")
    wal.close()
    state = scene.recovered()
    assert state.snapshot == Snapshot(
        7, 1, Configuration.of_voters((1, 2, 3)), PackedState((b"seven",))
    )
    assert indexes(state) == [8, 9]
    assert len(list(scene.path.glob("*.snap"))) == 1
    assert scene.segments()[0].name > f"{1:016x}.wal"


def test_a_snapshot_of_the_leader_replaces_the_log(scene: Scene) -> None:
    wal = scene.open()
    wal.flush(flushed(1, 30))
    scene.store_snapshot(wal, 20, b"other", installed=True)
    wal.flush(flushed(21, 22, term=2))
    wal.close()
    assert list(scene.recovered().entries) == entries(21, 22, term=2)


def test_a_snapshot_that_the_log_does_not_name_yet_is_swept_away(scene: Scene) -> None:
    wal = scene.open()
    wal.flush(flushed(1, 3))
    wal.close()
    snapshot_file.write(
        FileSystem(),
        scene.path,
        OWNER,
        Snapshot(2, 1, Configuration.of_voters((1,)), PackedState(())),
    )
    (scene.path / "half.snap.tmp").write_bytes(b"half")
    state = scene.recovered()
    assert (state.snapshot, indexes(state)) == (Snapshot(), [1, 2, 3])
    assert list(scene.path.glob("*.snap*")) == []


@pytest.mark.parametrize("damage", ["flip", "cut", "swap", "gone"])
def test_a_damaged_snapshot_is_refused(scene: Scene, damage: str) -> None:
    wal = scene.open()
    wal.flush(flushed(1, 3))
    scene.store_snapshot(wal, 3, b"three")
    wal.close()
    (path,) = scene.path.glob("*.snap")
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 4
        path.write_bytes(data)
    elif damage == "cut":
        path.write_bytes(data[:-30])
    elif damage == "swap":
        snapshot_file.write(
            FileSystem(),
            scene.path,
            OWNER,
            Snapshot(3, 1, Configuration.of_voters((1,)), PackedState(())),
        )
    else:
        path.unlink()
    with pytest.raises(CorruptWalError, match=rf"{path.name}: damaged at offset \d+: "):
        scene.open()


def test_a_snapshot_with_any_byte_changed_is_refused(scene: Scene) -> None:
    wal = scene.open()
    wal.flush(flushed(1, 3))
    scene.store_snapshot(wal, 3, b"three")
    wal.close()
    (path,) = scene.path.glob("*.snap")
    data = path.read_bytes()
    for place in range(len(data)):
        for bit in (1, 128):
            path.write_bytes(data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :])
            with pytest.raises(CorruptWalError, match=rf"{path.name}: damaged at offset \d+: "):
                scene.open()
    for end in range(len(data)):
        path.write_bytes(data[:end])
        with pytest.raises(CorruptWalError, match=rf"{path.name}: damaged at offset \d+: "):
            scene.open()
    path.write_bytes(data)
    assert scene.recovered().snapshot.index == 3


def test_a_snapshot_without_a_log_is_refused(scene: Scene) -> None:
    snapshot_file.write(
        FileSystem(),
        scene.path,
        OWNER,
        Snapshot(2, 1, Configuration.of_voters((1,)), PackedState(())),
    )
    with pytest.raises(CorruptWalError, match="no log next to it"):
        scene.open()


# -- the disk that a member uses ------------------------------------------------------------------


class Breaking(FileSystem):
    """Counts syncs, and fails from a given one on."""

    def __init__(self, fails_from: int, error_number: int) -> None:
        self.syncs = 0
        self.fails_from = fails_from
        self.error_number = error_number

    def sync(self, descriptor: int) -> None:
        self.syncs += 1
        if self.syncs >= self.fails_from:
            raise OSError(self.error_number, os.strerror(self.error_number))
        super().sync(descriptor)


NEVER = 1 << 30


def at_once(callback: object) -> bool:
    assert callable(callback)
    callback()
    return True


async def test_all_that_wait_share_one_sync_and_are_told_in_order(tmp_path: Path) -> None:
    files = Breaking(NEVER, 0)
    disk = DirectoryDisk(tmp_path, OWNER, files=files)
    assert disk.open() == (1, RecoveredState(entries=[]))
    before = files.syncs
    order: list[int] = []
    done = trio.Event()
    for number in (1, 2, 3):
        disk.append(WalRecord(HardState(1, 1, 0), entries(number, number), None))
        disk.sync(lambda number=number: order.append(number))  # type: ignore[misc]
    disk.sync(done.set)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(disk.run, at_once)
        with trio.fail_after(10):
            await done.wait()
        nursery.cancel_scope.cancel()
    assert (order, files.syncs - before, disk.synced) == ([1, 2, 3], 1, 3)
    session, state = DirectoryDisk(tmp_path, OWNER).open()
    assert (session, indexes(state)) == (2, [1, 2, 3])


async def test_an_inbox_that_is_full_is_tried_again(tmp_path: Path) -> None:
    disk = DirectoryDisk(tmp_path, OWNER)
    disk.open()
    done = trio.Event()
    refusals = [1, 2, 3]

    def sometimes(callback: object) -> bool:
        if refusals:
            refusals.pop()
            return False
        return at_once(callback)

    disk.sync(done.set)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(disk.run, sometimes)
        with trio.fail_after(10):
            await done.wait()
        nursery.cancel_scope.cancel()
    assert refusals == []


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
async def test_a_failed_sync_ends_the_disk_without_a_second_try(
    tmp_path: Path, number: int
) -> None:
    files = Breaking(NEVER, number)
    disk = DirectoryDisk(tmp_path, OWNER, files=files)
    disk.open()
    files.fails_from = files.syncs + 1
    disk.append(WalRecord(HardState(1, 1, 0), entries(1, 1), None))
    disk.sync(lambda: pytest.fail("nothing may be promised"))
    with pytest.raises(DiskFailedError, match=re.escape(os.strerror(number))):
        await disk.run(at_once)
    assert files.syncs == files.fails_from


async def test_a_local_snapshot_is_written_next_to_the_log_and_then_cuts_it(tmp_path: Path) -> None:
    disk = DirectoryDisk(tmp_path, OWNER, segment_bytes=100)
    disk.open()
    for number in range(1, 6):
        disk.append(WalRecord(HardState(1, 1, number - 1), entries(number, number), None))
    disk.append(
        WalRecord(None, [], Snapshot(4, 1, Configuration.of_voters((1,)), PackedState((b"x",))))
    )
    disk.sync(lambda: None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(disk.run, at_once)
        with trio.fail_after(10):
            while disk.sync_count < 2:  # noqa: ASYNC110 - no event tells of the second sync
                await trio.sleep(0.001)
        nursery.cancel_scope.cancel()
    _, state = DirectoryDisk(tmp_path, OWNER).open()
    assert (state.snapshot.index, state.snapshot.data, indexes(state)) == (
        4,
        PackedState((b"x",)),
        [5],
    )


async def test_a_snapshot_of_the_leader_is_durable_before_it_is_promised(tmp_path: Path) -> None:
    disk = DirectoryDisk(tmp_path, OWNER)
    disk.open()
    done = trio.Event()
    snapshot = Snapshot(40, 3, Configuration.of_voters((1, 2)), PackedState((b"x",)))
    disk.append(WalRecord(HardState(3, 0, 40), [], snapshot))
    disk.sync(done.set)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(disk.run, at_once)
        with trio.fail_after(10):
            await done.wait()
        nursery.cancel_scope.cancel()
    _, state = DirectoryDisk(tmp_path, OWNER).open()
    assert (state.snapshot, state.hard_state) == (snapshot, HardState(3, 0, 40))


def test_two_processes_cannot_open_one_directory(tmp_path: Path) -> None:
    disk = DirectoryDisk(tmp_path, OWNER)
    disk.open()
    with pytest.raises(DirectoryInUseError, match=f"in use by process {os.getpid()}"):
        DirectoryDisk(tmp_path, OWNER).open()
    disk.close()
    assert DirectoryDisk(tmp_path, OWNER).open()[0] == 2


def test_a_full_disk_is_told_when_the_directory_is_opened(tmp_path: Path) -> None:
    disk = DirectoryDisk(tmp_path, OWNER, files=Breaking(1, errno.ENOSPC))
    with pytest.raises(DiskFailedError, match=f"{tmp_path}.*No space left on device"):
        disk.open()
    assert DirectoryDisk(tmp_path, OWNER).open()[0] == 1
