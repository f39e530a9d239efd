"""The conditions of a Job, each in the form that the real controller writes."""

from __future__ import annotations

from typing import Any

import attrs

Object = dict[str, Any]


@attrs.frozen
class Ending:
    """How a Job ends: `target` is set first, `final` once its pods are gone and counted."""

    target: str
    final: str
    reason: str
    message: str


def failing(reason: str, message: str) -> Ending:
    """The Job fails."""
    return Ending("FailureTarget", "Failed", reason, message)


def succeeding(reason: str, message: str) -> Ending:
    """The Job has done enough."""
    return Ending("SuccessCriteriaMet", "Complete", reason, message)


BACKOFF_LIMIT = failing("BackoffLimitExceeded", "Job has reached the specified backoff limit")
DEADLINE = failing("DeadlineExceeded", "Job was active longer than specified deadline")
FAILED_INDEXES = failing("FailedIndexes", "Job has failed indexes")
MAX_FAILED_INDEXES = failing(
    "MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes"
)
COMPLETIONS = succeeding("CompletionsReached", "Reached expected number of succeeded pods")


def ending_of(job: Object) -> Ending | None:
    """How the Job ends according to its conditions, if that has been decided."""
    for condition in (job.get("status") or {}).get("conditions") or ():
        if condition["status"] == "True":
            made = {"SuccessCriteriaMet": succeeding, "FailureTarget": failing}.get(
                condition["type"]
            )
            if made is not None:
                return made(condition.get("reason", ""), condition.get("message", ""))
    return None


def ensure(
    conditions: list[Object], kind: str, status: str, reason: str, message: str, now: str
) -> list[Object] | None:
    """The conditions with this one; None if nothing changes. From nothing to False is nothing."""
    new = {
        "type": kind,
        "status": status,
        "lastProbeTime": now,
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }
    for number, old in enumerate(conditions):
        if old["type"] == kind:
            said = (old["status"], old.get("reason", ""), old.get("message", ""))
            if said == (status, reason, message):
                return None
            return [*conditions[:number], new, *conditions[number + 1 :]]
    return None if status == "False" else [*conditions, new]
