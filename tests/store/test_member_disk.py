"""What a disk holds after a process, or the power, has gone."""

from raftstore.raft import Entry, HardState
from raftstore.server import SimulatedDisk, WalRecord


def _record(index: int) -> WalRecord:
    return WalRecord(HardState(1, 1, 0), [Entry(1, index, 0, b"x")], None)


def test_a_power_cut_loses_what_was_not_synced() -> None:
    disk = SimulatedDisk(lambda _delay_ns, _callback: None, sync_latency_ns=1)
    disk.append(_record(1))
    disk.sync(lambda: None)
    disk.crash()
    _, recovered = disk.open()
    assert (disk.lost_records, list(recovered.entries)) == (1, [])


def test_what_a_killed_process_left_unsynced_is_synced_before_its_successor_builds_on_it() -> None:
    disk = SimulatedDisk(lambda _delay_ns, _callback: None, sync_latency_ns=1)
    disk.append(_record(1))
    disk.sync(lambda: None)
    _, recovered = disk.open()  # the process died, the host did not
    assert [entry.index for entry in recovered.entries] == [1]
    disk.crash()
    _, after_power_cut = disk.open()
    assert [entry.index for entry in after_power_cut.entries] == [1]
