"""The pods that a Job makes, and those that it removes first."""

from __future__ import annotations

from typing import Any, Final

from k8sactors.controllers.job import per_index
from k8sactors.controllers.job.rules import (
    FINALIZER,
    INDEX,
    has_limit_per_index,
    is_indexed,
    valid_index,
)
from k8sactors.controllers.machinery.pod_control import pod_from_template
from k8sactors.controllers.machinery.pods import deletion_order

Object = dict[str, Any]

INDEX_VARIABLE: Final = "JOB_COMPLETION_INDEX"
_GENERATED_NAME_MAX: Final = 58


def plain_pod(job: Object) -> Object:
    """A pod of the Job, which bears the finalizer until it is counted."""
    body = pod_from_template(job["spec"]["template"], job)
    metadata = body["metadata"]
    finalizers = metadata.get("finalizers") or []
    if FINALIZER not in finalizers:
        metadata = {**metadata, "finalizers": [*finalizers, FINALIZER]}
    return {**body, "metadata": metadata}


def indexed_pod(job: Object, index: int, replaced: Object | None) -> Object:
    """The pod of one index: name, label, annotation, host name and environment say which.

    `replaced` is the failed pod before it, if the Job counts failures per index.
    """
    body = plain_pod(job)
    metadata, name = body["metadata"], job["metadata"]["name"]
    annotations = {**(metadata.get("annotations") or {}), INDEX: str(index)}
    if has_limit_per_index(job):
        annotations |= per_index.counts_for(job, replaced)
    end = f"-{index}-"
    prefix = f"{name}{end}"
    if len(prefix) > _GENERATED_NAME_MAX:
        prefix = name[: _GENERATED_NAME_MAX - len(end)] + end
    metadata = {
        **metadata,
        "generateName": prefix,
        "labels": {**(metadata.get("labels") or {}), INDEX: str(index)},
        "annotations": annotations,
    }
    spec = {**body["spec"], "hostname": f"{name}-{index}"}
    for field in ("initContainers", "containers"):
        if spec.get(field):
            spec[field] = [_with_index_variable(container) for container in spec[field]]
    return {**body, "metadata": metadata, "spec": spec}


def _with_index_variable(container: Object) -> Object:
    env = container.get("env") or []
    if any(variable["name"] == INDEX_VARIABLE for variable in env):
        return container
    source = {"fieldRef": {"fieldPath": f"metadata.labels['{INDEX}']"}}
    return {**container, "env": [*env, {"name": INDEX_VARIABLE, "valueFrom": source}]}


def surplus(job: Object, active: list[Object], at_least: int, wall_ns: int) -> list[Object]:
    """The active pods to remove: wrong and repeated indexes, then those that have got least far."""
    wrong: list[Object] = []
    left = sorted(active, key=lambda pod: deletion_order(pod, {}, wall_ns))
    if is_indexed(job):
        kept: dict[int, Object] = {}
        for pod in reversed(left):
            index = valid_index(pod, job)
            if index is None or index in kept:
                wrong.append(pod)
            else:
                kept[index] = pod
        left = [pod for pod in left if pod not in wrong]
    return wrong + left[: max(0, at_least - len(wrong))]
