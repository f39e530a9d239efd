"""Priority: a pod's priority class becomes a number, and its preemption policy.

Source: documentation of pod priority and preemption. The two system classes need no object.
"""

from __future__ import annotations

from typing import Any, ClassVar

from k8sactors.api import errors
from k8sactors.apiserver.admission_chain import Attributes, Cluster, Plugin

CLASSES = "priorityclasses.scheduling.k8s.io"
PREEMPT_LOWER = "PreemptLowerPriority"
SYSTEM_CLASSES = {
    "system-node-critical": 2_000_001_000,
    "system-cluster-critical": 2_000_000_000,
}


class Priority(Plugin):
    """Resolves `priorityClassName`."""

    order: ClassVar[int] = 140
    resources: ClassVar[tuple[str, ...] | None] = ("pods",)
    repeatable: ClassVar[bool] = True
    inputs: ClassVar[tuple[str, ...]] = (CLASSES,)

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._default_version = -1
        self._default_class = ("", 0, PREEMPT_LOWER)

    def admit(self, attributes: Attributes) -> None:
        """403 when the class does not exist, or the pod claims another number or policy."""
        obj = attributes.obj
        assert obj is not None
        spec = obj["spec"]
        class_name = spec.get("priorityClassName")
        if class_name:
            value, policy = self._resolve(attributes, class_name)
            added: dict[str, Any] = {}
        else:
            class_name, value, policy = self._default()
            added = {"priorityClassName": class_name} if class_name else {}
        claimed = spec.get("priority")
        if claimed is not None and claimed != value:
            raise errors.forbidden(
                attributes.info,
                attributes.name,
                f"the integer value of priority ({claimed}) must not be provided in pod spec; "
                f"priority admission controller computed {value} from the given PriorityClass name",
            )
        claimed = spec.get("preemptionPolicy")
        if claimed and claimed != policy:
            text = (
                f"the string value of PreemptionPolicy ({claimed}) must not be provided in pod "
                "spec; priority admission controller computed "
                f"{policy} from the given PriorityClass name"
            )
            raise errors.forbidden(attributes.info, attributes.name, text)
        added["priority"] = value
        added["preemptionPolicy"] = policy
        obj["spec"] = {**spec, **added}

    def _resolve(self, attributes: Attributes, class_name: str) -> tuple[int, str]:
        found = self.cluster.get(attributes, CLASSES, None, class_name)
        if found is not None:
            return int(found.get("value", 0)), found.get("preemptionPolicy") or PREEMPT_LOWER
        if class_name in SYSTEM_CLASSES:
            return SYSTEM_CLASSES[class_name], PREEMPT_LOWER
        raise errors.forbidden(
            attributes.info,
            attributes.name,
            f"no PriorityClass with name {class_name} was found",
        )

    def _default(self) -> tuple[str, int, str]:
        """The class that is marked as the default (the lowest, should there be several)."""
        version = self.cluster.cache(CLASSES).version
        if version != self._default_version:
            self._default_version = version
            self._default_class = self._find_default()
        return self._default_class

    def _find_default(self) -> tuple[str, int, str]:
        chosen = ("", 0, PREEMPT_LOWER)
        found = False
        for candidate in self.cluster.cached(CLASSES):
            value = int(candidate.get("value", 0))
            if candidate.get("globalDefault") and (not found or value < chosen[1]):
                policy = candidate.get("preemptionPolicy") or PREEMPT_LOWER
                chosen = (candidate["metadata"]["name"], value, policy)
                found = True
        return chosen
