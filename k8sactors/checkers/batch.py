"""Invariants of Jobs, CronJobs and disruption budgets, over the changes of their objects.

Rules, each from the API reference of its kind: a Job never makes a pod beyond its parallelism; an
Indexed Job makes no pod for an index that it has counted as done, nor a second one while the first
may still run, and is Complete with every index done; a CronJob that forbids concurrency never makes
a Job while another of its Jobs has not ended; evictions take no more than a budget allows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from k8sactors.checkers.cluster_history import ClusterHistory, ObjectChange
from k8sactors.checkers.findings import Finding
from k8sactors.simulation import SECOND

Object = Mapping[str, Any]

JOBS, CRON_JOBS = "jobs.batch", "cronjobs.batch"
BUDGETS = "poddisruptionbudgets.policy"
INDEX = "batch.kubernetes.io/job-completion-index"
# A change of parallelism takes this long to reach the controller.
PATIENCE_NS = 30 * SECOND


@attrs.define
class _World:
    """The objects as they are after a change, by UID; and what they were before it."""

    objects: dict[str, dict[str, Object]] = attrs.field(factory=dict)

    def of(self, resource: str) -> dict[str, Object]:
        return self.objects.setdefault(resource, {})

    def owner(self, resource: str, obj: Object) -> Object | None:
        for reference in obj["metadata"].get("ownerReferences") or ():
            if reference.get("controller"):
                return self.of(resource).get(reference["uid"])
        return None

    def owned(self, resource: str, owner: Object) -> list[Object]:
        uid = owner["metadata"]["uid"]
        return [
            each
            for each in self.of(resource).values()
            if any(
                reference.get("controller") and reference["uid"] == uid
                for reference in each["metadata"].get("ownerReferences") or ()
            )
        ]


def _replayed(history: ClusterHistory) -> Iterator[tuple[_World, ObjectChange, Object | None]]:
    """Each change, with the world after it and the object before it."""
    world = _World()
    for change in history.changes:
        objects = world.of(change.resource)
        uid = change.object["metadata"]["uid"]
        before = objects.get(uid)
        if change.type == "DELETED":
            objects.pop(uid, None)
        else:
            objects[uid] = change.object
        yield world, change, before


def check_job_parallelism(history: ClusterHistory) -> list[Finding]:
    """No pod of a Job is made while as many are active as its parallelism allows."""
    found = []
    allowed: dict[str, list[tuple[int, int]]] = {}
    for world, change, before in _replayed(history):
        if change.resource == JOBS:
            spec = change.object.get("spec") or {}
            held = allowed.setdefault(change.object["metadata"]["uid"], [])
            held.append((change.time_ns, spec.get("parallelism", 1)))
        if change.resource != "pods" or change.type != "ADDED" or before is not None:
            continue
        job = world.owner(JOBS, change.object)
        if job is None:
            continue
        most = _largest(allowed[job["metadata"]["uid"]], change.time_ns)
        active = sum(map(_is_active, world.owned("pods", job)))
        if active > most:
            message = f"job {_name(job)} has {active} active pods, its parallelism is {most}"
            found.append(Finding("job-parallelism", message, change.time_ns))
    return found


def _largest(held: list[tuple[int, int]], now_ns: int) -> int:
    """The largest value that was valid within the last while."""
    recent = [value for at_ns, value in held if at_ns > now_ns - PATIENCE_NS]
    older = [value for at_ns, value in held if at_ns <= now_ns - PATIENCE_NS]
    return max([*recent, *older[-1:]])


def check_index_once(history: ClusterHistory) -> list[Finding]:
    """Each index of a Job is done once, and all are done when the Job is Complete."""
    found: list[Finding] = []
    for world, change, before in _replayed(history):
        if change.resource == "pods" and change.type == "ADDED" and before is None:
            found += _second_pod(world, change)
        elif change.resource == JOBS and _ends(change, before):
            found += _left_over(change)
    return found


def _second_pod(world: _World, change: ObjectChange) -> Iterator[Finding]:
    job, index = world.owner(JOBS, change.object), _index(change.object)
    if job is None or index is None:
        return
    done = _indexes((job.get("status") or {}).get("completedIndexes") or "")
    if index in done:
        message = f"job {_name(job)} makes a pod for index {index}, which it has counted as done"
        yield Finding("job-index-once", message, change.time_ns)
    others = [
        pod
        for pod in world.owned("pods", job)
        if _index(pod) == index and _is_active(pod) and _uid(pod) != _uid(change.object)
    ]
    if others:
        message = f"job {_name(job)} has a second active pod for index {index}"
        yield Finding("job-index-once", message, change.time_ns)


def _ends(change: ObjectChange, before: Object | None) -> bool:
    return _has(change.object, "Complete") and not (before and _has(before, "Complete"))


def _left_over(change: ObjectChange) -> Iterator[Finding]:
    job = change.object
    spec, status = job.get("spec") or {}, job.get("status") or {}
    if spec.get("completionMode") != "Indexed" or spec.get("successPolicy"):
        return
    missing = set(range(spec["completions"])) - _indexes(status.get("completedIndexes") or "")
    if missing:
        message = f"job {_name(job)} is complete without the indexes {sorted(missing)}"
        yield Finding("job-index-once", message, change.time_ns)


def check_jobs_finished(history: ClusterHistory) -> list[Finding]:
    """At the end every Job has ended that is not suspended and that no CronJob makes again.

    For runs that leave Jobs the time to end: a Job may take as long as it likes.
    """
    found = []
    for job in history.final.get(JOBS, []):
        waits = (job.get("spec") or {}).get("suspend") or job["metadata"].get("ownerReferences")
        if not waits and not _has_ended(job):
            done = (job.get("status") or {}).get("succeeded") or 0
            message = f"job {_name(job)} has not ended, {done} of its pods have succeeded"
            found.append(Finding("job-finished", message, history.end_ns))
    return found


def is_of_job(pod: Object) -> bool:
    """Whether a Job controls the pod."""
    return any(each["kind"] == "Job" for each in pod["metadata"].get("ownerReferences") or ())


def check_cron_job_forbid(history: ClusterHistory) -> list[Finding]:
    """A CronJob with the policy Forbid makes no Job while another one has not ended."""
    found = []
    for world, change, before in _replayed(history):
        if change.resource != JOBS or change.type != "ADDED" or before is not None:
            continue
        cron_job = world.owner(CRON_JOBS, change.object)
        if cron_job is None or cron_job["spec"].get("concurrencyPolicy") != "Forbid":
            continue
        running = [
            job
            for job in world.owned(JOBS, cron_job)
            if _uid(job) != _uid(change.object) and not _has_ended(job)
        ]
        if running:
            message = (
                f"cron job {_name(cron_job)} makes {change.object['metadata']['name']} while "
                f"{running[0]['metadata']['name']} has not ended"
            )
            found.append(Finding("cron-job-forbid", message, change.time_ns))
    return found


def check_budgets_kept(history: ClusterHistory) -> list[Finding]:
    """Evictions of ready pods are charged to their budget, which allows as many charges."""
    found: list[Finding] = []
    for world, change, before in _replayed(history):
        if change.resource == BUDGETS and change.type != "DELETED":
            found += _charges(change, before)
        elif change.resource == "pods" and before is not None and change.type == "MODIFIED":
            found += _uncharged(world, change, before)
    return found


def _charges(change: ObjectChange, before: Object | None) -> Iterator[Finding]:
    status, was = change.object.get("status") or {}, (before or {}).get("status") or {}
    allowed = status.get("disruptionsAllowed") or 0
    room = (status.get("currentHealthy") or 0) - (status.get("desiredHealthy") or 0)
    new = set(status.get("disruptedPods") or ()) - set(was.get("disruptedPods") or ())
    name = _name(change.object)
    if allowed < 0 or allowed > max(0, room):
        message = f"budget {name} allows {allowed} disruptions and has room for {room}"
        yield Finding("budget-kept", message, change.time_ns)
    if len(new) > (was.get("disruptionsAllowed") or 0):
        message = f"budget {name} is charged for {sorted(new)} beyond what it allowed"
        yield Finding("budget-kept", message, change.time_ns)


def _uncharged(world: _World, change: ObjectChange, before: Object) -> Iterator[Finding]:
    pod = change.object
    leaves = (
        "deletionTimestamp" in pod["metadata"] and "deletionTimestamp" not in before["metadata"]
    )
    if not leaves or not _was_evicted(pod) or not _is_ready(before):
        return
    for budget in world.of(BUDGETS).values():
        labels = (budget["spec"].get("selector") or {}).get("matchLabels")
        if not labels or budget["metadata"].get("namespace") != pod["metadata"].get("namespace"):
            continue
        if not labels.items() <= (pod["metadata"].get("labels") or {}).items():
            continue
        if pod["metadata"]["name"] not in ((budget.get("status") or {}).get("disruptedPods") or ()):
            message = f"pod {_name(pod)} is evicted without a charge to budget {_name(budget)}"
            yield Finding("budget-kept", message, change.time_ns)


def _was_evicted(pod: Object) -> bool:
    return any(
        each["type"] == "DisruptionTarget" and each.get("reason") == "EvictionByEvictionAPI"
        for each in (pod.get("status") or {}).get("conditions") or ()
    )


def _is_ready(pod: Object) -> bool:
    return _has(pod, "Ready")


def _is_active(pod: Object) -> bool:
    ended = (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}
    return not ended and "deletionTimestamp" not in pod["metadata"]


def _has_ended(job: Object) -> bool:
    return _has(job, "Complete") or _has(job, "Failed")


def _has(obj: Object, condition: str) -> bool:
    return any(
        each["type"] == condition and each["status"] == "True"
        for each in (obj.get("status") or {}).get("conditions") or ()
    )


def _index(pod: Object) -> int | None:
    text = (pod["metadata"].get("annotations") or {}).get(INDEX)
    return None if text is None else int(text)


def _indexes(text: str) -> set[int]:
    found: set[int] = set()
    for part in text.split(",") if text else ():
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def _uid(obj: Object) -> str:
    uid: str = obj["metadata"]["uid"]
    return uid


def _name(obj: Object) -> str:
    metadata = obj["metadata"]
    return f"{metadata.get('namespace')}/{metadata['name']}"
