"""Events that may make a waiting pod schedulable, and the hints that tell which (KEP-4247)."""

import enum
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from k8sactors.scheduler.podinfo import PodInfo

__all__ = ["ActionType", "ClusterEvent", "EventHint"]


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
    ALL = ADD | DELETE | UPDATE


@attrs.frozen
class ClusterEvent:
    """An action on a kind of object: "AssignedPod", "UnscheduledPod" or "Node", or "*" for any."""

    resource: str
    action: ActionType

    def matches(self, incoming: "ClusterEvent") -> bool:
        """Whether a registration for this event is concerned by `incoming`."""
        return self.resource in ("*", incoming.resource) and bool(self.action & incoming.action)


Hint = Callable[["PodInfo", Any, Any], bool]
"""(waiting pod, old object, new object) -> whether the event may make the pod schedulable.

Objects are PodInfo for pods and NodeInfo for nodes, None where there is none."""


@attrs.frozen
class EventHint:
    """A plugin's registration: the event, and the hint; without a hint the event always counts."""

    event: ClusterEvent
    hint: Hint | None = None
