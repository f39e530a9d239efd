"""A Deployment's status: counters, and the conditions Available, Progressing and ReplicaFailure."""

from __future__ import annotations

from typing import Any, Final

from k8sactors.api.meta import format_time, get_condition, parse_time
from k8sactors.controllers.deployment.arithmetic import (
    max_unavailable,
    replicas,
    status_count,
    total,
    total_status,
)
from k8sactors.simulation import SECOND

Object = dict[str, Any]
NO_DEADLINE: Final = 2**31 - 1

AVAILABLE: Final = "Available"
PROGRESSING: Final = "Progressing"
REPLICA_FAILURE: Final = "ReplicaFailure"

NEW_SET_CREATED: Final = "NewReplicaSetCreated"
NEW_SET_FOUND: Final = "FoundNewReplicaSet"
NEW_SET_AVAILABLE: Final = "NewReplicaSetAvailable"
NEW_SET_FAILED: Final = "ReplicaSetCreateError"
UPDATED: Final = "ReplicaSetUpdated"
TIMED_OUT: Final = "ProgressDeadlineExceeded"
PAUSED: Final = "DeploymentPaused"
RESUMED: Final = "DeploymentResumed"


def conditions_of(obj: Object) -> list[Object]:
    """The status conditions."""
    return list((obj.get("status") or {}).get("conditions") or ())


def without(conditions: list[Object], kind: str) -> list[Object]:
    """The conditions of all other types."""
    return [each for each in conditions if each["type"] != kind]


def make(kind: str, value: str, reason: str, message: str, wall_ns: int) -> Object:
    """A condition as of now."""
    now = format_time(wall_ns)
    return {
        "type": kind,
        "status": value,
        "lastUpdateTime": now,
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }


def with_condition(conditions: list[Object], new: Object) -> list[Object]:
    """Replace a condition; nothing changes when status and reason stay the same."""
    old = get_condition({"status": {"conditions": conditions}}, new["type"])
    if old is not None:
        if old["status"] == new["status"] and old.get("reason") == new["reason"]:
            return conditions
        if old["status"] == new["status"]:
            new = {**new, "lastTransitionTime": old.get("lastTransitionTime")}
    return [*without(conditions, new["type"]), new]


def deadline_s(deployment: Object) -> int | None:
    """progressDeadlineSeconds, or None when progress is not judged."""
    seconds = deployment["spec"].get("progressDeadlineSeconds")
    return None if seconds is None or seconds == NO_DEADLINE else int(seconds)


def counters(
    deployment: Object, sets: list[Object], new_set: Object | None, wall_ns: int
) -> Object:
    """The status as the ReplicaSets show it, with the condition Available."""
    available = total_status(sets, "availableReplicas")
    values = {
        "observedGeneration": deployment["metadata"].get("generation", 0),
        "replicas": total_status(sets, "replicas"),
        "updatedReplicas": status_count(new_set, "replicas") if new_set else 0,
        "readyReplicas": total_status(sets, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, total(sets) - available),
        "collisionCount": (deployment.get("status") or {}).get("collisionCount"),
    }
    status = {name: value for name, value in values.items() if value}
    if available >= replicas(deployment) - max_unavailable(deployment):
        condition = make(
            AVAILABLE,
            "True",
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.",
            wall_ns,
        )
    else:
        condition = make(
            AVAILABLE,
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
            wall_ns,
        )
    status["conditions"] = with_condition(conditions_of(deployment), condition)
    return status


def is_complete(deployment: Object, status: Object) -> bool:
    """Whether all pods are of the new template and available."""
    wanted = replicas(deployment)
    counted = ("updatedReplicas", "replicas", "availableReplicas")
    generation: int = deployment["metadata"].get("generation", 0)
    return (
        all(status.get(field, 0) == wanted for field in counted)
        and status.get("observedGeneration", 0) >= generation
    )


