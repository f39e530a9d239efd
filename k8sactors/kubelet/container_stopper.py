"""Stopping one container: its preStop hook, SIGTERM, what is left of the grace period, SIGKILL.

Source: "Termination of Pods". The hook counts against the grace period, and a container gets at
least two seconds after it.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from k8sactors.kubelet.container_record import ContainerRecord, Stage
from k8sactors.kubelet.lifecycle_hooks import PRE_STOP, TIMED_OUT, Hook, handler_of
from k8sactors.kubelet.services import NodeServices, ReportedPod
from k8sactors.runtime import cri
from k8sactors.runtime.errors import CRIError
from k8sactors.simulation import SECOND

_LEAST_GRACE_NS: Final = 2 * SECOND
# Beyond the grace period, until the runtime's answer is given up.
_ANSWER_NS: Final = 120 * SECOND


class StoppingPod(ReportedPod, Protocol):
    """What the stopper needs of the pod whose containers it stops."""

    @property
    def ip(self) -> str:
        """The pod's address, which hooks ask."""
        ...

    def container_exited(self, status: cri.ContainerStatus) -> None:
        """The runtime says that a container has ended."""
        ...


class ContainerStopper:
    """Brings the containers of one pod down.

    Args:
        worker: the pod.
        services: the kubelet.
    """

    def __init__(self, worker: StoppingPod, services: NodeServices) -> None:
        self._worker = worker
        self._services = services
        # PreStop hooks that run.
        self._hooks: dict[str, Hook] = {}

    def stop(self, record: ContainerRecord, grace_ns: int) -> None:
        """End a running container; again with a shorter grace period if need be."""
        record.stopping = True
        self.ended(record)
        handler = handler_of(record, PRE_STOP)
        if handler is None or grace_ns <= 0:
            self._send_stop(record, grace_ns)
            return
        began_ns = self._services.clock.now_ns()

        def done(problem: str) -> None:
            self._hooks.pop(record.name, None)
            if record.stage is not Stage.RUNNING:
                return
            if problem and problem != TIMED_OUT:
                # Without the reason: it may hold what the server has answered.
                self._services.record_event(
                    self._worker.pod, "Warning", "FailedPreStopHook", "PreStopHook failed"
                )
            left_ns = grace_ns - (self._services.clock.now_ns() - began_ns)
            self._send_stop(record, max(left_ns, _LEAST_GRACE_NS))

        hook = Hook(record, handler, self._worker.ip, self._services, grace_ns, done)
        self._hooks[record.name] = hook

    def ended(self, record: ContainerRecord) -> None:
        """A container has ended, or is stopped in another way: its hook is abandoned."""
        hook = self._hooks.pop(record.name, None)
        if hook is not None:
            hook.cancel()

    def _send_stop(self, record: ContainerRecord, grace_ns: int) -> None:
        container_id = record.id

        def stopped(body: Any) -> None:
            if body is not None:
                self._worker.container_exited(cri.ContainerStatus.from_wire(body))

        def failed(error: CRIError) -> None:
            del error  # the runtime is away; its return lists what still runs
            if record.id == container_id:
                record.stopping = False

        self._services.cri.call(
            cri.STOP_CONTAINER,
            [container_id, grace_ns],
            stopped,
            failed,
            timeout_ns=grace_ns + _ANSWER_NS,
        )
