"""Events that may make a waiting pod schedulable, and the hints that tell which (KEP-4247)."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

import attrs

from k8sactors.scheduler.podinfo import PodInfo

__all__ = ["ASSIGNED_POD_DELETED", "ActionType", "ClusterEvent", "EventHint"]


class ActionType(enum.IntFlag):
    """What happened to an object."""

    ADD = 1
    DELETE = 2
    UPDATE_NODE_ALLOCATABLE = 4
    UPDATE_NODE_LABEL = 8
    UPDATE_NODE_TAINT = 16
    UPDATE_POD_LABEL = 32
    UPDATE_POD_SCALE_DOWN = 64
    UPDATE_POD_TOLERATION = 128
    UPDATE_POD_GATES = 256
    UPDATE_OTHER = 512
    UPDATE = (
        UPDATE_NODE_ALLOCATABLE
        | UPDATE_NODE_LABEL
        | UPDATE_NODE_TAINT
        | UPDATE_POD_LABEL
        | UPDATE_POD_SCALE_DOWN
        | UPDATE_POD_TOLERATION
        | UPDATE_POD_GATES
        | UPDATE_OTHER
    )


@attrs.frozen
class ClusterEvent:
    """An action on objects of a resource.

    The resource is "AssignedPod", "UnscheduledPod" or "Node", as the scheduler tells these apart,
    or the plural name of any other resource ("persistentvolumeclaims"), all updates of which are
    UPDATE_OTHER. "*" stands for every resource that is followed anyway.
    """

    resource: str
    action: ActionType

    @property
    def followed(self) -> str | None:
        """The plural name of the resource that must be followed to see this event, if any."""
        return _FOLLOWED.get(self.resource, self.resource)

    def matches(self, incoming: ClusterEvent) -> bool:
        """Whether a registration for this event is concerned by `incoming`."""
        return self.resource in ("*", incoming.resource) and bool(self.action & incoming.action)


# A pod has left its node, or room that was kept for one is free.
ASSIGNED_POD_DELETED = ClusterEvent("AssignedPod", ActionType.DELETE)

_FOLLOWED = {"AssignedPod": "pods", "UnscheduledPod": "pods", "Node": "nodes", "*": None}

# (waiting pod, old object, new object) -> whether the event may make the pod schedulable.
#
# Objects are PodInfo for pods, NodeInfo for nodes and plain objects for other resources. One that
# does not exist is None.
Hint = Callable[[PodInfo, Any, Any], bool]


@attrs.frozen
class EventHint:
    """A plugin's registration: the event, and the hint; without a hint the event always counts."""

    event: ClusterEvent
    hint: Hint | None = None
