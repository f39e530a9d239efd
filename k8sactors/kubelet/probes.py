"""Probes: the kubelet's questions to a container, and what it concludes from the answers.

A startup probe comes first; the others wait until it has succeeded. Readiness decides whether the
pod gets traffic, a failed startup or liveness probe ends the container. Only a container with
probes has timers.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Any

from k8sactors.kubelet import pod_spec
from k8sactors.kubelet.container_record import ContainerRecord
from k8sactors.kubelet.services import NodeServices
from k8sactors.network import netns
from k8sactors.runtime import cri
from k8sactors.runtime.errors import CRIError
from k8sactors.simulation import SECOND, Timer


class ProbeKind(enum.Enum):
    """What a probe is for; the value is its name in events."""

    STARTUP = "Startup"
    READINESS = "Readiness"
    LIVENESS = "Liveness"


OnResult = Callable[[ProbeKind, bool, str], None]
"""Told a probe's kind, whether it succeeded often enough or failed, and the last message."""


class Probe:
    """One probe of a running container.

    Args:
        kind: what it is for.
        record: the container.
        ip: the pod's address.
        services: the kubelet.
        on_result: called when a threshold is reached.
        on_failure: called with the message of each failure.
    """

    def __init__(
        self,
        kind: ProbeKind,
        record: ContainerRecord,
        ip: str,
        services: NodeServices,
        on_result: OnResult,
        on_failure: Callable[[ProbeKind, str], None],
    ) -> None:
        self.kind = kind
        self._record = record
        self._spec: Mapping[str, Any] = record.spec[f"{kind.value.lower()}Probe"]
        self._ip = ip
        self._services = services
        self._on_result = on_result
        self._on_failure = on_failure
        self._streak = 0
        self._streak_success = False
        self._timer: Timer | None = None
        self._period_ns = int(self._spec.get("periodSeconds") or 10) * SECOND
        self._timeout_seconds = int(self._spec.get("timeoutSeconds") or 1)
        delay_ns = int(self._spec.get("initialDelaySeconds") or 0) * SECOND
        self._schedule(delay_ns)

    def stop(self) -> None:
        """Ask no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _schedule(self, delay_ns: int) -> None:
        self._timer = self._services.clock.after(delay_ns, self._ask)

    def _ask(self) -> None:
        self._schedule(self._period_ns)
        timer = self._timer
        command = (self._spec.get("exec") or {}).get("command")
        timeout_ns = self._timeout_seconds * SECOND
        if command is not None:
            method, fields = cri.EXEC_SYNC, [self._record.id, list(command), timeout_ns]
        else:
            port = pod_spec.probe_port(self._record.spec, self._spec)
            method, fields = netns.NETNS_CONNECT, [self._ip, port, "TCP"]

        def done(body: Any) -> None:
            if self._timer is timer:
                failed = command is not None and body[0] != 0
                self._answered(success=not failed, message=body[1] if failed else "")

        def fail(error: CRIError) -> None:
            if self._timer is timer and error.code != "Unavailable":
                self._answered(success=False, message=self._failure_text(error))

        self._services.cri.call(method, fields, done, fail, timeout_ns=timeout_ns)

    def _answered(self, *, success: bool, message: str) -> None:
        if not success:
            self._on_failure(self.kind, message)
        if success is not self._streak_success:
            self._streak_success = success
            self._streak = 0
        self._streak += 1
        key, default = ("successThreshold", 1) if success else ("failureThreshold", 3)
        if self._streak >= int(self._spec.get(key) or default):
            self._on_result(self.kind, success, message)

    def _failure_text(self, error: CRIError) -> str:
        """The real prober's message for this kind of failure."""
        late = error.code in {"DeadlineExceeded", "Timeout"}
        if "exec" in self._spec:
            return f"command timed out after {self._timeout_seconds}s" if late else error.message
        address = f"{self._ip}:{pod_spec.probe_port(self._record.spec, self._spec)}"
        if "grpc" in self._spec:
            within = f"within {self._timeout_seconds}s: context deadline exceeded"
            return f'timeout: failed to connect service "{address}" {within}'
        refused = f"dial tcp {address}: connect: {error.message}"
        if "httpGet" not in self._spec:
            return f"dial tcp {address}: i/o timeout" if late else refused
        request = self._spec["httpGet"]
        scheme = str(request.get("scheme") or "HTTP").lower()
        why = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        return f'Get "{scheme}://{address}{request.get("path") or "/"}": {why if late else refused}'
