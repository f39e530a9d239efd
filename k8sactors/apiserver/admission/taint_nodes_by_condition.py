"""TaintNodesByCondition: a new node takes no pods before it was seen to be ready.

Without it, pods could land on a node between its registration and its first report. The node
lifecycle controller takes the taint away. Source: documentation of admission controllers.
"""

from __future__ import annotations

from typing import ClassVar

from k8sactors.apiserver.admission_chain import Attributes, Plugin

NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}


class TaintNodesByCondition(Plugin):
    """Adds the not-ready taint to new nodes."""

    order: ClassVar[int] = 90
    resources: ClassVar[tuple[str, ...] | None] = ("nodes",)

    def admit(self, attributes: Attributes) -> None:
        """Add the taint unless the node brings it along."""
        obj = attributes.obj
        assert obj is not None
        if not self.cluster.config.taint_new_nodes:
            return
        spec = obj.get("spec") or {}
        taints = spec.get("taints") or []
        if not any(NOT_READY.items() <= taint.items() for taint in taints):
            obj["spec"] = {**spec, "taints": [*taints, dict(NOT_READY)]}
