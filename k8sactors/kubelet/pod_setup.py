"""The set-up of a pod: what has to stand before its first container, as a state machine.

    NEW -> DELAY -> VOLUMES -> NETWORK -> SANDBOX -> READY
                       ^                     |         |
                       +----- failed, 5 s ---+         |
    NEW <--------------- the sandbox is lost ----------+

Each stage has one step, which moves on when its work is done and otherwise tries again later or
waits for `advance`. An answer that belongs to a stage that was left meanwhile changes nothing. A
pod whose end was asked for goes no further; only the runtime's answer is still awaited, because a
sandbox that it made must be removed.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, Protocol

from k8sactors.kubelet import pod_spec
from k8sactors.kubelet.services import NodeServices, ReportedPod
from k8sactors.runtime import cri
from k8sactors.runtime.errors import CRIError
from k8sactors.runtime.programs import NEVER_NS, seconds_to_ns
from k8sactors.simulation import SECOND

_MOUNT_RETRY_FIRST_NS, _MOUNT_RETRY_LIMIT_NS = SECOND // 2, 122 * SECOND
_SANDBOX_RETRY_NS = 5 * SECOND
_NETWORK_NOT_READY = (
    "network is not ready: container runtime network not ready: NetworkReady=false"
    " reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized"
)


class SetupStage(enum.Enum):
    """How far the set-up is."""

    NEW = "new"
    DELAY = "delay"  # the annotation sim/start-after holds the pod back
    VOLUMES = "volumes"
    NETWORK = "network"  # the node has no network yet
    SANDBOX = "sandbox"  # the runtime makes it
    READY = "ready"


class SetupOwner(ReportedPod, Protocol):
    """What the set-up needs of its pod."""

    @property
    def terminating(self) -> bool:
        """Whether the pod's end was asked for."""
        ...

    def sync(self) -> None:
        """Start what is missing now."""
        ...


class PodSetup:
    """The set-up of one pod.

    Args:
        owner: the pod.
        services: the kubelet.
        ip: the address that the pod had; a dead pod keeps it.
    """

    def __init__(self, owner: SetupOwner, services: NodeServices, ip: str = "") -> None:
        self._owner = owner
        self._services = services
        self._mount_retry_ns = _MOUNT_RETRY_FIRST_NS
        # Counts changes of stage: tells late answers from current ones.
        self._entered = 0
        self.stage = SetupStage.NEW
        self.sandbox_id = ""
        self.ip = ip
        self.attempt = 0

    @property
    def ready(self) -> bool:
        """Whether containers may start."""
        return self.stage is SetupStage.READY

    @property
    def making_sandbox(self) -> bool:
        """Whether the runtime is making a sandbox, whose end must wait for it."""
        return self.stage is SetupStage.SANDBOX

    def advance(self) -> None:
        """Begin, or look again for the network; the other stages move by themselves."""
        if self.stage is SetupStage.NEW:
            self._enter(SetupStage.DELAY)
        elif self.stage is SetupStage.NETWORK:
            self._await_network()

    def adopt(self, sandbox: cri.SandboxStatus) -> bool:
        """Take over a sandbox that the runtime has; False if the pod has another one."""
        if self.sandbox_id and self.sandbox_id != sandbox.id:
            return False
        self.sandbox_id, self.ip, self.attempt = sandbox.id, sandbox.ip, sandbox.attempt
        self._move_to(SetupStage.READY)
        return True

    def lose_sandbox(self) -> None:
        """The runtime no longer has the sandbox: begin again."""
        assert self.ready, "only a sandbox that stood can be lost"
        self.sandbox_id = self.ip = ""
        self.attempt += 1
        self._move_to(SetupStage.NEW)

    def release_sandbox(self) -> str:
        """The id of the sandbox, "" if there is none; it is the caller's to remove."""
        sandbox_id, self.sandbox_id = self.sandbox_id, ""
        return sandbox_id

    # Stages

    def _enter(self, stage: SetupStage) -> None:
        """Change the stage and take its step."""
        self._move_to(stage)
        match stage:
            case SetupStage.DELAY:
                self._delay()
            case SetupStage.VOLUMES:
                self._mount()
            case SetupStage.NETWORK:
                self._look_for_network()
            case SetupStage.SANDBOX:
                self._make_sandbox()

    def _move_to(self, stage: SetupStage) -> None:
        self.stage = stage
        self._entered += 1

    def _while_current(self, action: Callable[..., None]) -> Callable[..., None]:
        """The action, unless the stage was left or the pod's end asked for before its call."""
        entered = self._entered

        def guarded(*answer: Any) -> None:
            if entered == self._entered and not (self._owner.terminating or self._owner.over):
                action(*answer)

        return guarded

    def _delay(self) -> None:
        self._services.status_changed(self._owner)
        delay = pod_spec.pod_annotations(self._owner.pod).get("sim/start-after")
        delay_ns = 0 if delay is None else seconds_to_ns(delay)
        mount = self._while_current(lambda: self._enter(SetupStage.VOLUMES))
        if not delay_ns:
            mount()
        elif delay_ns < NEVER_NS:
            self._services.clock.after(delay_ns, mount)

    def _mount(self) -> None:
        self._services.volumes.mount(self._owner.pod, self._while_current(self._mounted))

    def _mounted(self, problem: str) -> None:
        if not problem:
            self._enter(SetupStage.NETWORK)
            return
        self._services.record_event(self._owner.pod, "Warning", "FailedMount", problem)
        self._services.clock.after(self._mount_retry_ns, self._while_current(self._mount))
        self._mount_retry_ns = min(2 * self._mount_retry_ns, _MOUNT_RETRY_LIMIT_NS)

    def _look_for_network(self) -> None:
        if not self._await_network():
            text = _NETWORK_NOT_READY
            self._services.record_event(self._owner.pod, "Warning", "NetworkNotReady", text)

    def _await_network(self) -> bool:
        """Move on if the pod needs no network of its own, or the node has one."""
        if pod_spec.is_host_network(self._owner.pod) or self._services.network_ready:
            self._enter(SetupStage.SANDBOX)
            return True
        return False

    def _make_sandbox(self) -> None:
        pod = self._owner.pod
        metadata = pod["metadata"]
        config = cri.SandboxConfig(
            metadata["namespace"],
            metadata["name"],
            self._owner.uid,
            self.attempt,
            dict(pod_spec.pod_annotations(pod)),
            pod_spec.is_host_network(pod),
        )
        entered = self._entered

        def made(body: Any) -> None:
            if entered == self._entered:
                self.sandbox_id, self.ip = body
                self._move_to(SetupStage.READY)
                self._owner.sync()

        def failed(error: CRIError) -> None:
            if entered == self._entered:
                self._sandbox_failed(error)

        self._services.cri.call(cri.RUN_POD_SANDBOX, config.to_wire(), made, failed)

    def _sandbox_failed(self, error: CRIError) -> None:
        self._move_to(SetupStage.VOLUMES)
        if self._owner.terminating:
            self._owner.sync()
            return
        text = f"Failed to create pod sandbox: {error}"
        self._services.record_event(self._owner.pod, "Warning", "FailedCreatePodSandBox", text)
        self._services.clock.after(_SANDBOX_RETRY_NS, self._while_current(self._mount))
