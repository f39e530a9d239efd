"""API servers for tests: the real ones, over a store in memory, with refusals on demand."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from k8sactors import simulation
from k8sactors.actors import Message
from k8sactors.api import codec
from k8sactors.api.errors import StatusError
from k8sactors.api.protocol import REQUEST, RESPONSE, WATCH
from k8sactors.apiserver import APIServer, APIServerConfig
from k8sactors.fabric import Host
from k8sactors.store.memory import MemoryStore
from k8sactors.testing.objects import Objects
from k8sactors.testing.request import ReceivedRequest, received

Object = dict[str, Any]


class ControlPlane:
    """Any number of API servers over one `MemoryStore`, and what a test may do to them.

    `store` fails as it is told (`unavailable`, `loses_answers`) and can be compacted; `objects`
    are read and written past the servers. Requests can be refused before a server looks at them:
    each of `refusals` answers one request, in order; `refuse` is called with every request and
    raises a StatusError for those that it refuses.

    Args:
        settings: fields of `APIServerConfig` that are unlike its defaults. Pods need no
            ServiceAccount and new nodes get no taint unless the settings say so, because in a test
            the controllers that make and remove them need not run.
    """

    def __init__(self, **settings: Any) -> None:
        defaults = {"service_account_must_exist": False, "taint_new_nodes": False}
        self.config = APIServerConfig(**{**defaults, **settings})
        self.store = MemoryStore(simulation.current())
        self.objects = Objects(self.store, simulation.current())
        self.requests: list[ReceivedRequest] = []
        # Resource and options of each watch.
        self.watches: list[tuple[str, Object]] = []
        self.refusals: deque[StatusError] = deque()
        self.refuse: Callable[[ReceivedRequest], None] | None = None

    def add_server(self, host: Host, name: str = "apiserver") -> None:
        """Run an API server on a host of the fabric."""
        host.spawn(name, lambda: ObservedAPIServer(self))

    def check(self, request: ReceivedRequest) -> None:
        """Note a request.

        Raises:
            StatusError: the test wants it refused.
        """
        self.requests.append(request)
        if self.refusals:
            raise self.refusals.popleft()
        if self.refuse is not None:
            self.refuse(request)


class ObservedAPIServer(APIServer):
    """An API server that shows its control plane each request before it serves it."""

    def __init__(self, control_plane: ControlPlane) -> None:
        super().__init__(
            control_plane.config,
            open_store=lambda context, config: control_plane.store.open(
                context.address, context, config
            ),
        )
        self._control_plane = control_plane

    def on_message(self, message: Message) -> None:
        """Note a request or a watch; serve it unless the test has it refused."""
        if message.kind == WATCH:
            resource, _, options = message.payload[:3]
            self._control_plane.watches.append((resource, options or {}))
        elif message.kind == REQUEST and self._refused(message):
            return
        super().on_message(message)

    def _refused(self, message: Message) -> bool:
        try:
            self._control_plane.check(received(message))
        except StatusError as error:
            message.reply(RESPONSE, (error.code, 0, codec.encode_value(error.status())))
            return True
        return False
