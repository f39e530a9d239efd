"""What the kubelet knows of one container of a pod."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import attrs

from k8sactors.kubelet.backoff import Backoff
from k8sactors.runtime.cri import ContainerStatus


class Stage(enum.Enum):
    """How far a container has come. The order of the first five is the way of a healthy one."""

    WAITING = "waiting"
    PULLING = "pulling"
    CREATING = "creating"
    STARTING = "starting"
    RUNNING = "running"
    EXITED = "exited"


@attrs.frozen
class Exit:
    """How a container ended; times are Unix nanoseconds."""

    container_id: str
    exit_code: int
    reason: str
    message: str
    started_at_ns: int
    finished_at_ns: int

    @classmethod
    def of(cls, status: ContainerStatus) -> Exit:
        """From the runtime's report."""
        return cls(
            status.id,
            status.exit_code,
            status.reason,
            status.message,
            status.started_at_ns,
            status.finished_at_ns,
        )


@attrs.define
class ContainerRecord:
    """One container: its specification, how far it is, and what became of it before."""

    # The container of the pod's specification.
    spec: Mapping[str, Any]
    # "init", "sidecar" (an init container that restarts always), "app" or "ephemeral".
    container_type: str
    stage: Stage = Stage.WAITING
    waiting_reason: str = ""
    waiting_message: str = ""
    id: str = ""
    image_id: str = ""
    started_at_ns: int = 0
    exit: Exit | None = None
    last: Exit | None = None
    restart_count: int = 0
    started: bool = False
    ready: bool = False
    stopping: bool = False
    retry_at_ns: int = 0
    restarts: Backoff = attrs.field(factory=Backoff)
    pulls: Backoff = attrs.field(factory=Backoff)
    # What it has got by a resize; None: there was none.
    resources: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        """The container's name."""
        name: str = self.spec["name"]
        return name

    @property
    def succeeded(self) -> bool:
        """Whether it has ended with exit code 0."""
        return self.stage is Stage.EXITED and self.exit is not None and self.exit.exit_code == 0

    @property
    def in_flight(self) -> bool:
        """Whether the runtime is working on it."""
        return self.stage in {Stage.CREATING, Stage.STARTING}

    def should_restart(self, policy: str) -> bool:
        """Whether it is to run again after its end, in a pod with this restart policy.

        A rule for its exit code comes first, then its own policy, then the pod's (KEP-5307).
        """
        if self.container_type == "sidecar":
            return True
        if self.container_type == "ephemeral":
            return False
        exit_code = 0 if self.exit is None else self.exit.exit_code
        if any(_matches(rule, exit_code) for rule in self.spec.get("restartPolicyRules") or ()):
            return True
        policy = self.spec.get("restartPolicy") or policy
        if self.container_type == "init":
            return not self.succeeded and policy != "Never"
        return policy == "Always" or (policy == "OnFailure" and not self.succeeded)


def _matches(rule: Mapping[str, Any], exit_code: int) -> bool:
    codes = rule.get("exitCodes") or {}
    listed = exit_code in (codes.get("values") or ())
    return rule.get("action") == "Restart" and listed is (codes.get("operator") != "NotIn")


def records_of(pod: Mapping[str, Any]) -> list[ContainerRecord]:
    """A record for each container, init containers first, in the pod's order."""
    records = []
    for container in pod["spec"].get("initContainers") or ():
        sidecar = container.get("restartPolicy") == "Always"
        records.append(ContainerRecord(container, "sidecar" if sidecar else "init"))
    records += [ContainerRecord(container, "app") for container in pod["spec"]["containers"]]
    return records + ephemeral_records(pod)


def ephemeral_records(pod: Mapping[str, Any]) -> list[ContainerRecord]:
    """A record for each container that was added for debugging."""
    return [
        ContainerRecord(container, "ephemeral")
        for container in pod["spec"].get("ephemeralContainers") or ()
    ]
