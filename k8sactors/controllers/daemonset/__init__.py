"""The DaemonSet controller: one pod on each node that wants it."""

from __future__ import annotations

from k8sactors.controllers.daemonset.controller import DaemonSetController

__all__ = ["DaemonSetController"]
