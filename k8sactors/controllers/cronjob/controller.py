"""Makes Jobs at the times of a schedule, keeps track of those that run, and forgets the oldest.

A Job is named after its time (minutes since 1970), so that no time is started twice, whatever the
controller knew.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import attrs

from k8sactors.api import cron
from k8sactors.api.cron import Schedule
from k8sactors.api.errors import CronError, StatusError
from k8sactors.api.meta import condition_is, controller_of, format_time, owner_reference, parse_time
from k8sactors.client import is_already_exists, is_not_found, object_key
from k8sactors.controllers.cronjob.times import MANY_MISSED, due, until_next_ns
from k8sactors.controllers.machinery.api_errors import is_namespace_terminating
from k8sactors.controllers.machinery.controller import Controller, ManagerContext, Object
from k8sactors.controllers.machinery.controller_ref_manager import (
    CONTROLLER_INDEX,
    controlled_by,
    controller_index,
)
from k8sactors.controllers.machinery.options import ControllerOptions
from k8sactors.simulation import SECOND

CRON_JOBS: Final = "cronjobs.batch"
JOBS: Final = "jobs.batch"
SCHEDULED: Final = "batch.kubernetes.io/cronjob-scheduled-timestamp"
_MINUTE_S: Final = 60
_TOO_MANY = (
    "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
)
_FORBIDDEN = "Not starting job because prior execution is running and concurrency policy is Forbid"


@attrs.frozen
class CronJobOptions(ControllerOptions):
    """How many CronJobs are reconciled at the same time."""

    concurrent_cron_job_syncs: int = 5


class CronJobController(Controller):
    """Starts the Jobs of CronJobs."""

    name = "cronjob-controller"
    aliases = ("cronjob",)
    component = "cronjob-controller"
    options_type = CronJobOptions
    options: CronJobOptions

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self.workers = self.options.concurrent_cron_job_syncs
        self._cron_jobs = self.informer(CRON_JOBS)
        self._cron_jobs.add_handler(
            on_add=self.enqueue, on_update=self._updated, on_delete=self.enqueue
        )
        self._jobs = self.informer(JOBS)
        self._jobs.add_index(CONTROLLER_INDEX, controller_index)
        self._jobs.add_handler(
            on_add=self._job_changed,
            on_update=lambda _old, new: self._job_changed(new),
            on_delete=self._job_changed,
        )

    # --- events

    def _updated(self, old: Object, new: Object) -> None:
        before, after = old["spec"], new["spec"]
        same = all(before.get(field) == after.get(field) for field in ("schedule", "timeZone"))
        planned = None if same else _plan(new)
        if planned is None:
            self.enqueue(new)
            return
        # A new schedule begins with its next time: it has missed none.
        wait_ns = until_next_ns(new, *planned, self.ctx.wall_ns())
        if wait_ns is not None:
            self.queue.add_after(object_key(new), wait_ns)

    def _job_changed(self, job: Object) -> None:
        reference = controller_of(job)
        if reference is not None and reference["kind"] == "CronJob":
            self.queue.add(f"{job['metadata'].get('namespace')}/{reference['name']}")

    # --- reconciliation

    async def reconcile(self, key: str) -> None:
        """Take note of Jobs that have ended, start one if it is time, remove the oldest."""
        cron_job = self._cron_jobs.lister.get_by_key(key)
        if cron_job is None:
            return
        jobs = controlled_by(self._jobs, cron_job)
        run = _CronJobRun(self, cron_job, jobs)
        failure: StatusError | None = None
        try:
            await run.sync()
        except StatusError as error:
            failure = error
        if failure is None:
            await run.remove_oldest()
        if run.status != (cron_job.get("status") or {}):
            await self.client.update_status(CRON_JOBS, {**cron_job, "status": run.status})
        if failure is not None:
            raise failure
        if run.wait_ns is not None:
            self.queue.add_after(key, run.wait_ns)


class _CronJobRun:
    """One look at one CronJob."""

    def __init__(self, controller: CronJobController, cron_job: Object, jobs: list[Object]) -> None:
        self._client = controller.client
        self._recorder = controller.recorder
        self._wall_ns = controller.ctx.wall_ns()
        self._cron_job = cron_job
        self._jobs = jobs
        self.status: Object = dict(cron_job.get("status") or {})
        # When to look again.
        self.wait_ns: int | None = None

    def _event(self, kind: str, reason: str, message: str) -> None:
        self._recorder.event(self._cron_job, kind, reason, message)

    def _active(self) -> list[Object]:
        return list(self.status.get("active") or ())

    def _set_active(self, active: list[Object]) -> None:
        if active:
            self.status["active"] = active
        else:
            self.status.pop("active", None)

    def _is_active(self, uid: str) -> bool:
        return any(each["uid"] == uid for each in self._active())

    def _drop_active(self, uid: str) -> None:
        self._set_active([each for each in self._active() if each["uid"] != uid])

    async def sync(self) -> None:
        """All but the removal of old Jobs.

        Raises:
            StatusError: the API server refused something.
        """
        await self._note_jobs()
        await self._note_missing()
        cron_job, spec = self._cron_job, self._cron_job["spec"]
        if "deletionTimestamp" in cron_job["metadata"]:
            return
        planned = self._planned()
        if planned is None or spec.get("suspend"):
            return
        await self._start_if_due(*planned)
        self.wait_ns = until_next_ns({**cron_job, "status": self.status}, *planned, self._wall_ns)

    def _planned(self) -> tuple[Schedule, ZoneInfo] | None:
        """Schedule and time zone; what is wrong with them is said in an event."""
        spec = self._cron_job["spec"]
        zone = spec.get("timeZone")
        try:
            cron.zone_of(zone)
        except CronError as error:
            self._event("Warning", "UnknownTimeZone", f'invalid timeZone: "{zone}": {error}')
            return None
        try:
            return cron.parse(spec["schedule"]), cron.zone_of(zone)
        except CronError as error:
            message = f'unparseable schedule: "{spec["schedule"]}" : {error}'
            self._event("Warning", "UnparseableSchedule", message)
            return None

    # --- Jobs that exist

    async def _note_jobs(self) -> None:
        for job in self._jobs:
            uid, name = job["metadata"]["uid"], job["metadata"]["name"]
            ended = _ending(job)
            if not self._is_active(uid) and not ended:
                fresh = await self._fresh()
                if any(
                    each["uid"] == uid for each in (fresh.get("status") or {}).get("active") or ()
                ):
                    continue
                message = f"Saw a job that the controller did not create or forgot: {name}"
                self._event("Warning", "UnexpectedJob", message)
            elif ended and self._is_active(uid):
                self._drop_active(uid)
                message = f"Saw completed job: {name}, condition: {ended}"
                self._event("Normal", "SawCompletedJob", message)
            if ended == "Complete":
                self._note_success((job.get("status") or {}).get("completionTime"))

    async def _fresh(self) -> Object:
        metadata = self._cron_job["metadata"]
        return await self._client.get(CRON_JOBS, metadata["name"], metadata.get("namespace"))

    def _note_success(self, time: str | None) -> None:
        last = self.status.get("lastSuccessfulTime")
        if time and (last is None or parse_time(time) > parse_time(last)):
            self.status["lastSuccessfulTime"] = time

    async def _note_missing(self) -> None:
        known = {job["metadata"]["uid"] for job in self._jobs}
        for reference in self._active():
            if reference["uid"] in known:
                continue
            # The informer may be late: only the server knows.
            if await self._job(reference) is None:
                message = f"Active job went missing: {reference['name']}"
                self._event("Normal", "MissingJob", message)
                self._drop_active(reference["uid"])

    async def _job(self, reference: Object) -> Object | None:
        try:
            return await self._client.get(JOBS, reference["name"], reference.get("namespace"))
        except StatusError as error:
            if is_not_found(error):
                return None
            raise

    # --- the next Job

    async def _start_if_due(self, schedule: Schedule, zone: ZoneInfo) -> None:
        cron_job, spec = self._cron_job, self._cron_job["spec"]
        now = self._wall_ns // SECOND
        found = due(cron_job, schedule, zone, now, within_deadline=True)
        scheduled = found.latest
        if scheduled is None:
            return
        if found.missed > MANY_MISSED:
            self._event("Warning", "TooManyMissedTimes", _TOO_MANY)
        deadline = spec.get("startingDeadlineSeconds")
        if deadline is not None and (scheduled + deadline) * SECOND < self._wall_ns:
            when = _rfc1123(scheduled)
            message = f"Missed scheduled time to start a job: {when}"
            self._event("Warning", "MissSchedule", message)
            return
        name = f"{cron_job['metadata']['name']}-{scheduled // _MINUTE_S}"
        last = self.status.get("lastScheduleTime")
        done = last is not None and parse_time(last) == scheduled * SECOND
        if done or any(each["name"] == name for each in self._active()):
            return
        policy = spec.get("concurrencyPolicy")
        if policy == "Forbid" and self._active():
            self._event("Normal", "JobAlreadyActive", _FORBIDDEN)
            return
        if policy == "Replace":
            await self._delete_active()
        await self._create(name, scheduled, zone)

    async def _delete_active(self) -> None:
        for reference in self._active():
            try:
                job = await self._client.get(JOBS, reference["name"], reference.get("namespace"))
            except StatusError as error:
                self._event("Warning", "FailedGet", f"Get job: {error.message}")
                raise
            await self._delete(job)

    async def _delete(self, job: Object) -> None:
        metadata = job["metadata"]
        try:
            await self._client.delete(
                JOBS,
                metadata["name"],
                metadata.get("namespace"),
                propagationPolicy="Background",
                preconditions={"uid": metadata["uid"]},
            )
        except StatusError as error:
            self._event("Warning", "FailedDelete", f"Deleted job: {error.message}")
            raise
        self._drop_active(metadata["uid"])
        self._event("Normal", "SuccessfulDelete", f"Deleted job {metadata['name']}")

    async def _create(self, name: str, scheduled: int, zone: ZoneInfo) -> None:
        cron_job = self._cron_job
        namespace = cron_job["metadata"].get("namespace")
        try:
            job = await self._client.create(
                JOBS, _job_from_template(cron_job, name, scheduled, zone), namespace
            )
        except StatusError as error:
            if not is_already_exists(error):
                if not is_namespace_terminating(error):
                    self._event("Warning", "FailedCreate", f"Error creating job: {error.message}")
                raise
            # Made before, by a controller that could not say so any more; or by another client.
            job = await self._client.get(JOBS, name, namespace)
            reference = controller_of(job)
            own = reference is not None and reference["uid"] == cron_job["metadata"]["uid"]
            if not own or self._is_active(job["metadata"]["uid"]):
                return
        else:
            self._event("Normal", "SuccessfulCreate", f"Created job {name}")
        metadata = job["metadata"]
        reference = {
            "kind": "Job",
            "namespace": namespace,
            "name": name,
            "uid": metadata["uid"],
            "apiVersion": "batch/v1",
            "resourceVersion": metadata["resourceVersion"],
        }
        self._set_active([*self._active(), reference])
        self.status["lastScheduleTime"] = format_time(scheduled * SECOND)

    # --- the oldest Jobs

    async def remove_oldest(self) -> None:
        """Keep as many Jobs of each ending as the history limits allow.

        Raises:
            StatusError: the API server refused a deletion.
        """
        spec = self._cron_job["spec"]
        for ending, field in (
            ("Complete", "successfulJobsHistoryLimit"),
            ("Failed", "failedJobsHistoryLimit"),
        ):
            limit = spec.get(field)
            ended = [job for job in self._jobs if _ending(job) == ending]
            if limit is None or len(ended) <= limit:
                continue
            ended.sort(key=_started)
            for job in ended[: len(ended) - limit]:
                if "deletionTimestamp" not in job["metadata"]:
                    await self._delete(job)


def _plan(cron_job: Object) -> tuple[Schedule, ZoneInfo] | None:
    spec = cron_job["spec"]
    try:
        return cron.parse(spec["schedule"]), cron.zone_of(spec.get("timeZone"))
    except CronError:
        return None  # said in an event, when the CronJob is looked at


def _ending(job: Object) -> str:
    """The condition with which a Job has ended; "": it has not."""
    return next((kind for kind in ("Complete", "Failed") if condition_is(job, kind)), "")


def _started(job: Object) -> tuple[bool, str, str]:
    start = (job.get("status") or {}).get("startTime")
    return start is None, start or "", job["metadata"]["name"]


def _job_from_template(cron_job: Object, name: str, scheduled: int, zone: ZoneInfo) -> Object:
    template = cron_job["spec"]["jobTemplate"]
    metadata = template.get("metadata") or {}
    when = datetime.fromtimestamp(scheduled, zone)
    text = when.isoformat().replace("+00:00", "Z")
    made: Object = {
        "name": name,
        "namespace": cron_job["metadata"].get("namespace"),
        "annotations": {**(metadata.get("annotations") or {}), SCHEDULED: text},
        "ownerReferences": [owner_reference(cron_job)],
    }
    if metadata.get("labels"):
        made["labels"] = metadata["labels"]
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": made, "spec": template["spec"]}


def _rfc1123(second: int) -> str:
    return datetime.fromtimestamp(second, ZoneInfo("UTC")).strftime("%a, %d %b %Y %H:%M:%S +0000")
