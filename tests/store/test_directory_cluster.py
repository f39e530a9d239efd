"""Members on real directories: killed at any moment, behind by a snapshot, with a failing disk."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import attrs
import pytest
import trio

from raftstore.errors import UnknownOutcomeError
from raftstore.server.config import MemberConfig, Peer
from raftstore.server.local import LocalCluster
from raftstore.storage import DirectoryDisk, DiskFailedError, Identity
from raftstore.storage.files import FileSystem

WRITER = Path(__file__).with_name("crash_writer.py")
ROOT = Path(__file__).parents[2]
LIVES = 6
WAIT_S = 20.0


def test_every_acknowledged_put_survives_kill_9_amid_snapshots_and_rotation(tmp_path: Path) -> None:
    acknowledged: set[str] = set()
    for life in range(LIVES):
        process = subprocess.Popen(
            [sys.executable, str(WRITER), str(tmp_path), str(life)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            kind, *keys = process.stdout.readline().split()
            assert kind == "found"
            assert acknowledged <= set(keys)
            # A different moment of snapshots and segments in each life.
            for _ in range(60 + 37 * life):
                acknowledged.add(process.stdout.readline().split()[1])
        finally:
            process.kill()
            rest = process.communicate()[0].splitlines()
        # A line may be cut by the kill; whole ones were acknowledged.
        acknowledged |= {line.split()[1] for line in rest[:-1]}
    snapshots = list(tmp_path.glob("*/*.snap"))
    assert len(snapshots) >= 3, "nothing was tried amid snapshots"
    assert not (tmp_path / "member-1" / f"{1:016x}.wal").exists(), "no segment was removed"


def quick(config: MemberConfig) -> MemberConfig:
    return attrs.evolve(
        config, snapshot_entries=30, catch_up_entries=5, tick_ns=20_000_000, election_ticks=5
    )


class Breakable(FileSystem):
    """Works until told otherwise."""

    failing = 0

    def sync(self, descriptor: int) -> None:
        if self.failing:
            raise OSError(self.failing, os.strerror(self.failing))
        super().sync(descriptor)


def cluster_in(path: Path, files: dict[int, FileSystem], failures: list[str]) -> LocalCluster:
    def open_disk(peer: Peer) -> DirectoryDisk:
        return DirectoryDisk(
            path / peer.name, Identity(7, peer.id), files=files.get(peer.id), segment_bytes=4_000
        )

    def on_failure(peer: Peer, error: DiskFailedError) -> None:
        failures.append(f"{peer.name}: {error}")

    return LocalCluster(
        3, configure=quick, cluster_id=7, open_disk=open_disk, on_failure=on_failure
    )


async def test_a_member_that_was_away_catches_up_by_a_snapshot_and_keeps_it(tmp_path: Path) -> None:
    with trio.fail_after(WAIT_S):
        async with cluster_in(tmp_path, {}, []) as cluster:
            away = await cluster.wait_leader()
            client = cluster.client()
            await client.put(b"before", b"1")
            cluster.kill(away)
            await cluster.wait_leader()
            for number in range(200):
                await client.put(b"k/%d" % number, b"v" * 40)
            cluster.start(away)
            await cluster.wait_applied(202)
        assert list((tmp_path / f"member-{away}").glob("*.snap"))
        # All of them again, from what the disks hold.
        async with cluster_in(tmp_path, {}, []) as cluster:
            await cluster.wait_leader()
            await cluster.wait_applied(202)
            reader = cluster.client(away)
            assert len((await reader.get_prefix(b"k/")).kvs) == 200


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
async def test_a_member_whose_disk_fails_stops_and_the_others_continue(
    tmp_path: Path, number: int
) -> None:
    files: dict[int, FileSystem] = {member: Breakable() for member in (1, 2, 3)}
    failures: list[str] = []
    with trio.fail_after(WAIT_S):
        async with cluster_in(tmp_path, files, failures) as cluster:
            leader = await cluster.wait_leader()
            client = cluster.client()
            await client.put(b"a", b"1")
            broken = files[leader]
            assert isinstance(broken, Breakable)
            broken.failing = number
            with suppress(UnknownOutcomeError):
                await client.put(b"b", b"2")
            await cluster.wait_leader()
            await client.put(b"b", b"3")
            assert leader not in cluster.members
            assert len(failures) == 1
            assert f"member-{leader}: {tmp_path}" in failures[0]
            assert os.strerror(number) in failures[0]
            broken.failing = 0
            cluster.start(leader)
            await cluster.wait_applied((await client.status()).header.revision)
