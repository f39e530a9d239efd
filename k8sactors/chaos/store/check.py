"""Every check over what a run of the store recorded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from k8sactors.chaos.store.cluster import StoreCluster
from k8sactors.chaos.store.load import PREFIX, StoreLoad
from k8sactors.chaos.store.record import RecordingMonitor
from k8sactors.chaos.store.watcher import StoreWatcher
from k8sactors.checkers.committed_log import CommittedLog
from k8sactors.checkers.exact import check_exactly
from k8sactors.checkers.findings import Finding
from k8sactors.checkers.history_diagram import to_svg, to_text, window_around, window_of
from k8sactors.checkers.kv_history import History
from k8sactors.checkers.linearizability import Verdict, check_linearizable, check_revisions
from k8sactors.checkers.watch import Compaction, WatchHistory, check_watch
from k8sactors.checkers.watch_diagram import watch_svg, watch_window
from k8sactors.checkers.watch_exact import check_watch_exactly
from k8sactors.fabric import Crash
from raftstore.mvcc import Store

DISK_FAILED = "DiskFailedError"
DISK_ROTTEN = "CorruptWalError"
PLANNED_CRASH = "PlannedCrashError"
EXPECTED_CRASHES = (DISK_FAILED, DISK_ROTTEN, PLANNED_CRASH)
"""A member must stop when its disk fails, and must not start when it is rotten."""


def is_expected(crash: Crash) -> bool:
    """Whether a process had every reason to stop."""
    return crash.cause.startswith(EXPECTED_CRASHES)


@attrs.frozen
class CheckedRun:
    """What the checks found."""

    # What they found.
    findings: list[Finding]
    # Of answers that cannot be, or of a broken watch; empty if there are none.
    picture: str
    # Whether the search for an order gave up (the exact check never does).
    undecided: bool


def check_run(
    history: History,
    monitor: RecordingMonitor,
    crashes: Iterable[Crash],
    loads: Sequence[StoreLoad],
    watchers: Sequence[StoreWatcher],
    now_ns: int,
    *,
    trust_clocks: bool = True,
) -> CheckedRun:
    """Everything but the members' final states.

    Where a clock ran wrong a lease may have ended too soon, and no member can be blamed.
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
    report = check_linearizable(history.operations, trust_clocks=trust_clocks)
    window = window_of(report)
    if window is not None:
        time_ns = window.culprit.returned_ns or now_ns
        found.append(Finding("linearizability", to_text(window), time_ns))
    found += check_revisions(history.operations)
    committed = monitor.committed_log()
    exact = check_exactly(
        committed, history.operations, history.discarded, prefix=PREFIX, trust_clocks=trust_clocks
    )
    found += exact.findings
    if window is None and exact.blamed:
        window = window_around(history.operations, exact.blamed[0], exact.findings[0].message)
    watches = watch_history(committed, watchers)
    broken = check_watch(watches) + check_watch_exactly(watches, committed.times_ns())
    found += broken
    picture = to_svg(window) if window is not None else ""
    if broken and not picture:
        watched = watch_window(watches, committed.times_ns())
        picture = watch_svg(watched) if watched is not None else ""
    return CheckedRun(found, picture, undecided=report.verdict is Verdict.UNDECIDED)


def watch_history(committed: CommittedLog, watchers: Sequence[StoreWatcher]) -> WatchHistory:
    """What the watchers were sent, next to what happened where they looked."""
    log = [change for change in committed.store.changes if change.key.startswith(PREFIX)]
    streams = [stream for watcher in watchers for stream in watcher.streams]
    compactions = [Compaction(time_ns, revision) for time_ns, revision in committed.compactions()]
    return WatchHistory(log, streams, compactions)


def check_members(committed: CommittedLog, cluster: StoreCluster, now_ns: int) -> list[Finding]:
    """What is left on the machines in the end."""
    rotten = [
        Finding("bit-rot", f"member {number} started on a disk with a flipped bit", now_ns)
        for number in cluster.rot_accepted
    ]
    stores = [host.member.store for host in cluster.carriers]
    return rotten + check_states(committed, stores, now_ns)


def check_states(committed: CommittedLog, stores: Sequence[Store], now_ns: int) -> list[Finding]:
    """All members hold the same keys with the same history, and those that the log gives."""
    found = [
        Finding("exact-state", f"member {store.member_id}: {problem}", now_ns)
        for store in stores
        for problem in _state_problems(committed, store)
    ]
    if not stores:
        return found
    revision = min(store.revision for store in stores)
    kept = max(store.compact_revision for store in stores)
    if revision < kept:
        return found
    hashes = {store.space.hash(revision) for store in stores}
    if len(hashes) > 1:
        message = f"members differ in their state at revision {revision}"
        found.append(Finding("state-equality", message, now_ns))
    return found


def _state_problems(committed: CommittedLog, store: Store) -> Iterable[str]:
    """What a member holds that the log, up to its revision, does not give; or the other way."""
    state = committed.store.states.get(store.revision)
    if state is None:
        yield f"it is at revision {store.revision}, the log ends at {committed.store.revision}"
        return
    held = {kv[0]: tuple(kv) for kv in store.space.select_live(b"", None)}
    due = {key: tuple(version) for key, version in state.items()}
    for key in sorted(held.keys() | due.keys()):
        if held.get(key) != due.get(key):
            yield (
                f"at revision {store.revision} it holds {held.get(key)} where the log gives"
                f" {due.get(key)}"
            )
            return
