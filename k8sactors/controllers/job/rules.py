"""What the parts of this controller ask of a Job and of a pod."""

from __future__ import annotations

from typing import Any, Final

from k8sactors.api.meta import condition_is
from k8sactors.controllers.machinery.pods import is_finished, phase_of

Object = dict[str, Any]

FINALIZER: Final = "batch.kubernetes.io/job-tracking"
INDEX: Final = "batch.kubernetes.io/job-completion-index"
OWN_NAME: Final = "kubernetes.io/job-controller"


def is_indexed(job: Object) -> bool:
    """Whether each completion has an index."""
    return bool(job["spec"].get("completionMode") == "Indexed")


def has_limit_per_index(job: Object) -> bool:
    """Whether each index fails by itself."""
    return job["spec"].get("backoffLimitPerIndex") is not None


def is_suspended(job: Object) -> bool:
    """Whether it is to have no pods for now."""
    return bool(job["spec"].get("suspend"))


def is_over(job: Object) -> bool:
    """Whether it is Complete or Failed."""
    return condition_is(job, "Complete") or condition_is(job, "Failed")


def is_managed_elsewhere(job: Object) -> bool:
    """Whether another controller looks after it (KEP-4368)."""
    return job["spec"].get("managedBy") not in {None, OWN_NAME}


def replaces_only_failed(job: Object) -> bool:
    """Whether a pod is replaced when it has ended, not when it begins to end (KEP-3939)."""
    spec = job["spec"]
    return spec.get("podReplacementPolicy") == "Failed" or spec.get("podFailurePolicy") is not None


def is_failed(pod: Object, job: Object) -> bool:
    """Whether the pod counts as failed; one that is deleted does, as it may never report."""
    phase = phase_of(pod)
    if phase == "Failed":
        return True
    if replaces_only_failed(job):
        return False
    return "deletionTimestamp" in pod["metadata"] and phase != "Succeeded"


def is_terminating(pod: Object) -> bool:
    """Whether the pod is being deleted and has not ended."""
    return "deletionTimestamp" in pod["metadata"] and not is_finished(pod)


def is_tracked(pod: Object) -> bool:
    """Whether the pod has not been counted yet."""
    return FINALIZER in (pod["metadata"].get("finalizers") or ())


def index_of(pod: Object) -> int | None:
    """The completion index of a pod."""
    text = (pod["metadata"].get("annotations") or {}).get(INDEX, "")
    return int(text) if text.isdigit() else None


def valid_index(pod: Object, job: Object) -> int | None:
    """The completion index of a pod, if the Job has that one."""
    index = index_of(pod)
    return index if index is not None and index < (job["spec"].get("completions") or 0) else None
