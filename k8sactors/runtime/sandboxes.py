"""A pod's sandbox and its containers, as the engine keeps them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from k8sactors.runtime import cri
from k8sactors.runtime.container_process import ContainerProcess
from k8sactors.runtime.images import image_id
from k8sactors.runtime.programs import NEVER_NS, Program
from k8sactors.simulation import Timer

# Gets a code, "" for success, and the answer.
Respond = Callable[[str, Any], None]


@attrs.define
class Sandbox:
    """A pod's sandbox: its network namespace, held by a pause container."""

    id: str
    config: cri.SandboxConfig
    state: str
    ip: str
    created_at_ns: int
    containers: dict[str, Container] = attrs.field(factory=dict)

    def status(self) -> cri.SandboxStatus:
        """As the runtime lists it."""
        config = self.config
        return cri.SandboxStatus(
            self.id,
            self.state,
            config.namespace,
            config.name,
            config.uid,
            config.attempt,
            self.ip,
            self.created_at_ns,
        )


@attrs.define
class Container:
    """A container and the process in it."""

    id: str
    sandbox: Sandbox
    config: cri.ContainerConfig
    program: Program
    created_at_ns: int
    state: str = cri.CREATED
    started_at_ns: int = 0
    finished_at_ns: int = 0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    listens_from_ns: int = 0
    hung: bool = False
    end_timer: Timer | None = None
    end_at_ns: int = NEVER_NS
    end_exit_code: int = 0
    stop_waiters: list[Respond] = attrs.field(factory=list)
    # What is inside, once it was looked at.
    inside: ContainerProcess | None = None
    # Whether the process that runs inside decides when it ends, and how.
    ends_by_itself: bool = False

    def status(self) -> cri.ContainerStatus:
        """As the runtime reports it."""
        return cri.ContainerStatus(
            self.id,
            self.sandbox.id,
            self.config.name,
            self.config.attempt,
            self.state,
            self.config.image,
            image_id(self.config.image),
            self.created_at_ns,
            self.started_at_ns,
            self.finished_at_ns,
            self.exit_code,
            self.reason,
            self.message,
        )
