"""One pass over a Job: judge its pods, decide whether it ends, make or remove pods, count.

The order is that of the real controller: the decision to end comes before any change of pods, the
status that remembers what was seen is written before any finalizer goes, and counts follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from k8sactors.actors import Context
from k8sactors.api.errors import StatusError
from k8sactors.api.meta import condition_is, format_time, parse_time
from k8sactors.client import Client, EventRecorder, WorkQueue
from k8sactors.controllers.job import (
    conditions,
    failure_policy,
    per_index,
    success_policy,
)
from k8sactors.controllers.job.backoff import BackoffRecord
from k8sactors.controllers.job.conditions import Ending
from k8sactors.controllers.job.indexes import Indexes
from k8sactors.controllers.job.pods import indexed_pod, plain_pod, surplus
from k8sactors.controllers.job.rules import (
    has_limit_per_index,
    index_of,
    is_failed,
    is_indexed,
    is_suspended,
    is_terminating,
    is_tracked,
    replaces_only_failed,
    valid_index,
)
from k8sactors.controllers.job.tracking import MAX_UNCOUNTED, Tracking, take_counts
from k8sactors.controllers.machinery.owned_pods import OwnedPods
from k8sactors.controllers.machinery.pods import is_active, is_ready, phase_of
from k8sactors.simulation import SECOND

Object = dict[str, Any]

# Pods that one pass makes or removes at most.
MAX_PODS_PER_PASS: Final = 500


class Services(Protocol):
    """What a pass needs of the controller."""

    ctx: Context
    client: Client
    recorder: EventRecorder
    queue: WorkQueue
    pods: OwnedPods
    tracking: Tracking
    backoffs: dict[str, BackoffRecord]


class JobSync:
    """One pass over one Job, with all pods that it owns.

    `may_act` says whether `pods` show everything that was written for it before.
    """

    def __init__(
        self, services: Services, key: str, job: Object, pods: list[Object], *, may_act: bool
    ) -> None:
        self._services = services
        self._key = key
        self._wall_ns = services.ctx.wall_ns()
        self._now = format_time(self._wall_ns)
        self._may_act = may_act
        self._stored = job
        status = dict(job.get("status") or {})
        uncounted = status.get("uncountedTerminatedPods") or {}
        status["uncountedTerminatedPods"] = {
            name: list(uids) for name, uids in uncounted.items() if uids
        }
        self._status: Object = status
        self._job: Object = {**job, "status": status}
        self._pods = pods
        self._active = [pod for pod in pods if is_active(pod)]
        # Pods that no pass has counted, except those whose index the Job does not have.
        self._tracked = [pod for pod in pods if not services.tracking.is_counted(key, pod)]
        self._failed_now = self._new(lambda pod: is_failed(pod, job), "failed")
        self._succeeded_now = self._new(lambda pod: phase_of(pod) == "Succeeded", "succeeded")
        self._active_count = len(self._active)
        self._ready_count = sum(map(is_ready, self._active))
        self._terminating_count = sum(map(is_terminating, pods))
        self._succeeded_indexes = Indexes()
        self._known_indexes = Indexes()
        self._failed_indexes: Indexes | None = None
        self._replaced: dict[int, Object] = {}
        self._succeeded = self._counted("succeeded", self._succeeded_now)
        counting = [pod for pod in self._failed_now if failure_policy.judge(job, pod).counts]
        self._failed = self._counted("failed", counting)
        before = services.backoffs.get(key, BackoffRecord())
        self._backoff = before.after(self._succeeded_now, self._failed_now)

    def _uncounted(self, counter: str) -> list[str]:
        uids: list[str] = self._status["uncountedTerminatedPods"].get(counter) or []
        return uids

    def _new(self, wanted: Any, counter: str) -> list[Object]:
        """The pods that have ended so and are neither counted nor about to be."""
        uncounted = set(self._uncounted(counter))
        return [
            pod
            for pod in self._tracked
            if wanted(pod) and pod["metadata"]["uid"] not in uncounted and self._has_place(pod)
        ]

    def _has_place(self, pod: Object) -> bool:
        return not is_indexed(self._job) or valid_index(pod, self._job) is not None

    def _counted(self, counter: str, new: Sequence[Object]) -> int:
        before: int = self._status.get(counter) or 0
        return before + len(self._uncounted(counter)) + len(new)

    # --- the pass

    async def run(self) -> None:
        """Do the next step.

        Raises:
            StatusError: the API server refused a write.
        """
        job, status = self._job, self._status
        resumes = condition_is(job, "Suspended")
        if not is_suspended(job) and (resumes or status.get("startTime") is None):
            # The deadline is about the time that the Job may have pods.
            status["startTime"] = self._now
        ending = self._ending()
        error: StatusError | None = None
        suspension_changed = False
        if ending is not None:
            deleted, error = await self._services.pods.delete_each(
                job, self._active, expected=False
            )
            if len(deleted) != self._active_count or not self._may_act:
                # Not over yet: pods may be left, or not be in the cache.
                ending = None
            self._count_deleted(deleted)
        else:
            acts = self._may_act and "deletionTimestamp" not in job["metadata"]
            if acts:
                error = await self._manage()
            if self._is_complete():
                ending = conditions.COMPLETIONS
            elif acts:
                suspension_changed = self._note_suspension()
        changed = self._note_counts() or suspension_changed
        await self._track(ending, changed=changed)
        if error is not None:
            raise error

    def _count_deleted(self, deleted: Sequence[Object]) -> None:
        self._active_count -= len(deleted)
        self._terminating_count += len(deleted)
        self._ready_count -= sum(map(is_ready, deleted))

    def _is_complete(self) -> bool:
        completions = self._job["spec"].get("completions")
        enough = self._succeeded > 0 if completions is None else self._succeeded >= completions
        return enough and self._active_count == 0

    def _note_counts(self) -> bool:
        """Put the counts of pods that live into the status; whether they differ."""
        new = {
            "active": self._active_count,
            "ready": self._ready_count,
            "terminating": self._terminating_count,
        }
        old = {name: self._status.get(name) for name in new}
        old["active"] = old["active"] or 0
        self._status.update(new)
        if not self._active_count:
            del self._status["active"]
        return new != old

    def _note_suspension(self) -> bool:
        suspended = is_suspended(self._job)
        status, reason, text = ("False", "JobResumed", "Job resumed")
        if suspended:
            status, reason, text = ("True", "JobSuspended", "Job suspended")
        changed = conditions.ensure(
            self._conditions(), "Suspended", status, reason, text, self._now
        )
        if changed is None:
            return False
        self._status["conditions"] = changed
        event = "Suspended" if suspended else "Resumed"
        self._services.recorder.event(self._job, "Normal", event, text)
        return True

    def _conditions(self) -> list[Object]:
        return list(self._status.get("conditions") or ())

    # --- does it end?

    def _ending(self) -> Ending | None:
        """How the Job ends, if it does. Also works out indexes."""
        job, spec = self._job, self._job["spec"]
        ending = conditions.ending_of(job)
        if ending is None:
            failed = (pod for pod in self._pods if is_failed(pod, job))
            message = failure_policy.failing_message(job, failed)
            if message:
                ending = conditions.failing("PodFailurePolicy", message)
        if ending is None:
            if self._failed > spec["backoffLimit"] or self._restarted_too_often():
                ending = conditions.BACKOFF_LIMIT
            elif self._is_past_deadline():
                ending = conditions.DEADLINE
        if is_indexed(job):
            indexed = self._judge_indexes()
            ending = ending or indexed
        return ending

    def _restarted_too_often(self) -> bool:
        """With restartPolicy OnFailure, containers are restarted and pods do not fail."""
        spec = self._job["spec"]
        if spec["template"]["spec"].get("restartPolicy") != "OnFailure":
            return False
        restarts = 0
        for pod in self._pods:
            if phase_of(pod) in {"Running", "Pending"}:
                status = pod.get("status") or {}
                for field in ("initContainerStatuses", "containerStatuses"):
                    restarts += sum(each.get("restartCount", 0) for each in status.get(field) or ())
        limit: int = spec["backoffLimit"]
        return restarts >= max(limit, 1)

    def _is_past_deadline(self) -> bool:
        """Whether the Job ran out of time; comes back at that time if not."""
        deadline, start = self._job["spec"].get("activeDeadlineSeconds"), None
        if deadline is not None and not is_suspended(self._job):
            start = self._status.get("startTime")
        if deadline is None or start is None:
            return False
        left_ns = parse_time(start) + deadline * SECOND - self._wall_ns
        if left_ns <= 0:
            return True
        self._services.queue.add_after(self._key, left_ns)
        return False

    def _judge_indexes(self) -> Ending | None:
        job, spec = self._job, self._job["spec"]
        completions: int = spec["completions"]
        self._known_indexes = Indexes.parse(self._status.get("completedIndexes") or "", completions)
        succeeded = [
            index
            for pod in self._pods
            if phase_of(pod) == "Succeeded"
            and is_tracked(pod)
            and (index := valid_index(pod, job)) is not None
        ]
        done = self._succeeded_indexes = self._known_indexes.with_indexes(succeeded)
        self._succeeded = len(done)
        if has_limit_per_index(job):
            failed = self._failed_indexes = per_index.failed_indexes(job, self._pods)
            self._replaced = per_index.awaiting_replacement(
                job, self._tracked, self._active, done.with_all(failed)
            )
            limit = spec.get("maxFailedIndexes")
            if limit is not None and len(failed) > limit:
                return conditions.MAX_FAILED_INDEXES
            if failed and len(failed) + len(done) >= completions:
                return conditions.FAILED_INDEXES
        rule = success_policy.matched_rule(job, done)
        return conditions.succeeding("SuccessPolicy", rule) if rule else None

    # --- pods

    async def _manage(self) -> StatusError | None:
        """Make or remove pods; gives the first refusal."""
        job, active = self._job, self._active_count
        if is_suspended(job):
            return await self._remove(surplus(job, self._active, active, self._wall_ns))
        wanted = self._wanted()
        leaving = surplus(job, self._active, max(0, active - wanted), self._wall_ns)
        if leaving:
            # Never both in one pass; deletion goes first.
            return await self._remove(leaving[:MAX_PODS_PER_PASS])
        missing = wanted - active
        if replaces_only_failed(job):
            missing -= self._terminating_count
        return await self._create(min(missing, MAX_PODS_PER_PASS)) if missing > 0 else None

    def _wanted(self) -> int:
        spec = self._job["spec"]
        completions: int | None = spec.get("completions")
        parallelism: int = spec["parallelism"]
        if completions is None:
            # A work queue: after the first success, what runs may end, and nothing is started.
            return self._active_count if self._succeeded > 0 else parallelism
        return max(0, min(parallelism, completions - self._succeeded))

    async def _remove(self, pods: list[Object]) -> StatusError | None:
        """Remove pods that will not be counted."""
        if not pods:
            return None
        released, refused = await self._services.tracking.release(pods)
        pods = [pod for pod in pods if pod["metadata"]["uid"] in released]
        deleted, error = await self._services.pods.delete_each(self._job, pods)
        self._count_deleted(deleted)
        return refused or error

    async def _create(self, count: int) -> StatusError | None:
        job = self._job
        if has_limit_per_index(job):
            return await self._create_indexed(count)
        wait_ns = self._backoff.remaining_ns(self._wall_ns)
        if wait_ns:
            self._services.queue.add_after(self._key, wait_ns)
            return None
        if is_indexed(job):
            return await self._create_indexed(count)
        return await self._create_each([plain_pod(job)] * count)

    async def _create_indexed(self, count: int) -> StatusError | None:
        job = self._job
        busy = [*self._active]
        if replaces_only_failed(job):
            busy += [pod for pod in self._pods if is_terminating(pod)]
        taken = self._succeeded_indexes.with_indexes(
            index for pod in busy if (index := index_of(pod)) is not None
        )
        if self._failed_indexes is not None:
            taken = taken.with_all(self._failed_indexes)
        free = taken.missing(job["spec"]["completions"])
        bodies: list[Object] = []
        waits_ns: list[int] = []
        for _, index in zip(range(count), free, strict=False):
            replaced = self._replaced.get(index)
            wait_ns = per_index.remaining_ns(replaced, self._wall_ns)
            if wait_ns:
                waits_ns.append(wait_ns)
            else:
                bodies.append(indexed_pod(job, index, replaced))
        if waits_ns:
            self._services.queue.add_after(self._key, min(waits_ns))
        return await self._create_each(bodies)

    async def _create_each(self, bodies: list[Object]) -> StatusError | None:
        if not bodies:
            return None
        created, error = await self._services.pods.create_each(self._job, bodies)
        self._active_count += created
        return error

    # --- counting

    async def _track(self, ending: Ending | None, *, changed: bool) -> None:
        """Count the pods that have ended, then let the Job end."""
        status, tracking = self._status, self._services.tracking
        tracked = {pod["metadata"]["uid"]: None for pod in self._tracked}
        changed = take_counts(status, tracked) or changed
        leaving, counted_all = self._count(ending)
        changed = self._note_indexes() or changed or self._has_new_uncounted()
        if ending is not None:
            targeted = conditions.ensure(
                self._conditions(), ending.target, "True", ending.reason, ending.message, self._now
            )
            if targeted is not None:
                status["conditions"] = targeted
                changed = True
        if changed:
            await self._write_status()
            self._services.backoffs[self._key] = self._backoff
        if leaving:
            released, error = await tracking.release(leaving, self._key)
            for uid in released:
                tracked.pop(uid, None)
            counted = take_counts(status, tracked)
            if error is not None:
                if counted:
                    await self._write_status()
                raise error
            changed = counted
        else:
            changed = False
        over = counted_all and ending is not None and self._finish(ending)
        if changed or over:
            await self._write_status()
        if over:
            assert ending is not None
            self._tell(ending)

    def _count(self, ending: Ending | None) -> tuple[list[Object], bool]:
        """Take ended pods into the status; gives the pods that may go, and whether all fitted."""
        job, indexed = self._job, is_indexed(self._job)
        uncounted = self._status["uncountedTerminatedPods"]
        known = {name: set(self._uncounted(name)) for name in ("succeeded", "failed")}
        leaving: list[Object] = []
        new = sum(map(len, known.values()))
        pods = self._tracked
        if indexed:
            pods = sorted(pods, key=lambda pod: -1 if (at := index_of(pod)) is None else at)
        for pod in pods:
            failed = is_failed(pod, job)
            if not self._may_leave(pod, ending, failed=failed):
                continue
            uid = pod["metadata"]["uid"]
            leaving.append(pod)
            if phase_of(pod) == "Succeeded" and uid not in known["failed"]:
                # An index cannot be counted twice; no UID is needed.
                if not indexed and uid not in known["succeeded"]:
                    uncounted.setdefault("succeeded", []).append(uid)
                new += 1
            elif failed or (ending is not None and ending.final == "Failed"):
                counts = uid not in known["failed"] and self._has_place(pod)
                if counts and failure_policy.judge(job, pod).counts:
                    uncounted.setdefault("failed", []).append(uid)
                    new += 1
            if new >= MAX_UNCOUNTED:
                return leaving, False
        return leaving, True

    def _may_leave(self, pod: Object, ending: Ending | None, *, failed: bool) -> bool:
        """Whether the finalizer of a pod may go."""
        deleting = "deletionTimestamp" in self._job["metadata"]
        if deleting or ending is not None or phase_of(pod) == "Succeeded":
            return True
        if not failed:
            return False
        index = index_of(pod)
        waiting = self._replaced.get(index) if index is not None else None
        # Its replacement takes over how often the index has failed.
        return waiting is None or waiting["metadata"]["uid"] != pod["metadata"]["uid"]

    def _has_new_uncounted(self) -> bool:
        stored = (self._stored.get("status") or {}).get("uncountedTerminatedPods")
        return bool(self._status["uncountedTerminatedPods"] != stored)

    def _note_indexes(self) -> bool:
        if not is_indexed(self._job):
            return False
        status = self._status
        before = (status.get("completedIndexes") or "", status.get("failedIndexes"))
        completed = str(self._succeeded_indexes)
        failed = None if self._failed_indexes is None else str(self._failed_indexes)
        if completed:
            status["completedIndexes"] = completed
        else:
            status.pop("completedIndexes", None)
        if failed is not None:
            status["failedIndexes"] = failed
        status["succeeded"] = len(self._succeeded_indexes)
        return before != (completed, failed)

    def _finish(self, ending: Ending) -> bool:
        """Set the final condition, unless pods are still to be counted or to go."""
        status = self._status
        if any(status["uncountedTerminatedPods"].values()) or self._terminating_count:
            return False
        changed = conditions.ensure(
            self._conditions(), ending.final, "True", ending.reason, ending.message, self._now
        )
        if changed is None:
            return False
        status["conditions"] = changed
        if ending.final == "Complete":
            status["completionTime"] = self._now
        return True

    def _tell(self, ending: Ending) -> None:
        recorder, job = self._services.recorder, self._job
        if ending.final == "Failed":
            recorder.event(job, "Warning", ending.reason, ending.message)
            return
        completions = job["spec"].get("completions")
        if completions is not None and (self._status.get("succeeded") or 0) > completions:
            text = "Too many succeeded pods running after completion count reached"
            recorder.event(job, "Warning", "TooManySucceededPods", text)
        recorder.event(job, "Normal", "Completed", "Job completed")

    async def _write_status(self) -> None:
        written = await self._services.client.update_status(
            "jobs.batch", {**self._job, "status": _copied(self._status)}
        )
        self._job = {**written, "status": self._status}


def _copied(status: Object) -> Object:
    """The status as it is now; counters of zero are not written."""
    uncounted = status["uncountedTerminatedPods"]
    kept = {
        name: value
        for name, value in status.items()
        if value or name not in {"active", "succeeded", "failed"}
    }
    return {**kept, "uncountedTerminatedPods": dict(uncounted)}
