"""backoffLimitPerIndex: each index of a Job fails by itself (KEP-3850).

How often an index has failed stands in annotations of its current pod. A failed pod therefore stays
until its replacement has been made, which takes over the counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from k8sactors.controllers.job import backoff, failure_policy
from k8sactors.controllers.job.indexes import Indexes
from k8sactors.controllers.job.rules import index_of, is_failed, is_tracked, valid_index

Object = dict[str, Any]

FAILURES: Final = "batch.kubernetes.io/job-index-failure-count"
IGNORED: Final = "batch.kubernetes.io/job-index-ignored-failure-count"


def failed_indexes(job: Object, pods: Iterable[Object]) -> Indexes:
    """The indexes that are given up: those of the status, and new ones."""
    known = Indexes.parse(
        (job.get("status") or {}).get("failedIndexes") or "", job["spec"]["completions"]
    )
    found = [
        index
        for pod in pods
        if (index := valid_index(pod, job)) is not None and is_tracked(pod) and _gives_up(job, pod)
    ]
    return known.with_indexes(found)


def _gives_up(job: Object, pod: Object) -> bool:
    """Whether this pod is the last that its index may lose."""
    if not is_failed(pod, job):
        return False
    verdict = failure_policy.judge(job, pod)
    if verdict.action == "FailIndex":
        return True
    limit: int = job["spec"]["backoffLimitPerIndex"]
    return verdict.counts and _count(pod, FAILURES) >= limit


def awaiting_replacement(
    job: Object, tracked: Iterable[Object], active: Iterable[Object], settled: Indexes
) -> dict[int, Object]:
    """The last failed pod of each index that will get another one.

    `tracked` are the pods that are not counted yet, `settled` the succeeded and given up indexes.
    """
    busy = {index_of(pod) for pod in active}
    waiting: dict[int, Object] = {}
    for pod in tracked:
        index = valid_index(pod, job)
        if index is None or index in settled or index in busy or not is_failed(pod, job):
            continue
        last = waiting.get(index)
        if last is None or (
            _all_failures(last) <= _all_failures(pod)
            and backoff.finished_ns(pod) >= backoff.finished_ns(last)
        ):
            waiting[index] = pod
    return waiting


def remaining_ns(replaced: Object | None, wall_ns: int) -> int:
    """How much longer an index waits for the pod after `replaced`."""
    if replaced is None:
        return 0
    return backoff.remaining_ns(_all_failures(replaced) + 1, backoff.finished_ns(replaced), wall_ns)


def counts_for(job: Object, replaced: Object | None) -> dict[str, str]:
    """What the next pod of an index says of its predecessors."""
    failures, ignored = 0, 0
    if replaced is not None:
        failures, ignored = _count(replaced, FAILURES), _count(replaced, IGNORED)
        if failure_policy.judge(job, replaced).counts:
            failures += 1
        else:
            ignored += 1
    counts = {FAILURES: str(failures)}
    return {**counts, IGNORED: str(ignored)} if ignored else counts


def _all_failures(pod: Object) -> int:
    return _count(pod, FAILURES) + _count(pod, IGNORED)


def _count(pod: Object, annotation: str) -> int:
    text = (pod["metadata"].get("annotations") or {}).get(annotation, "")
    return int(text) if text.isdigit() else 0
