"""Rules for the status of Jobs, which hold for every controller that manages Jobs.

Source: the server's field errors for `jobs/status`, KEP-4368 (managed by another controller).
"""

from __future__ import annotations

from k8sactors.api.meta import condition_is, parse_time
from k8sactors.api.validation.fields import (
    Causes,
    Object,
    check_not_negative,
    duplicate,
    invalid,
    invalid_without_value,
    required,
)
from k8sactors.api.validation.job_indexes import check_indexes, parse_indexes
from k8sactors.api.validation.jobs import INDEXED

_NEVER_TAKEN_BACK = ("Failed", "Complete", "FailureTarget", "SuccessCriteriaMet")
_EXCLUDE_EACH_OTHER = (
    ("Complete", "Failed", "cannot set Complete=True and Failed=true conditions"),
    ("Complete", "FailureTarget", "cannot set Complete=True and FailureTarget=true conditions"),
    (
        "SuccessCriteriaMet",
        "Failed",
        "cannot set SuccessCriteriaMet=True and Failed=true conditions",
    ),
    (
        "SuccessCriteriaMet",
        "FailureTarget",
        "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions",
    ),
)
_NEEDS = (
    ("Failed", "FailureTarget", "Failed=True condition without the FailureTarget=true condition"),
    (
        "Complete",
        "SuccessCriteriaMet",
        "Complete=True condition without the SuccessCriteriaMet=true condition",
    ),
)


def check_job_status(old: Object, new: Object, causes: Causes) -> None:
    """A new status: the Job ends once, and its counters only grow."""
    before, after = old.get("status") or {}, new.get("status") or {}
    counts = ("active", "succeeded", "failed", "ready", "terminating")
    check_not_negative(after, counts, "status", causes)
    if before == after:
        return
    _check_uncounted(after.get("uncountedTerminatedPods") or {}, causes)
    _check_conditions(old, new, causes)
    _check_finished(new, after, causes)
    _check_status_indexes(new, after, causes)
    _check_times(old, new, causes)
    for counter in ("failed", "succeeded"):
        indexed = (new.get("spec") or {}).get("completionMode") == INDEXED
        shrinks = (after.get(counter) or 0) < (before.get(counter) or 0)
        # Fewer completions of an Indexed Job may leave fewer successes.
        if shrinks and not (indexed and counter == "succeeded"):
            detail = f"cannot decrease the {counter} counter"
            causes.append(invalid(f"status.{counter}", after.get(counter) or 0, detail))


def _check_uncounted(uncounted: Object, causes: Causes) -> None:
    seen: list[str] = []
    for list_name in ("succeeded", "failed"):
        for number, uid in enumerate(uncounted.get(list_name) or ()):
            at = f"status.uncountedTerminatedPods.{list_name}[{number}]"
            if not uid:
                causes.append(invalid(at, uid, "must not be empty"))
            elif uid in seen:
                causes.append(duplicate(at, uid))
            seen.append(uid)


def _check_conditions(old: Object, new: Object, causes: Causes) -> None:
    path = "status.conditions"
    for one, other, detail in _EXCLUDE_EACH_OTHER:
        if condition_is(new, one) and condition_is(new, other):
            causes.append(invalid_without_value(path, detail))
    for one, other, detail in _NEEDS:
        if condition_is(new, one) and not condition_is(new, other):
            causes.append(invalid_without_value(path, f"cannot set {detail}"))
    for kind in _NEVER_TAKEN_BACK:
        if condition_is(old, kind) and not condition_is(new, kind):
            terminal = "" if kind == "SuccessCriteriaMet" else "terminal "
            detail = f"cannot disable the {terminal}{kind}=True condition"
            causes.append(invalid_without_value(path, detail))


def _check_finished(new: Object, status: Object, causes: Causes) -> None:
    ready, active = status.get("ready"), status.get("active") or 0
    if ready is not None and ready > active:
        causes.append(invalid("status.ready", ready, "cannot set more ready pods than active"))
    if not (condition_is(new, "Complete") or condition_is(new, "Failed")):
        return
    if active > 0:
        causes.append(invalid("status.active", active, "active>0 is invalid for finished job"))
    if not status.get("startTime"):
        causes.append(required("status.startTime", "startTime is required for finished job"))
    terminating = status.get("terminating") or 0
    if terminating > 0:
        detail = "terminating>0 is invalid for finished job"
        causes.append(invalid("status.terminating", terminating, detail))
    uncounted = status.get("uncountedTerminatedPods") or {}
    if uncounted.get("succeeded") or uncounted.get("failed"):
        detail = "uncountedTerminatedPods needs to be empty for finished job"
        causes.append(invalid("status.uncountedTerminatedPods", uncounted, detail))


def _check_status_indexes(new: Object, status: Object, causes: Causes) -> None:
    spec = new.get("spec") or {}
    completed, failed = status.get("completedIndexes") or "", status.get("failedIndexes")
    if completed and spec.get("completionMode") != INDEXED:
        detail = "cannot set non-empty completedIndexes when non-indexed completion mode"
        causes.append(invalid("status.completedIndexes", completed, detail))
        return
    if failed is not None and spec.get("backoffLimitPerIndex") is None:
        detail = "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
        causes.append(invalid("status.failedIndexes", failed, detail))
        return
    completions = spec.get("completions")
    if completions is None:
        return
    count = len(causes)
    check_indexes(completed, completions, "status.completedIndexes", causes)
    check_indexes(failed or "", completions, "status.failedIndexes", causes)
    if len(causes) > count or not failed:
        return
    both = _overlap(parse_indexes(completed, completions), parse_indexes(failed, completions))
    if both is not None:
        detail = f"failedIndexes and completedIndexes overlap at index: {both}"
        causes.append(invalid("status.failedIndexes", failed, detail))


def _overlap(some: list[tuple[int, int]], others: list[tuple[int, int]]) -> int | None:
    """The first index that two ordered lists of intervals share."""
    left, right = 0, 0
    while left < len(some) and right < len(others):
        first = max(some[left][0], others[right][0])
        if first <= min(some[left][1], others[right][1]):
            return first
        if some[left][1] < others[right][1]:
            left += 1
        else:
            right += 1
    return None


def _check_times(old: Object, new: Object, causes: Causes) -> None:
    before, after = old.get("status") or {}, new.get("status") or {}
    completion, start = after.get("completionTime"), after.get("startTime")
    path = "status.completionTime"
    if completion is not None and not condition_is(new, "Complete"):
        detail = "cannot set completionTime when there is no Complete=True condition"
        causes.append(invalid(path, completion, detail))
    if completion is None and condition_is(new, "Complete"):
        causes.append(required(path, "completionTime is required for Complete jobs"))
    if completion is not None and start is not None and parse_time(completion) < parse_time(start):
        detail = "completionTime cannot be set before startTime"
        causes.append(invalid(path, completion, detail))
    was = before.get("completionTime")
    if completion is not None and was is not None and completion != was:
        causes.append(invalid(path, completion, "completionTime cannot be mutated"))
    resumed = bool((new.get("spec") or {}).get("suspend")) or condition_is(old, "Suspended")
    if before.get("startTime") is not None and start != before["startTime"] and not resumed:
        detail = "startTime cannot be removed for unsuspended job"
        causes.append(required("status.startTime", detail))
