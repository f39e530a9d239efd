"""What controllers need to know of a pod: is it active, ready, available; which one goes first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from k8sactors.api.meta import format_time, get_condition, parse_time, set_condition
from k8sactors.simulation import SECOND

Object = dict[str, Any]
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_FINISHED = ("Succeeded", "Failed")
_PHASE_ORDER = {"Pending": 0, "Unknown": 1, "Running": 2}


def phase_of(pod: Object) -> str:
    """`status.phase`; Pending until the API server has set it."""
    phase: str = (pod.get("status") or {}).get("phase") or "Pending"
    return phase


def is_finished(pod: Object) -> bool:
    """Whether all containers have ended for good."""
    return phase_of(pod) in _FINISHED


def is_active(pod: Object) -> bool:
    """Whether the pod counts as a replica: neither finished nor being deleted."""
    # Spelled out: this runs for every pod of a set, every time the set is looked at.
    status = pod.get("status")
    if status and status.get("phase") in _FINISHED:
        return False
    return "deletionTimestamp" not in pod["metadata"]


def is_ready(pod: Object) -> bool:
    """Whether the Ready condition is True."""
    ready = get_condition(pod, "Ready")
    return ready is not None and ready["status"] == "True"


def available_in_ns(pod: Object, min_ready_seconds: int, wall_ns: int) -> int | None:
    """0 when the pod is available, the time until it is, or None while it is not ready."""
    ready = get_condition(pod, "Ready")
    if ready is None or ready["status"] != "True":
        return None
    if not min_ready_seconds:
        return 0
    since = ready.get("lastTransitionTime")
    if not since:
        return None
    return max(0, parse_time(since) + min_ready_seconds * SECOND - wall_ns)


def is_available(pod: Object, min_ready_seconds: int, wall_ns: int) -> bool:
    """Whether the pod has been ready for `min_ready_seconds`."""
    return available_in_ns(pod, min_ready_seconds, wall_ns) == 0


def with_disruption_target(pod: Object, reason: str, message: str, wall_ns: int) -> Object:
    """The pod with the condition DisruptionTarget: it was ended, it did not fail by itself."""
    status = pod.get("status") or {}
    target = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message}
    conditions = set_condition(status.get("conditions"), target, format_time(wall_ns))
    return {**pod, "status": {**status, "conditions": conditions}}


def _deletion_cost(pod: Object) -> int:
    try:
        return int((pod["metadata"].get("annotations") or {}).get(DELETION_COST, 0))
    except ValueError:
        return 0


def _age_rank(since: str | None, wall_ns: int) -> int:
    # Ages within a power of two count as equal, so that not always the youngest replica goes
    # (KEP-2185, logarithmic scale down).
    if not since:
        return -2
    age_ns = wall_ns - parse_time(since)
    return -1 if age_ns <= 0 else age_ns.bit_length() - 1


def deletion_order(pod: Object, colocated: Mapping[str, int], wall_ns: int) -> tuple[Any, ...]:
    """Sort key: the pod with the smallest one is deleted first.

    As ActivePodsWithRanks of kube-controller-manager: unassigned, pending, not ready, cheap to
    delete, on a node with more of its kind (`colocated`: active related pods by node), ready for a
    shorter time, restarted more often, younger.
    """
    node = pod["spec"].get("nodeName") or ""
    ready = get_condition(pod, "Ready")
    is_up = ready is not None and ready["status"] == "True"
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    restarts = max((status.get("restartCount", 0) for status in statuses), default=0)
    return (
        node != "",
        _PHASE_ORDER.get(phase_of(pod), 0),
        is_up,
        _deletion_cost(pod),
        -colocated.get(node, 0),
        _age_rank(ready.get("lastTransitionTime"), wall_ns) if is_up and ready else 0,
        -restarts,
        _age_rank(pod["metadata"].get("creationTimestamp"), wall_ns),
        pod["metadata"]["uid"],
    )
