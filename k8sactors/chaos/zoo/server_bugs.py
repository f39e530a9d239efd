"""Deliberate defects around the consensus: disk, snapshots, watches, leases."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from k8sactors.chaos.store.options import StoreChaos
from k8sactors.chaos.store.run import run_store
from k8sactors.chaos.store.swarm import kinds_of, run_swarm
from k8sactors.chaos.zoo.bug import Bug
from k8sactors.faults import Pace
from raftstore.mvcc.watch import Watcher, WatchHub
from raftstore.raft import RawNode
from raftstore.server.member import Member
from raftstore.server.proposals import Proposals
from raftstore.server.snapshots import Snapshots


def _promise_before_sync(member: Member, on_synced: Callable[[], None]) -> None:
    member._disk.sync(_nothing)  # noqa: SLF001 - the defect lives inside the member
    on_synced()


def _nothing() -> None:
    """No promise waits for the disk."""


def _count_as_applied(_: Snapshots, node: RawNode) -> int:
    return node.raft.log.committed


def _where_it_began(_: WatchHub, watcher: Watcher) -> int:
    return watcher.next_revision


def _never_lost(_: WatchHub, _first: int) -> bool:
    return False


def _pass_on(_: Proposals, _position: int) -> None:
    """Revocations travel like any other proposal: to the member that leads by then."""


UNSYNCED_PROMISE = Bug(
    number=8,
    name="the client is acknowledged before the log is synced",
    origin="etcd 14370",
    owner=Member,
    function="sync_disk",
    replacement=_promise_before_sync,
    campaign=partial(
        run_store,
        StoreChaos(
            think_ms=200,
            operations=9_000,
            sync_latency_us=50_000,
            faults_ms=20_000,
            kinds=("power-cut",),
        ),
    ),
    checks=("linearizability", "state-machine-safety", "persist-before-reply"),
)

INDEX_AHEAD_OF_DATA = Bug(
    number=9,
    name="the applied index is persisted apart from the data",
    origin="etcd 13766",
    owner=Snapshots,
    function="covered_index",
    replacement=_count_as_applied,
    # A slow disk: entries commit while the member still waits to apply the ones before them.
    campaign=partial(
        run_store,
        StoreChaos(
            clients=6,
            think_ms=100,
            operations=9_000,
            sync_latency_us=20_000,
            snapshot_entries=20,
            faults_ms=15_000,
            settle_ms=60_000,
            kinds=("power-cut", "restart-actor", "kill-leader"),
            pace=Pace(mean_gaps_ms=(1_000, 1_500), longest_ms=(2_500, 5_000)),
        ),
    ),
    checks=("state-equality", "exact-state", "linearizability", "watch-truthful"),
)

REPLAYED_WATCH = Bug(
    number=10,
    name="a watch replays old revisions after a snapshot was restored",
    origin="etcd 15271, 20221",
    owner=WatchHub,
    function="resumption",
    replacement=_where_it_began,
    campaign=partial(
        run_store,
        StoreChaos(
            think_ms=300,
            operations=9_000,
            snapshot_entries=10,
            faults_ms=20_000,
            kinds=("partition", "majority-minority", "clog"),
            pace=Pace(mean_gaps_ms=(1_000, 1_500), longest_ms=(2_500, 5_000)),
        ),
    ),
    checks=("watch-unique", "watch-ordered"),
)

SKIPPED_EVENTS = Bug(
    number=11,
    name="a slow watcher silently skips compacted events",
    origin="etcd 17529, 18089",
    owner=WatchHub,
    function="has_lost",
    replacement=_never_lost,
    campaign=partial(run_swarm, 3, kinds_of(("store", "network"))),
    checks=("watch-reliable", "watch-resumable"),
)

REVOKED_BY_DEPOSED = Bug(
    number=12,
    name="a deposed, paused leader revokes live leases",
    origin="etcd 12528, 15247",
    owner=Proposals,
    function="speak_as_leader",
    replacement=_pass_on,
    campaign=partial(
        run_store,
        StoreChaos(
            clients=3,
            think_ms=400,
            operations=9_000,
            features=("leases",),
            kinds=("pause-leader",),
            pace=Pace(mean_gaps_ms=(4_000,), longest_ms=(10_000,)),
        ),
    ),
    checks=("exact-lease", "linearizability", "lease-early"),
)

BUGS = (
    UNSYNCED_PROMISE,
    INDEX_AHEAD_OF_DATA,
    REPLAYED_WATCH,
    SKIPPED_EVENTS,
    REVOKED_BY_DEPOSED,
)
