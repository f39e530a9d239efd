"""The node lifecycle controller: heartbeats, taints, and the pace of evictions by zone."""

from __future__ import annotations

from k8sactors.controllers.node_lifecycle.controller import NodeLifecycleController

__all__ = ["NodeLifecycleController"]
