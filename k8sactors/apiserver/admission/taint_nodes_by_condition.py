"""TaintNodesByCondition: a new node takes no pods until somebody has seen that it is ready.

Without it, pods could land on a node between its registration and its first report. The node
lifecycle controller takes the taint away. Source: documentation of admission controllers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from k8sactors.apiserver.admission.chain import Plugin

if TYPE_CHECKING:
    from k8sactors.apiserver.call import Call

NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}


class TaintNodesByCondition(Plugin):
    """Adds the not-ready taint to new nodes."""

    resources: ClassVar[tuple[str, ...] | None] = ("nodes",)

    def admit(self, call: Call, obj: dict[str, Any] | None) -> None:
        """Add the taint unless the node brings it along."""
        del call
        assert obj is not None
        if not self.cluster.config.taint_new_nodes:
            return
        spec = obj.get("spec") or {}
        taints = spec.get("taints") or []
        if not any(NOT_READY.items() <= taint.items() for taint in taints):
            obj["spec"] = {**spec, "taints": [*taints, dict(NOT_READY)]}
