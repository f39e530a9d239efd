"""DefaultPriorityClass: at most one priority class may be the default of the cluster.

Part of the real server's Priority plugin. Source: documentation of pod priority and preemption.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from k8sactors.api import errors
from k8sactors.apiserver.admission.chain import Plugin
from k8sactors.apiserver.admission.priority import CLASSES

if TYPE_CHECKING:
    from k8sactors.apiserver.call import Call


class DefaultPriorityClass(Plugin):
    """Guards `globalDefault`."""

    resources: ClassVar[tuple[str, ...] | None] = (CLASSES,)
    verbs: ClassVar[tuple[str, ...]] = ("create", "update")

    def admit(self, call: Call, obj: dict[str, Any] | None) -> None:
        """403 when another class is the default already."""
        assert obj is not None
        if not obj.get("globalDefault"):
            return
        name = obj["metadata"].get("name") or ""
        for other in self.cluster.cached(CLASSES):
            taken = other["metadata"]["name"]
            if other.get("globalDefault") and taken != name:
                raise errors.forbidden(
                    call.resource.info,
                    name,
                    f"PriorityClass {taken} is already marked as default. "
                    "Only one default can exist",
                )
