"""What a StatefulSet says of itself: how many pods there are, ready, and of which revision."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from k8sactors.controllers.machinery.pods import is_available, is_ready, phase_of
from k8sactors.controllers.statefulset.identity import replicas_of, revision_name
from k8sactors.controllers.statefulset.rollout import is_created, is_terminating, rolls

Object = dict[str, Any]


def count(
    stateful_set: Object,
    pods: Iterable[Object],
    current: str,
    update: str,
    collisions: int,
    wall_ns: int,
) -> Object:
    """The status, with the names of the current and the update revision.

    Once all pods are ready at the update revision, it becomes the current one.
    """
    seconds = stateful_set["spec"].get("minReadySeconds") or 0
    replicas = ready = available = at_current = at_update = 0
    for pod in pods:
        if not is_created(pod):
            continue
        replicas += 1
        if phase_of(pod) == "Running" and is_ready(pod):
            ready += 1
            available += is_available(pod, seconds, wall_ns)
        if not is_terminating(pod):
            at_current += revision_name(pod) == current
            at_update += revision_name(pod) == update
    wanted = replicas_of(stateful_set)
    if rolls(stateful_set) and wanted == at_update == ready == replicas:
        current, at_current = update, at_update
    optional = {
        "observedGeneration": stateful_set["metadata"].get("generation", 0),
        "readyReplicas": ready,
        "currentReplicas": at_current,
        "updatedReplicas": at_update,
        "currentRevision": current,
        "updateRevision": update,
        "conditions": (stateful_set.get("status") or {}).get("conditions"),
    }
    return {
        "replicas": replicas,
        "availableReplicas": available,
        "collisionCount": collisions,
        **{name: value for name, value in optional.items() if value},
    }
