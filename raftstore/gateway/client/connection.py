"""A `raftstore.client.Connection` to one endpoint that speaks etcd's gRPC protocol.

What the client core asks of a connection, turned into calls: a request is a unary call, all watches
share one stream under ids chosen here, all renewals of leases another. Codes and texts of refusals
are etcd's on both sides, so the core's rules on trying again hold unchanged.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from raftstore.errors import UNAVAILABLE, UNKNOWN_METHOD, Status
from raftstore.gateway.client.channel import Call, Channel, Headers, succeeded
from raftstore.gateway.client.codecs import CODECS, header_fields
from raftstore.gateway.client.watches import WatchMultiplexer, token_metadata
from raftstore.gateway.codes import INTERNAL, OK
from raftstore.gateway.methods import KEEP_ALIVE
from raftstore.wire import REQUEST, WATCH, WATCH_CANCEL, WITH_TOKEN

OnItem = Callable[[Any], None]
NO_ANSWER: Final = Status(INTERNAL, "grpc: the call ended without an answer")


class Answer(NamedTuple):
    """What the core takes for a message: fields or a refusal, and the message it answers."""

    payload: Any
    cause: int


class WireConnection:
    """Requests and watches of one client at one endpoint."""

    def __init__(
        self,
        authority: str,
        on_close: Callable[[str], None],
        *,
        scheme: str = "http",
        metadata: Headers = (),
    ) -> None:
        self.closed = False
        self._on_close = on_close
        self._metadata = metadata
        self.channel = Channel(authority, self._lost, scheme=scheme)
        self._last = 0
        self._calls: dict[int, Call] = {}
        self._watches = WatchMultiplexer(self.channel, metadata, self.fail)
        self._renewals: Call | None = None
        self._renewing: dict[int, deque[tuple[int, OnItem]]] = {}

    # What the core asks

    def send(self, kind: str, payload: Any, cause: int = 0) -> int:
        """Queue a message; the only one without an answer ends a watch."""
        del cause
        assert kind == WATCH_CANCEL, f"a {kind} has answers"
        self._watches.cancel(payload[0])
        return self._next()

    def subscribe(self, kind: str, payload: Any, on_item: OnItem) -> int:
        """Begin a call or a watch."""
        number = self._next()
        if self.closed:
            return number
        if kind == WATCH:
            # A token stands behind the request's own fields.
            self._watches.create(number, payload, lambda fields: on_item(Answer(fields, number)))
            return number
        assert kind == REQUEST, f"no client sends a {kind}"
        op, fields = payload
        token = ""
        if op == WITH_TOKEN:
            token, op, fields = fields
        if op == "lease_keep_alive":
            # The store asks no client for a token that renews a lease.
            self._renew(number, fields[0], on_item)
        else:
            self._ask(number, op, fields, on_item, token)
        return number

    def unsubscribe(self, message_id: int) -> None:
        """Drop what still comes in answer to a message; a call under way is cancelled."""
        call = self._calls.pop(message_id, None)
        if call is not None:
            call.cancel()
        else:
            self._watches.unsubscribe(message_id)

    def close(self, reason: str = "") -> None:
        """Close; the own `on_close` is not called."""
        self.closed = True
        self.channel.close(reason)

    def fail(self, reason: str) -> None:
        """The endpoint is of no use: whatever is under way may go elsewhere."""
        self.channel.break_(reason)

    def _next(self) -> int:
        self._last += 1
        return self._last

    def _lost(self, reason: str) -> None:
        if not self.closed:
            self.closed = True
            self._on_close(reason)

    # Calls with one answer

    def _ask(self, number: int, op: str, fields: list[Any], on_item: OnItem, token: str) -> None:
        codec = CODECS.get(op)
        answers: list[list[Any]] = []

        def ended(status: Status) -> None:
            self._calls.pop(number, None)
            if self.closed:
                return
            if not succeeded(status):
                on_item(Answer(list(status), number))
            elif not answers:
                on_item(Answer(list(NO_ANSWER), number))
            else:
                on_item(Answer([0, answers[0]], number))

        if codec is None:
            # Asked for all the same, so that the refusal comes in a turn of its own.
            self._call(number, f"/raftstore.Unknown/{op}", lambda _data: None, _unknown(ended))
            return
        decode = codec.decode
        metadata = token_metadata(token)
        call = self._call(
            number, codec.path, lambda data: answers.append(decode(data)), ended, metadata
        )
        call.send(codec.encode(fields))
        call.finish()

    def _call(
        self,
        number: int,
        path: str,
        on_message: Callable[[bytes], None],
        on_end: Callable[[Status], None],
        metadata: Headers = (),
    ) -> Call:
        metadata = (*self._metadata, *metadata)
        call = self._calls[number] = self.channel.call(path, on_message, on_end, metadata)
        return call

    # Renewals of leases

    def _renew(self, number: int, lease_id: int, on_item: OnItem) -> None:
        self._renewing.setdefault(lease_id, deque()).append((number, on_item))
        call = self._renewals
        if call is None or call.over:
            call = self._renewals = self.channel.call(
                KEEP_ALIVE.path, self._renewed, self._renewals_ended, self._metadata
            )
        call.send(KEEP_ALIVE.request(ID=lease_id).SerializeToString())

    def _renewed(self, data: bytes) -> None:
        response = KEEP_ALIVE.response.FromString(data)
        waiting = self._renewing.get(response.ID)
        if not waiting:
            return
        number, on_item = waiting.popleft()
        if not waiting:
            del self._renewing[response.ID]
        fields = [header_fields(response.header), response.ID, response.TTL]
        on_item(Answer([0, fields], number))

    def _renewals_ended(self, status: Status) -> None:
        self._renewals = None
        waiting, self._renewing = self._renewing, {}
        if self.closed:
            return
        refusal = status if status.code != OK else Status(UNAVAILABLE, "the stream has ended")
        for queue in waiting.values():
            for number, on_item in queue:
                on_item(Answer(list(refusal), number))


def _unknown(ended: Callable[[Status], None]) -> Callable[[Status], None]:
    return lambda _status: ended(UNKNOWN_METHOD)
