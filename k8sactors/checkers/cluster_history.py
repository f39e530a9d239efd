"""What the checks of a cluster look at: the changes of its objects, what ran, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

Object = Mapping[str, Any]


@attrs.frozen
class ObjectChange:
    """One change of one object, as a watch from the beginning delivers it."""

    # Virtual time of the change.
    time_ns: int
    # "ADDED", "MODIFIED" or "DELETED".
    type: str
    # Plural name with group ("pods", "deployments.apps").
    resource: str
    # The object after the change (for DELETED: its last state).
    object: Object


@attrs.frozen
class ContainerSpan:
    """A container runtime ran a pod's sandbox on a node during this time (None: still runs)."""

    node: str
    namespace: str
    pod: str
    started_ns: int
    stopped_ns: int | None = None


@attrs.define
class ClusterHistory:
    """Everything that the Kubernetes checks look at."""

    # In order of resource version.
    changes: list[ObjectChange] = attrs.field(factory=list)
    # The objects at the end, by resource.
    final: dict[str, list[Object]] = attrs.field(factory=dict)
    # What container runtimes really ran.
    spans: list[ContainerSpan] = attrs.field(factory=list)
    # Virtual time of the end.
    end_ns: int = 0

    def all_final(self) -> list[tuple[str, Object]]:
        """Every final object with its resource."""
        return [(resource, each) for resource, objects in self.final.items() for each in objects]
