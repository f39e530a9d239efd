"""Workloads that end (`batch`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from k8sactors.api.columns import (
    AGE,
    NAME,
    NONE,
    Column,
    boolean,
    condition_is_true,
    containers,
    count,
    field,
    selector,
    since,
    value_at,
)
from k8sactors.api.defaulting import workloads as workloads_defaulting
from k8sactors.api.field_labels import SelectableFields, number
from k8sactors.api.kind import Kind, Served
from k8sactors.api.meta import parse_time
from k8sactors.api.strategies import WorkloadStrategy
from k8sactors.api.strategy import ORPHAN
from k8sactors.api.validation.cron_jobs import check_cron_job
from k8sactors.api.validation.job_status import check_job_status
from k8sactors.api.validation.jobs import CONTROLLER_UID, JOB_NAME, check_job, check_job_update


def _completions(job: Mapping[str, Any], _now_ns: int) -> str:
    done, wanted = value_at(job, "status.succeeded", 0), value_at(job, "spec.completions")
    if wanted is not None:
        return f"{done}/{wanted}"
    parallel = value_at(job, "spec.parallelism", 0)
    return f"{done}/1 of {parallel}" if parallel > 1 else f"{done}/1"


def _duration(job: Mapping[str, Any], now_ns: int) -> str:
    start, end = value_at(job, "status.startTime"), value_at(job, "status.completionTime")
    if start is None:
        return ""
    return since(start, now_ns if end is None else parse_time(end))


def _status(job: Mapping[str, Any], _now_ns: int) -> str:
    for condition, status in (("Complete", "Complete"), ("Failed", "Failed")):
        if condition_is_true(job, condition):
            return status
    if value_at(job, "metadata.deletionTimestamp"):
        return "Terminating"
    for condition, status in (("Suspended", "Suspended"), ("FailureTarget", "FailureTarget")):
        if condition_is_true(job, condition):
            return status
    return "Running"


def _last_schedule(cron_job: Mapping[str, Any], now_ns: int) -> str:
    last = value_at(cron_job, "status.lastScheduleTime")
    return NONE if last is None else since(last, now_ns)


_TEMPLATE = "spec.template.spec"
# Before their names had a prefix; kept for those who select by them.
_LEGACY_CONTROLLER_UID: Final = "controller-uid"
_LEGACY_JOB_NAME: Final = "job-name"


class JobStrategy(WorkloadStrategy):
    """Jobs: their selector is the server's own; deleted without a policy, they orphan their pods.

    Clients that say no policy are few: `kubectl` always says one.
    """

    default_propagation = ORPHAN

    def prepare_for_create(self, obj: dict[str, Any], now: str) -> None:
        """Generate selector and labels, which no other Job has: they carry the UID."""
        super().prepare_for_create(obj, now)
        spec = obj.get("spec")
        if not isinstance(spec, dict) or spec.get("manualSelector"):
            return
        metadata, template = obj["metadata"], spec.get("template") or {}
        name, uid = metadata["name"], metadata["uid"]
        given = (template.get("metadata") or {}).get("labels")
        generated = {
            _LEGACY_CONTROLLER_UID: uid,
            _LEGACY_JOB_NAME: name,
            CONTROLLER_UID: uid,
            JOB_NAME: name,
        }
        labels = {**generated, **(given or {})}
        # Labels that the Job has by default are those of its template, also these.
        if not metadata.get("labels") or metadata["labels"] is given:
            metadata["labels"] = labels
        template_metadata = {**(template.get("metadata") or {}), "labels": labels}
        selector = spec.get("selector") or {}
        match_labels = {CONTROLLER_UID: uid, **(selector.get("matchLabels") or {})}
        obj["spec"] = {
            **spec,
            "selector": {**selector, "matchLabels": match_labels},
            "template": {**template, "metadata": template_metadata},
        }


KINDS = (
    Kind(
        kind="Job",
        plural="jobs",
        columns=(
            NAME,
            Column("Status", _status),
            Column("Completions", _completions),
            Column("Duration", _duration),
            AGE,
            *containers(_TEMPLATE),
            selector("spec.selector"),
        ),
        served=(Served("batch", "v1", default=workloads_defaulting.default_job),),
        subresources=("status",),
        categories=("all",),
        initial_status={},
        check=check_job,
        check_update=check_job_update,
        check_status=check_job_status,
        fields=SelectableFields({"status.successful": number("status.succeeded")}),
        strategy=JobStrategy,
    ),
    Kind(
        kind="CronJob",
        plural="cronjobs",
        columns=(
            NAME,
            field("Schedule", "spec.schedule"),
            field("Timezone", "spec.timeZone", NONE),
            boolean("Suspend", "spec.suspend"),
            count("Active", "status.active", type_="integer"),
            Column("Last Schedule", _last_schedule),
            AGE,
            *containers(f"spec.jobTemplate.{_TEMPLATE}"),
            selector("spec.jobTemplate.spec.selector"),
        ),
        served=(Served("batch", "v1", default=workloads_defaulting.default_cron_job),),
        subresources=("status",),
        short_names=("cj",),
        categories=("all",),
        initial_status={},
        check=check_cron_job,
        strategy=WorkloadStrategy,
    ),
)
