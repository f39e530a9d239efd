"""Disruption controller: how many pods evictions may take. `counting` is the arithmetic."""

from __future__ import annotations

from k8sactors.controllers.disruption.controller import DisruptionController

__all__ = ["DisruptionController"]
