"""What follows a decision: Reserve, Permit, PreBind, Bind, PostBind.

The cycle is a chain of callbacks, so that many bindings are under way while the next pods are being
placed. When a plugin refuses, what was reserved is given back first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from k8sactors.scheduler.decision import Decision
from k8sactors.scheduler.framework.runtime import Framework
from k8sactors.scheduler.framework.status import Status
from k8sactors.scheduler.framework.waiting_pods import WaitingPod
from k8sactors.scheduler.nodeinfo import NodeInfo
from k8sactors.scheduler.podinfo import PodInfo

__all__ = ["After", "BindingCycle"]


class After(Protocol):
    """Runs a callback in the scheduler's turn after a delay."""

    def __call__(self, delay_ns: int, callback: Callable[[], None], /) -> object:
        """Returns a timer."""


class BindingCycle:
    """One pod on its way to one node; ends with exactly one of `on_bound` and `on_failed`."""

    def __init__(
        self,
        framework: Framework,
        pod: PodInfo,
        decision: Decision,
        after: After,
        on_bound: Callable[[PodInfo, NodeInfo], None],
        on_failed: Callable[[PodInfo, Status], None],
    ) -> None:
        self._framework = framework
        self._pod = pod
        self._node = decision.node
        self._state = decision.state
        self._after = after
        self._on_bound = on_bound
        self._on_failed = on_failed

    def start(self) -> None:
        """Run until the API server has to be waited for."""
        framework = self._framework
        if self._state.reserves:
            status = framework.run_reserves(self._state, self._pod, self._node)
            if status is not None:
                self._on_failed(self._pod, status)
                return
        if framework.permits:
            self._ask_permission()
        else:
            self._pre_bind(None)

    def _ask_permission(self) -> None:
        framework = self._framework
        status, waiting = framework.run_permits(self._state, self._pod, self._node)
        if status is not None or not waiting:
            self._pre_bind(status)
            return
        held = framework.handle.waiting
        waiting_pod = WaitingPod(self._pod, self._node.name, waiting, self._permitted)
        held[self._pod.uid] = waiting_pod
        for plugin, timeout_ns in waiting.items():
            self._after(timeout_ns, _rejection(waiting_pod, plugin))

    def _permitted(self, status: Status | None) -> None:
        del self._framework.handle.waiting[self._pod.uid]
        self._pre_bind(status)

    def _pre_bind(self, refusal: Status | None) -> None:
        if refusal is not None:
            self._fail(refusal)
        elif self._state.pre_binds:
            self._framework.run_pre_binds(self._state, self._pod, self._node, self._bind)
        else:
            self._bind(None)

    def _bind(self, refusal: Status | None) -> None:
        if refusal is not None:
            self._fail(refusal)
        else:
            self._framework.run_binds(self._state, self._pod, self._node, self._bound)

    def _bound(self, refusal: Status | None) -> None:
        if refusal is not None:
            self._fail(refusal)
            return
        self._framework.run_post_binds(self._state, self._pod, self._node)
        self._on_bound(self._pod, self._node)

    def _fail(self, status: Status) -> None:
        self._framework.run_unreserves(self._state, self._pod, self._node)
        self._on_failed(self._pod, status)


def _rejection(waiting_pod: WaitingPod, plugin: str) -> Callable[[], None]:
    return lambda: waiting_pod.reject(plugin, f"timed out waiting for {plugin} to permit the pod")
