"""TTL-after-finished controller: removes Jobs a while after they have ended.

`spec.ttlSecondsAfterFinished` counts from the moment at which the Job became Complete or Failed.
The Job is deleted in the foreground, so that its pods go with it, and after the server has been
asked again: the TTL may just have been made longer.
"""

from __future__ import annotations

from typing import Final

import attrs

from k8sactors.api.errors import StatusError
from k8sactors.api.meta import get_condition, parse_time
from k8sactors.client import is_conflict, is_not_found, object_key
from k8sactors.controllers.machinery.controller import Controller, ManagerContext, Object
from k8sactors.controllers.machinery.options import ControllerOptions
from k8sactors.simulation import SECOND

JOBS: Final = "jobs.batch"


@attrs.frozen
class TTLAfterFinishedOptions(ControllerOptions):
    """How many Jobs are looked at at the same time."""

    concurrent_ttl_syncs: int = 5


class TTLAfterFinishedController(Controller):
    """Deletes finished Jobs whose time is over."""

    name = "ttl-after-finished-controller"
    aliases = ("ttl-after-finished",)
    options_type = TTLAfterFinishedOptions
    options: TTLAfterFinishedOptions

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self.workers = self.options.concurrent_ttl_syncs
        self._jobs = self.informer(JOBS)
        self._jobs.add_handler(on_add=self._seen, on_update=lambda _old, new: self._seen(new))

    def _seen(self, job: Object) -> None:
        if "deletionTimestamp" not in job["metadata"] and expiry_ns(job) is not None:
            self.enqueue(job)

    async def reconcile(self, key: str) -> None:
        """Delete one Job if its time is over; come back if it is not yet."""
        job = self._jobs.lister.get_by_key(key)
        if job is None or self._is_waiting(job):
            return
        metadata = job["metadata"]
        name, namespace = metadata["name"], metadata.get("namespace")
        try:
            fresh = await self.client.get(JOBS, name, namespace)
            if fresh["metadata"]["uid"] != metadata["uid"] or self._is_waiting(fresh):
                return
            await self.client.delete(
                JOBS,
                name,
                namespace,
                propagationPolicy="Foreground",
                preconditions={"uid": metadata["uid"]},
            )
        except StatusError as error:
            if not is_not_found(error) and not is_conflict(error):
                raise

    def _is_waiting(self, job: Object) -> bool:
        """Whether the Job stays for now; then it is looked at again when its time is over."""
        due_ns = expiry_ns(job)
        if due_ns is None or "deletionTimestamp" in job["metadata"]:
            return True
        left_ns = due_ns - self.ctx.wall_ns()
        if left_ns <= 0:
            return False
        self.queue.add_after(object_key(job), left_ns)
        return True


def expiry_ns(job: Object) -> int | None:
    """When a Job may go (Unix-epoch nanoseconds); None: it has not ended, or stays."""
    ttl_seconds = job["spec"].get("ttlSecondsAfterFinished")
    if ttl_seconds is None:
        return None
    for kind in ("Complete", "Failed"):
        ended = get_condition(job, kind)
        if ended is not None and ended["status"] == "True":
            return parse_time(ended["lastTransitionTime"]) + int(ttl_seconds) * SECOND
    return None
