"""What the judges say of a run: every check over what was recorded."""

from collections.abc import Iterable, Sequence

import attrs

from k8sactors.chaos.store_cluster import StoreCluster
from k8sactors.chaos.store_load import PREFIX, StoreLoad
from k8sactors.chaos.store_record import RecordingMonitor, replay, requests
from k8sactors.chaos.store_watcher import StoreWatcher, change_log
from k8sactors.checkers.findings import Finding
from k8sactors.checkers.kv_history import History
from k8sactors.checkers.linearizability import check_revisions
from k8sactors.checkers.linearizability import findings as linearizability_findings
from k8sactors.checkers.watch import Change, Stream, WatchHistory, check_watch
from k8sactors.fabric import Crash
from raftstore.mvcc import Store

DISK_FAILED = "DiskFailedError"
DISK_ROTTEN = "CorruptWalError"
EXPECTED_CRASHES = (DISK_FAILED, DISK_ROTTEN)
"""A member must stop when its disk fails, and must not start when it is rotten."""


def is_expected(crash: Crash) -> bool:
    """Whether a process had every reason to stop."""
    return crash.cause.startswith(EXPECTED_CRASHES)


def judge_run(
    history: History,
    monitor: RecordingMonitor,
    crashes: Iterable[Crash],
    loads: Sequence[StoreLoad],
    watchers: Sequence[StoreWatcher],
    now_ns: int,
    *,
    trust_clocks: bool = True,
) -> list[Finding]:
    """Everything but the members' final states.

    Where a clock ran wrong a lease may have ended too soon, and nobody can be blamed.
    """
    found = [
        Finding(each.check, str(each).removeprefix(f"{each.check}: "), now_ns)
        for each in monitor.violations
    ]
    found += [
        Finding("crash", f"{crash.actor}: {crash.cause}", crash.time_ns)
        for crash in crashes
        if not is_expected(crash)
    ]
    found += [
        Finding("unexpected-answer", remark, now_ns) for load in loads for remark in load.unexpected
    ]
    found += linearizability_findings(history.operations, trust_clocks=trust_clocks)
    found += check_revisions(history.operations)
    log = change_log(replay(monitor.log), PREFIX)
    compactions = [
        (applied.time_ns, fields[0])
        for applied, op, fields in requests(monitor.log)
        if op == "compact"
    ]
    streams = [
        _with_excuses(stream, log, compactions)
        for watcher in watchers
        for stream in watcher.streams
    ]
    return found + check_watch(WatchHistory(log, streams))


def _with_excuses(
    stream: Stream, log: Sequence[Change], compactions: Sequence[tuple[int, int]]
) -> Stream:
    """The stream, with the state before a change filled in where the store had forgotten it.

    A change at or before the revision of a compaction may come without the state before it, as
    etcd's do: the newest version that is kept is the change itself.
    """
    if not compactions or not stream.with_previous:
        return stream
    truth = {(change.revision, change.key): change.previous for change in log}
    batches = []
    for batch in stream.batches:
        forgotten = max((c for time_ns, c in compactions if time_ns <= batch.time_ns), default=0)
        changes = tuple(
            attrs.evolve(change, previous=truth.get((change.revision, change.key)))
            if change.previous is None and change.revision <= forgotten
            else change
            for change in batch.changes
        )
        batches.append(attrs.evolve(batch, changes=changes))
    return attrs.evolve(stream, batches=batches)


def judge_members(cluster: StoreCluster, now_ns: int) -> list[Finding]:
    """What is left on the machines in the end."""
    rotten = [
        Finding("bit-rot", f"member {number} started on a disk with a flipped bit", now_ns)
        for number in cluster.rot_accepted
    ]
    return rotten + judge_states([host.member.store for host in cluster.carriers], now_ns)


def judge_states(stores: Sequence[Store], now_ns: int) -> list[Finding]:
    """At one revision all members hold the same keys with the same history."""
    if not stores:
        return []
    revision = min(store.revision for store in stores)
    kept = max(store.compact_revision for store in stores)
    if revision < kept:
        return []
    hashes = {store.space.hash(revision) for store in stores}
    if len(hashes) == 1:
        return []
    message = f"members differ in their state at revision {revision}"
    return [Finding("state-equality", message, now_ns)]