def _has_progressed(deployment: Object, status: Object) -> bool:
    old = deployment.get("status") or {}

    def old_pods(counts: Object) -> int:
        return int(counts.get("replicas", 0) - counts.get("updatedReplicas", 0))

    return (
        status.get("updatedReplicas", 0) > old.get("updatedReplicas", 0)
        or old_pods(status) < old_pods(old)
        or status.get("readyReplicas", 0) > old.get("readyReplicas", 0)
        or status.get("availableReplicas", 0) > old.get("availableReplicas", 0)
    )


def _has_timed_out(deployment: Object, status: Object, wall_ns: int) -> bool:
    condition = get_condition({"status": status}, PROGRESSING)
    seconds = deadline_s(deployment)
    if condition is None or seconds is None or condition.get("reason") == NEW_SET_AVAILABLE:
        return False
    if condition.get("reason") == TIMED_OUT:
        return True
    return parse_time(condition["lastUpdateTime"]) + seconds * SECOND < wall_ns


def rollout_status(
    deployment: Object, sets: list[Object], new_set: Object | None, wall_ns: int
) -> Object:
    """The status during a rollout: counters, and whether the rollout progresses."""
    status = counters(deployment, sets, new_set, wall_ns)
    if deadline_s(deployment) is None:
        status["conditions"] = without(status["conditions"], PROGRESSING)
    else:
        status["conditions"] = _progress(deployment, status, new_set, wall_ns)
    failure = _replica_failure(sets, new_set)
    if failure is None:
        status["conditions"] = without(status["conditions"], REPLICA_FAILURE)
    else:
        status["conditions"] = with_condition(
            status["conditions"],
            make(
                REPLICA_FAILURE,
                failure["status"],
                failure.get("reason", ""),
                failure.get("message", ""),
                wall_ns,
            ),
        )
    return status


def _progress(
    deployment: Object, status: Object, new_set: Object | None, wall_ns: int
) -> list[Object]:
    conditions: list[Object] = status["conditions"]
    current = get_condition(deployment, PROGRESSING)
    all_updated = status.get("replicas", 0) == status.get("updatedReplicas", 0)
    if all_updated and current is not None and current.get("reason") == NEW_SET_AVAILABLE:
        return conditions  # done; only a new template starts the judging again
    name = deployment["metadata"]["name"]
    subject = f'ReplicaSet "{new_set["metadata"]["name"]}"' if new_set else f'Deployment "{name}"'
    if is_complete(deployment, status):
        message = f"{subject} has successfully progressed."
        new = make(PROGRESSING, "True", NEW_SET_AVAILABLE, message, wall_ns)
        return with_condition(conditions, new)
    if _has_progressed(deployment, status):
        new = make(PROGRESSING, "True", UPDATED, f"{subject} is progressing.", wall_ns)
        if current is not None and current["status"] == "True":
            new["lastTransitionTime"] = current.get("lastTransitionTime")
        # Set even if nothing but the time differs: that time is what the deadline counts from.
        return [*without(conditions, PROGRESSING), new]
    if _has_timed_out(deployment, status, wall_ns):
        message = f"{subject} has timed out progressing."
        return with_condition(conditions, make(PROGRESSING, "False", TIMED_OUT, message, wall_ns))
    return conditions


def _replica_failure(sets: list[Object], new_set: Object | None) -> Object | None:
    for each in ([new_set] if new_set else []) + sets:
        found = get_condition(each, REPLICA_FAILURE)
        if found is not None:
            return found
    return None


def time_until_judged_ns(deployment: Object, status: Object, wall_ns: int) -> int | None:
    """When to look again whether the rollout is stuck; None when that is not needed."""
    current = get_condition(deployment, PROGRESSING)
    seconds = deadline_s(deployment)
    if seconds is None or current is None:
        return None
    if is_complete(deployment, status) or current.get("reason") == TIMED_OUT:
        return None
    due_ns = parse_time(current["lastUpdateTime"]) + seconds * SECOND
    # One second more, because times are kept in whole seconds.
    return max(0, due_ns - wall_ns) + SECOND
