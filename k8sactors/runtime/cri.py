"""The Container Runtime Interface as messages: everything that a kubelet may ask of a runtime.

Kinds are `cri.<Method>` with the method names of the CRI's RuntimeService and ImageService, so that
a trace reads like a recording of the gRPC calls. A reply is `cri.response` with `[code, body]`: an
empty code means success, otherwise the code is a gRPC status name and the body its message.
`cri.GetContainerEvents` is a stream (KEP-3386, evented lifecycle): items of kind `cri.event` are
the status of a container that has ended, which spares the kubelet the periodic relist.

The kubelet knows only this module; any actor that answers these kinds is a container runtime.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import attrs

from k8sactors.actors.record import Record
from k8sactors.runtime.errors import CRIError

RESPONSE = "cri.response"
EVENT = "cri.event"

STATUS = "cri.Status"  # [] -> [runtime_ready, network_ready, runtime_name, runtime_version]
UPDATE_RUNTIME_CONFIG = "cri.UpdateRuntimeConfig"  # [pod_cidr] -> None
PULL_IMAGE = "cri.PullImage"  # [image] -> [image_id, size_bytes]
IMAGE_STATUS = "cri.ImageStatus"  # [image] -> [image_id, size_bytes] | None
RUN_POD_SANDBOX = "cri.RunPodSandbox"  # SandboxConfig -> [sandbox_id, ip]
STOP_POD_SANDBOX = "cri.StopPodSandbox"  # [sandbox_id] -> None
REMOVE_POD_SANDBOX = "cri.RemovePodSandbox"  # [sandbox_id] -> None
LIST_POD_SANDBOX = "cri.ListPodSandbox"  # [] -> [SandboxStatus, ...]
CREATE_CONTAINER = "cri.CreateContainer"  # [sandbox_id, ContainerConfig] -> container_id
START_CONTAINER = "cri.StartContainer"  # [container_id] -> ContainerStatus
STOP_CONTAINER = "cri.StopContainer"  # [container_id, timeout_ns] -> ContainerStatus
REMOVE_CONTAINER = "cri.RemoveContainer"  # [container_id] -> None
CONTAINER_STATUS = "cri.ContainerStatus"  # [container_id] -> ContainerStatus
LIST_CONTAINERS = "cri.ListContainers"  # [] -> [ContainerStatus, ...]
EXEC_SYNC = "cri.ExecSync"  # [container_id, command, timeout_ns] -> [exit_code, output]
UPDATE_CONTAINER_RESOURCES = "cri.UpdateContainerResources"  # [container_id, milli, bytes] -> None
GET_CONTAINER_EVENTS = "cri.GetContainerEvents"  # stream
# Streams (`api.streaming`). The real runtime writes logs into files that the kubelet reads, and
# gives the kubelet an URL for the others.
CONTAINER_LOGS = "cri.ContainerLogs"  # [container_id, options]
EXEC = "cri.Exec"  # [container_id, command, options]
ATTACH = "cri.Attach"  # [container_id, options]
PORT_FORWARD = "cri.PortForward"  # [sandbox_id, port]
INJECT = "runtime.inject"  # [namespace, pod, container | None, action, argument] -> count

CREATED, RUNNING, EXITED = "CONTAINER_CREATED", "CONTAINER_RUNNING", "CONTAINER_EXITED"
SANDBOX_READY, SANDBOX_NOTREADY = "SANDBOX_READY", "SANDBOX_NOTREADY"


@attrs.frozen
class SandboxConfig(Record):
    """What a pod's sandbox is made from."""

    namespace: str
    name: str
    uid: str
    attempt: int
    annotations: dict[str, str]
    host_network: bool


@attrs.frozen
class SandboxStatus(Record):
    """A sandbox as the runtime lists it."""

    id: str
    state: str
    namespace: str
    name: str
    uid: str
    attempt: int
    ip: str
    created_at_ns: int


@attrs.frozen
class ContainerConfig(Record):
    """What a container is made from.

    `ports` are the declared container ports and those its probes ask; `container_type` is "init",
    "sidecar" or "app".
    """

    name: str
    attempt: int
    image: str
    command: list[str]
    args: list[str]
    ports: list[int]
    container_type: str
    env_port: int = 0
    cpu_limit_milli: int = 0
    memory_limit_bytes: int = 0
    env: dict[str, str] = attrs.field(factory=dict)
    working_dir: str = ""
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
    # Where the program may leave a message for its end.
    termination_message_path: str = ""
    # Whether the end of the log is the message of a container that fails without one.
    message_from_log: bool = False


@attrs.frozen
class ContainerStatus(Record):
    """A container as the runtime reports it; times are Unix nanoseconds, 0 when not yet."""

    id: str
    sandbox_id: str
    name: str
    attempt: int
    state: str
    image: str
    image_id: str
    created_at_ns: int
    started_at_ns: int
    finished_at_ns: int
    exit_code: int
    reason: str
    message: str


class CRI(Protocol):
    """The calls as the kubelet makes them: one of the callbacks gets the outcome."""

    def call(
        self,
        method: str,
        fields: list[Any],
        on_done: Callable[[Any], None],
        on_error: Callable[[CRIError], None],
        *,
        timeout_ns: int = ...,
    ) -> None:
        """Send one request to the runtime."""
        ...
