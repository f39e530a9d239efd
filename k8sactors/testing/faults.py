"""Carries out the faults that a test orders, in the API servers of a cluster.

A `FaultyAPIServer` shows each request and each watch to its `Faults` before it serves it. What is
struck by no fault goes its usual way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

import attrs

from k8sactors import simulation
from k8sactors.api.errors import StatusError
from k8sactors.simulation import SECOND
from k8sactors.testing.fault_helpers import FaultHandle, FaultHelpers
from k8sactors.testing.faulty_server import FaultyAPIServer, ServerFaults
from k8sactors.testing.observed_message import GatedStream, ObservedMessage
from k8sactors.testing.request import ReceivedRequest, RequestPattern, is_called

# So many requests are kept for a test to look at.
MAX_REQUESTS: Final = 100_000

_REASONS: Final = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


@attrs.define(eq=False)
class _Fault:
    """A fault on requests: which, how many more, and what is done to each."""

    pattern: RequestPattern
    strike: Callable[[FaultyAPIServer, ObservedMessage, ReceivedRequest], None]
    # How many more it hits; None: all.
    left: int | None
    hits: int = 0

    def take(self, request: ReceivedRequest) -> bool:
        """Whether it hits this request, which is counted."""
        if self.left == 0 or not self.pattern.matches(request):
            return False
        self.hits += 1
        if self.left is not None:
            self.left -= 1
        return True

    def end(self) -> None:
        """Hit no more."""
        self.left = 0


class _StaleReads:
    """A cache that stands still: what it held, and the watches that wait."""

    def __init__(self, faults: Faults, pattern: RequestPattern) -> None:
        self.pattern = pattern
        self.hits = 0
        self.views = {server: server.views(pattern.resource) for server in faults.servers}
        self._faults = faults

    def holds(self, request: ReceivedRequest) -> bool:
        """Whether a watch waits; a watch is counted when it is first held."""
        return self.pattern.matches(request)

    def answer(
        self, server: FaultyAPIServer, message: ObservedMessage, request: ReceivedRequest
    ) -> bool:
        """Answer a read that any state will do for, with the state of then."""
        views = self.views.get(server, {})
        view = views.get(request.resource)
        if view is None or request.options.get("resourceVersion") != "0":
            return False
        if not self.pattern.matches(request):
            return False
        self.hits += 1
        server.answer_from(view, message, request)
        return True

    def end(self) -> None:
        """Catch up."""
        if self in self._faults.stale:
            self._faults.stale.remove(self)
            self._faults.release()


class Faults(FaultHelpers, ServerFaults):
    """All faults of a cluster, and the requests that its servers have received."""

    def __init__(self) -> None:
        self.servers: list[FaultyAPIServer] = []
        self.requests: deque[ReceivedRequest] = deque(maxlen=MAX_REQUESTS)
        self.stale: list[_StaleReads] = []
        self._faults: list[_Fault] = []
        self._watches: dict[GatedStream, ReceivedRequest] = {}

    # What servers call

    def started(self, server: FaultyAPIServer) -> None:
        """A server runs."""
        self.servers.append(server)

    def stopped(self, server: FaultyAPIServer) -> None:
        """A server runs no longer."""
        self.servers.remove(server)

    def strike(
        self, server: FaultyAPIServer, message: ObservedMessage, request: ReceivedRequest
    ) -> bool:
        """Whether a fault deals with a request or watch."""
        self.requests.append(request)
        for fault in self._faults:
            if fault.take(request):
                fault.strike(server, message, request)
                return True
        return request.verb in {"get", "list"} and any(
            stale.answer(server, message, request) for stale in list(self.stale)
        )

    def watched(self, stream: GatedStream, request: ReceivedRequest) -> None:
        """A watch has been opened."""
        for known in [each for each in self._watches if each.closed]:
            del self._watches[known]
        self._watches[stream] = request

    def holds(self, stream: GatedStream) -> bool:
        """Whether a watch has to wait with its events."""
        request = self._watches.get(stream)
        if request is None:
            return False
        for stale in self.stale:
            if stale.holds(request):
                stale.hits += 1
                return True
        return False

    def release(self) -> None:
        """Let watches that wait no longer tell what they hold back."""
        for stream in list(self._watches):
            if not stream.closed and stream.credit > 0:
                stream.on_writable()

    # What tests call

    def order(self, kind: str, pattern: dict[str, Any], settings: dict[str, Any]) -> FaultHandle:
        """Order a fault."""
        verbs = pattern["verbs"]
        meant = RequestPattern(**{**pattern, "verbs": None if verbs is None else tuple(verbs)})
        if meant.resource is not None:
            self._check_resource(meant.resource)
        if kind == "stale":
            return self._order_stale(meant, settings["seconds"])
        if kind in {"drop", "expire"}:
            if kind == "expire":
                for server in self.servers:
                    server.expire_history()
            hits = self._drop(meant)
            return FaultHandle(lambda: hits, lambda: None)
        strike = getattr(self, f"_{kind}")(settings)
        fault = _Fault(meant, strike, settings["times"])
        self._faults.append(fault)
        return FaultHandle(lambda: fault.hits, fault.end)

    def _check_resource(self, resource: str) -> None:
        served = {name for server in self.servers for name in server.scheme.names()}
        if not any(is_called(name, resource) for name in served):
            raise ValueError(f"no resource is called {resource!r}")

    def _order_stale(self, pattern: RequestPattern, seconds: float) -> FaultHandle:
        stale = _StaleReads(self, pattern)
        self.stale.append(stale)
        simulation.current().after(round(seconds * SECOND), stale.end)
        return FaultHandle(lambda: stale.hits, stale.end)

    def _drop(self, pattern: RequestPattern) -> int:
        dropped = 0
        for stream, request in list(self._watches.items()):
            if not stream.closed and pattern.matches(request):
                stream.drop("the watch was dropped by the test")
                dropped += 1
        return dropped

    # Faults on requests

    def _fail(
        self, settings: dict[str, Any]
    ) -> Callable[[FaultyAPIServer, ObservedMessage, ReceivedRequest], None]:
        code: int = settings["code"]
        reason = settings["reason"] or _REASONS.get(code, "Unknown")
        text = settings["message"] or f"refused by the test with {code}"
        error = StatusError(
            code, reason, text, retry_after_seconds=int(settings["retry_after_s"] or 0)
        )
        return lambda server, message, _request: server.refuse(message, error)

    def _conflict(
        self, _settings: dict[str, Any]
    ) -> Callable[[FaultyAPIServer, ObservedMessage, ReceivedRequest], None]:
        return lambda server, message, request: server.be_faster(message, request)

    def _lose(
        self, _settings: dict[str, Any]
    ) -> Callable[[FaultyAPIServer, ObservedMessage, ReceivedRequest], None]:
        def lose(server: FaultyAPIServer, message: ObservedMessage, _: ReceivedRequest) -> None:
            message.loses_answer = True
            server.serve(message)

        return lose

    def _slow(
        self, settings: dict[str, Any]
    ) -> Callable[[FaultyAPIServer, ObservedMessage, ReceivedRequest], None]:
        delay_ns = round(settings["seconds"] * SECOND)

        def slow(server: FaultyAPIServer, message: ObservedMessage, _: ReceivedRequest) -> None:
            server.ctx.after(delay_ns, lambda: server.serve(message))

        return slow
