"""`kubectl rollout undo`: a Deployment gets the template of one of its former ReplicaSets back."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]

REVISION = "deployment.kubernetes.io/revision"
OF_THE_DEPLOYMENT = (
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    "deployment.kubernetes.io/revision-history",
    "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas",
)


class RollbackError(Exception):
    """There is nothing to go back to."""


def _annotations(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("annotations") or {}


def rollback_patch(deployment: Object, owned: list[Object], revision: int) -> list[Object]:
    """The JSON patch that goes back to `revision`, 0 for the one before the newest.

    Raises:
        RollbackError: that revision is not in the history.
    """
    by_revision = {int(_annotations(obj).get(REVISION, 0)): obj for obj in owned}
    if revision:
        if revision not in by_revision:
            raise RollbackError(f"unable to find specified revision {revision} in history")
        source = by_revision[revision]
    else:
        newest_first = sorted(by_revision, reverse=True)
        if len(newest_first) < 2:
            name = deployment["metadata"]["name"]
            raise RollbackError(f'no rollout history found for deployment "{name}"')
        source = by_revision[newest_first[1]]
    template = source["spec"]["template"]
    metadata = template["metadata"]
    labels = {k: v for k, v in metadata["labels"].items() if k != "pod-template-hash"}
    kept = {k: v for k, v in _annotations(deployment).items() if k in OF_THE_DEPLOYMENT}
    restored = {k: v for k, v in _annotations(source).items() if k not in OF_THE_DEPLOYMENT}
    return [
        {
            "op": "replace",
            "path": "/spec/template",
            "value": {**template, "metadata": {**metadata, "labels": labels}},
        },
        {"op": "replace", "path": "/metadata/annotations", "value": {**restored, **kept}},
    ]
