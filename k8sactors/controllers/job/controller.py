"""When to look at a Job: its own changes, those of its pods, back-off and deadlines."""

from __future__ import annotations

from typing import Final

import attrs

from k8sactors.api.meta import controller_of
from k8sactors.client import WorkQueue, object_key
from k8sactors.controllers.job.backoff import BackoffRecord
from k8sactors.controllers.job.rules import (
    FINALIZER,
    is_managed_elsewhere,
    is_over,
    is_tracked,
)
from k8sactors.controllers.job.sync import JobSync
from k8sactors.controllers.job.tracking import Tracking
from k8sactors.controllers.machinery.controller import Controller, ManagerContext, Object
from k8sactors.controllers.machinery.controller_ref_manager import controlled_by
from k8sactors.controllers.machinery.options import ControllerOptions
from k8sactors.controllers.machinery.owned_pods import OwnedPods, OwnerKind
from k8sactors.simulation import SECOND

JOBS: Final = "jobs.batch"
# Changes of pods that come together are looked at together.
BATCH_PERIOD_NS: Final = SECOND


@attrs.frozen
class JobOptions(ControllerOptions):
    """How many Jobs are reconciled at the same time."""

    concurrent_job_syncs: int = 5


class JobController(Controller):
    """Runs the pods of Jobs until enough of them have succeeded."""

    name = "job-controller"
    aliases = ("job",)
    component = "job-controller"
    options_type = JobOptions
    options: JobOptions

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self.workers = self.options.concurrent_job_syncs
        self._jobs = self.informer(JOBS)
        self._jobs.add_handler(
            on_add=self._job_added, on_update=self._job_updated, on_delete=self._job_deleted
        )
        owner_kind = OwnerKind(
            JOBS,
            "Job",
            lambda job: job["spec"].get("selector") or {},
            claims_all=True,
            finalizers=(FINALIZER,),
            batch_period_ns=BATCH_PERIOD_NS,
        )
        self.pods = OwnedPods(self, owner_kind, self._jobs, lambda _job, _old, _pod: None)
        self.tracking = Tracking(self.client)
        self.backoffs: dict[str, BackoffRecord] = {}
        self._informed_pods = self.informer("pods")
        self._informed_pods.add_handler(
            on_add=self._pod_seen,
            on_update=self._pod_updated,
            on_delete=self._pod_gone,
        )
        # Pods that bear the finalizer and have no Job that will count them.
        self._orphans = WorkQueue(manager.ctx)

    # --- events

    def _job_added(self, job: Object) -> None:
        self.enqueue(job)
        if is_over(job):
            self._release_pods_of(job)

    def _job_updated(self, old: Object, job: Object) -> None:
        changed = old["metadata"].get("generation") != job["metadata"].get("generation")
        self.queue.add_after(object_key(job), 0 if changed else BATCH_PERIOD_NS)
        if is_over(job):
            self._release_pods_of(job)

    def _job_deleted(self, job: Object) -> None:
        self.enqueue(job)
        self._release_pods_of(job)

    def _release_pods_of(self, job: Object) -> None:
        for pod in controlled_by(self._informed_pods, job):
            if is_tracked(pod):
                self._orphans.add(object_key(pod))

    def _pod_seen(self, pod: Object) -> None:
        tracked = is_tracked(pod)
        if not tracked and not self._jobs.lister.any():
            return
        job = self._job_of(pod)
        if job is not None:
            self.tracking.observed(object_key(job), pod)
        if tracked and (job is None or is_over(job)):
            self._orphans.add(object_key(pod))

    def _pod_updated(self, old: Object, pod: Object) -> None:
        if not self._jobs.lister.any() and "finalizers" not in pod["metadata"]:
            return
        before = self._job_of(old)
        if before is not None and controller_of(old) != controller_of(pod):
            self.tracking.gone(object_key(before), old)
        self._pod_seen(pod)

    def _pod_gone(self, pod: Object) -> None:
        job = self._job_of(pod)
        if job is not None:
            self.tracking.gone(object_key(job), pod)

    def _job_of(self, pod: Object) -> Object | None:
        """The Job that controls the pod, if it exists."""
        reference = controller_of(pod)
        if reference is None or reference["kind"] != "Job":
            return None
        job = self._jobs.lister.get(pod["metadata"].get("namespace"), reference["name"])
        return job if job is not None and job["metadata"]["uid"] == reference["uid"] else None

    # --- reconciliation

    def start(self) -> None:
        """Begin to work on Jobs, and on pods that no Job counts."""
        super().start()
        self.manager.spawn(self._work_on_orphans)

    def stop(self) -> None:
        """Take no more keys."""
        super().stop()
        self._orphans.shut_down()

    async def reconcile(self, key: str) -> None:
        """Do the next step for one Job."""
        job = self._jobs.lister.get_by_key(key)
        if job is None:
            self.pods.forget(key)
            self.tracking.forget(key)
        if job is None or is_over(job):
            self.backoffs.pop(key, None)
            return
        if is_managed_elsewhere(job):
            return
        # Asked before the claim, which waits: what arrives meanwhile is not in the counted pods.
        may_act = self.pods.are_as_expected(key)
        pods = await self.pods.claim(job)
        await JobSync(self, key, job, pods, may_act=may_act).run()

    async def _work_on_orphans(self) -> None:
        while (key := await self._orphans.get()) is not None:
            error = await self._release_orphan(key)
            if error:
                self._orphans.add_rate_limited(key)
            else:
                self._orphans.forget(key)
            self._orphans.done(key)

    async def _release_orphan(self, key: str) -> bool:
        """Remove the finalizer of a pod that no Job counts; whether that must be tried again."""
        pod = self._informed_pods.lister.get_by_key(key)
        if pod is None or not is_tracked(pod):
            return False
        reference = controller_of(pod)
        if reference is not None:
            if (reference["kind"], reference["apiVersion"]) != ("Job", "batch/v1"):
                return False
            job = self._job_of(pod)
            if job is not None and (is_managed_elsewhere(job) or not is_over(job)):
                return False
        _, error = await self.tracking.release([pod])
        return error is not None
