"""A cluster in directories that snapshots and rotates all the time; prints what is acknowledged.

Run by `test_directory_cluster.py`, which kills it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import attrs
import trio

from raftstore.client import StoreClient
from raftstore.server.config import MemberConfig, Peer
from raftstore.server.local import LocalCluster, OpenDisk
from raftstore.storage import DirectoryDisk, Identity

WRITERS = 8


def configure(config: MemberConfig) -> MemberConfig:
    return attrs.evolve(
        config, snapshot_entries=20, catch_up_entries=5, tick_ns=20_000_000, election_ticks=5
    )


def open_disks(path: Path) -> OpenDisk:
    def open_disk(peer: Peer) -> DirectoryDisk:
        return DirectoryDisk(
            path / peer.name,
            Identity(7, peer.id),
            segment_bytes=4_000,
        )

    return open_disk


async def main(path: Path, life: int) -> None:
    cluster = LocalCluster(
        3, seed=life, configure=configure, cluster_id=7, open_disk=open_disks(path)
    )
    async with cluster, trio.open_nursery() as nursery:
        await cluster.wait_leader()
        client = cluster.client()
        found = await client.get_prefix(b"k/")
        say("found", *sorted(kv.key.decode() for kv in found.kvs))
        for name in range(WRITERS):
            nursery.start_soon(write, client, f"k/{life}/{name}")


async def write(client: StoreClient, prefix: str) -> None:
    number = 0
    while True:
        number += 1
        key = f"{prefix}/{number}"
        await client.put(key.encode(), b"v" * 40)
        say("put", key)


def say(*words: str) -> None:
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    trio.run(main, Path(sys.argv[1]), int(sys.argv[2]))
