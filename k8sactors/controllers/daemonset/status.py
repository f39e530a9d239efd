"""What a DaemonSet says of itself: how many nodes want a pod, have one, and how good it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from k8sactors.controllers.daemonset.placement import Verdict, has_revision
from k8sactors.controllers.machinery.pods import is_available, is_ready

Object = dict[str, Any]


def count(
    daemon_set: Object,
    nodes: Sequence[tuple[str, Verdict]],
    pods_by_node: Mapping[str, list[Object]],
    digest: str,
    collisions: int,
    wall_ns: int,
) -> Object:
    """The status; of several pods on a node the oldest counts."""
    desired = current = misscheduled = ready = available = updated = 0
    seconds = daemon_set["spec"].get("minReadySeconds") or 0
    for name, verdict in nodes:
        pods = pods_by_node.get(name)
        if not verdict.should_run:
            misscheduled += pods is not None
            continue
        desired += 1
        if not pods:
            continue
        current += 1
        pod = pods[0]
        if is_ready(pod):
            ready += 1
            available += is_available(pod, seconds, wall_ns)
        updated += has_revision(pod, daemon_set, digest)
    before = daemon_set.get("status") or {}
    optional = {
        "observedGeneration": daemon_set["metadata"].get("generation", 0),
        "updatedNumberScheduled": updated,
        "numberAvailable": available,
        "numberUnavailable": desired - available,
        "collisionCount": collisions or before.get("collisionCount"),
        "conditions": before.get("conditions"),
    }
    return {
        "currentNumberScheduled": current,
        "numberMisscheduled": misscheduled,
        "desiredNumberScheduled": desired,
        "numberReady": ready,
        **{name: value for name, value in optional.items() if value},
    }
