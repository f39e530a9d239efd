"""DefaultPriorityClass: at most one priority class may be the default of the cluster.

Part of the real server's Priority plugin. Source: documentation of pod priority and preemption.
"""

from __future__ import annotations

from typing import ClassVar, Final

from k8sactors.api import errors
from k8sactors.apiserver.admission_chain import Attributes, Operation, Plugin

CLASSES: Final = "priorityclasses.scheduling.k8s.io"


class DefaultPriorityClass(Plugin):
    """Guards `globalDefault`."""

    name: ClassVar[str] = "Priority"
    order: ClassVar[int] = 140
    resources: ClassVar[tuple[str, ...] | None] = (CLASSES,)
    operations: ClassVar[tuple[Operation, ...]] = ("CREATE", "UPDATE")

    def validate(self, attributes: Attributes) -> None:
        """403 when another class is the default already."""
        obj = attributes.obj
        assert obj is not None
        if not obj.get("globalDefault"):
            return
        name = attributes.name
        for other in self.cluster.cached(CLASSES):
            taken = other["metadata"]["name"]
            if other.get("globalDefault") and taken != name:
                raise errors.forbidden(
                    attributes.info,
                    name,
                    f"PriorityClass {taken} is already marked as default. "
                    "Only one default can exist",
                )
