"""The hooks of a container's life: what the kubelet runs right after its start and before its stop.

Source: "Container Lifecycle Hooks" and KEP-3960 (sleep). A handler runs a command in the container,
asks an address by HTTP, or sleeps. `tcpSocket` is kept in the API for old objects alone: no kubelet
can run it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from k8sactors.kubelet import pod_spec
from k8sactors.kubelet.container_record import ContainerRecord
from k8sactors.kubelet.services import NodeServices
from k8sactors.network import netns
from k8sactors.runtime import cri
from k8sactors.runtime.errors import CRIError
from k8sactors.simulation import SECOND, Timer

POST_START: Final = "postStart"
PRE_STOP: Final = "preStop"
# The kubelet itself waits for a postStart hook without a limit.
POST_START_TIMEOUT_NS: Final = 3600 * SECOND
TIMED_OUT: Final = "the hook did not complete in time"

OnDone = Callable[[str], None]
"""Told "" or what went wrong."""


def handler_of(record: ContainerRecord, hook: str) -> Mapping[str, Any] | None:
    """The handler of a container's `POST_START` or `PRE_STOP` hook, None if it has none."""
    handler: Mapping[str, Any] | None = (record.spec.get("lifecycle") or {}).get(hook)
    return handler


class Hook:
    """One run of a handler.

    Args:
        record: the container.
        handler: what to do.
        ip: the pod's address.
        services: the kubelet.
        timeout_ns: after which `on_done` is told TIMED_OUT.
        on_done: called once, unless the run is cancelled before.
    """

    def __init__(
        self,
        record: ContainerRecord,
        handler: Mapping[str, Any],
        ip: str,
        services: NodeServices,
        timeout_ns: int,
        on_done: OnDone,
    ) -> None:
        self._record = record
        self._ip = ip
        self._services = services
        self._timeout_ns = timeout_ns
        self._on_done: OnDone | None = on_done
        self._timer: Timer | None = services.clock.after(
            timeout_ns, lambda: self._finished(TIMED_OUT)
        )
        self._run(handler)

    def cancel(self) -> None:
        """Do not tell how it ends. Idempotent."""
        self._on_done = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _finished(self, problem: str) -> None:
        on_done = self._on_done
        self.cancel()
        if on_done is not None:
            on_done(problem)

    def _run(self, handler: Mapping[str, Any]) -> None:
        if "exec" in handler:
            command = list(handler["exec"].get("command") or ())
            self._call(cri.EXEC_SYNC, [self._record.id, command, self._timeout_ns], self._executed)
        elif "httpGet" in handler:
            request = handler["httpGet"]
            host = request.get("host") or self._ip
            port = pod_spec.resolve_port(self._record.spec, request.get("port"))
            self._call(netns.NETNS_CONNECT, [host, port, "TCP"], self._answered)
        elif "sleep" in handler:
            seconds = int(handler["sleep"].get("seconds") or 0)
            self._services.clock.after(seconds * SECOND, lambda: self._finished(""))
        else:
            self._services.clock.after(0, lambda: self._finished("invalid handler"))

    def _call(self, method: str, fields: list[Any], on_done: Callable[[Any], None]) -> None:
        self._services.cri.call(method, fields, on_done, self._failed, timeout_ns=self._timeout_ns)

    def _executed(self, body: Any) -> None:
        exit_code, output = body
        self._finished("" if exit_code == 0 else output or f"exit status {exit_code}")

    def _answered(self, body: Any) -> None:
        del body
        self._finished("")

    def _failed(self, error: CRIError) -> None:
        self._finished(error.message)
