"""Revisions: which ReplicaSet belongs to which template, in which order they came, which may go."""

from __future__ import annotations

from typing import Any

from k8sactors.controllers.deployment.arithmetic import (
    DESIRED_ANNOTATION,
    MAX_ANNOTATION,
    annotation_count,
    created,
    max_surge,
    replicas,
    status_count,
)
from k8sactors.controllers.deployment.template_hash import same_template

Object = dict[str, Any]
REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
NO_LIMIT = 2**31 - 1
# Annotations of the Deployment that say nothing about its ReplicaSets.
NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        REVISION_HISTORY,
        DESIRED_ANNOTATION,
        MAX_ANNOTATION,
        "deprecated.deployment.rollback.to",
    }
)


def annotations_of(obj: Object) -> dict[str, str]:
    """The annotations, never None."""
    return obj["metadata"].get("annotations") or {}


def with_annotations(obj: Object, annotations: dict[str, str]) -> Object:
    """The object with other annotations."""
    return {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}


def find_new(deployment: Object, sets: list[Object]) -> Object | None:
    """The ReplicaSet of the current template; the oldest if there are several."""
    template = deployment["spec"]["template"]
    for each in sorted(sets, key=created):
        if same_template(each["spec"]["template"], template):
            return each
    return None


def revision_of(obj: Object) -> int:
    """The revision number, 0 when there is none."""
    return annotation_count(obj, REVISION) or 0


def next_revision(old_sets: list[Object]) -> int:
    """The number after the highest of the old ones."""
    return max((revision_of(each) for each in old_sets), default=0) + 1


def replica_annotations(deployment: Object) -> dict[str, str]:
    """What a ReplicaSet remembers of its Deployment's size, for proportional scaling."""
    wanted = replicas(deployment)
    return {
        DESIRED_ANNOTATION: str(wanted),
        MAX_ANNOTATION: str(wanted + max_surge(deployment)),
    }


def set_annotations(
    deployment: Object, new_set: Object, revision: int, *, exists: bool
) -> dict[str, str]:
    """The annotations that the current ReplicaSet should have."""
    inherited = annotations_of(deployment).items()
    annotations = {
        **annotations_of(new_set),
        **{name: value for name, value in inherited if name not in NOT_COPIED},
    }
    old_revision = annotations.get(REVISION)
    if revision_of(new_set) < revision:
        annotations[REVISION] = str(revision)
        if old_revision is not None:
            history = annotations.get(REVISION_HISTORY)
            annotations[REVISION_HISTORY] = f"{history},{old_revision}" if history else old_revision
    if not exists:
        annotations.update(replica_annotations(deployment))
    return annotations


def removable(deployment: Object, old_sets: list[Object]) -> list[Object]:
    """Old ReplicaSets beyond revisionHistoryLimit that have no pods, oldest revision first."""
    limit = deployment["spec"].get("revisionHistoryLimit")
    if limit is None or limit == NO_LIMIT:
        return []
    alive = [each for each in old_sets if "deletionTimestamp" not in each["metadata"]]
    surplus = len(alive) - limit
    if surplus <= 0:
        return []
    alive.sort(key=lambda each: (revision_of(each), created(each)))
    return [
        each
        for each in alive[:surplus]
        if status_count(each, "replicas") == 0
        and replicas(each) == 0
        and each["metadata"].get("generation", 0) <= status_count(each, "observedGeneration")
    ]
