"""Streams of clients to pods, services and nodes: joined with those of kubelets and node networks.

A stream begins as a call, so that authorization, admission (as CONNECT, with what is asked for as
the object) and the audit see it; its answer is the stream.
Long-running ones are not counted as requests in flight, as in the real server.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from k8sactors.actors import Context, Message, Stream
from k8sactors.actors.forwarding import forward
from k8sactors.api import errors
from k8sactors.api.errors import StatusError
from k8sactors.api.streaming import CONNECT_USER, IN_ORDER, OPENED, WINDOW_BYTES
from k8sactors.api.user import UserInfo
from k8sactors.apiserver.admission_chain import Attributes
from k8sactors.apiserver.call import Call
from k8sactors.apiserver.connectors import Connector, connectors
from k8sactors.apiserver.connectors.options import connect_options
from k8sactors.apiserver.feature_gates import WEBSOCKET_CREATE, is_enabled
from k8sactors.apiserver.locations import status_trailer
from k8sactors.apiserver.registry import Registry
from k8sactors.apiserver.resource import Resource
from k8sactors.simulation import SECOND

DIAL_TIMEOUT_NS: Final = 30 * SECOND
# By GET, too, these need the right to create (AuthorizePodWebsocketUpgradeCreatePermission).
CREATED_BY_GET: Final = frozenset({"exec", "attach", "portforward"})
_OK: Final = 200
Settle = Callable[[Call, int, int], None]


class _StreamOrigin:
    """Where the answer of a call goes that is a stream: a refusal closes it."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def reply(self, _kind: str, payload: Any) -> None:
        """Close the stream with a Status."""
        self._stream.close("refused", [payload[0], payload[2]])


class Connections:
    """Opens the streams of one server. `settled` is told of each that has begun or was refused."""

    def __init__(self, ctx: Context, registry: Registry, settled: Settle) -> None:
        self._ctx = ctx
        self._registry = registry
        self._settled = settled
        self._connectors = connectors()
        gates = registry.environment.settings.feature_gates
        self._created_by_get = (
            CREATED_BY_GET if is_enabled(gates, WEBSOCKET_CREATE) else frozenset()
        )
        self.opened = 0

    def open(
        self,
        message: Message,
        resource: Resource | None,
        user: UserInfo | StatusError,
        authorize: Callable[[Call], StatusError | None] | None,
    ) -> None:
        """Begin one; `user` may be the reason why it is refused."""
        stream = message.accept_stream(window=WINDOW_BYTES, manual_credit=True)
        if stream is None:
            return
        if isinstance(user, StatusError):
            stream.close("refused", status_trailer(user))
            return
        if resource is None:
            stream.close("refused", status_trailer(errors.path_not_found()))
            return
        verb, _, namespace, name, subresource, options = message.payload[:CONNECT_USER]
        payload = [verb, resource.name, namespace, name, subresource, None, options]
        environment = self._registry.environment
        call = Call(_StreamOrigin(stream), payload, resource, user, environment, self._settled)
        self._registry.run(call, self._check, call, stream, authorize)

    def _check(
        self,
        call: Call,
        stream: Stream,
        authorize: Callable[[Call], StatusError | None] | None,
    ) -> None:
        if authorize is not None:
            verb = call.verb
            refusal = authorize(call)
            if refusal is None and verb == "get" and call.subresource in self._created_by_get:
                # A WebSocket begins with GET; what it opens is created all the same.
                call.verb = "create"
                refusal = authorize(call)
            if refusal is not None:
                raise refusal
        info = call.resource.info
        connector = self._connectors.get((info.plural, call.subresource))
        if connector is None or call.subresource not in info.subresources:
            raise errors.path_not_found()
        if info.namespaced and not call.namespace:
            raise errors.path_not_found()
        options = connect_options(call)
        if options is None:
            self._registry.run(call, self._locate, call, stream, connector)
            return
        attributes = self._registry.admission.attributes(call, "CONNECT", options)
        self._registry.run(call, self._admit, call, stream, connector, attributes)

    def _admit(
        self, call: Call, stream: Stream, connector: Connector, attributes: Attributes
    ) -> None:
        attributes.mutate()
        attributes.validate()
        self._registry.run(call, self._locate, call, stream, connector)

    def _locate(self, call: Call, stream: Stream, connector: Connector) -> None:
        location = connector(call, self._registry.cluster)
        if stream.closed:
            return
        if location is None:
            self._begun(call)
            # No content type: there is no content.
            stream.send(OPENED, [""])
            stream.close("", IN_ORDER)
            return

        def failed(reason: str, trailer: Any) -> None:
            code, *rest = location.trailer(reason, trailer)
            if not call.done:
                call.done = True
                self._settled(call, code, 0)
            stream.close(reason, [code, *rest])

        forward(
            self._ctx,
            stream,
            location.destination,
            failed,
            window=WINDOW_BYTES,
            timeout_ns=DIAL_TIMEOUT_NS,
            on_opened=lambda: self._begun(call),
        )

    def _begun(self, call: Call) -> None:
        self.opened += 1
        if not call.done:
            call.done = True
            self._settled(call, _OK, 0)
