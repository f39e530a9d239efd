"""What a workload lacks to be complete, for every kind of object that runs pods."""

from __future__ import annotations

from typing import Any, Final

import attrs

from k8sactors.api.meta import controller_of
from k8sactors.scenario.names import METER_NAMESPACE
from k8sactors.scenario.objects import MISSING, value_at

Object = dict[str, Any]


@attrs.frozen
class Completeness:
    """Which counts of a workload's status must reach how many."""

    # Where the wanted number is, and what it is when absent.
    wanted: str
    default: int
    counts: tuple[str, ...]
    # Whether the status tells up to which generation its controller has seen the object.
    observes: bool = True


WORKLOADS: Final[dict[str, Completeness]] = {
    "deployments": Completeness(
        "spec.replicas", 1, ("updatedReplicas", "availableReplicas", "replicas")
    ),
    "statefulsets": Completeness("spec.replicas", 1, ("readyReplicas", "replicas")),
    "daemonsets": Completeness(
        "status.desiredNumberScheduled", 0, ("updatedNumberScheduled", "numberReady")
    ),
    "replicasets": Completeness("spec.replicas", 1, ("readyReplicas", "replicas")),
    "replicationcontrollers": Completeness("spec.replicas", 1, ("readyReplicas", "replicas")),
    "jobs": Completeness("spec.completions", 1, ("succeeded",), observes=False),
}
"""What runs pods, by resource."""

PODS: Final = "pods"


def shortfall(resource: str, obj: Object) -> str | None:
    """What a workload or a bare pod lacks to be complete, None when it lacks nothing.

    What another object controls is not looked at: that object answers for it.
    """
    metadata = obj["metadata"]
    name = f"{metadata.get('namespace', '')}/{metadata['name']}"
    if resource == PODS:
        return None if _is_well(obj) else f"pod {name} is not ready"
    rule = WORKLOADS[resource]
    status = obj.get("status") or {}
    seen = status.get("observedGeneration", 0)
    if rule.observes and seen < metadata.get("generation", 0):
        return f"{name}: not yet seen by its controller"
    wanted = value_at(obj, rule.wanted)
    wanted = rule.default if wanted is MISSING or wanted is None else wanted
    for key in rule.counts:
        if status.get(key, 0) != wanted:
            return f"{name}: {key} {status.get(key, 0)}, wanted {wanted}"
    return None


def of_the_application(objects: list[Object]) -> list[Object]:
    """The objects without those that measure availability."""
    return [each for each in objects if each["metadata"].get("namespace") != METER_NAMESPACE]


def is_controlled(obj: Object) -> bool:
    """Whether another object controls it."""
    return controller_of(obj) is not None


def _is_well(pod: Object) -> bool:
    """Ready, or ended well."""
    if value_at(pod, "status.phase") == "Succeeded":
        return True
    return bool(value_at(pod, "status.conditions[type=Ready].status") == "True")
