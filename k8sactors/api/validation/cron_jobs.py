"""Rules for CronJobs: the schedule, its time zone, and the Job inside."""

from __future__ import annotations

import re

from k8sactors.api import cron
from k8sactors.api.errors import CronError
from k8sactors.api.validation.fields import (
    Causes,
    Object,
    check_not_negative,
    check_one_of,
    invalid,
    not_supported,
    required,
)
from k8sactors.api.validation.jobs import check_job_spec

# The controller appends "-" and ten digits to make the name of a Job.
_NAME_MAX = 52
_ZONE_PART = re.compile(r"[A-Za-z.\-_0-9+]{1,14}")
_IN_SCHEDULE = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
_NOT_EXPLICIT = (
    "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
)


def check_cron_job(obj: Object, causes: Causes) -> None:
    """A CronJob."""
    spec, metadata = obj.get("spec") or {}, obj.get("metadata") or {}
    schedule = spec.get("schedule")
    if not schedule:
        causes.append(required("spec.schedule"))
    else:
        _check_schedule(schedule, causes)
    check_not_negative(spec, ("startingDeadlineSeconds",), "spec", causes)
    _check_zone(spec.get("timeZone"), causes)
    check_one_of(spec, "concurrencyPolicy", ("Allow", "Forbid", "Replace"), "spec", causes)
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    path = "spec.jobTemplate.spec"
    check_job_spec(job, path, causes)
    if job.get("selector") is not None:
        detail = "`selector` will be auto-generated"
        causes.append(invalid(f"{path}.selector", job["selector"], detail))
    if job.get("manualSelector"):
        causes.append(not_supported(f"{path}.manualSelector", value=True, allowed=("nil", "false")))
    limits = ("successfulJobsHistoryLimit", "failedJobsHistoryLimit")
    check_not_negative(spec, limits, "spec", causes)
    name = metadata.get("name") or ""
    if len(name) > _NAME_MAX:
        causes.append(
            invalid("metadata.name", name, f"must be no more than {_NAME_MAX} characters")
        )


def _check_schedule(schedule: str, causes: Causes) -> None:
    try:
        cron.parse(schedule)
    except CronError as error:
        causes.append(invalid("spec.schedule", schedule, str(error)))
    if "TZ" in schedule:
        causes.append(invalid("spec.schedule", schedule, _IN_SCHEDULE))


def _check_zone(zone: str | None, causes: Causes) -> None:
    path = "spec.timeZone"
    if zone is None:
        return
    if not zone:
        causes.append(invalid(path, zone, "timeZone must be nil or non-empty string"))
        return
    for part in zone.split("/"):
        if part in {".", ".."} or part.startswith("-") or not _ZONE_PART.fullmatch(part):
            causes.append(invalid(path, zone, f"unknown time zone {zone}"))
            return
    if zone.lower() == "local":
        causes.append(invalid(path, zone, _NOT_EXPLICIT))
        return
    try:
        cron.zone_of(zone)
    except CronError as error:
        causes.append(invalid(path, zone, str(error)))
