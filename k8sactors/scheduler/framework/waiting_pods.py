"""Pods that a Permit plugin holds back after they have been given a node."""

from __future__ import annotations

from collections.abc import Callable

from k8sactors.scheduler.framework.status import Code, Status
from k8sactors.scheduler.podinfo import PodInfo

__all__ = ["WaitingPod", "WaitingPods"]

Done = Callable[[Status | None], None]


class WaitingPod:
    """Waits until every plugin that asked for it has allowed the pod, or one rejects it."""

    def __init__(self, pod: PodInfo, node_name: str, plugins: dict[str, int], done: Done) -> None:
        self.pod = pod
        self.node_name = node_name
        # Plugin to its limit in nanoseconds.
        self.pending = dict(plugins)
        self._done: Done | None = done

    def allow(self, plugin: str) -> None:
        """One plugin has no objection any more."""
        self.pending.pop(plugin, None)
        if not self.pending:
            self._finish(None)

    def reject(self, plugin: str, message: str) -> None:
        """The pod goes back to the queue."""
        self._finish(Status(Code.UNSCHEDULABLE, (message,), plugin))

    def _finish(self, status: Status | None) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(status)


class WaitingPods(dict[str, WaitingPod]):
    """By uid; Permit plugins reach it through their handle."""
