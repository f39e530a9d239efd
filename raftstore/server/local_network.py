"""Connections of clients to members in the same program: msgpack frames over memory channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

import msgpack
import trio

from raftstore.server.local_timers import Gate

CLOSE: Final = "store.close"
MAX_QUEUED_FRAMES: Final = 10_000

_pack: Final = msgpack.Packer(autoreset=True).pack


class Receiver(Protocol):
    """A running member, as the network sees it."""

    def deliver(self, frame: bytes, /) -> bool:
        """Take a frame; False if it is gone or overloaded."""


class Answer:
    """A message to a client."""

    __slots__ = ("cause", "payload")

    def __init__(self, payload: Any, cause: int) -> None:
        self.payload = payload
        self.cause = cause


class LocalConnection:
    """A client's end of a connection (`raftstore.client.Connection`)."""

    __slots__ = ("_network", "_streams", "closed", "id", "last_id", "member", "on_close", "outbox")

    def __init__(
        self, network: Network, connection_id: int, member: int, on_close: Callable[[str], None]
    ) -> None:
        self._network = network
        self._streams: dict[int, Callable[[Any], None]] = {}
        self.id = connection_id
        self.member = member
        self.on_close = on_close
        self.closed = False
        self.last_id = 0
        self.outbox: list[tuple[str, int, Any]] = []

    def send(self, kind: str, payload: Any, cause: int = 0) -> int:
        """Queue a message for the next frame; returns its id."""
        del cause
        self.last_id = message_id = self.last_id + 1
        if not self.closed:
            if not self.outbox:
                self._network.mark_dirty(self)
            self.outbox.append((kind, message_id, payload))
        return message_id

    def stream(self, kind: str, payload: Any, on_item: Callable[[Any], None]) -> int:
        """Queue a message whose answers go to `on_item`."""
        message_id = self.send(kind, payload)
        self._streams[message_id] = on_item
        return message_id

    def unsubscribe(self, message_id: int) -> None:
        """Drop further answers to a message."""
        self._streams.pop(message_id, None)

    def close(self, reason: str = "") -> None:
        """Close both ends."""
        if not self.closed:
            self.send(CLOSE, reason)
            self._network.flush_connection(self)
            self.break_(reason, notify=False)

    def break_(self, reason: str, *, notify: bool = True) -> None:
        """The connection is gone."""
        if not self.closed:
            self.closed = True
            self.outbox = []
            self._streams = {}
            self._network.forget(self)
            if notify:
                self.on_close(reason)

    def take(self, frame: bytes) -> None:
        """Hand the answers of a frame to whom they are for."""
        streams = self._streams
        for _, cause, payload in msgpack.unpackb(frame):
            on_item = streams.get(cause)
            if on_item is not None:
                on_item(Answer(payload, cause))


class Network:
    """Carries frames between the members and clients of one program."""

    def __init__(self) -> None:
        self.members: dict[int, Receiver] = {}
        self._connections: dict[int, LocalConnection] = {}
        self._last_connection = 0
        self._dirty: list[LocalConnection] = []
        self._gate = Gate()
        self._arrival = Gate()
        self._queued = 0
        self._to_clients, self._arrived = trio.open_memory_channel[tuple[int, bytes]](
            MAX_QUEUED_FRAMES
        )
        self._cut: dict[tuple[int, int], None] = {}

    def connect(self, member: int, on_close: Callable[[str], None]) -> LocalConnection:
        """Open a connection; refusal comes as `on_close`."""
        self._last_connection += 1
        connection = LocalConnection(self, self._last_connection, member, on_close)
        self._connections[connection.id] = connection
        return connection

    def detach(self, member: int) -> None:
        """A member is gone: its connections are reset."""
        self.members.pop(member, None)
        for connection in list(self._connections.values()):
            if connection.member == member:
                connection.break_("connection reset by peer")

    def isolate(self, member: int, others: list[int]) -> None:
        """Lose what this member and the others send each other."""
        for other in others:
            self._cut[member, other] = self._cut[other, member] = None

    def heal(self) -> None:
        """Lose nothing any more."""
        self._cut.clear()

    def to_member(self, sender: int, member: int, frame: bytes) -> None:
        """Carry a frame between members; one that cannot be delivered is lost."""
        receiver = self.members.get(member)
        if receiver is not None and not (self._cut and (sender, member) in self._cut):
            receiver.deliver(frame)

    def to_client(self, connection_id: int, frame: bytes) -> None:
        """Carry a frame to a client; one that takes too little is disconnected."""
        try:
            self._to_clients.send_nowait((connection_id, frame))
            self._queued += 1
            self._arrival.open()
        except trio.WouldBlock:
            connection = self._connections.get(connection_id)
            if connection is not None:
                connection.break_("the client does not take its frames")

    # Called by connections

    def mark_dirty(self, connection: LocalConnection) -> None:
        """Something waits to be sent, with whatever else the tasks of this moment will ask."""
        self._dirty.append(connection)
        self._gate.open()

    def flush_connection(self, connection: LocalConnection) -> None:
        """Send what waits."""
        messages, connection.outbox = connection.outbox, []
        if not messages:
            return
        receiver = self.members.get(connection.member)
        if receiver is None:
            connection.break_("connection refused")
        elif not receiver.deliver(_pack((False, connection.id, messages))):
            connection.break_("the member is overloaded")

    def forget(self, connection: LocalConnection) -> None:
        """A connection has closed."""
        self._connections.pop(connection.id, None)

    # Tasks

    async def send_frames(self) -> None:
        """Send one frame per connection and moment, for ever."""
        while True:
            await self._gate.wait()
            dirty, self._dirty = self._dirty, []
            for connection in dirty:
                self.flush_connection(connection)

    async def receive_frames(self) -> None:
        """Hand arriving frames to their connections, for ever."""
        take = self._arrived.receive_nowait
        while True:
            await self._arrival.wait()
            while self._queued:
                self._queued -= 1
                connection_id, frame = take()
                connection = self._connections.get(connection_id)
                if connection is not None:
                    connection.take(frame)
