"""The kubelet's end of the CRI: one connection to the runtime, made again whenever it breaks.

After each (re)connection the client subscribes to container events, asks for the runtime's status
and lists what runs; only then are calls let through. Until that, calls fail with code Unavailable.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import attrs

from k8sactors.actors import Connection, Context, Message
from k8sactors.runtime import cri
from k8sactors.runtime.errors import CRIError
from k8sactors.simulation import SECOND

_RECONNECT_NS = SECOND
_CALL_TIMEOUT_NS = 120 * SECOND


@attrs.frozen
class Listing:
    """What the runtime has, right after connecting."""

    network_ready: bool
    runtime_version: str
    sandboxes: list[cri.SandboxStatus]
    containers: list[cri.ContainerStatus]


class CRIClient:
    """Calls to one runtime.

    Args:
        ctx: the owning actor's context.
        address: the runtime's actor.
        on_connected: told what the runtime has.
        on_lost: told that the runtime went away.
        on_exit: told each container that has ended.
    """

    def __init__(
        self,
        ctx: Context,
        address: str,
        on_connected: Callable[[Listing], None],
        on_lost: Callable[[], None],
        on_exit: Callable[[cri.ContainerStatus], None],
    ) -> None:
        self._ctx = ctx
        self._address = address
        self._on_connected = on_connected
        self._on_lost = on_lost
        self._on_exit = on_exit
        self._connection: Connection | None = None
        self.connected = False

    def start(self) -> None:
        """Connect, and stay connected."""
        self._connection = self._ctx.connect(self._address, self._closed)
        self._connection.subscribe(cri.GET_CONTAINER_EVENTS, [], self._event)
        answers: dict[str, Any] = {}

        def collect(method: str, body: Any) -> None:
            answers[method] = body
            if len(answers) == len(methods):
                self._listed(answers)

        methods = (cri.STATUS, cri.LIST_POD_SANDBOX, cri.LIST_CONTAINERS)
        for method in methods:
            self._send(method, [], partial(collect, method), _ignore)

    def _listed(self, answers: dict[str, Any]) -> None:
        _, network_ready, name, version = answers[cri.STATUS]
        self.connected = True
        self._on_connected(
            Listing(
                network_ready,
                f"{name}://{version}",
                [cri.SandboxStatus.from_wire(item) for item in answers[cri.LIST_POD_SANDBOX]],
                [cri.ContainerStatus.from_wire(item) for item in answers[cri.LIST_CONTAINERS]],
            )
        )

    def _event(self, message: Message) -> None:
        self._on_exit(cri.ContainerStatus.from_wire(message.payload))

    def _closed(self, reason: str) -> None:
        del reason
        was_connected, self.connected = self.connected, False
        self._connection = None
        self._ctx.after(_RECONNECT_NS, self.start)
        if was_connected:
            self._on_lost()

    def call(
        self,
        method: str,
        fields: list[Any],
        on_done: Callable[[Any], None],
        on_error: Callable[[CRIError], None],
        *,
        timeout_ns: int = _CALL_TIMEOUT_NS,
    ) -> None:
        """Send one request to the runtime."""
        if self.connected:
            self._send(method, fields, on_done, on_error, timeout_ns)
        else:
            error = CRIError("Unavailable", f"connection to {self._address} is down")
            self._ctx.after(0, lambda: on_error(error))

    def _send(
        self,
        method: str,
        fields: list[Any],
        on_done: Callable[[Any], None],
        on_error: Callable[[CRIError], None],
        timeout_ns: int = _CALL_TIMEOUT_NS,
    ) -> None:
        def replied(message: Message) -> None:
            code, body = message.payload
            if code:
                on_error(CRIError(code, body))
            else:
                on_done(body)

        def failed(error: Exception) -> None:
            lost = self._connection is None or self._connection.closed
            on_error(CRIError("Unavailable" if lost else "DeadlineExceeded", str(error)))

        assert self._connection is not None
        self._connection.request(method, fields, replied, timeout_ns=timeout_ns, on_fail=failed)


def _ignore(error: CRIError) -> None:
    """A broken connection is made again, and asks again."""
    del error
