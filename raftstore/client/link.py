"""One connection to one member, and what is under way on it.

A link begins with a status request, and holds everything back until the answer: so a write that
was waiting when the connection is refused was surely not carried out. The same request is the probe
when the member is silent although something waits: a host without power closes no connections.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from raftstore.client.call import Call
from raftstore.client.connection import Connection, Dial
from raftstore.client.watch import Watch
from raftstore.wire import REQUEST, WATCH, WATCH_CANCEL, WITH_TOKEN, StatusRequest

PROBE_AFTER_TICKS: Final = 10
BREAK_AFTER_TICKS: Final = 20
# With watches only, nothing waits for an answer: probe at leisure.
IDLE_FACTOR: Final = 5
_LEADER_FIELD: Final = 3


class LinkOwner(Protocol):
    """The client that a link works for, and reports to."""

    @property
    def tick(self) -> int:
        """The client's clock: it counts while something waits."""

    @property
    def token(self) -> str:
        """Goes with every request; "" where there is none."""

    @property
    def dial(self) -> Dial:
        """Opens connections."""

    def accepts(self, link: Link, leader: int) -> bool:
        """Whether to use a member that knows this leader (0: none)."""

    def answered(self, link: Link, call: Call, payload: list[Any]) -> None:
        """An answer has come."""

    def link_broken(self, link: Link, reason: str) -> None:
        """A connection has ended, or was never made."""

    def link_done(self, link: Link) -> None:
        """A retired link has closed."""


class Link:
    """Calls and watches on one connection; reports to the client that owns it."""

    __slots__ = (
        "_client",
        "_connection",
        "_heard_tick",
        "_orphans",
        "_probe_id",
        "calls",
        "closed",
        "endpoint",
        "queued",
        "ready",
        "retired",
        "watches",
    )

    def __init__(self, client: LinkOwner, endpoint: str) -> None:
        self._client = client
        self.endpoint = endpoint
        self.calls: dict[int, Call] = {}
        self.queued: list[Call] = []
        self.watches: dict[int, Watch] = {}
        self.ready = False
        self.retired = False
        self.closed = False
        self._heard_tick = client.tick
        self._probe_id = 0
        # Watches that were ended before the member had named them.
        self._orphans: dict[int, None] = {}
        self._connection: Connection = client.dial(endpoint, self._on_close)
        if not self.closed:
            self._probe()

    def submit(self, call: Call) -> None:
        """Send the call, or keep it until the link is ready."""
        if not self.ready:
            self.queued.append(call)
            return
        if not self.calls:
            # Silence counts from when something is waited for.
            self._heard_tick = self._client.tick
        call.sent = True
        payload = [call.op, call.fields]
        token = self._client.token
        if token:
            call.token = token
            payload = [WITH_TOKEN, [token, *payload]]
        message_id = self._connection.subscribe(REQUEST, payload, self._on_answer)
        self.calls[message_id] = call

    def open_watch(self, watch: Watch) -> None:
        """Begin or resume a watch; it must be ready."""
        assert self.ready
        fields = watch.fields()
        if self._client.token:
            fields.append(self._client.token)
        message_id = self._connection.subscribe(WATCH, fields, self._on_watch_item)
        watch.link, watch.message_id = self, message_id
        self.watches[message_id] = watch

    def close_watch(self, watch: Watch) -> None:
        """End a watch on this link, here and at the member."""
        if self.watches.pop(watch.message_id, None) is not None:
            if watch.watch_id:
                self._cancel(watch.message_id, watch.watch_id)
            else:
                self._orphans[watch.message_id] = None
        watch.link = None
        self._close_if_done()

    def drop_watch(self, watch: Watch) -> None:
        """The member has ended a watch by itself."""
        self.watches.pop(watch.message_id, None)
        self._connection.unsubscribe(watch.message_id)
        watch.link = None

    def _cancel(self, message_id: int, watch_id: int) -> None:
        self._connection.unsubscribe(message_id)
        self._connection.send(WATCH_CANCEL, [watch_id])

    def forget(self, expired: Call) -> None:
        """Wait no longer for the answer to a call."""
        if expired in self.queued:
            self.queued.remove(expired)
        for message_id, call in self.calls.items():
            if call is expired:
                del self.calls[message_id]
                self._connection.unsubscribe(message_id)
                break
        self._close_if_done()

    def retire(self) -> None:
        """Take nothing new; close when the calls under way have been answered."""
        self.retired = True
        for watch in list(self.watches.values()):
            self.close_watch(watch)
        self._close_if_done()

    def close(self) -> None:
        """Close without waiting; nothing is reported."""
        if not self.closed:
            self.closed = True
            self._connection.close()

    def check_silence(self) -> None:
        """Probe a member that owes an answer, and give up on one that does not answer the probe."""
        if self.ready and not self.calls and not self.watches:
            return
        factor = 1 if self.calls or not self.ready else IDLE_FACTOR
        silent_ticks = self._client.tick - self._heard_tick
        if self._probe_id:
            allowed = PROBE_AFTER_TICKS * (factor - 1) + BREAK_AFTER_TICKS
            if silent_ticks >= allowed:
                self._connection.close()
                self._on_close(f"{self.endpoint} does not answer")
        elif silent_ticks >= PROBE_AFTER_TICKS * factor:
            self._probe()

    def _probe(self) -> None:
        request = [StatusRequest.op, StatusRequest().to_wire()]
        self._probe_id = self._connection.subscribe(REQUEST, request, self._on_probe)

    def _on_probe(self, message: Any) -> None:
        self._connection.unsubscribe(self._probe_id)
        self._probe_id = 0
        self._heard_tick = self._client.tick
        payload = message.payload
        leader = payload[1][_LEADER_FIELD] if payload[0] == 0 else 0
        if not self._client.accepts(self, leader):
            return
        self.ready = True
        queued, self.queued = self.queued, []
        for call in queued:
            self.submit(call)

    def _on_watch_item(self, message: Any) -> None:
        self._heard_tick = self._client.tick
        watch = self.watches.get(message.cause)
        if watch is not None:
            watch.on_item(message.payload)
        elif message.cause in self._orphans:
            del self._orphans[message.cause]
            if not isinstance(message.payload[0], str):
                self._cancel(message.cause, message.payload[0])

    def _on_answer(self, message: Any) -> None:
        self._connection.unsubscribe(message.cause)
        call = self.calls.pop(message.cause, None)
        self._heard_tick = self._client.tick
        if call is not None:
            self._client.answered(self, call, message.payload)
        if self.retired:
            self._close_if_done()

    def _on_close(self, reason: str) -> None:
        if not self.closed:
            self.closed = True
            self._client.link_broken(self, reason)

    def _close_if_done(self) -> None:
        if self.retired and not self.calls and not self.closed:
            self.close()
            self._client.link_done(self)
